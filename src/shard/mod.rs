//! The engine: one shard, a state machine without threads and sockets.
//!
//! ```text
//!   events in                                   ┌──────────────────────────────┐            out
//!   input / end of file ──► client's turn ──►   │ hand: the keyspaces in use   │  ──► output of clients (dirty)
//!   messages            ──► deliver       ──►   │ lines: jobs that wait for it │  ──► messages (Post)
//!   time                ──► tick          ──►   └──────────────────────────────┘  ──► closed, departing clients
//! ```
//! [`thread`] drives it with sockets and a clock, the simulation with lists and a seed. Everything a client is but its
//! socket lives here, so both run the same code.
//!
//! Files, each needing only those before it:
//!
//! * what there is: `clock` · `route` keys to shards · `phase` what keeps a client · `habits` where it is best placed · `admit`
//!   whether a command may run · `client` · `describe`, `job` what asks for keyspaces · `snapshot/run`, `mailbox` messages
//! * the three parts of a shard: `hand/` where keyspaces are, and who waits for them · `clients`, `turns` who is connected ·
//!   `subscribers` who receives which messages · `listener_sockets` who may be about to · `mailboxes` of the threads · `behind` who waits for them
//! * a command runs: `env` what it reads and leaves · `busy` a script that runs for long · `measure` records · `readers` who has read a key · `call` its handler ·
//!   `scripts` EVAL and the commands of scripts · `waiters` who is served by it · `execute` one command · `transaction` EXEC
//! * the parts together: `state` a shard · `journal` effects to the log · `pause` · `refresh` settings · `tracking` what caches are told ·
//!   `taking` keyspaces · `outstanding` what comes before a publication · `aside` scripts that run for long · `migrate` who moves where · `blocking` waits · `leaving` ends of connections · `held` who waits for the log · `credit` · `barriers` ·
//!   `publish` what is sent · `deliver` what has come · `sending` MIGRATE · `walk` KEYS over very many · `stop` · `snapshot` · `load` · `dumps` · `reload` · `messages`
//! * a client's turn: `finish` what follows a command · `window` its keyspaces, then its run · `requests` · `input` · `turn` · `slices` of scripts
//! * and what drives them: `work` · `tick` · `output` · `events` · `thread`
//!
//! Invariants: a handler is called by `call` only, with its keyspaces in hand; the work on keyspaces is finished (waiters
//! served, effects logged, publications sent) before they are put back and before the reply leaves.

mod admit;
mod aside;
mod barriers;
mod behind;
mod blocking;
mod busy;
pub(crate) mod call;
mod client;
mod clients;
pub mod clock;
mod copies;
mod credit;
mod crowd;
mod deliver;
pub(crate) mod describe;
pub(crate) mod dumps;
mod env;
mod events;
mod evict;
mod execute;
mod finish;
mod habits;
pub mod hand;
mod headroom;
mod held;
mod input;
mod job;
pub mod journal;
mod leaving;
mod listener_sockets;
pub(crate) mod load;
pub(crate) mod logs;
pub mod mailbox;
pub(crate) mod mailboxes;
mod measure;
mod messages;
mod migrate;
pub mod output;
mod outstanding;
mod pause;
mod phase;
mod publish;
mod readers;
mod refresh;
mod reload;
mod requests;
mod room;
mod route;
mod scripts;
mod sending;
mod slices;
pub(crate) mod snapshot;
mod state;
mod stop;
mod subscribers;
mod taking;
pub(crate) mod thread;
mod tick;
mod tracking;
mod transaction;
mod turn;
mod turns;
mod waiters;
mod walk;
mod window;
mod work;

pub use events::Event;
pub use state::Shard;
