//! The users of the process.
//!
//! ```text
//!  session ──► User ──► Rules (replaced as a whole)
//!  Users ─ name ─┘
//! ```
//! A session keeps its user by identity, not by name: one that is deleted and made again is another. It keeps the rules
//! too, with the version they had; one look at the version tells whether to fetch them again.
//!
//! Invariants: `default` is always there, and is always the same user; a version that a reader has seen is that of the
//! rules it reads afterwards, or older.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::password::Digest;
use super::rules::Rules;

/// The user that every connection begins with.
pub(crate) const DEFAULT: &[u8] = b"default";

/// A user.
#[derive(Debug)]
pub(crate) struct User {
    name: Arc<[u8]>,
    rules: RwLock<Arc<Rules>>,
    version: AtomicU64,
    is_unrestricted: AtomicBool,
    /// Connections that are this user now.
    connections: AtomicUsize,
    is_deleted: AtomicBool,
}

impl User {
    fn new(name: &[u8], rules: Rules) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            is_unrestricted: AtomicBool::new(rules.is_unrestricted()),
            rules: RwLock::new(Arc::new(rules)),
            version: AtomicU64::new(0),
            connections: AtomicUsize::new(0),
            is_deleted: AtomicBool::new(false),
        })
    }

    /// Its name: no blanks, no NUL.
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// Its rules as they are now.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&rules)
    }

    /// Grows with each change of the rules, and when the user is deleted. Read it before the rules. One load.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Whether its rules allow everything. One load.
    pub(crate) fn is_unrestricted(&self) -> bool {
        self.is_unrestricted.load(Ordering::Acquire)
    }

    /// One more connection is this user, if there are fewer than `limit` (0: any number): whether there were. Any number may be the user
    /// that every connection begins with. Ends with [`User::disconnect`].
    pub(crate) fn connect(&self, limit: usize) -> bool {
        let is_limited = limit > 0 && self.name() != DEFAULT;
        let more = |count| (!is_limited || count < limit).then_some(count + 1);
        let connected = self
            .connections
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        connected.is_ok()
    }

    /// One that was is gone, or is another user now.
    pub(crate) fn disconnect(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether it has been deleted: its connections are to be closed.
    pub(crate) fn is_deleted(&self) -> bool {
        self.is_deleted.load(Ordering::Acquire)
    }

    /// Replaces its rules.
    pub(crate) fn set(&self, rules: Rules) {
        let mut now = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        let is_unrestricted = rules.is_unrestricted();
        self.is_unrestricted
            .store(is_unrestricted, Ordering::Release);
        *now = Arc::new(rules);
        self.version.fetch_add(1, Ordering::Release);
    }

    fn delete(&self) {
        self.is_unrestricted.store(false, Ordering::Release);
        self.is_deleted.store(true, Ordering::Release);
        self.version.fetch_add(1, Ordering::Release);
    }
}

type ByName = BTreeMap<Arc<[u8]>, Arc<User>>;

/// All users, in the order of their names' bytes.
#[derive(Debug)]
pub(crate) struct Users {
    default: Arc<User>,
    by_name: RwLock<ByName>,
}

/// What a change of a user did.
#[derive(Debug)]
pub(crate) struct Changed {
    /// The user.
    pub(crate) user: Arc<User>,
    /// Its rules before; `None`: it was made.
    pub(crate) before: Option<Arc<Rules>>,
    /// Its rules now.
    pub(crate) now: Arc<Rules>,
}

impl Users {
    /// Only `default`, with these rules.
    pub(crate) fn new(default_rules: Rules) -> Self {
        let default = User::new(DEFAULT, default_rules);
        let by_name = ByName::from([(Arc::clone(&default.name), Arc::clone(&default))]);
        Self {
            default,
            by_name: RwLock::new(by_name),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, ByName> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, ByName> {
        self.by_name.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The user that every connection begins with.
    pub(crate) fn default(&self) -> Arc<User> {
        Arc::clone(&self.default)
    }

    /// The user of this name. O(log users).
    pub(crate) fn get(&self, name: &[u8]) -> Option<Arc<User>> {
        self.read().get(name).cloned()
    }

    /// The names of all. O(users).
    pub(crate) fn names(&self) -> Vec<Arc<[u8]>> {
        self.read().keys().cloned().collect()
    }

    /// All users. O(users).
    pub(crate) fn list(&self) -> Vec<Arc<User>> {
        self.read().values().cloned().collect()
    }

    /// The user of this name, when it is on and the password is its own. Takes as long for a name that nobody has.
    /// O(bytes + passwords).
    pub(crate) fn log_in(&self, name: &[u8], password: &[u8]) -> Option<Arc<User>> {
        let Some(user) = self.get(name) else {
            std::hint::black_box(Digest::of(password));
            return None;
        };
        let rules = user.rules();
        let is_right = rules.accepts(password);
        (is_right && rules.is_on()).then_some(user)
    }

    /// Gives the user these rules; makes it when there is none of this name.
    pub(crate) fn set(&self, name: &[u8], rules: Rules) -> Arc<User> {
        let changed: Result<_, std::convert::Infallible> = self.change(name, |_| Ok(rules));
        match changed {
            Ok(changed) => changed.user,
            Err(never) => match never {},
        }
    }

    /// Gives the user the rules that `change` makes of those it has (`None`: there is no such user yet, and it is made).
    /// Two changes at a time come one after the other, so neither is lost. `change` must not ask for users.
    ///
    /// # Errors
    /// That of `change`; nothing is changed then.
    pub(crate) fn change<E>(
        &self,
        name: &[u8],
        change: impl FnOnce(Option<&Rules>) -> Result<Rules, E>,
    ) -> Result<Changed, E> {
        let mut by_name = self.write();
        let known = by_name.get(name).cloned();
        let before = known.as_ref().map(|user| user.rules());
        let rules = change(before.as_deref())?;
        let user = match known {
            Some(user) => {
                user.set(rules);
                user
            }
            None => {
                let user = User::new(name, rules);
                by_name.insert(Arc::clone(&user.name), Arc::clone(&user));
                user
            }
        };
        let now = user.rules();
        Ok(Changed { user, before, now })
    }

    /// Makes this the one password of `default`, or none (`requirepass`).
    pub(crate) fn set_default_password(&self, password: Option<&[u8]>) {
        let _one_at_a_time = self.write();
        let rules = Rules::clone(&self.default.rules());
        self.default.set(rules.with_password(password));
    }

    /// Whether a connection needs no login: `default` is on and has no password.
    pub(crate) fn are_open(&self) -> bool {
        let rules = self.default.rules();
        rules.is_on() && rules.has_no_password()
    }

    /// Deletes the user and returns it: its connections are to be closed. `None`: there is none of this name, or it is
    /// `default`, which stays.
    pub(crate) fn delete(&self, name: &[u8]) -> Option<Arc<User>> {
        if name == DEFAULT {
            return None;
        }
        let user = self.write().remove(name)?;
        user.delete();
        Some(user)
    }

    /// Makes these the only users, and returns those that are gone: their connections are to be closed. ACL LOAD.
    ///
    /// Redis 7.4: a user that was there and still is stays the same user, and its rules change; before, all connections but those of
    /// `default` were closed. `default` gets `default_rules` when it is not among `users`.
    pub(crate) fn replace_all(
        &self,
        users: Vec<(Vec<u8>, Rules)>,
        mut default_rules: Rules,
    ) -> Vec<Arc<User>> {
        let mut by_name = self.write();
        let mut before = std::mem::take(&mut *by_name);
        before.remove(DEFAULT);
        by_name.insert(Arc::clone(&self.default.name), Arc::clone(&self.default));
        for (name, rules) in users {
            if name == DEFAULT {
                default_rules = rules;
                continue;
            }
            let user = match before.remove(&name[..]) {
                Some(user) => {
                    user.set(rules);
                    user
                }
                None => User::new(&name, rules),
            };
            by_name.insert(Arc::clone(&user.name), user);
        }
        self.default.set(default_rules);
        before.into_values().inspect(|user| user.delete()).collect()
    }
}
