//! Sets of sockets, and whether one of a set has bytes that nobody has read yet.
//!
//! ```text
//! socket ─┬─► epoll of its runtime    edge-triggered: tells its thread once, when it looks
//!         └─► epoll of its set        level-triggered: readable itself, for as long as there is something to read
//! ```
//! Nobody takes events from the second: other threads only ask whether it is readable, as `poll` asks any descriptor. So the answer
//! is that of the kernel at this moment, also while the thread that is to read has no core to run on.
//!
//! Source: epoll(7), "nested" use of an epoll descriptor.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use smallvec::SmallVec;

use super::transport::Transport;

/// A set of sockets.
#[derive(Debug)]
pub(crate) struct ReadableSet(OwnedFd);

impl ReadableSet {
    /// An empty set.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(CreateFlags::CLOEXEC)?))
    }

    /// Adds a socket.
    ///
    /// # Errors
    /// When the kernel does not watch any more of them (`fs.epoll.max_user_watches`).
    pub(crate) fn add(&self, socket: &Transport) -> io::Result<()> {
        epoll::add(
            &self.0,
            socket.descriptor(),
            EventData::new_u64(0),
            EventFlags::IN,
        )?;
        Ok(())
    }

    /// Takes a socket out.
    pub(crate) fn remove(&self, socket: &Transport) {
        // It fails only for one that is not in it.
        let _ = epoll::delete(&self.0, socket.descriptor());
    }
}

/// Which of these sets have a socket with something to read. One system call, however many sockets they have.
pub(crate) fn are_readable(sets: &[&ReadableSet]) -> SmallVec<[bool; 16]> {
    let mut asked: SmallVec<[PollFd<'_>; 16]> = sets
        .iter()
        .map(|set| PollFd::new(&set.0, PollFlags::IN))
        .collect();
    let now = Timespec::default();
    if asked.is_empty() || poll(&mut asked, Some(&now)).is_err() {
        return sets.iter().map(|_| false).collect();
    }
    let has = |asked: &PollFd<'_>| !asked.revents().is_empty();
    asked.iter().map(has).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in tests")]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[tokio::test]
    async fn a_set_is_readable_until_all_is_read_whoever_else_was_told_of_it() {
        let (mut peer, socket) = UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        let socket = tokio::net::UnixStream::from_std(socket).unwrap();
        let transport = Transport::Unix(socket);
        let (set, other) = (ReadableSet::new().unwrap(), ReadableSet::new().unwrap());
        let ask = || are_readable(&[&set, &other]).to_vec();
        set.add(&transport).unwrap();
        assert_eq!(ask(), [false, false]);
        peer.write_all(b"abc").unwrap();
        let Transport::Unix(socket) = &transport else {
            unreachable!()
        };
        // Its runtime has taken its own event.
        socket.readable().await.unwrap();
        assert_eq!(ask(), [true, false]);
        assert_eq!(ask(), [true, false]);
        let mut two = [0; 2];
        assert_eq!(socket.try_read(&mut two).unwrap(), 2);
        assert_eq!(ask(), [true, false]);
        assert_eq!(socket.try_read(&mut two).unwrap(), 1);
        assert_eq!(ask(), [false, false]);
        peer.write_all(b"d").unwrap();
        set.remove(&transport);
        assert_eq!(ask(), [false, false]);
        assert!(are_readable(&[]).is_empty());
    }
}
