//! DUMP and RESTORE: a value as bytes, see [`crate::rdb`].

use std::sync::atomic::Ordering;

use tracing::warn;

use crate::command::args::{self, Cursor};
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::config::Settings;
use crate::data::list::ListLimits;
use crate::data::set::SetLimits;
use crate::data::stream::Window;
use crate::keyspace::KeyHandle;
use crate::keyspace::effect::EffectWriter;
use crate::keyspace::event::EventClass;
use crate::keyspace::rewrite::{beyond_files, rewrite};
use crate::keyspace::value::Value;
use crate::rdb::{Limits, Version, payload};
use crate::resp::arguments::Args;

use super::remove_as_expired;

/// Up to which size values that are read from bytes have which form. `packed_bytes_max`: see [`ListLimits`].
pub(crate) fn limits_of(settings: &Settings, packed_bytes_max: usize) -> Limits {
    Limits {
        list: ListLimits {
            chunk_limit: settings.list_max_listpack_size,
            packed_bytes_max,
        },
        set: SetLimits {
            integer_count_max: settings.set_max_intset_entries,
            pack: settings.set_limits,
        },
        hash: settings.hash_limits,
        sorted_set: settings.zset_limits,
        window: Window {
            duration_s: settings.stream_idmp_duration_s,
            size_max: settings.stream_idmp_size_max,
        },
    }
}

/// Which version of the format is written.
pub(crate) fn version_of(settings: &Settings) -> Version {
    if settings.persistence.for_redis_7_0 {
        Version::V10
    } else {
        Version::V11
    }
}

pub(super) fn dump(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (version, compress) = (
        version_of(ctx.settings),
        ctx.settings.persistence.compression,
    );
    let now_ms = ctx.now_ms();
    match ctx.space.read(args.at(1)) {
        Some(entry) => {
            let payload = payload::dump(&entry.key, &entry.value, version, compress, now_ms);
            ctx.reply.bulk(&payload);
        }
        None => ctx.reply.null(),
    }
    Ok(Outcome::Done)
}

/// What RESTORE is told besides key, time and payload.
#[derive(Clone, Copy, Debug, Default)]
struct RestoreOptions {
    replace: bool,
    absolute: bool,
    idle_s: Option<u64>,
    frequency: Option<u8>,
}

impl RestoreOptions {
    fn read(args: &Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut rest = Cursor::new(args, 4);
        while rest.left() > 0 {
            if rest.keyword("REPLACE") {
                options.replace = true;
            } else if rest.keyword("ABSTTL") {
                options.absolute = true;
            } else if rest.left() > 1 && options.frequency.is_none() && rest.keyword("IDLETIME") {
                let idle_s = args::required_integer(rest.value()?)?;
                let idle_s = u64::try_from(idle_s).map_err(|_| error::RESTORE_IDLETIME)?;
                options.idle_s = Some(idle_s);
            } else if rest.left() > 1 && options.idle_s.is_none() && rest.keyword("FREQ") {
                let frequency = args::required_integer(rest.value()?)?;
                let frequency = u8::try_from(frequency).map_err(|_| error::RESTORE_FREQ)?;
                options.frequency = Some(frequency);
            } else {
                return Err(error::SYNTAX);
            }
        }
        Ok(options)
    }
}

pub(super) fn restore(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let options = RestoreOptions::read(args)?;
    let (key, bytes, now_ms) = (args.at(1), args.at(3), ctx.now_ms());
    if !options.replace && ctx.space.write(key).exists() {
        return Err(error::BUSY_KEY);
    }
    let ttl = args::required_integer(args.at(2))?;
    if ttl < 0 {
        return Err(error::RESTORE_TTL);
    }
    let facts = &ctx.shared.observations.persistence;
    let skips_checksum = facts.skips_checksums.load(Ordering::Relaxed);
    if !payload::has_valid_footer(bytes, skips_checksum) {
        return Err(error::DUMP_PAYLOAD);
    }
    let packed_bytes_max = ctx.shared.list_packed_threshold.load(Ordering::Relaxed);
    let limits = limits_of(ctx.settings, packed_bytes_max);
    let value = payload::restore(bytes, &limits, now_ms).map_err(|flaw| {
        warn!("Bad data format in a payload of RESTORE: {flaw}");
        error::BAD_DATA_FORMAT
    })?;
    let end_ms = match ttl {
        0 => None,
        ttl if options.absolute => Some(ttl),
        ttl => Some(ttl.wrapping_add(now_ms as i64)),
    };
    let version = version_of(ctx.settings);
    let unlink = ctx.settings.lazyfree.server_del;
    let mut handle = ctx.space.write(key);
    let has_ended = end_ms.is_some_and(|ms| ms <= now_ms as i64) || value.has_ended(now_ms);
    if has_ended && !handle.is_replaying() {
        if handle.exists() {
            remove_as_expired(&mut handle, unlink);
        }
    } else {
        let end_ms = end_ms.map(|ms| u64::try_from(ms).unwrap_or(0));
        put(&mut handle, value, end_ms, &options, bytes, version, now_ms);
    }
    ctx.reply.ok();
    Ok(Outcome::Done)
}

/// Puts the value in the place of what was there, with its reports.
fn put(
    handle: &mut KeyHandle<'_>,
    value: Value,
    end_ms: Option<u64>,
    options: &RestoreOptions,
    bytes: &[u8],
    version: Version,
    now_ms: u64,
) {
    // Redis deletes what was there first, so it counts as a new key.
    let (old, new) = (handle.value().map(Value::value_type), value.value_type());
    handle.remove();
    handle.insert(value);
    if end_ms.is_some() {
        handle.set_expiry(end_ms);
    }
    if let Some(idle_s) = options.idle_s {
        handle.note_idle(idle_s);
    }
    if let Some(frequency) = options.frequency {
        handle.note_frequency(frequency);
    }
    report(
        handle,
        end_ms,
        options,
        bytes,
        version,
        now_ms,
        old.is_some(),
    );
    handle.touched();
    handle.event(EventClass::GENERIC, "restore");
    handle.overwritten(old, new);
}

/// Reports a value that was restored: as RESTORE at a fixed time where a Redis of this version can take the payload. Else as a
/// payload that it can take and the times at which elements end, and a stream as the commands that make it.
fn report(
    handle: &mut KeyHandle<'_>,
    end_ms: Option<u64>,
    options: &RestoreOptions,
    bytes: &[u8],
    version: Version,
    now_ms: u64,
    was_there: bool,
) {
    let key = handle.key();
    let restore = |bytes: &[u8], effect: &mut EffectWriter| {
        effect.arg("RESTORE").arg(key);
        effect.integer(end_ms.unwrap_or(0) as i64).arg(bytes);
        effect.arg("REPLACE").arg("ABSTTL");
        if let Some(idle_s) = options.idle_s {
            effect.arg("IDLETIME").integer(idle_s as i64);
        }
        if let Some(frequency) = options.frequency {
            effect.arg("FREQ").integer(frequency.into());
        }
    };
    if !handle.records_effects() || payload::is_known_to(bytes, version) {
        return handle.effect(|effect| restore(bytes, effect));
    }
    let Some(entry) = handle.entry() else { return };
    let own = payload::dump(key, &entry.value, version, true, now_ms);
    if payload::is_known_to(&own, version) {
        return handle.effect(|effect| restore(&own, effect));
    }
    let mut commands = Vec::new();
    if matches!(entry.value, Value::Set(_) | Value::Hash(_)) {
        let known = payload::dump_without_ends(&entry.value, version, true);
        beyond_files(key, &entry.value, now_ms, &mut |command| {
            commands.push(command.clone());
        });
        handle.effect(|effect| restore(&known, effect));
        for command in &commands {
            handle.effect_of(0, |effect| effect.copy(command));
        }
        return;
    }
    rewrite(entry, now_ms, &mut |command| commands.push(command.clone()));
    if was_there {
        handle.effect_of(0, |effect| {
            effect.arg("DEL").arg(key);
        });
    }
    for (number, command) in commands.iter().enumerate() {
        handle.effect_of(usize::from(number == 0), |effect| effect.copy(command));
    }
}
