//! Scripts: EVAL, EVALSHA, FCALL. Found, started, their commands run one by one with the keyspaces in hand.
//!
//! ```text
//! begin ─► drive ─┬─ wants a command ─► admitted as a script's ─► its handler ─► reply to the script ─┐
//!                 │      ▲                                                                            │
//!                 │      └────────────────────────────────────────────────────────────────────────────┘
//!                 ├─ has run for too long ─► Scripted::Suspended (busy.rs)
//!                 └─ has ended ─► its result is the reply
//! ```
//! A script is one transaction: one time, one group of effects; who waits is served when it has ended. One that fails keeps what it has
//! written, as in Redis.
//!
//! Source: the order of the checks is that of Redis' `scriptPrepareForRun` and `scriptCall`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::acl::log::Context as Place;
use crate::client::session::Session;
use crate::command::context::Outcome;
use crate::command::error::{self, CommandError};
use crate::command::permission;
use crate::command::redact::redacted;
use crate::command::row::Row;
use crate::command::scripting::declared::keys_are_declared;
use crate::command::scripting::{Named, key_count, naming};
use crate::command::spec::Flags;
use crate::command::table::commands;
use crate::ids::ShardSet;
use crate::keyspace::{InHand, Space};
use crate::observe::monitor;
use crate::resp::arguments::{Args, Request as Words};
use crate::resp::reply::Reply;
use crate::script::cache::{sha_from_hex, sha_of};
use crate::script::engine::{REPLICATE_AOF, ScriptError, Step};
use crate::script::flags::ScriptFlags;
use crate::script::lua::{Answer, Exchange, Request};

use super::admit::trouble_with_files;
use super::env::{Aftermath, Call, Env, ScriptName, ScriptRun};
use super::headroom::{began_without_room, runs_without_room};
use super::route::shards_of;

/// How long a script that is busy runs before its thread looks at its clients again.
const SLICE_NS: u64 = 1_000_000;

/// With what a script ends that was killed.
const KILLED: &str = "Script killed by user with SCRIPT KILL...";

/// What Lua says when there is no more memory.
const NO_MEMORY: &[u8] = b"not enough memory";

/// How a script went.
pub(super) enum Scripted {
    /// It has ended, and the reply is written.
    Done,
    /// It has run for too long, or for its slice.
    Suspended(Box<ScriptRun>),
}

impl Env<'_> {
    /// Begins a script and runs it.
    pub(super) fn call_script(
        &self,
        space: &mut Space<'_>,
        session: &mut Session,
        reply: &mut Reply,
        call: &Call<'_>,
        after: &mut Aftermath,
    ) -> Scripted {
        let started = self.lap_ns.get();
        let started_ns = started.unwrap_or_else(|| self.clock.nanoseconds());
        let begun = if std::mem::take(&mut session.wants_debugger) {
            // redis-cli --ldb passes over the refusal of SCRIPT DEBUG.
            Err(error::SCRIPT_DEBUGGER)
        } else {
            self.begin_script(session, call, started_ns)
        };
        match begun {
            Ok((mut run, step)) => {
                let count = space.shard_count();
                run.has_all = space.shards().covers(ShardSet::all(count));
                self.drive(space, session, reply, call, run, step, after)
            }
            Err(error) => {
                let elapsed_ns = self.lap();
                self.record(session, call, elapsed_ns, Some(&error));
                reply.error(error.bytes());
                Scripted::Done
            }
        }
    }

    /// Goes on with a script for a slice, or ends it when it was killed.
    pub(super) fn go_on_with_script(
        &self,
        space: &mut Space<'_>,
        session: &mut Session,
        reply: &mut Reply,
        call: &Call<'_>,
        run: Box<ScriptRun>,
        after: &mut Aftermath,
    ) -> Scripted {
        let is_killed = run.busy.as_ref().is_some_and(|busy| busy.is_killed());
        let answer = if is_killed {
            tracing::info!("Lua script killed by user with SCRIPT KILL.");
            Answer::Stop(KILLED)
        } else {
            Answer::Go
        };
        let step = self.scripts.borrow_mut().engine().go_on(answer);
        self.drive(space, session, reply, call, run, step, after)
    }

    /// Finds the script, looks whether it may run, and starts it.
    fn begin_script(
        &self,
        session: &Session,
        call: &Call<'_>,
        started_ns: u64,
    ) -> Result<(Box<ScriptRun>, Step), CommandError> {
        let args = call.args;
        let (named, reads) = naming(call.row.command);
        let (slot, flags, name) = match named {
            Named::Function => self.find_function(args)?,
            Named::Text | Named::Sha => {
                key_count(named, args)?;
                self.find_script(named, args)?
            }
        };
        let key_count = key_count(named, args)?;
        self.check_flags(session, flags, reads)?;
        let keys = args.from(3).take(key_count);
        let arguments = args.from(3 + key_count);
        let mut scripts = self.scripts.borrow_mut();
        let engine = scripts.engine();
        let step = if named == Named::Function {
            engine.start_function(slot, keys, arguments)
        } else {
            engine.start(slot, keys, arguments)
        };
        let run = ScriptRun {
            name,
            reads_only: reads || flags.has(ScriptFlags::NO_WRITES),
            runs_without_room: !flags.has(ScriptFlags::COMPATIBLE) && runs_without_room(flags),
            has_written: false,
            started_ns,
            db: session.db,
            busy: None,
            has_all: true,
        };
        Ok((Box::new(run), step))
    }

    /// The slot of a script of EVAL, its flags and its name.
    fn find_script(
        &self,
        named: Named,
        args: &Args<'_>,
    ) -> Result<(i32, ScriptFlags, ScriptName), CommandError> {
        let sha = match named {
            Named::Text => sha_of(args.at(1)),
            _ => sha_from_hex(args.at(1)).ok_or(error::NO_SCRIPT)?,
        };
        let cache = &self.shared.scripts;
        let mut scripts = self.scripts.borrow_mut();
        scripts.follow(cache.flushes());
        let (script, slot) = match scripts.compiled(&sha) {
            Some((script, slot)) => (Arc::clone(script), slot),
            None => {
                let script = match (cache.get(&sha), named) {
                    (Some(script), _) => script,
                    (None, Named::Text) => {
                        let text = args.at(1);
                        let (_, code) =
                            crate::script::flags::of_script(text).map_err(error::script_failed)?;
                        let checked = scripts.check(code);
                        checked.map_err(|text| error::does_not_compile(&text))?;
                        let looked_at = scripts.looked_at.take().filter(|(of, _)| *of == sha);
                        let added = cache.add(sha, text, false, |code| {
                            looked_at.map_or_else(|| self.declares_keys(code), |(_, is)| is)
                        });
                        added.map_err(error::script_failed)?
                    }
                    (None, _) => return Err(error::NO_SCRIPT),
                };
                let compiled = scripts.compile(&script);
                (
                    script,
                    compiled.map_err(|text| error::does_not_compile(&text))?,
                )
            }
        };
        cache.touch(&script);
        Ok((slot, script.flags, ScriptName::Sha(sha)))
    }

    /// Whether a script runs with the keyspaces of its KEYS; with one shard that makes no difference.
    fn declares_keys(&self, code: &[u8]) -> bool {
        self.shared.shard_count > 1 && keys_are_declared(code)
    }

    /// The slot of a function, its flags and its name as it was registered.
    fn find_function(
        &self,
        args: &Args<'_>,
    ) -> Result<(i32, ScriptFlags, ScriptName), CommandError> {
        let mut scripts = self.scripts.borrow_mut();
        let found = scripts.function(args.at(1), &self.shared.libraries);
        let found = found.map_err(error::function_failed)?;
        let (function, slot) = found.ok_or(error::FUNCTION_NOT_FOUND)?;
        let name = ScriptName::Function(function.name.clone());
        Ok((slot, function.flags, name))
    }

    /// What a script says of itself against what may be done now.
    fn check_flags(
        &self,
        session: &Session,
        flags: ScriptFlags,
        reads: bool,
    ) -> Result<(), CommandError> {
        if flags.has(ScriptFlags::COMPATIBLE) || flags.has(ScriptFlags::NO_WRITES) {
            return Ok(());
        }
        let files = &self.shared.observations.persistence;
        if let Some(trouble) = trouble_with_files(self.settings, files) {
            return Err(trouble);
        }
        if reads {
            return Err(error::SCRIPT_MAY_WRITE);
        }
        if began_without_room(self.limits, session) && !runs_without_room(flags) {
            return Err(error::SCRIPT_NEEDS_MEMORY);
        }
        Ok(())
    }

    /// Does what the script wants, until it has ended or has run for too long.
    #[expect(clippy::too_many_arguments, reason = "those of a call, and the script")]
    fn drive(
        &self,
        space: &mut Space<'_>,
        session: &mut Session,
        reply: &mut Reply,
        call: &Call<'_>,
        mut run: Box<ScriptRun>,
        mut step: Step,
        after: &mut Aftermath,
    ) -> Scripted {
        let slice_began_ns = run.busy.is_some().then(|| self.clock.nanoseconds());
        let exchange = self.scripts.borrow_mut().engine().exchange();
        loop {
            let answer = match step {
                Step::Returned => {
                    let mark = reply.mark();
                    let errors = self.scripts.borrow_mut().engine().write_result(reply);
                    self.end_script(session, call, &run, &errors);
                    debug_assert!(!reply.since(mark).is_empty(), "a reply");
                    return Scripted::Done;
                }
                Step::Failed(error) => {
                    self.fail_script(session, reply, call, &run, &error);
                    return Scripted::Done;
                }
                Step::Wants(Request::Call) => {
                    let exchange = &mut *exchange.borrow_mut();
                    self.call_of_script(space, session, &mut run, exchange, after)
                }
                Step::Wants(Request::Tick) => {
                    if self.is_over(&run, slice_began_ns) {
                        return Scripted::Suspended(run);
                    }
                    Answer::Go
                }
                Step::Wants(Request::Log(level)) => {
                    log_of_script(level, exchange.borrow().args().at(0));
                    Answer::Go
                }
                Step::Wants(Request::MayCall) => {
                    let exchange = &mut *exchange.borrow_mut();
                    let (args, reply) = exchange.call();
                    reply.clear();
                    match find(&args) {
                        Some(row) if permission::check(session, row, &args).is_err() => Answer::No,
                        Some(_) => Answer::Go,
                        None => {
                            reply.error(error::UNKNOWN_IN_SCRIPT.bytes());
                            Answer::Go
                        }
                    }
                }
                Step::Wants(Request::Done(_)) => unreachable!("a step of its own"),
            };
            step = self.scripts.borrow_mut().engine().go_on(answer);
        }
    }

    /// Whether it is time to look at others.
    fn is_over(&self, run: &ScriptRun, slice_began_ns: Option<u64>) -> bool {
        let now_ns = self.clock.nanoseconds();
        match slice_began_ns {
            Some(began_ns) => now_ns.saturating_sub(began_ns) >= SLICE_NS,
            None => {
                let limit_ms = self.settings.busy_reply_threshold_ms;
                let elapsed_ns = now_ns.saturating_sub(run.started_ns);
                limit_ms > 0 && elapsed_ns / 1_000_000 >= limit_ms
            }
        }
    }

    /// Runs one command of a script; its reply is in the exchange then.
    fn call_of_script(
        &self,
        space: &mut Space<'_>,
        session: &mut Session,
        run: &mut ScriptRun,
        exchange: &mut Exchange,
        after: &mut Aftermath,
    ) -> Answer {
        let (args, reply) = exchange.call();
        let row = match self.admit_of_script(space, session, run, &args) {
            Ok(row) => row,
            Err((row, error)) => {
                self.record_refusal(row, &error);
                reply.error(error.bytes());
                return Answer::Go;
            }
        };
        if row.command.flags.has(Flags::WRITE) {
            if run.busy.as_ref().is_some_and(|busy| !busy.begin_write()) {
                return Answer::Stop(KILLED);
            }
            run.has_written = true;
        }
        let logs = self.scripts.borrow_mut().engine().replicates() & REPLICATE_AOF != 0;
        if !logs {
            // Keys that have ended are removed for all: that is logged whatever the script says.
            let (db, now_ms) = (run.db, self.now_ms);
            row.command.for_each_key(&args, |at| {
                space.of(args.at(at)).peek(db, args.at(at), now_ms);
            });
        }
        let counts: Option<Vec<usize>> = (!logs).then(|| {
            let keyspaces = space.keyspaces();
            keyspaces.map(|keyspace| keyspace.effects.count()).collect()
        });
        let db_of_client = session.db;
        session.db = run.db;
        let call = Call::of_script(row, &args);
        let outcome = self.call(space, session, reply, &call);
        run.db = session.db;
        self.monitor_of_script(run.db, row, &args, after);
        if db_of_client != run.db || row.command.name == "select" {
            session.select(db_of_client);
        }
        if let Outcome::Ask(action) = outcome {
            self.ask(action, after);
        }
        self.collect(space, after);
        for (keyspace, count) in space.keyspaces_mut().zip(counts.unwrap_or_default()) {
            keyspace.effects.truncate(count);
        }
        Answer::Go
    }

    /// The checks on a command of a script. Source: their order in Redis' `scriptCall`.
    fn admit_of_script(
        &self,
        space: &Space<'_>,
        session: &mut Session,
        run: &ScriptRun,
        args: &Args<'_>,
    ) -> Result<&'static Row, (Option<&'static Row>, CommandError)> {
        let row = find(args).ok_or((None, error::UNKNOWN_IN_SCRIPT))?;
        let refuse = |error| Err((Some(row), error));
        let flags = row.command.flags;
        if !row.command.accepts(args.len()) {
            return refuse(error::ARITY_IN_SCRIPT);
        }
        // A script in a script there is never: it would have the state of the one that runs.
        let may_all =
            self.shared.scripts_may_all.load(Ordering::Relaxed) && row.command.group != "scripting";
        if flags.has(Flags::NOSCRIPT) && !may_all {
            return refuse(error::NOT_FROM_SCRIPT);
        }
        if let Err(denied) = permission::check(session, row, args) {
            let by = (&*session, self.now_ms);
            permission::note(self.shared, by, (row, args), denied, Place::Lua);
            return refuse(permission::refusal_in_script(session, row, denied));
        }
        let writes = flags.has(Flags::WRITE);
        if run.reads_only && (writes || flags.has(Flags::MAY_REPLICATE)) {
            return refuse(error::WRITE_IN_READING_SCRIPT);
        }
        let files = &self.shared.observations.persistence;
        if writes
            && !run.has_written
            && let Some(trouble) = trouble_with_files(self.settings, files)
        {
            return refuse(trouble);
        }
        if flags.has(Flags::DENYOOM)
            && !run.has_written
            && !run.runs_without_room
            && began_without_room(self.limits, session)
        {
            return refuse(error::OUT_OF_MEMORY);
        }
        if !space
            .shards()
            .covers(shards_of(row, args, space.shard_count()))
        {
            return refuse(error::KEY_NOT_IN_HAND);
        }
        Ok(row)
    }

    /// Who monitors sees the commands of scripts behind their script.
    fn monitor_of_script(&self, db: usize, row: &Row, args: &Args<'_>, after: &mut Aftermath) {
        if self.shared.monitor_count.load(Ordering::Acquire) == 0
            || row.command.flags.has(Flags::SKIP_MONITOR)
            || row.command.flags.has(Flags::ADMIN)
        {
            return;
        }
        let redacted = redacted(&row.full_name, args);
        let shown = redacted.as_ref().map(Words::args);
        let shown = shown.as_ref().unwrap_or(args);
        let line = monitor::line(self.now_ms, db, "lua", shown.iter());
        after.monitored.push((after.position, line));
    }

    /// Notes a script that has ended: with the errors in its reply that nobody has counted.
    fn end_script(
        &self,
        session: &Session,
        call: &Call<'_>,
        run: &ScriptRun,
        errors: &[ScriptError],
    ) {
        let ended_ns = self.clock.nanoseconds();
        self.lap_ns.set(Some(ended_ns));
        for error in errors.iter().filter(|error| !error.is_counted) {
            self.shared.observations.errors.add(&error.text);
        }
        if !errors.is_empty() {
            self.counters(call.row).failed.add(1);
        }
        let elapsed_ns = ended_ns.saturating_sub(run.started_ns);
        self.record(session, call, elapsed_ns, None);
        let counters = &self.shared.observations.shards[self.shard.index()];
        let used = self.scripts.borrow().used_bytes();
        counters.lua_bytes.set(used as u64);
        if run.has_all {
            counters.scripts_with_all.add(1);
        } else {
            counters.scripts_with_some.add(1);
        }
    }

    /// The reply to a script that has failed.
    fn fail_script(
        &self,
        session: &Session,
        reply: &mut Reply,
        call: &Call<'_>,
        run: &ScriptRun,
        error: &ScriptError,
    ) {
        let mut text = error.text.clone();
        let is_for_memory = text.windows(NO_MEMORY.len()).any(|part| part == NO_MEMORY);
        if is_for_memory
            && self
                .scripts
                .borrow_mut()
                .tells_of_memory(self.clock.nanoseconds())
        {
            tracing::warn!(
                "A script has used all memory that scripts may take (lua-memory-limit). Script name is: {}.",
                String::from_utf8_lossy(&run.name.shown()),
            );
        }
        if let Some((source, line)) = &error.place {
            for part in [
                b" script: ".as_slice(),
                &run.name.shown(),
                b", on ",
                source,
                b":",
                line,
                b".",
            ] {
                text.extend_from_slice(part);
            }
        }
        reply.error(&text);
        self.end_script(session, call, run, std::slice::from_ref(error));
    }
}

/// The row of a command, or of the subcommand of a container.
fn find(args: &Args<'_>) -> Option<&'static Row> {
    let table = commands();
    let row = table.find_called(args.at(0))?;
    if !row.is_container() || args.len() < 2 {
        return Some(row);
    }
    match table.find_subcommand(row, args.at(1)) {
        None if row.is_one_command() => Some(row),
        part => part,
    }
}

/// A line of a script in the log of the server.
fn log_of_script(level: u8, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    match level {
        0 => tracing::trace!("{text}"),
        1 => tracing::debug!("{text}"),
        2 => tracing::info!("{text}"),
        _ => tracing::warn!("{text}"),
    }
}
