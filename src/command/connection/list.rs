//! CLIENT LIST and CLIENT INFO: one line of facts for each connection.
//!
//! The fields and their order are those of Redis 7.2: some clients refuse a line with a field they do not know. With the
//! word EXTENDED at the end come those that 7.4 and 8.0 have added; `io-thread` is the shard. A fact is read from the
//! client's handle when the line is made; two facts of a busy client may be of two moments. What we do not have (a fixed
//! reply buffer) is 0.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use crate::client::registry::{ClientFlag, ClientHandle};
use crate::command::args::{self, is};
use crate::command::error::{self, CommandError};
use crate::command::row::CommandTable;
use crate::command::spec::EXTENDED;
use crate::command::{Context, Outcome};
use crate::ids::ClientId;
use crate::keyspace::tracking::TrackingOptions;
use crate::resp::arguments::Args;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientType {
    /// Commands.
    Normal,
    /// A replica of ours: there is none.
    Replica,
    /// The link to our primary: there is none.
    Master,
    /// It has subscriptions.
    Pubsub,
}

impl ClientType {
    /// By the name that CLIENT LIST and KILL take.
    pub(super) fn parse(name: &[u8]) -> Result<Self, CommandError> {
        if is(name, "normal") {
            Ok(Self::Normal)
        } else if is(name, "replica") || is(name, "slave") {
            Ok(Self::Replica)
        } else if is(name, "master") {
            Ok(Self::Master)
        } else if is(name, "pubsub") {
            Ok(Self::Pubsub)
        } else {
            Err(error::unknown_client_type(name))
        }
    }

    pub(super) fn of(handle: &ClientHandle) -> Self {
        if handle.has_flag(ClientFlag::PUBSUB) {
            Self::Pubsub
        } else {
            Self::Normal
        }
    }
}

fn flag_letters(handle: &ClientHandle) -> String {
    let has = |flag| handle.has_flag(flag);
    let options = handle.tracking();
    let tracks = |option| options.has(option);
    let letters: String = [
        (has(ClientFlag::MONITOR), 'O'),
        (has(ClientFlag::PUBSUB), 'P'),
        (has(ClientFlag::MULTI), 'x'),
        (handle.is_blocked(), 'b'),
        (tracks(TrackingOptions::ON), 't'),
        (tracks(TrackingOptions::BROKEN), 'R'),
        (tracks(TrackingOptions::BROADCAST), 'B'),
        (handle.is_dirty(), 'd'),
        (has(ClientFlag::CLOSING), 'c'),
        (has(ClientFlag::UNIX_SOCKET), 'U'),
        (has(ClientFlag::NO_EVICT), 'e'),
        (has(ClientFlag::NO_TOUCH), 'T'),
    ]
    .iter()
    .filter(|(holds, _)| *holds)
    .map(|(_, letter)| *letter)
    .collect();
    if letters.is_empty() {
        "N".into()
    } else {
        letters
    }
}

/// What EXTENDED adds to a line.
fn write_extension(line: &mut String, handle: &ClientHandle) {
    // Writing to a string cannot fail.
    let _ = write!(
        line,
        " watch={} io-thread={} tot-net-in={} tot-net-out={} tot-cmds={}",
        handle.watched.load(Ordering::Relaxed),
        handle.shard().0,
        handle.net_in.load(Ordering::Relaxed),
        handle.net_out.load(Ordering::Relaxed),
        handle.commands.load(Ordering::Relaxed),
    );
}

/// Whether the last of at least three words asks for the extension; it does not where TYPE or ID wants a value.
fn is_extended(args: &Args<'_>) -> bool {
    let is_value = args.len() == 4 && (is(args.at(2), "type") || is(args.at(2), "id"));
    args.len() > 2 && !is_value && is(args.at(args.len() - 1), EXTENDED)
}

/// One line without its end. `argument_bytes`: of the command that the client is running.
pub(crate) fn describe(
    commands: &'static CommandTable,
    handle: &ClientHandle,
    now_ms: u64,
    argument_bytes: usize,
) -> String {
    let names = handle.names();
    let user = handle.user();
    let user = user
        .as_ref()
        .map_or(&b"(superuser)"[..], |user| user.name());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let seconds_since = |at_ms: u64| now_ms.saturating_sub(at_ms) / 1000;
    let count = |counter: &std::sync::atomic::AtomicU32| counter.load(Ordering::Relaxed);
    let bytes = |counter: &std::sync::atomic::AtomicUsize| counter.load(Ordering::Relaxed);
    let command = handle.command.load(Ordering::Relaxed);
    let command = commands
        .rows()
        .get(usize::from(command))
        .map_or("NULL", |row| row.full_name.as_str());
    let (input, output) = (bytes(&handle.query_bytes), bytes(&handle.output_bytes));
    let queued = bytes(&handle.multi_bytes);
    let held = handle.held_bytes() + argument_bytes;
    let redirection = match handle.tracker() {
        Some(tracker) if tracker.options().has(TrackingOptions::ON) => tracker.redirection() as i64,
        _ => -1,
    };
    let mut line = String::with_capacity(384);
    // Writing to a string cannot fail.
    let _ = write!(
        line,
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub={} psub={} ssub={} multi={} ",
        handle.id.0,
        handle.address,
        handle.local_address,
        handle.fd,
        text(&names.name),
        seconds_since(handle.created_ms),
        seconds_since(handle.active_ms.load(Ordering::Relaxed)),
        flag_letters(handle),
        count(&handle.db),
        count(&handle.channels),
        count(&handle.patterns),
        count(&handle.shard_channels),
        handle.multi.load(Ordering::Relaxed),
    );
    let _ = write!(
        line,
        "qbuf={input} qbuf-free=0 argv-mem={argument_bytes} multi-mem={queued} rbs=0 rbp=0 obl=0 oll={} omem={output} \
         tot-mem={held} events={} cmd={command} user={} redir={redirection} resp={} lib-name={} lib-ver={}",
        bytes(&handle.output_pieces),
        if output > 0 { "rw" } else { "r" },
        text(user),
        if handle.has_flag(ClientFlag::RESP3) {
            3
        } else {
            2
        },
        text(&names.lib_name),
        text(&names.lib_ver),
    );
    line
}

pub(super) fn info(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mut text = describe(
        ctx.shared.commands,
        &ctx.session.handle,
        ctx.now_ms(),
        args.byte_count(),
    );
    if is_extended(args) {
        write_extension(&mut text, &ctx.session.handle);
    }
    text.push('\n');
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}

pub(super) fn list(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let clients = &ctx.shared.clients;
    let extended = is_extended(args);
    let end = args.len() - usize::from(extended);
    let chosen = match args.get(2).filter(|_| end > 2) {
        None => clients.all(),
        Some(option) if is(option, "type") && end == 4 => {
            let wanted = ClientType::parse(args.at(3))?;
            let mut all = clients.all();
            all.retain(|handle| ClientType::of(handle) == wanted);
            all
        }
        Some(option) if is(option, "id") && end > 3 => {
            let mut chosen = Vec::new();
            for id in args.from(3).take(end - 3) {
                let id = args::integer(id).ok_or(error::INVALID_CLIENT_ID)?;
                chosen.extend(
                    u64::try_from(id)
                        .ok()
                        .and_then(|id| clients.get(ClientId(id))),
                );
            }
            chosen
        }
        Some(_) => return Err(error::SYNTAX),
    };
    let mut text = String::new();
    for handle in chosen {
        let own = handle.id == ctx.session.id();
        let argument_bytes = if own { args.byte_count() } else { 0 };
        text.push_str(&describe(
            ctx.shared.commands,
            &handle,
            ctx.now_ms(),
            argument_bytes,
        ));
        if extended {
            write_extension(&mut text, &handle);
        }
        text.push('\n');
    }
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}
