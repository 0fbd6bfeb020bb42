//! CONFIG SET after its values were found good: what must happen outside the shards, and back if it fails.
//!
//! The order is fixed: what can fail first (limit of open files, directory, sockets), the log level last.
//! Afterwards the caller gives the new `Settings` to all shards and answers when they have them.

use tracing::warn;

use super::accept::Acceptors;
use super::error::StartError;
use super::{logging, process, tls};
use crate::config::{SetError, Settings};
use crate::observe::allocator;
use crate::shard::clock::unix_ms;

/// Makes the process follow `after` instead of `before`. Runs on the acceptor's thread.
///
/// # Errors
/// What could not be done, in Redis' words; nothing has changed then.
pub(crate) async fn apply(
    before: &Settings,
    after: &Settings,
    acceptors: &mut Acceptors,
) -> Result<(), SetError> {
    if after.maxclients > before.maxclients {
        let served = process::allow_open_files(after).unwrap_or(before.maxclients);
        if served < after.maxclients {
            let reason = format!(
                "The operating system is not able to handle the specified number of clients, try with {served}"
            );
            return Err(refused("maxclients", reason));
        }
    }
    // Before anything has changed: a new directory is entered behind it.
    let terms = if after.tls == before.tls {
        None
    } else {
        let made = tls::terms(&after.tls).map_err(|error| {
            warn!("Unable to update TLS configuration: {error}");
            let reason = format!("Unable to update TLS configuration. {}", error.reason);
            refused(error.setting, reason)
        })?;
        Some(made)
    };
    if after.dir != before.dir {
        process::enter_directory(&after.dir).map_err(|error| match error {
            StartError::Directory(_, reason) => refused("dir", reason),
            other => refused("dir", other.to_string()),
        })?;
    }
    if listened(after) != listened(before) && acceptors.rebind(before, after).await.is_err() {
        // Back where we were; it was entered before, so it can be entered again.
        let _ = process::enter_directory(&before.dir);
        let port = "Unable to listen on this port. Check server logs.".to_owned();
        return Err(if after.port != before.port {
            refused("port", port)
        } else if after.tls.port != before.tls.port {
            refused("tls-port", port)
        } else {
            refused("bind", "Failed to bind to specified addresses.".to_owned())
        });
    }
    if let Some(terms) = terms {
        if let Some(terms) = &terms {
            terms.tell(&after.tls, unix_ms());
        }
        acceptors.set_terms(terms);
    }
    acceptors.set_keepalive(after.tcp_keepalive_s);
    if after.jemalloc_bg_thread != before.jemalloc_bg_thread {
        allocator::give_back_in_background(after.jemalloc_bg_thread);
    }
    if after.loglevel != before.loglevel {
        logging::set_level(after.loglevel);
    }
    Ok(())
}

/// Where clients are listened for.
fn listened(settings: &Settings) -> (u16, u16, &[String]) {
    (settings.port, settings.tls.port, &settings.bind)
}

fn refused(name: &str, reason: String) -> SetError {
    SetError::Refused(name.as_bytes().to_vec(), reason)
}
