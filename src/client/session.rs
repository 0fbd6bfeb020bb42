//! What a client is to the commands it sends: database, protocol, user, modes.
//!
//! The facts that others may ask for are mirrored in its [`ClientHandle`]; the setters here keep both the same.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::acl::{Rules, User};
use crate::ids::ClientId;
use crate::keyspace::wait::Name;
use crate::resp::Protocol;

use super::held::NAME_BYTES;
use super::registry::{ClientFlag, ClientHandle};
use super::tracking::Caching;
use super::transaction::Transaction;

/// CLIENT REPLY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum ReplyMode {
    /// Every reply is sent.
    #[default]
    On,
    /// No reply is sent.
    Off,
    /// The reply to the next command is not sent.
    SkipNext,
    /// The reply to this command is not sent.
    Skip,
}

/// What a client is subscribed to.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    /// SUBSCRIBE.
    pub(crate) channels: BTreeSet<Name>,
    /// PSUBSCRIBE.
    pub(crate) patterns: BTreeSet<Name>,
    /// SSUBSCRIBE.
    pub(crate) shard_channels: BTreeSet<Name>,
}

impl Subscriptions {
    /// Channels and patterns together: the count in the replies of (P)(UN)SUBSCRIBE.
    pub(crate) fn count(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// Whether there is any, shard channels included.
    pub(crate) fn any(&self) -> bool {
        self.count() + self.shard_channels.len() > 0
    }
}

/// The user that a client is, with the rules that were in force when it was last looked at.
#[derive(Debug)]
pub(crate) struct Login {
    user: Arc<User>,
    rules: Arc<Rules>,
    version: u64,
}

impl Login {
    /// The client is this user from now on.
    pub(crate) fn new(user: Arc<User>) -> Self {
        // Before the rules: what changes in between is seen at the next look.
        let version = user.version();
        Self {
            rules: user.rules(),
            version,
            user,
        }
    }

    /// The user.
    pub(crate) fn user(&self) -> &Arc<User> {
        &self.user
    }

    /// Its rules as they are now.
    #[inline(always)]
    pub(crate) fn rules(&mut self) -> &Rules {
        let version = self.user.version();
        if version != self.version {
            self.follow(version);
        }
        &self.rules
    }

    #[cold]
    fn follow(&mut self, version: u64) {
        self.version = version;
        self.rules = match self.user.is_deleted() {
            true => Arc::new(Rules::new(false)),
            false => self.user.rules(),
        };
    }
}

/// What is in a copy of the data (SYNC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum CopyOf {
    /// All there is.
    #[default]
    Everything,
    /// The libraries of functions.
    Libraries,
    /// Nothing: who asks for that is after the changes that follow.
    Nothing,
}

/// What a client has said of itself before it asks for a copy of the data (REPLCONF).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CopyTerms {
    /// It listens for clients, as a replica does.
    pub(crate) is_replica: bool,
    /// It does not want the changes that follow.
    pub(crate) is_all: bool,
    /// What it wants.
    pub(crate) of: CopyOf,
}

/// A client as its commands see it.
#[derive(Debug)]
pub(crate) struct Session {
    /// What everybody may know.
    pub(crate) handle: Arc<ClientHandle>,
    /// Database; change it with [`Session::select`].
    pub(crate) db: usize,
    /// Protocol version; change it with [`Session::set_protocol`].
    pub(crate) protocol: Protocol,
    /// Whether it may run commands.
    pub(crate) authenticated: bool,
    /// Who it is. `None`: nobody, who may do everything (a file that is loaded, a blocked command that runs again).
    pub(crate) login: Option<Login>,
    /// Logins that have failed since the last one that did not.
    failed_logins: u32,
    /// How long the reply to a login that has failed is to be held back, ms: the shard does so.
    pub(crate) login_delay_ms: u64,
    /// Which replies are sent.
    pub(crate) reply_mode: ReplyMode,
    /// MULTI and WATCH.
    pub(crate) transaction: Transaction,
    /// Channels and patterns.
    pub(crate) subscriptions: Subscriptions,
    /// CLIENT TRACKING and CLIENT CACHING.
    pub(crate) caching: Caching,
    /// CLIENT NO-TOUCH.
    pub(crate) no_touch: bool,
    /// MONITOR.
    pub(crate) monitoring: bool,
    /// It has asked for a debugger of scripts, and may not have seen that there is none: its next script does not run.
    pub(crate) wants_debugger: bool,
    /// There was no room (`maxmemory`) when its command was asked for it: scripts begin with that.
    pub(crate) out_of_memory: bool,
    /// REPLCONF.
    pub(crate) copy_terms: CopyTerms,
    /// Close when the replies so far are sent.
    pub(crate) closing: bool,
}

impl Session {
    /// A client that has just connected.
    pub(crate) fn new(handle: Arc<ClientHandle>, authenticated: bool) -> Self {
        Self {
            handle,
            db: 0,
            protocol: Protocol::Resp2,
            authenticated,
            login: None,
            failed_logins: 0,
            login_delay_ms: 0,
            reply_mode: ReplyMode::On,
            transaction: Transaction::default(),
            subscriptions: Subscriptions::default(),
            caching: Caching::default(),
            no_touch: false,
            monitoring: false,
            wants_debugger: false,
            out_of_memory: false,
            copy_terms: CopyTerms::default(),
            closing: false,
        }
    }

    /// AUTH, or a certificate: it is this user from now on, unless that one has as many connections as it may (`limit`; 0: any number).
    /// False: it is whoever it was.
    #[must_use]
    pub(crate) fn log_in(&mut self, user: &Arc<User>, limit: usize) -> bool {
        if !self.handle.set_user(user, limit) {
            return false;
        }
        self.login = Some(Login::new(Arc::clone(user)));
        self.authenticated = true;
        self.failed_logins = 0;
        // Who deleted the user meanwhile may have looked at this connection before.
        self.closing |= user.is_deleted();
        true
    }

    /// A login has failed. The more have, the longer the reply is held back, at most this long, so that nobody guesses fast.
    pub(crate) fn fail_login(&mut self, delay_ms_max: u64) {
        // Doubles from a thirty-second of it.
        self.login_delay_ms = delay_ms_max >> 5u32.saturating_sub(self.failed_logins);
        self.failed_logins = self.failed_logins.saturating_add(1);
    }

    /// It is the user that every connection begins with: logged in already if that needs no password.
    pub(crate) fn begin_as(&mut self, default: Arc<User>) {
        let rules = default.rules();
        let is_in = self.log_in(&default, 0);
        debug_assert!(is_in, "it has no limit");
        self.authenticated = rules.is_on() && rules.has_no_password();
    }

    /// Whether it is subscribed to what its user may not hear any more.
    pub(crate) fn overhears(&mut self) -> bool {
        let Some(login) = &mut self.login else {
            return false;
        };
        let rules = login.rules();
        let heard = &self.subscriptions;
        let mut channels = heard.channels.iter().chain(&heard.shard_channels);
        let mut patterns = heard.patterns.iter();
        channels.any(|name| !rules.may_use_channel(name, false))
            || patterns.any(|name| !rules.may_use_channel(name, true))
    }

    /// CLIENT ID.
    pub(crate) fn id(&self) -> ClientId {
        self.handle.id
    }

    /// SELECT.
    pub(crate) fn select(&mut self, db: usize) {
        self.db = db;
        self.handle.db.store(db as u32, Ordering::Relaxed);
    }

    /// HELLO.
    pub(crate) fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
        self.handle
            .set_flag(ClientFlag::RESP3, protocol == Protocol::Resp3);
    }

    /// Whether messages reach it that are no replies to its commands.
    pub(crate) fn listens(&self) -> bool {
        self.subscriptions.any() || self.handle.is_told_of_keys()
    }

    /// Whether only the commands of RESP2's subscribed mode are allowed.
    pub(crate) fn in_subscribed_mode(&self) -> bool {
        self.protocol == Protocol::Resp2 && self.subscriptions.any()
    }

    /// Copies the counts of subscriptions, MULTI and WATCH to the handle.
    pub(crate) fn mirror(&self) {
        let handle = &self.handle;
        handle
            .channels
            .store(self.subscriptions.channels.len() as u32, Ordering::Relaxed);
        handle
            .patterns
            .store(self.subscriptions.patterns.len() as u32, Ordering::Relaxed);
        handle.shard_channels.store(
            self.subscriptions.shard_channels.len() as u32,
            Ordering::Relaxed,
        );
        let multi = if self.transaction.active {
            self.transaction.queue.len() as i32
        } else {
            -1
        };
        handle.multi.store(multi, Ordering::Relaxed);
        handle
            .multi_bytes
            .store(self.transaction.queued_bytes(), Ordering::Relaxed);
        let names = self.subscriptions.count() + self.subscriptions.shard_channels.len();
        let names = names + self.transaction.watched.len() + self.caching.prefixes.len();
        handle
            .other_bytes
            .store(names * NAME_BYTES, Ordering::Relaxed);
        handle
            .watched
            .store(self.transaction.watched.len() as u32, Ordering::Relaxed);
        handle.set_flag(ClientFlag::PUBSUB, self.subscriptions.any());
        handle.set_flag(ClientFlag::MULTI, self.transaction.active);
        handle.set_flag(ClientFlag::MONITOR, self.monitoring);
        handle.set_flag(ClientFlag::NO_TOUCH, self.no_touch);
    }
}
