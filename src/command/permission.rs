//! Whether the user of a client may run a command, and what it is told when not.
//!
//! ```text
//! row + arguments ─► keys with what is done to them, channels ─► Rules::check ─► Denied ─► text, ACL LOG, counters
//! ```
//! Asked where a command is admitted, and again where it runs later: in EXEC, when it was blocked, from a script.
//!
//! Source: `ACLCheckAllPerm` and its callers in Redis.

use std::sync::atomic::Ordering;
use std::sync::{OnceLock, PoisonError};

use smallvec::SmallVec;

use crate::acl::catalog::Entry;
use crate::acl::categories::Categories;
use crate::acl::log::{Context as Place, Denial, Reason};
use crate::acl::{Call, Catalog, Channel, Denied, Key, Rules};
use crate::client::session::{Login, Session};
use crate::limits::ACL_LOG_TEXT_BYTES_MAX;
use crate::resp::arguments::Args;

use super::connection::list::describe;
use super::context::Shared;
use super::error::{self, CommandError};
use super::key_spec::KeyFlags;
use super::row::{CommandTable, Row};
use super::spec::Flags;

/// Keys and channels of most commands, which then need no memory of their own.
const FEW: usize = 4;

/// The commands as rules name them.
pub(crate) fn catalog(table: &'static CommandTable) -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(|| {
        Catalog::of(table.told().map(|row| Entry {
            id: row.id,
            name: row.command.name,
            parent: row.parent,
            categories: Categories::of(row.command.category_names()),
        }))
    })
}

/// Whether the client may run the command. For a user without restrictions one look at the version of its rules.
///
/// # Errors
/// What denies it.
#[inline(always)]
pub(crate) fn check(session: &mut Session, row: &Row, args: &Args<'_>) -> Result<(), Denied> {
    match &mut session.login {
        Some(login) => check_login(login, row, args),
        None => Ok(()),
    }
}

#[inline(always)]
fn check_login(login: &mut Login, row: &Row, args: &Args<'_>) -> Result<(), Denied> {
    let rules = login.rules();
    if rules.is_unrestricted() {
        return Ok(());
    }
    check_rules(rules, row, args)
}

/// Whether these rules allow the command.
///
/// # Errors
/// What denies it.
pub(crate) fn check_rules(rules: &Rules, row: &Row, args: &Args<'_>) -> Result<(), Denied> {
    if let [spec] = row.command.keys
        && let Some(argument) = spec.only_key(args)
    {
        // Most commands have one key, always in the same place, and no channel.
        let key = key_of(spec.flags, argument, args);
        return rules.check(&call_of(row, args, std::slice::from_ref(&key), &[]));
    }
    with_call(rules, row, args, |call| rules.check(call))
}

fn key_of<'a>(flags: KeyFlags, argument: usize, args: &Args<'a>) -> Key<'a> {
    const WRITES: [KeyFlags; 3] = [KeyFlags::INSERT, KeyFlags::DELETE, KeyFlags::UPDATE];
    Key {
        argument,
        name: args.at(argument),
        reads: flags.has(KeyFlags::ACCESS),
        writes: WRITES.into_iter().any(|flag| flags.has(flag)),
    }
}

fn call_of<'a>(
    row: &Row,
    args: &Args<'a>,
    keys: &'a [Key<'a>],
    channels: &'a [Channel<'a>],
) -> Call<'a> {
    Call {
        command: row.counted_as,
        is_for_all: row.command.flags.has(Flags::NO_AUTH),
        first_argument: args.get(1).filter(|_| !row.is_container()),
        keys,
        channels,
    }
}

/// Whether the client may run the command and read every key besides those it names (SORT with BY or GET).
pub(crate) fn may_read_every_key(session: &mut Session, row: &Row, args: &Args<'_>) -> bool {
    let Some(login) = &mut session.login else {
        return true;
    };
    let rules = login.rules();
    with_call(rules, row, args, |call| rules.may_read_every_key(call))
}

/// The command as rules see it.
fn with_call<R>(rules: &Rules, row: &Row, args: &Args<'_>, ask: impl FnOnce(&Call<'_>) -> R) -> R {
    let command = row.command;
    let mut keys = SmallVec::<[Key<'_>; FEW]>::new();
    if rules.looks_at_keys() {
        let specs = command.keys.iter();
        for spec in specs.filter(|spec| !spec.flags.has(KeyFlags::NOT_KEY)) {
            let flags = match command.variable_key_flags {
                Some(flags_of) if spec.flags.has(KeyFlags::VARIABLE) => flags_of(args),
                _ => spec.flags,
            };
            spec.for_each(args, |argument| keys.push(key_of(flags, argument, args)));
        }
    }
    let mut channels = SmallVec::<[Channel<'_>; FEW]>::new();
    if rules.looks_at_channels()
        && let Some((count, is_pattern)) = channels_of(row, args)
    {
        channels.extend((1..=count).map(|argument| Channel {
            argument,
            name: args.at(argument),
            is_pattern,
        }));
    }
    ask(&call_of(row, args, &keys, &channels))
}

/// How many of the first arguments are channels that the command publishes to or subscribes to, and whether they are patterns.
fn channels_of(row: &Row, args: &Args<'_>) -> Option<(usize, bool)> {
    match row.command.name {
        "publish" | "spublish" => Some((1, false)),
        "subscribe" | "ssubscribe" => Some((args.len() - 1, false)),
        "psubscribe" => Some((args.len() - 1, true)),
        _ => None,
    }
}

/// Notes a denial in ACL LOG and in the counters.
pub(crate) fn note(
    shared: &Shared,
    (session, now_ms): (&Session, u64),
    (row, args): (&Row, &Args<'_>),
    denied: Denied,
    context: Place,
) {
    let (reason, object) = match denied {
        Denied::Command => (Reason::Command, row.full_name.as_bytes()),
        Denied::Key(at) => (Reason::Key, args.at(at)),
        Denied::Channel(at) => (Reason::Channel, args.at(at)),
    };
    let denial = Denial {
        reason,
        context,
        object: object[..object.len().min(ACL_LOG_TEXT_BYTES_MAX)].to_vec(),
        username: name_of(session).to_vec(),
        client_info: describe(shared.commands, &session.handle, now_ms, args.byte_count())
            .into_bytes(),
    };
    add(shared, denial, now_ms);
}

/// Notes a failed login, of a user that may not exist.
pub(crate) fn note_login(
    shared: &Shared,
    (session, now_ms): (&Session, u64),
    args: &Args<'_>,
    username: &[u8],
) {
    let context = place_of(session);
    let denial = Denial {
        reason: Reason::Auth,
        context,
        object: args.at(0).to_vec(),
        username: username[..username.len().min(ACL_LOG_TEXT_BYTES_MAX)].to_vec(),
        client_info: describe(shared.commands, &session.handle, now_ms, args.byte_count())
            .into_bytes(),
    };
    add(shared, denial, now_ms);
}

fn add(shared: &Shared, denial: Denial, now_ms: u64) {
    let denials = &shared.observations.denials;
    let counter = match denial.reason {
        // Counted by who tells of failed logins by address.
        Reason::Auth => None,
        Reason::Command => Some(&denials.commands),
        Reason::Key => Some(&denials.keys),
        Reason::Channel => Some(&denials.channels),
    };
    if let Some(counter) = counter {
        counter.fetch_add(1, Ordering::Relaxed);
    }
    let settings = shared.settings.read();
    let length_max = settings
        .unwrap_or_else(PoisonError::into_inner)
        .acl_log_length_max;
    let log = shared.acl_log.lock();
    let mut log = log.unwrap_or_else(PoisonError::into_inner);
    log.add(denial, now_ms, length_max);
}

/// Where a client's command is denied that no script runs.
pub(crate) fn place_of(session: &Session) -> Place {
    if session.transaction.active {
        Place::Multi
    } else {
        Place::Toplevel
    }
}

fn name_of(session: &Session) -> &[u8] {
    let login = session.login.as_ref();
    login.map(|login| login.user().name()).unwrap_or_default()
}

/// What the client is told when its command is denied.
pub(crate) fn refusal(session: &Session, row: &Row, denied: Denied) -> CommandError {
    let text = error::denied(name_of(session), row, denied);
    error::joined(&[b"NOPERM ", &text])
}

/// What its script is told.
pub(crate) fn refusal_in_script(session: &Session, row: &Row, denied: Denied) -> CommandError {
    let text = error::denied(name_of(session), row, denied);
    error::joined(&[b"ERR ACL failure in script: ", &text])
}
