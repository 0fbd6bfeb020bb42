//! The load generator: one thread, one epoll, a state per connection.
//!
//! ```text
//!   idle ──issue──► sending ──► waiting for replies ──all in──► idle
//!     ▲                                                           │
//!     └── parked, while more deliveries are owed than allowed ◄───┘
//! ```
//!
//! A run begins and ends with nothing under way, so that the CPU time a server used between the two belongs to exactly the work
//! that was counted. It ends early when the requests allowed are used up: a workload that consumes never runs dry.
//!
//! Invariants: every reply is counted and checked; an error reply ends the run with its text.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::connection::{Connection, Role, Sending, Worker, bulks, check, next_reply, time_of};
use crate::plan::{Measure, Part, Plan};
use crate::template::{Random, Template};
use crate::usage;
use crate::wire::{Fault, Wire};

/// When this process began: the zero of every time.
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
/// How long a server may give no sign of life while something is under way.
const SILENCE_MAX: Duration = Duration::from_secs(8);
/// Longest latency told apart.
pub(crate) const LATENCY_NS_MAX: u64 = 60_000_000_000;
const EVENTS_MAX: usize = 1024;
const SCRATCH_BYTES: usize = 256 * 1024;

fn now_ns() -> u64 {
    u64::try_from(BEGIN.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// An empty histogram of ns.
///
/// # Panics
/// Never: its bounds are constants.
pub(crate) fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("the bounds are right")
}

/// How long a run may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) time: Duration,
    /// Most units sent.
    pub(crate) units: u64,
}

/// What a run did.
pub(crate) struct Outcome {
    /// What the plan counts.
    pub(crate) units: u64,
    pub(crate) deliveries: u64,
    /// Units sent, of the budget.
    pub(crate) issued: u64,
    pub(crate) elapsed: Duration,
    /// CPU time of this thread.
    pub(crate) own_ns: u64,
    pub(crate) latencies: Histogram<u64>,
}

/// What all connections share.
struct Flow {
    epoll: OwnedFd,
    measure: Measure,
    owed_max: u64,
    random: Random,
    counter: u64,
    units_max: u64,
    issued: u64,
    is_stopping: bool,
    /// Drivers with replies to come.
    busy: usize,
    owed: u64,
    parked: VecDeque<usize>,
    units: u64,
    deliveries: u64,
    last_issue_ns: u64,
    latencies: Histogram<u64>,
}

/// Connections to one server, ready to run.
pub(crate) struct Load {
    connections: Vec<Connection>,
    flow: Flow,
    events: Vec<Event>,
    scratch: Vec<u8>,
}

impl Load {
    /// Connects everything the plan names.
    ///
    /// # Errors
    /// The server refuses, or a command of the plan is not one.
    pub(crate) fn connect(address: SocketAddr, plan: &Plan) -> Result<Self, Fault> {
        LazyLock::force(&BEGIN);
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(std::io::Error::from)?;
        let mut connections = Vec::with_capacity(plan.connections());
        for part in &plan.parts {
            for _ in 0..part.connections() {
                let number = plan.first_number + connections.len();
                connections.push(open(address, part, number)?);
            }
        }
        for (index, connection) in connections.iter().enumerate() {
            connection.stream.set_nonblocking(true)?;
            epoll::add(
                &epoll,
                &connection.stream,
                EventData::new_u64(index as u64),
                EventFlags::IN,
            )
            .map_err(std::io::Error::from)?;
        }
        Ok(Self {
            connections,
            flow: Flow {
                epoll,
                measure: plan.measure,
                owed_max: plan.owed_max,
                random: Random::new(42),
                counter: 0,
                units_max: 0,
                issued: 0,
                is_stopping: false,
                busy: 0,
                owed: 0,
                parked: VecDeque::new(),
                units: 0,
                deliveries: 0,
                last_issue_ns: 0,
                latencies: latencies(),
            },
            events: Vec::with_capacity(EVENTS_MAX),
            scratch: vec![0; SCRATCH_BYTES],
        })
    }

    /// Runs until the budget is used up and everything under way has arrived.
    ///
    /// # Errors
    /// An error reply, a wrong one, none, or the end of a connection.
    pub(crate) fn run(&mut self, budget: Budget) -> Result<Outcome, Fault> {
        let (begin, own_before) = (Instant::now(), usage::own_thread_ns());
        self.flow.begin(budget.units);
        for index in 0..self.connections.len() {
            let connection = &mut self.connections[index];
            if connection.is_driver() {
                self.flow.issue(connection, index)?;
            } else if !connection.is_started {
                connection.is_started = true;
                connection.send()?;
                self.flow.follow_interest(connection, index)?;
            }
        }
        let mut last_sign = Instant::now();
        while !self.flow.is_over() {
            let wait = Timespec {
                tv_sec: 0,
                tv_nsec: 50_000_000,
            };
            match epoll::wait(
                &self.flow.epoll,
                spare_capacity(&mut self.events),
                Some(&wait),
            ) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(std::io::Error::from(error).into()),
            }
            let now = Instant::now();
            if !self.events.is_empty() {
                last_sign = now;
            } else if now - last_sign > SILENCE_MAX {
                return Err(Fault::Timeout);
            }
            if now - begin >= budget.time {
                self.flow.is_stopping = true;
                self.flow.parked.clear();
            }
            self.take_events()?;
        }
        Ok(Outcome {
            units: self.flow.units,
            deliveries: self.flow.deliveries,
            issued: self.flow.issued,
            elapsed: begin.elapsed(),
            own_ns: usage::own_thread_ns().saturating_sub(own_before),
            latencies: std::mem::replace(&mut self.flow.latencies, latencies()),
        })
    }

    fn take_events(&mut self) -> Result<(), Fault> {
        for event in self.events.drain(..) {
            let (data, flags) = (event.data, event.flags);
            let index = usize::try_from(data.u64()).unwrap_or(usize::MAX);
            let Some(connection) = self.connections.get_mut(index) else {
                continue;
            };
            if flags.contains(EventFlags::OUT) {
                connection.send()?;
                if !connection.wants_to_write {
                    self.flow.watch(connection, index, EventFlags::IN)?;
                }
            }
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                let length = connection.receive(&mut self.scratch)?;
                if length > 0 {
                    let bytes = &self.scratch[..length];
                    self.flow.take(connection, index, bytes)?;
                }
            }
        }
        // Those that waited for deliveries, in the order in which they began to.
        for _ in 0..self.flow.parked.len() {
            let Some(index) = self.flow.parked.pop_front() else {
                break;
            };
            self.flow.issue(&mut self.connections[index], index)?;
        }
        Ok(())
    }
}

impl Flow {
    fn begin(&mut self, units_max: u64) {
        self.units_max = units_max;
        self.issued = 0;
        self.is_stopping = false;
        self.units = 0;
        self.deliveries = 0;
        self.latencies.reset();
    }

    fn is_over(&self) -> bool {
        self.busy == 0 && self.owed == 0 && self.parked.is_empty()
    }

    fn watch(&self, connection: &Connection, index: usize, flags: EventFlags) -> Result<(), Fault> {
        let data = EventData::new_u64(index as u64);
        epoll::modify(&self.epoll, &connection.stream, data, flags)
            .map_err(|error| std::io::Error::from(error).into())
    }

    /// Asks to be told when a full socket takes bytes again.
    fn follow_interest(&self, connection: &Connection, index: usize) -> Result<(), Fault> {
        if connection.wants_to_write {
            self.watch(connection, index, EventFlags::IN | EventFlags::OUT)?;
        }
        Ok(())
    }

    /// Sends the next batch of an idle connection, if time, budget and debts allow it.
    #[inline]
    fn issue(&mut self, connection: &mut Connection, index: usize) -> Result<(), Fault> {
        let (units, replies, owes) = match &connection.role {
            Role::Loop {
                units,
                expects,
                owes,
            } => (
                u64::from(*units),
                *units * u32::try_from(expects.len()).unwrap_or(1),
                *owes * u64::from(*units),
            ),
            Role::Worker(_) => (1, 1, 0),
            Role::Subscriber | Role::Consumer => return Ok(()),
        };
        if self.is_stopping || self.issued + units > self.units_max {
            return Ok(());
        }
        if owes > 0 && self.owed > 0 && self.owed + owes > self.owed_max {
            self.parked.push_back(index);
            return Ok(());
        }
        self.busy += 1;
        self.issued += units;
        self.owed += owes;
        let now = now_ns();
        connection
            .batch
            .patch(&mut self.random, &mut self.counter, now / 1000);
        connection.replies_left = replies;
        connection.sending = Sending::Batch;
        connection.sent_bytes = 0;
        connection.sent_ns = now;
        self.last_issue_ns = now;
        connection.send()?;
        self.follow_interest(connection, index)
    }

    /// Takes bytes that came.
    #[inline]
    fn take(
        &mut self,
        connection: &mut Connection,
        index: usize,
        bytes: &[u8],
    ) -> Result<(), Fault> {
        match connection.role {
            Role::Loop { .. } => self.take_replies(connection, index, bytes),
            Role::Subscriber => self.take_pushes(connection, bytes),
            Role::Consumer | Role::Worker(_) => self.take_contents(connection, index, bytes),
        }
    }

    #[inline]
    fn take_replies(
        &mut self,
        connection: &mut Connection,
        index: usize,
        bytes: &[u8],
    ) -> Result<(), Fault> {
        let Role::Loop { expects, .. } = &connection.role else {
            return Ok(());
        };
        let (mut at, mut finished) = (0, 0);
        while let Some(summary) = next_reply(&mut connection.skipper, bytes, &mut at)? {
            check(&summary, expects[connection.unit_position])?;
            connection.unit_position += 1;
            if connection.unit_position == expects.len() {
                connection.unit_position = 0;
                finished += 1;
            }
            if connection.replies_left == 0 {
                return Err(Fault::Unexpected("a reply to nothing".to_owned()));
            }
            connection.replies_left -= 1;
        }
        if self.measure != Measure::Payload {
            self.units += finished;
        }
        if self.measure == Measure::Reply && finished > 0 {
            let latency = now_ns() - connection.sent_ns;
            self.latencies.saturating_record_n(latency.max(1), finished);
        }
        if connection.replies_left == 0 && at > 0 && connection.skipper.is_between_replies() {
            self.busy -= 1;
            self.issue(connection, index)?;
        }
        Ok(())
    }

    fn take_pushes(&mut self, connection: &mut Connection, bytes: &[u8]) -> Result<(), Fault> {
        let mut at = 0;
        while let Some(_push) = next_reply(&mut connection.skipper, bytes, &mut at)? {
            self.deliver(1)?;
        }
        if self.owed == 0 && self.measure == Measure::FanOut {
            let latency = now_ns() - self.last_issue_ns;
            self.latencies.saturating_record(latency.max(1));
        }
        Ok(())
    }

    fn deliver(&mut self, count: u64) -> Result<(), Fault> {
        self.deliveries += count;
        self.owed = self
            .owed
            .checked_sub(count)
            .ok_or_else(|| Fault::Unexpected("delivered more than was sent".to_owned()))?;
        Ok(())
    }

    /// Replies that are looked into.
    fn take_contents(
        &mut self,
        connection: &mut Connection,
        index: usize,
        bytes: &[u8],
    ) -> Result<(), Fault> {
        let known = connection.partial.len();
        connection.partial.extend_from_slice(bytes);
        let (mut at, mut begin) = (0, 0);
        let contents = std::mem::take(&mut connection.partial);
        while let Some(summary) = next_reply(&mut connection.skipper, &contents[known..], &mut at)?
        {
            let reply = &contents[begin..known + at];
            begin = known + at;
            match &connection.role {
                Role::Consumer => self.take_element(connection, reply)?,
                _ => self.take_entries(connection, index, reply, summary.number)?,
            }
            self.follow_interest(connection, index)?;
        }
        connection.partial = contents;
        connection.partial.drain(..begin);
        Ok(())
    }

    /// A popped element: its time is taken and the next is asked for.
    fn take_element(&mut self, connection: &mut Connection, reply: &[u8]) -> Result<(), Fault> {
        let payload = bulks(reply).last().unwrap_or_default();
        self.record_time(time_of(payload), now_ns() / 1000)?;
        connection.sending = Sending::Batch;
        connection.sent_bytes = 0;
        connection.send()
    }

    fn record_time(&mut self, sent_micros: u64, now_micros: u64) -> Result<(), Fault> {
        if sent_micros == 0 {
            return Err(Fault::Unexpected("a payload without a time".to_owned()));
        }
        self.units += 1;
        let latency = now_micros.saturating_sub(sent_micros) * 1000;
        self.latencies.saturating_record(latency.max(1));
        self.deliver(1)
    }

    /// A worker's reply: entries, which it acknowledges, or the number of those acknowledged.
    fn take_entries(
        &mut self,
        connection: &mut Connection,
        index: usize,
        reply: &[u8],
        number: i64,
    ) -> Result<(), Fault> {
        let Role::Worker(worker) = &mut connection.role else {
            return Ok(());
        };
        if !worker.is_acknowledging {
            let count = worker.acknowledge(reply, &mut connection.built);
            if count == 0 || worker.entries.is_some_and(|entries| entries != count) {
                let expected = worker.entries.unwrap_or(1);
                let text = format!("{count} entries where {expected} were due");
                return Err(Fault::Unexpected(text));
            }
            worker.is_acknowledging = true;
            connection.sending = Sending::Built;
            connection.sent_bytes = 0;
            return connection.send();
        }
        worker.is_acknowledging = false;
        if i64::try_from(worker.times.len()) != Ok(number) {
            return Err(Fault::Unexpected(format!("{number} acknowledged")));
        }
        if worker.entries.is_some() {
            self.units += 1;
            let latency = now_ns() - connection.sent_ns;
            self.latencies.saturating_record(latency.max(1));
            self.busy -= 1;
            return self.issue(connection, index);
        }
        let now = now_ns() / 1000;
        for time in std::mem::take(&mut worker.times) {
            self.record_time(time, now)?;
        }
        connection.sending = Sending::Batch;
        connection.sent_bytes = 0;
        connection.send()
    }
}

/// Connects one connection of a part; its number fills the `{connection}` of its commands.
fn open(address: SocketAddr, part: &Part, number: usize) -> Result<Connection, Fault> {
    let command = |text: &str| Template::command(text, number).map_err(Fault::Unexpected);
    Ok(match part {
        Part::Loop {
            unit, depth, owes, ..
        } => {
            let mut whole = Template::default();
            for (text, _) in unit {
                whole.append(&command(text)?);
            }
            let role = Role::Loop {
                units: u32::try_from(*depth).unwrap_or(1),
                expects: unit.iter().map(|(_, expect)| *expect).collect(),
                owes: *owes,
            };
            Connection::new(connected(address)?, role, whole.repeated(*depth))
        }
        Part::Subscriber {
            command,
            confirmations,
            ..
        } => {
            let mut wire = Wire::connect(address)?;
            wire.subscribe(command, *confirmations)?;
            Connection::new(wire.into_stream()?, Role::Subscriber, Template::default())
        }
        Part::Consumer { command: text, .. } => {
            Connection::new(connected(address)?, Role::Consumer, command(text)?)
        }
        Part::Worker {
            read,
            acknowledge,
            entries,
            ..
        } => {
            let words = acknowledge.split_whitespace();
            let bulk = |word: &str| format!("${}\r\n{word}\r\n", word.len());
            let worker = Worker {
                prefix: words.clone().map(bulk).collect::<String>().into_bytes(),
                prefix_words: words.count(),
                entries: *entries,
                is_acknowledging: false,
                times: Vec::new(),
            };
            Connection::new(connected(address)?, Role::Worker(worker), command(read)?)
        }
    })
}

fn connected(address: SocketAddr) -> Result<TcpStream, Fault> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
