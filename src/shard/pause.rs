//! CLIENT PAUSE, and the end of the process: which commands they hold, and until when.

use std::sync::atomic::Ordering;

use crate::client::transaction::Queued;
use crate::command::row::Row;
use crate::command::scripting::{Named, naming};
use crate::command::spec::Flags;
use crate::command::table::commands;
use crate::resp::arguments::Args;
use crate::script::cache::sha_from_hex;
use crate::script::flags::{ScriptFlags, of_script};

use super::client::{Client, is_exec};
use super::state::Shard;

impl Shard {
    /// Until when clients are held, Unix ms: by CLIENT PAUSE, or because all was saved and the process is about to end.
    pub(super) fn paused_until_ms(&self) -> u64 {
        if self.shared.ending.load(Ordering::Acquire) {
            return u64::MAX;
        }
        self.shared.paused_until_ms.load(Ordering::Acquire)
    }

    /// Whether clients are held.
    pub(super) fn is_paused(&self) -> bool {
        self.paused_until_ms() > self.now_ms
    }

    /// Whether CLIENT PAUSE holds this command, or this EXEC. Source: Redis' CLIENT PAUSE; WRITE holds writes and what may
    /// replicate.
    pub(super) fn is_paused_for(&self, client: &Client, row: &Row, args: &Args<'_>) -> bool {
        if !self.is_paused() {
            return false;
        }
        if !is_exec(client, row) {
            return self.pauses(row, args);
        }
        let table = commands();
        let mut queue = client.session.transaction.queue.iter();
        let pauses = |queued: &Queued| {
            let args = queued.request.args();
            self.pauses(table.row(queued.command), &args)
        };
        self.pauses(row, args) || queue.any(pauses)
    }

    /// Whether CLIENT PAUSE, which is on, holds this one command.
    fn pauses(&self, row: &Row, args: &Args<'_>) -> bool {
        let flags = row.command.flags;
        if flags.has(Flags::WHILE_PAUSED) {
            return false;
        }
        let asked_until = self.shared.paused_until_ms.load(Ordering::Acquire);
        let writes_only = self.shared.pause_writes_only.load(Ordering::Acquire);
        if asked_until > self.now_ms && !writes_only {
            return true;
        }
        let is_script = row.command.group == "scripting" && flags.has(Flags::MAY_REPLICATE);
        flags.has(Flags::WRITE)
            || flags.has(Flags::MAY_REPLICATE) && !(is_script && self.says_no_writes(row, args))
    }

    /// Whether the script or function of a command says of itself that it writes nothing.
    fn says_no_writes(&self, row: &Row, args: &Args<'_>) -> bool {
        let name = args.at(1);
        let flags = match naming(row.command).0 {
            Named::Text => of_script(name).ok().map(|(flags, _)| flags),
            Named::Sha => {
                let script = sha_from_hex(name).and_then(|sha| self.shared.scripts.get(&sha));
                script.map(|script| script.flags)
            }
            Named::Function => {
                let libraries = self.shared.libraries.now();
                let function = libraries.function(name);
                function.map(|(_, function)| function.flags)
            }
        };
        flags.is_some_and(|flags| flags.has(ScriptFlags::NO_WRITES))
    }
}
