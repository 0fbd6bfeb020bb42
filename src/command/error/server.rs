//! Texts of COMMAND, DEBUG, FUNCTION and SSUBSCRIBE.

use super::{CommandError, joined};

// Of COMMAND GETKEYS

/// No such command.
pub(crate) const INVALID_COMMAND: CommandError =
    CommandError::fixed("ERR Invalid command specified");
/// A command without keys.
pub(crate) const NO_KEY_ARGUMENTS: CommandError =
    CommandError::fixed("ERR The command has no key arguments");
/// Not as many arguments as the command takes.
pub(crate) const WRONG_ARGUMENT_COUNT: CommandError =
    CommandError::fixed("ERR Invalid number of arguments specified for command");
/// Arguments among which the keys cannot be found.
pub(crate) const INVALID_ARGUMENTS: CommandError =
    CommandError::fixed("ERR Invalid arguments specified for command");

// Of DEBUG

/// DEBUG LISTPACK of another value.
pub(crate) const NOT_LISTPACK: CommandError =
    CommandError::fixed("ERR Not a listpack encoded object.");
/// DEBUG QUICKLIST of another value.
pub(crate) const NOT_QUICKLIST: CommandError =
    CommandError::fixed("ERR Not a quicklist encoded object.");
/// DEBUG QUICKLIST-PACKED-THRESHOLD.
pub(crate) const PACKED_THRESHOLD: CommandError =
    CommandError::fixed("ERR argument must be a memory value bigger than 1 and smaller than 4gb");
/// DEBUG PROTOCOL PUSH in RESP2.
pub(crate) const RESP2_NOT_SUPPORTED: CommandError =
    CommandError::fixed("ERR RESP2 is not supported by this command");
/// DEBUG PROTOCOL of a type that is none.
pub(crate) const PROTOCOL_TYPE: CommandError = CommandError::fixed(
    "ERR Wrong protocol type name. Please use one of the following: \
     string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
);
/// DEBUG RELOAD with an option it does not know.
pub(crate) const RELOAD_OPTION: CommandError =
    CommandError::fixed("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
// Of FUNCTION

/// FUNCTION FLUSH in another way.
pub(crate) const FUNCTION_FLUSH_MODE: CommandError =
    CommandError::fixed("ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
/// FUNCTION LIST LIBRARYNAME of none.
pub(crate) const LIBRARY_NAME_MISSING: CommandError =
    CommandError::fixed("ERR library name argument was not given");

/// FUNCTION LIST with an argument it does not know, or twice with one.
pub(crate) fn unknown_function_list_argument(argument: &[u8]) -> CommandError {
    joined(&[b"ERR Unknown argument ", argument])
}

// Of publish/subscribe

/// SSUBSCRIBE in a transaction.
pub(crate) const SSUBSCRIBE_DENIED: CommandError =
    CommandError::fixed("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client");

// Of saving

/// SAVE or BGSAVE during another.
pub(crate) const SAVE_IN_PROGRESS: CommandError =
    CommandError::fixed("ERR Background save already in progress");
/// BGSAVE during a rewrite of the log.
pub(crate) const ANOTHER_CHILD: CommandError = CommandError::fixed(
    "ERR Another child process is active (AOF?): can't BGSAVE right now. \
     Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.",
);
/// BGREWRITEAOF during another.
pub(crate) const REWRITE_IN_PROGRESS: CommandError =
    CommandError::fixed("ERR Background append only file rewriting already in progress");
/// BGSAVE CANCEL without anything to cancel.
pub(crate) const NO_SAVE_TO_CANCEL: CommandError =
    CommandError::fixed("ERR Background saving is currently not in progress or scheduled");
/// A command while the data are loaded.
pub(crate) const LOADING: CommandError =
    CommandError::fixed("LOADING Redis is loading the dataset in memory");
/// A write while the last dump has failed.
pub(crate) const SAVE_FAILED: CommandError = CommandError::fixed(
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. \
     Commands that may modify the data set are disabled, because this instance is configured to report errors during writes \
     if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.",
);

/// A write while the log cannot be written. `reason`: the system's words.
pub(crate) fn log_failed(reason: &str) -> CommandError {
    joined(&[
        b"MISCONF Errors writing to the AOF file: ",
        reason.as_bytes(),
    ])
}
