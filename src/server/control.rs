//! The acceptor's thread: accepts, follows CONFIG SET, waits for the end.
//!
//! ```text
//! shard threads ── Control (Send, Clone) ──► requests ──► serve() ◄── signals
//!    CONFIG SET waits for the answer             │  ├─ Acceptors: sockets → take
//!    the saver ends the process                  ▼  └─ returns why it ended
//! ```
//!
//! A shard that runs CONFIG SET waits here until the sockets have changed: milliseconds, and rare. `take`
//! must therefore never wait for a shard.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Mode, OFlags};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::{info, warn};

use super::accept::{Acceptors, Take};
use super::apply::apply;
use super::error::{StartError, reason_of};
use super::listen::Listener;
use super::signals::{EndSignal, Signals};
use super::startup;
use super::tls::TermsInForce;
use crate::config::{Configuration, Notice, ProcessControl, SetError, Settings};

enum Request {
    Follow {
        before: Box<Settings>,
        after: Box<Settings>,
        answer: Answer,
    },
    Ready,
    Stop,
}

type Answer = std::sync::mpsc::SyncSender<Result<(), SetError>>;

/// Why serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A signal.
    Signal(EndSignal),
    /// A client's SHUTDOWN.
    Command,
}

/// Reaches the acceptor's thread from any other.
#[derive(Clone, Debug)]
pub(crate) struct Control(UnboundedSender<Request>);

/// What the acceptor's thread is asked.
pub(crate) struct Requests(UnboundedReceiver<Request>);

/// A pair of both ends.
#[must_use]
pub(crate) fn channel() -> (Control, Requests) {
    let (sender, receiver) = unbounded_channel();
    (Control(sender), Requests(receiver))
}

impl Control {
    /// The data are loaded.
    pub(crate) fn ready(&self) {
        // Fails when serving has ended already.
        let _ = self.0.send(Request::Ready);
    }

    /// Ends serving.
    pub(crate) fn stop(&self) {
        // Fails when serving has ended already.
        let _ = self.0.send(Request::Stop);
    }
}

impl ProcessControl for Control {
    fn follow(&self, before: &Settings, after: &Settings) -> Result<(), SetError> {
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        let request = Request::Follow {
            before: Box::new(before.clone()),
            after: Box::new(after.clone()),
            answer,
        };
        let asked = self.0.send(request).is_ok();
        match asked.then(|| answered.recv()) {
            Some(Ok(result)) => result,
            // The server is ending: nobody will see the settings.
            Some(Err(_)) | None => Ok(()),
        }
    }

    fn stop(&self) {
        Control::stop(self);
    }

    fn tell(&self, notices: Vec<Notice>) {
        startup::tell(notices);
    }

    fn rewrite_file(&self, configuration: &Configuration, users: &[Vec<u8>]) -> Result<(), String> {
        let Some(path) = configuration.file() else {
            return Ok(());
        };
        let text = || {
            let old = match std::fs::read(path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
                read => read?,
            };
            Ok(configuration.rewritten(&old, users))
        };
        replace(path, text).map_err(|error| {
            let reason = reason_of(error);
            warn!("CONFIG REWRITE failed: {reason}");
            reason
        })?;
        info!("CONFIG REWRITE executed with success.");
        Ok(())
    }

    fn read_users(&self, path: &Path) -> Result<Vec<u8>, String> {
        std::fs::read(path).map_err(reason_of)
    }

    fn write_users(&self, path: &Path, text: &[u8]) -> Result<(), String> {
        replace(path, || Ok(text.to_vec())).map_err(|error| {
            let reason = reason_of(error);
            warn!("ACL SAVE failed: {}: {reason}", path.display());
            reason
        })
    }
}

/// Replaces a file by a new one with the same mode, so that a reader finds the old or the new text, never half. A link stays one: what
/// it names is replaced.
fn replace(path: &Path, text: impl FnOnce() -> std::io::Result<Vec<u8>>) -> std::io::Result<()> {
    use std::io::Write as _;
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let text = text()?;
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let mut name = path.as_os_str().to_owned();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    name.push(format!(".{}-{number}.tmp", std::process::id()));
    let temporary = std::path::PathBuf::from(name);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // It may hold a password: nobody else may read it before it has the old file's mode.
    let written = rustix::fs::open(&temporary, flags, Mode::from_raw_mode(0o600))
        .map_err(std::io::Error::from)
        .and_then(|file| {
            let mut file = std::fs::File::from(file);
            file.write_all(&text)?;
            if let Ok(metadata) = std::fs::metadata(path) {
                file.set_permissions(metadata.permissions())?;
            }
            file.sync_all()?;
            std::fs::rename(&temporary, path)?;
            // The new name is there after a crash only when the directory is on disk too.
            let directory = path.parent().filter(|path| !path.as_os_str().is_empty());
            std::fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
        });
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// Accepts sockets for `take` and follows changes, until [`Control::stop`]; then nothing is accepted any more. Call in a
/// `LocalSet`. `ready` is called once, when [`Control::ready`] says so; `ask_end` at each signal, and leads to the stop when all is
/// saved.
///
/// # Errors
/// The runtime does not take a socket.
pub(crate) async fn serve(
    (listeners, terms): (Vec<Listener>, TermsInForce),
    settings: &Settings,
    take: Take,
    mut requests: Requests,
    mut signals: Signals,
    ready: impl FnOnce(),
    ask_end: impl Fn(EndSignal),
) -> Result<End, StartError> {
    let mut acceptors = Acceptors::start(listeners, settings, terms, take)?;
    let (mut ready, mut end) = (Some(ready), End::Command);
    loop {
        tokio::select! {
            signal = signals.next() => {
                end = End::Signal(signal);
                ask_end(signal);
            }
            request = requests.0.recv() => match request {
                Some(Request::Follow { before, after, answer }) => {
                    let result = apply(&before, &after, &mut acceptors).await;
                    // The asking shard waits for this; it cannot be gone.
                    let _ = answer.send(result);
                }
                Some(Request::Ready) => {
                    if let Some(ready) = ready.take() {
                        ready();
                    }
                }
                Some(Request::Stop) | None => break,
            },
        }
    }
    acceptors.stop().await;
    // Whoever asks twice does not want to wait for clients.
    tokio::task::spawn_local(async move {
        while signals.next().await != EndSignal::Interrupt {}
        warn!("You insist... exiting now.");
        std::process::exit(1);
    });
    Ok(end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_rewritten_file_keeps_its_mode_and_leaves_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.conf");
        std::fs::write(&path, "hz 20\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let words = [path.to_str().unwrap()];
        let configuration = Configuration::load(&words, &mut std::io::empty()).unwrap();
        let changed = configuration.with(&[("hz", "30")], true).unwrap();
        let (control, _requests) = channel();
        control.rewrite_file(&changed, &[]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("hz 30\n") && text.contains("\ndir \""),
            "{text}"
        );
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_change_is_followed_and_a_stop_ends_serving() {
        let (control, requests) = channel();
        let words = ["--port", "0", "--bind", "127.0.0.1"];
        let configuration = Configuration::load(&words, &mut std::io::empty()).unwrap();
        let settings = configuration.settings();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let asked = std::thread::spawn({
            let (control, before) = (control.clone(), settings.clone());
            move || {
                let changed = configuration
                    .with(&[("port", port.to_string())], true)
                    .unwrap();
                let after = changed.settings();
                control.follow(&before, &after).unwrap();
                let connected = std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
                let taken = Settings {
                    port: 1,
                    bind: vec!["192.0.2.1".into()],
                    ..after.clone()
                };
                let refused = control.follow(&after, &taken).unwrap_err();
                control.stop();
                (connected, refused.text())
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let take: Take = std::rc::Rc::new(drop);
        let entered = runtime.enter();
        let signals = Signals::new().unwrap();
        drop(entered);
        let serving = serve(
            (Vec::new(), TermsInForce::default()),
            &settings,
            take,
            requests,
            signals,
            || {},
            |_| {},
        );
        let end = tokio::task::LocalSet::new()
            .block_on(&runtime, serving)
            .unwrap();
        assert_eq!(end, End::Command);
        let (connected, refused) = asked.join().unwrap();
        assert!(connected);
        assert!(
            String::from_utf8(refused)
                .unwrap()
                .ends_with("Unable to listen on this port. Check server logs.")
        );
    }
}
