//! Who may do what: users, their rules, and the log of what was denied.
//!
//! ```text
//!  users.rs     the users of the process, by name and by identity
//!     └ rules.rs      what one user may: on/off, passwords, a root selector and further ones
//!          ├ password.rs   digests, compared in constant time
//!          └ selector.rs   commands, keys and channels that go together
//!               ├ commands.rs   a bit for each command, and the rules that made them, as they are shown
//!               └ patterns.rs   key patterns with %R~ %W~, channel patterns
//!  catalog.rs   which commands there are, as far as rules name them      categories.rs  @read, @write …
//!  check.rs     a command as rules see it, and what denies it            words.rs       `( … )` over several words
//!  file.rs      users as lines of text, and back                         log.rs         ACL LOG
//! ```
//!
//! A command is allowed when one selector allows it whole: the command, all its keys and all its channels.
//!
//! Invariants: rules change only as a whole, so that whoever has them in hand sees one state; what `describe` shows,
//! `changed` reads back to rules that decide the same (`%RW~*`, shown as `~*` as in Redis, gains the empty key).
//! Deliberately not here: commands and their keys (command/ finds them), sessions, files, the clock.
//!
//! Source: the ACL pages of the Redis documentation; behaviour as of 7.2.

pub(crate) mod catalog;
pub(crate) mod categories;
pub(crate) mod check;
pub(crate) mod commands;
pub(crate) mod file;
pub(crate) mod log;
pub(crate) mod password;
pub(crate) mod patterns;
pub(crate) mod rules;
pub(crate) mod selector;
#[cfg(test)]
mod tests;
pub(crate) mod users;
pub(crate) mod words;

pub(crate) use catalog::Catalog;
pub(crate) use check::{Call, Channel, Denied, Key};
pub(crate) use rules::Rules;
pub(crate) use users::{User, Users};
pub(crate) use words::has_blank;
