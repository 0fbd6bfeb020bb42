//! Drives the connections of two servers step by step and compares what every connection received.
//!
//! After each step it waits until both servers are quiet: control connections ask INFO (which, with several shards, goes through all of
//! them) until the numbers of connected and blocked clients are equal on both and all that was received is equal, twice in a row without
//! anything new. Only a difference that lasts counts; being slow is none.

use std::time::{Duration, Instant};

use super::generator::{Action, CONNECTIONS, Step};
use crate::oracle::generator::Dialect;
use crate::oracle::normalise::same_answer;
use crate::support::frame::{Frame, printable, printable_command};
use crate::support::server::info_field;
use crate::support::{Client, Outcome, Server, records};

/// How long both may take to become equal.
const PATIENCE: Duration = Duration::from_secs(4);
/// What stands for a closed connection among the replies.
const CLOSED: &[u8] = b"(closed)";

/// One server and our connections to it; the last two are the subscriber to keyspace notifications and the control connection.
struct Side<'a> {
    server: &'a Server,
    clients: Vec<Option<Client>>,
    ids: Vec<i64>,
    addresses: Vec<String>,
    notifications: Client,
    control: Client,
    /// What arrived in this step, per connection, notifications last.
    received: Vec<Vec<Vec<u8>>>,
}

/// Where two servers parted.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    /// Index of the step.
    pub(crate) step: usize,
    /// What differs, readable.
    pub(crate) text: String,
}

impl<'a> Side<'a> {
    fn new(server: &'a Server) -> Self {
        let mut control = server.connect();
        let ok = control
            .run("CONFIG SET notify-keyspace-events KEAn")
            .to_string();
        assert_eq!(ok, "+OK", "keyspace notifications of {}", server.name);
        control.run("FLUSHALL");
        let mut notifications = server.connect();
        for pattern in ["__keyspace@*", "__keyevent@*"] {
            notifications.call(&["PSUBSCRIBE", pattern]);
        }
        records::begin(&mut control);
        let mut side = Self {
            server,
            clients: (0..CONNECTIONS).map(|_| None).collect(),
            ids: vec![0; CONNECTIONS],
            addresses: vec![String::new(); CONNECTIONS],
            notifications,
            control,
            received: vec![Vec::new(); CONNECTIONS + 1],
        };
        for connection in 0..CONNECTIONS {
            side.open(connection);
        }
        side
    }

    fn open(&mut self, connection: usize) {
        let mut client = self.server.connect();
        self.ids[connection] = client.id();
        self.addresses[connection] = client.local_address().to_string();
        self.clients[connection] = Some(client);
    }

    fn perform(&mut self, step: &Step) {
        for frames in &mut self.received {
            frames.clear();
        }
        let at = step.connection;
        match &step.action {
            Action::Close => self.clients[at] = None,
            Action::Send(words) | Action::SendAnyhow(words) | Action::Timed(words) => {
                if self.clients[at].is_none() {
                    self.open(at);
                }
                let filled: Vec<Vec<u8>> = words.iter().map(|word| self.fill(word)).collect();
                if let Some(client) = &mut self.clients[at] {
                    client.send(&filled);
                }
            }
        }
    }

    fn fill(&self, word: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(word);
        let number = |prefix: &str| {
            text.strip_prefix(prefix)?
                .strip_suffix('>')?
                .parse::<usize>()
                .ok()
        };
        if let Some(at) = number("<id:") {
            return self.ids[at].to_string().into_bytes();
        }
        if let Some(at) = number("<address:") {
            return self.addresses[at].clone().into_bytes();
        }
        word.to_vec()
    }

    /// A round trip through the server, then takes what has arrived; the numbers of connected and blocked clients and whether
    /// anything was new.
    fn round(&mut self) -> ([String; 2], bool) {
        let info = self.control.run("INFO clients").text();
        let counts = ["connected_clients", "blocked_clients"]
            .map(|name| info_field(&info, name).unwrap_or_default());
        let mut news = false;
        for (at, slot) in self.clients.iter_mut().enumerate() {
            while let Some(client) = slot {
                match client.poll(Duration::ZERO) {
                    Outcome::Reply(reply) => self.received[at].push(reply),
                    Outcome::Closed => {
                        self.received[at].push(CLOSED.to_vec());
                        *slot = None;
                    }
                    Outcome::Quiet => break,
                }
                news = true;
            }
        }
        while let Outcome::Reply(reply) = self.notifications.poll(Duration::ZERO) {
            self.received[CONNECTIONS].push(reply);
            news = true;
        }
        (counts, news)
    }

    fn open_count(&self) -> usize {
        self.clients.iter().flatten().count() + 2
    }
}

/// The closed list of what may differ in what a connection receives:
/// - who the server is (HELLO);
/// - the order of the confirmations of an UNSUBSCRIBE without names, which walks a hash table; their counts keep their order;
/// - the order of the copies of one message that come by several patterns, which walks a hash table too;
/// - whether a message that a transaction publishes to itself before its own HELLO comes in the old protocol or the new;
/// - whether a client that is killed gets what the same transaction published before: it is out already when it is on another shard;
/// - with an oracle of 7.0 what [`as_7_0`], [`same_as_7_0`] and [`holds_a_message`] name. `own`: the connection took the step.
fn same_received(ours: &[Vec<u8>], theirs: &[Vec<u8>], dialect: Dialect, own: bool) -> bool {
    if dialect == Dialect::Redis70 && own && theirs.iter().any(|raw| holds_a_message(raw)) {
        return leaves(ours) == leaves(theirs);
    }
    let as_told = |received| copies_in_order(in_order_of_names(&as_7_0(received, dialect)));
    let (ours, theirs) = (as_told(ours), as_told(theirs));
    if let [end] = &theirs[..]
        && end == CLOSED
    {
        let told = ours.iter().rev().skip(1);
        return ours.last() == Some(end) && told.into_iter().all(|raw| holds_a_message(raw));
    }
    if own && theirs.len() > 1 && theirs.iter().any(|raw| holds_a_hello(raw)) {
        return leaves(&ours) == leaves(&theirs);
    }
    ours.len() == theirs.len()
        && ours.iter().zip(&theirs).all(|(ours, theirs)| {
            let hello = theirs.len() > 40 && theirs.windows(6).any(|part| part == b"server");
            ours == theirs
                || (hello && same_answer(&[b"HELLO".to_vec()], ours, theirs, dialect))
                || (dialect == Dialect::Redis70 && same_as_7_0(ours, theirs))
        })
}

/// 7.0 creates the consumer of an XREADGROUP only when it has something to give it, 7.2 always: its event is left out.
fn as_7_0(received: &[Vec<u8>], dialect: Dialect) -> Vec<Vec<u8>> {
    let kept = |raw: &&Vec<u8>| dialect != Dialect::Redis70 || !tells_of_a_consumer(raw);
    received.iter().filter(kept).cloned().collect()
}

fn tells_of_a_consumer(raw: &[u8]) -> bool {
    let needle = b"xgroup-createconsumer";
    raw.windows(needle.len()).any(|part| part == needle)
}

/// 7.0 has texts of its own for a reader whose group or key went, or whose key became another type; 7.2 runs the command again, with its errors.
fn same_as_7_0(ours: &[u8], theirs: &[u8]) -> bool {
    let texts = [
        &b"-UNBLOCKED the stream key no longer exists"[..],
        b"-NOGROUP the consumer group this client was blocked on no longer exists",
    ];
    texts.iter().any(|text| theirs.starts_with(text))
        && (ours.starts_with(b"-NOGROUP No such key") || ours.starts_with(b"-WRONGTYPE "))
}

/// Whether a frame is a message of publish/subscribe or has one within: 7.0 writes what a command publishes to its own
/// connection before the reply or into the middle of it, so that its last parts fall out; 7.2 sends it after the reply.
fn holds_a_message(raw: &[u8]) -> bool {
    fn within(frame: &Frame) -> bool {
        frame
            .items()
            .iter()
            .any(|item| is_message(item) || within(item))
    }
    (raw.starts_with(b"*") || raw.starts_with(b"%") || raw.starts_with(b">"))
        && Frame::try_parse(raw).is_some_and(|frame| is_message(&frame) || within(&frame))
}

/// The reply to HELLO: who the server is.
fn is_hello(frame: &Frame) -> bool {
    let first = frame.items().first();
    first.is_some_and(|first| first.items().is_empty() && first.bytes() == b"server")
}

/// Whether a frame is the reply to a HELLO, or to an EXEC with one within.
fn holds_a_hello(raw: &[u8]) -> bool {
    Frame::try_parse(raw)
        .is_some_and(|frame| is_hello(&frame) || frame.items().iter().any(is_hello))
}

fn is_message(frame: &Frame) -> bool {
    let kind = frame.items().first().map(Frame::bytes);
    kind.is_some_and(|kind| [&b"message"[..], b"pmessage", b"smessage"].contains(&kind))
}

/// All that was received with arrays taken apart, down to single replies and whole messages, in an order and protocol of its own.
fn leaves(received: &[Vec<u8>]) -> Vec<Vec<u8>> {
    fn take_apart(frame: &Frame, leaves: &mut Vec<Vec<u8>>) {
        if is_hello(frame) {
            leaves.push(b"HELLO".to_vec());
            return;
        }
        if !frame.items().is_empty() && !is_message(frame) {
            frame
                .items()
                .iter()
                .for_each(|item| take_apart(item, leaves));
            return;
        }
        let mut leaf = Vec::new();
        frame.encode(&mut leaf);
        if leaf.first() == Some(&b'>') {
            leaf[0] = b'*';
        }
        if !tells_of_a_consumer(&leaf) {
            leaves.push(leaf);
        }
    }
    let mut leaves = Vec::new();
    for raw in received {
        match Frame::try_parse(raw) {
            Some(frame) => take_apart(&frame, &mut leaves),
            None => leaves.push(raw.clone()),
        }
    }
    leaves.sort();
    leaves
}

/// Sorts the copies of one message that came by several patterns.
fn copies_in_order(mut frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let message = |raw: &Vec<u8>| {
        let frame = Frame::try_parse(raw)?;
        let items = frame.items();
        (items.len() == 4 && items[0].bytes() == b"pmessage")
            .then(|| (items[2].bytes().to_vec(), items[3].bytes().to_vec()))
    };
    for copies in frames.chunk_by_mut(|a, b| message(a).is_some() && message(a) == message(b)) {
        copies.sort();
    }
    frames
}

/// A confirmation that a subscription ended.
fn is_farewell(frame: &Frame) -> bool {
    let kind = frame.items().first().map(Frame::bytes);
    kind.is_some_and(|kind| kind.ends_with(b"unsubscribe"))
}

/// Sorts the names within each row of confirmations of the same kind.
fn in_order_of_names(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    // Those within EXEC's reply too, with what follows them.
    let frames: Vec<Vec<u8>> = frames
        .iter()
        .flat_map(|raw| match Frame::try_parse(raw) {
            Some(frame) if frame.items().iter().any(is_farewell) => {
                let encoded = |item: &Frame| {
                    let mut raw = Vec::new();
                    item.encode(&mut raw);
                    raw
                };
                frame.items().iter().map(encoded).collect()
            }
            _ => vec![raw.clone()],
        })
        .collect();
    let kind = |raw: &Vec<u8>| {
        [
            "$11\r\nunsubscribe",
            "$12\r\npunsubscribe",
            "$12\r\nsunsubscribe",
        ]
        .iter()
        .position(|start| {
            raw.get(4..)
                .is_some_and(|rest| rest.starts_with(start.as_bytes()))
        })
    };
    let mut sorted = Vec::new();
    for row in frames.chunk_by(|a, b| kind(a).is_some() && kind(a) == kind(b)) {
        if kind(&row[0]).is_none() || row.len() == 1 {
            sorted.extend_from_slice(row);
            continue;
        }
        let mut parsed: Vec<Frame> = row.iter().map(|raw| Frame::parse(raw)).collect();
        let mut names: Vec<Frame> = parsed
            .iter()
            .map(|frame| frame.items()[1].clone())
            .collect();
        names.sort_by_key(|name| name.bytes().to_vec());
        for (frame, name) in parsed.iter_mut().zip(names) {
            frame.items_mut()[1] = name;
            let mut raw = Vec::new();
            frame.encode(&mut raw);
            sorted.push(raw);
        }
    }
    sorted
}

fn readable(frames: &[Vec<u8>]) -> String {
    let all: Vec<String> = frames
        .iter()
        .map(|raw| Frame::try_parse(raw).map_or_else(|| printable(raw), |frame| frame.to_string()))
        .collect();
    all.join("  ")
}

/// A step as one would write it down.
pub(crate) fn readable_step(step: &Step) -> String {
    let at = step.connection;
    match &step.action {
        Action::Send(words) => format!("{at}: {}", printable_command(words)),
        Action::SendAnyhow(words) => {
            format!("{at}: {} (even when blocked)", printable_command(words))
        }
        Action::Timed(words) => format!("{at}: {} (until it times out)", printable_command(words)),
        Action::Close => format!("{at}: closes its socket"),
    }
}

/// Whether a frame is an answer to a command, not a message that comes by itself.
fn is_answer(raw: &[u8]) -> bool {
    !raw.starts_with(b">")
}

/// Runs the steps on fresh connections up to the first difference; also the steps really made.
pub(crate) fn first_difference(
    ours: &Server,
    theirs: &Server,
    steps: &[Step],
    dialect: Dialect,
) -> (Option<Difference>, usize) {
    let mut sides = [Side::new(ours), Side::new(theirs)];
    let mut awaiting = [false; CONNECTIONS];
    let mut swapping = [false; CONNECTIONS];
    let mut made = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let connection = step.connection;
        if awaiting[connection] && matches!(step.action, Action::Send(_) | Action::Timed(_)) {
            continue;
        }
        made.push(step);
        for side in &mut sides {
            side.perform(step);
        }
        let command = match &step.action {
            Action::Send(words) => &words[0][..],
            _ => b"",
        };
        swapping[connection] |= command == b"SWAPDB";
        let expected = Expected {
            connection,
            dialect,
            timed: matches!(step.action, Action::Timed(_)).then_some(connection),
            any_order: swapping[connection] && [&b"SWAPDB"[..], b"EXEC"].contains(&command),
        };
        swapping[connection] &= command != b"EXEC" && command != b"DISCARD";
        if let Err(text) = settle(&mut sides, &expected) {
            let parted = (0..CONNECTIONS).any(|other| {
                waits_elsewhere(&sides, &made, other)
                    || dialect == Dialect::Redis70 && got_an_empty_stream(&sides, other)
            });
            if parted || expected.any_order && several_were_served(&sides[1], connection) {
                return (None, made.len());
            }
            return (Some(Difference { step: at, text }), made.len());
        }
        // Two answers may still be owed when one command waits behind a blocked one: the next answer is not yet the last.
        let theirs = &sides[1];
        if theirs.clients[connection].is_some() && !matches!(step.action, Action::SendAnyhow(_)) {
            awaiting[connection] = true;
        }
        for (other, waits) in awaiting.iter_mut().enumerate() {
            if theirs.clients[other].is_none()
                || theirs.received[other].iter().any(|raw| is_answer(raw))
            {
                *waits = false;
            }
        }
    }
    (
        difference_of_records(&mut sides, dialect, steps.len()),
        made.len(),
    )
}

/// What the servers have in their records at the end.
fn difference_of_records(
    sides: &mut [Side<'_>; 2],
    dialect: Dialect,
    step_count: usize,
) -> Option<Difference> {
    let [ours, theirs] = sides.each_mut().map(|side| records::of(&mut side.control));
    let mut found = records::differences(&ours, &theirs, dialect != Dialect::Redis70);
    // IDs and addresses of clients are each server's own.
    // CLIENT UNBLOCK … ERROR is charged by Redis with the error that the other client gets; not by us.
    let is_own = |line: &String| {
        line.starts_with("slow CLIENT ") || line.starts_with("cmdstat_client|unblock")
    };
    found.retain(|line| !is_own(line));
    (!found.is_empty()).then(|| Difference {
        step: step_count.saturating_sub(1),
        text: format!("records differ:\n{}", found.join("\n")),
    })
}

/// The one difference between one shard and several: a client that waits for keys on more than one is served from the keys in
/// hand, and does not see that another of its keys has become a wrong type. The run ends here: from now on the sides differ.
fn waits_elsewhere(sides: &[Side<'_>; 2], made: &[&Step], connection: usize) -> bool {
    let [ours, theirs] = sides;
    let several_keys = |words: &[Vec<u8>]| match &words[0][..] {
        b"BLPOP" | b"BRPOP" => words.len() > 3,
        b"BLMPOP" => words[2] != b"1",
        b"XREAD" => words.len() > 6,
        _ => false,
    };
    let last = made.iter().rev().find_map(|step| match &step.action {
        Action::Send(words) | Action::Timed(words)
            if step.connection == connection
                && [&b"BLPOP"[..], b"BRPOP", b"BLMPOP", b"XREAD"].contains(&&words[0][..]) =>
        {
            Some(words)
        }
        _ => None,
    });
    ours.server.shards > 1
        && theirs.received[connection]
            .first()
            .is_some_and(|raw| raw.starts_with(b"-WRONGTYPE"))
        && last.is_some_and(|words| several_keys(words))
}

/// Several connections received something they did not ask for now: in which order SWAPDB served them decided what each got.
fn several_were_served(side: &Side<'_>, connection: usize) -> bool {
    let served = (0..CONNECTIONS).filter(|other| *other != connection);
    served
        .filter(|other| !side.received[*other].is_empty())
        .count()
        > 1
}

/// 7.0 answers a blocked XREAD with no entries when those that came are gone at the end of the transaction; 7.2 lets it
/// wait on. The run ends here too.
fn got_an_empty_stream(sides: &[Side<'_>; 2], connection: usize) -> bool {
    let [ours, theirs] = sides;
    ours.received[connection].len() < theirs.received[connection].len()
        && theirs.received[connection].iter().any(|raw| {
            (raw.starts_with(b"*1\r\n*2\r\n") || raw.starts_with(b"%1\r\n"))
                && raw.ends_with(b"\r\n*0\r\n")
        })
}

/// What is known of a step before it is made.
struct Expected {
    /// The connection that makes it.
    connection: usize,
    dialect: Dialect,
    /// The connection whose command ends by its timeout.
    timed: Option<usize>,
    /// SWAPDB finds the keys that have become ready by a walk over a hash table: what follows has no order between keys.
    any_order: bool,
}

fn settle(sides: &mut [Side<'_>; 2], expected: &Expected) -> Result<(), String> {
    let Expected {
        connection,
        dialect,
        timed,
        any_order,
    } = *expected;
    let same = |at: usize, ours: &[Vec<u8>], theirs: &[Vec<u8>]| {
        same_received(ours, theirs, dialect, at == connection)
            || any_order && leaves(ours) == leaves(theirs)
    };
    let deadline = Instant::now() + PATIENCE;
    let mut quiet_rounds = 0;
    loop {
        let [ours, theirs] = sides;
        let (our_counts, our_news) = ours.round();
        let (their_counts, their_news) = theirs.round();
        let mut problem = None;
        for at in 0..=CONNECTIONS {
            if !same(at, &ours.received[at], &theirs.received[at]) {
                let name = if at == CONNECTIONS {
                    "notifications".to_owned()
                } else {
                    format!("connection {at}")
                };
                let (ours, theirs) = (readable(&ours.received[at]), readable(&theirs.received[at]));
                problem = Some(format!(
                    "{name} received\n  ours:   {ours}\n  theirs: {theirs}"
                ));
                break;
            }
        }
        let open = theirs.open_count().to_string();
        if problem.is_none() && (our_counts != their_counts || their_counts[0] != open) {
            problem = Some(format!(
                "[connected, blocked] clients: ours {our_counts:?}, theirs {their_counts:?}, open sockets {open}"
            ));
        }
        if let Some(connection) = timed
            && problem.is_none()
            && !theirs.received[connection].iter().any(|raw| is_answer(raw))
        {
            problem = Some(format!(
                "connection {connection} got no answer to its timed command"
            ));
        }
        quiet_rounds = if problem.is_none() && !our_news && !their_news {
            quiet_rounds + 1
        } else {
            0
        };
        // The first round that brings something is followed by one that brings nothing.
        if quiet_rounds >= 2 {
            return Ok(());
        }
        if let Some(problem) = problem {
            if Instant::now() > deadline {
                return Err(problem);
            }
            if timed.is_some() {
                // Nothing to wait for but the timeout itself.
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// The fewest steps found, within a time, that still make a difference.
pub(crate) fn shrink(
    ours: &Server,
    theirs: &Server,
    steps: &[Step],
    difference: &Difference,
    dialect: Dialect,
) -> (Vec<Step>, Difference) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut best = steps[..=difference.step].to_vec();
    let mut found = difference.clone();
    let mut chunk = best.len() / 2;
    while chunk > 0 && Instant::now() < deadline {
        let mut from = 0;
        while from < best.len() && Instant::now() < deadline {
            let mut fewer = best.clone();
            fewer.drain(from..(from + chunk).min(best.len()));
            if let (Some(other), _) = first_difference(ours, theirs, &fewer, dialect) {
                fewer.truncate(other.step + 1);
                best = fewer;
                found = other;
            } else {
                from += chunk;
            }
        }
        chunk /= 2;
    }
    (best, found)
}
