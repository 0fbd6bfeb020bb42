//! The type of a row of the parameter table: what is known about one parameter.
//!
//! A row is made by [`row`] and refined by the methods of [`Parameter`]; the table is in parameters.rs, the kinds
//! of values are in value.rs, what `millrace help` makes of a row is in describe.rs.

use super::value::{Kind, Value};

/// Where `millrace help` lists a parameter that acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Network,
    Clients,
    Security,
    Tls,
    Process,
    Logs,
    Values,
    Files,
}

impl Group {
    /// All, in the order of the help.
    pub(crate) const ALL: [Group; 8] = [
        Group::Network,
        Group::Clients,
        Group::Security,
        Group::Tls,
        Group::Process,
        Group::Logs,
        Group::Values,
        Group::Files,
    ];

    /// The heading in the help.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Group::Network => "Network",
            Group::Clients => "Clients",
            Group::Security => "Security",
            Group::Tls => "TLS",
            Group::Process => "Process",
            Group::Logs => "Log, statistics and metrics",
            Group::Values => "Storage of values",
            Group::Files => "Files: dumps and the log",
        }
    }
}

/// Whether CONFIG SET may change a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Live,
    Fixed,
    /// Only if `enable-protected-configs` allows.
    Protected,
}

/// What a parameter does in this server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Effect {
    Acts {
        group: Group,
        /// One sentence for `millrace help`.
        about: &'static str,
    },
    Ignored,
    /// A value for which `harmless` is false stops the start, and CONFIG SET of it fails.
    Unsafe {
        harmless: fn(&Value) -> bool,
        advice: &'static str,
    },
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) alias: Option<&'static str>,
    pub(crate) kind: Kind,
    /// As a line of redis.conf would say it.
    pub(crate) default: &'static str,
    pub(crate) change: Change,
    pub(crate) effect: Effect,
    /// Answered only when asked for by its full name.
    pub(crate) hidden: bool,
    /// A secret: never logged.
    pub(crate) sensitive: bool,
}

impl Parameter {
    pub(super) const fn acts(mut self, group: Group, about: &'static str) -> Self {
        self.effect = Effect::Acts { group, about };
        self
    }

    pub(super) const fn tls(self, about: &'static str) -> Self {
        self.acts(Group::Tls, about)
    }

    pub(super) const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    pub(super) const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    pub(super) const fn secret(mut self) -> Self {
        self.sensitive = true;
        self
    }

    pub(super) const fn unsafe_unless(
        mut self,
        harmless: fn(&Value) -> bool,
        advice: &'static str,
    ) -> Self {
        self.effect = Effect::Unsafe { harmless, advice };
        self
    }
}

pub(super) const fn row(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    change: Change,
) -> Parameter {
    Parameter {
        name,
        alias: None,
        kind,
        default,
        change,
        effect: Effect::Ignored,
        hidden: false,
        sensitive: false,
    }
}
