//! Texts about users and what they may do.

use crate::acl::Denied;
use crate::command::row::Row;
use crate::resp::arguments::Args;

use super::{CommandError, joined};

/// Why a command is denied to a user.
pub(crate) fn denied(user: &[u8], row: &Row, denied: Denied) -> Vec<u8> {
    match denied {
        Denied::Command => [
            b"User ",
            user,
            b" has no permissions to run the '",
            row.full_name.as_bytes(),
            b"' command",
        ]
        .concat(),
        Denied::Key(_) => b"No permissions to access a key".to_vec(),
        Denied::Channel(_) => b"No permissions to access a channel".to_vec(),
    }
}

/// The same with the key or channel, for who asks about another user (ACL DRYRUN).
pub(crate) fn denied_in_full(user: &[u8], row: &Row, args: &Args<'_>, cause: Denied) -> Vec<u8> {
    let (at, kind): (usize, &[u8]) = match cause {
        Denied::Command => return denied(user, row, cause),
        Denied::Key(at) => (at, b"key"),
        Denied::Channel(at) => (at, b"channel"),
    };
    let parts: [&[u8]; 7] = [
        b"User ",
        user,
        b" has no permissions to access the '",
        args.at(at),
        b"' ",
        kind,
        b"",
    ];
    parts.concat()
}

/// A command of an EXEC is denied that was allowed when it was queued.
pub(crate) fn denied_at_exec(denied: Denied) -> CommandError {
    let reason: &[u8] = match denied {
        Denied::Command => b"no permission to execute the command or subcommand",
        Denied::Key(_) => b"no permission to touch the specified keys",
        Denied::Channel(_) => {
            b"no permission to access one of the channels used as arguments to the command"
        }
    };
    joined(&[
        b"NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. \
          This command is no longer allowed for the following reason: ",
        reason,
    ])
}

/// SORT with BY or GET, for a user who may not read every key.
pub(crate) fn sort_option_denied(option: &[u8]) -> CommandError {
    joined(&[
        b"ERR ",
        option,
        b" option of SORT denied due to insufficient ACL permissions.",
    ])
}

/// Ours: AUTH beyond `maxclients-per-user`.
pub(crate) const TOO_MANY_CLIENTS_OF_USER: CommandError = CommandError::fixed(
    "ERR max number of clients of this user reached: close some, or raise maxclients-per-user",
);
/// ACL SETUSER: the name.
pub(crate) const USER_NAME: CommandError =
    CommandError::fixed("ERR Usernames can't contain spaces or null characters");
/// ACL DELUSER.
pub(crate) const DEFAULT_USER_STAYS: CommandError =
    CommandError::fixed("ERR The 'default' user cannot be removed");
/// ACL LOAD, ACL SAVE.
pub(crate) const NO_ACL_FILE: CommandError = CommandError::fixed(
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command \
     and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis \
     configuration.",
);
/// Ours: CONFIG REWRITE, where the file would declare users twice.
pub(crate) const USERS_ELSEWHERE: CommandError = CommandError::fixed(
    "ERR Rewriting config file: users are declared in an included file or on the command line: move these 'user' lines into the \
     configuration file itself, or all users into an aclfile",
);
/// ACL SAVE.
pub(crate) const ACL_SAVE_FAILED: CommandError = CommandError::fixed(
    "ERR There was an error trying to save the ACLs. Please check the server logs for more information",
);
