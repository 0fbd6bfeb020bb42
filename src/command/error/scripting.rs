//! Texts of scripts and functions.

use super::{CommandError, joined};

/// EVAL and FCALL where no shard runs them.
pub(crate) const SCRIPT_NOT_HERE: CommandError =
    CommandError::fixed("ERR scripts run in the server only");
/// EVALSHA of a script that is not known.
pub(crate) const NO_SCRIPT: CommandError =
    CommandError::fixed("NOSCRIPT No matching script. Please use EVAL.");
/// FCALL of a function that is not known.
pub(crate) const FUNCTION_NOT_FOUND: CommandError = CommandError::fixed("ERR Function not found");
/// FCALL with no number where that of the keys is.
pub(crate) const BAD_NUMBER_OF_KEYS: CommandError =
    CommandError::fixed("ERR Bad number of keys provided");
/// More keys than arguments.
pub(crate) const MORE_KEYS_THAN_ARGUMENTS: CommandError =
    CommandError::fixed("ERR Number of keys can't be greater than number of args");
/// A negative number of keys.
pub(crate) const NEGATIVE_NUMBER_OF_KEYS: CommandError =
    CommandError::fixed("ERR Number of keys can't be negative");
/// EVAL_RO and its like of a script that says what it does, and not that it only reads.
pub(crate) const SCRIPT_MAY_WRITE: CommandError =
    CommandError::fixed("ERR Can not execute a script with write flag using *_ro command.");
/// A script that says what it does, and not that it runs without memory, when more than `maxmemory` is used.
pub(crate) const SCRIPT_NEEDS_MEMORY: CommandError = CommandError::fixed(
    "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'",
);
/// A script runs for too long, and holds what the command needs.
pub(crate) const BUSY_SCRIPT: CommandError = CommandError::fixed(
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
);
/// As [`BUSY_SCRIPT`], of a function.
pub(crate) const BUSY_FUNCTION: CommandError = CommandError::fixed(
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.",
);
/// SCRIPT KILL and FUNCTION KILL while nothing runs for too long.
pub(crate) const NOT_BUSY: CommandError =
    CommandError::fixed("NOTBUSY No scripts in execution right now.");
/// SCRIPT KILL of one that has written.
pub(crate) const UNKILLABLE: CommandError = CommandError::fixed(
    "UNKILLABLE Sorry the script already executed write commands against the dataset. You can \
     either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE \
     command.",
);
/// SCRIPT FLUSH in another way.
pub(crate) const SCRIPT_FLUSH_MODE: CommandError =
    CommandError::fixed("ERR SCRIPT FLUSH only support SYNC|ASYNC option");
/// SCRIPT DEBUG YES or SYNC.
pub(crate) const SCRIPT_DEBUGGER: CommandError = CommandError::fixed(
    "ERR there is no debugger of scripts here: try the script on a server of Redis with redis-cli --ldb",
);
/// SCRIPT DEBUG of something else.
pub(crate) const SCRIPT_DEBUG_MODE: CommandError =
    CommandError::fixed("ERR Use SCRIPT DEBUG YES/SYNC/NO");
/// FUNCTION DELETE of none.
pub(crate) const LIBRARY_NOT_FOUND: CommandError = CommandError::fixed("ERR Library not found");
/// FUNCTION RESTORE in another way.
pub(crate) const WRONG_RESTORE_POLICY: CommandError = CommandError::fixed(
    "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
);
/// FUNCTION RESTORE of what is no dump of this or an older version.
pub(crate) const LIBRARIES_DUMP_DAMAGED: CommandError =
    CommandError::fixed("ERR DUMP payload version or checksum are wrong");
/// FUNCTION RESTORE of a dump with something else in it.
pub(crate) const LIBRARIES_NOT_IN_DUMP: CommandError =
    CommandError::fixed("ERR given type is not a function");
/// FUNCTION RESTORE of a dump that is cut.
pub(crate) const LIBRARIES_DAMAGED: CommandError =
    CommandError::fixed("ERR failed loading functions payload");

/// A command of a script with no name in the table.
pub(crate) const UNKNOWN_IN_SCRIPT: CommandError =
    CommandError::fixed("ERR Unknown Redis command called from script");
/// One with too few or too many arguments.
pub(crate) const ARITY_IN_SCRIPT: CommandError =
    CommandError::fixed("ERR Wrong number of args calling Redis command from script");
/// One that scripts may not call.
pub(crate) const NOT_FROM_SCRIPT: CommandError =
    CommandError::fixed("ERR This Redis command is not allowed from script");
/// One that writes, of a script that only reads.
pub(crate) const WRITE_IN_READING_SCRIPT: CommandError =
    CommandError::fixed("ERR Write commands are not allowed from read-only scripts.");
/// A key that a script has not declared, where it was proven that it has no such key.
pub(crate) const KEY_NOT_IN_HAND: CommandError =
    CommandError::fixed("ERR Script attempted to access a key that is not one of its KEYS");

/// XREAD and XREADGROUP with BLOCK in a script.
pub(crate) fn block_in_script(name: &[u8]) -> CommandError {
    let rest = b" command is not allowed with BLOCK option from scripts";
    joined(&[b"ERR ", name, rest])
}

/// A script whose first line is wrong.
pub(crate) fn script_failed(text: String) -> CommandError {
    joined(&[b"ERR ", text.as_bytes()])
}

/// A script that is no Lua.
pub(crate) fn does_not_compile(text: &[u8]) -> CommandError {
    joined(&[b"ERR Error compiling script (new function): ", text])
}

/// A library that cannot be loaded, or function that cannot be called.
pub(crate) fn function_failed(text: Vec<u8>) -> CommandError {
    joined(&[b"ERR ", &text])
}

/// FUNCTION LOAD with an option it does not know.
pub(crate) fn unknown_function_load_option(option: &[u8]) -> CommandError {
    joined(&[b"ERR Unknown option given: ", option])
}
