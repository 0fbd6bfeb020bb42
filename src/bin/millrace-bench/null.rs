//! The null server: tokio, one read, our request parser, `+PONG` for each request, one write. The floor of this stack.
//!
//! What a workload costs above this is what the server does for it; what this costs is the kernel, the executor and the parser.

use std::net::SocketAddr;

use anyhow::Context;
use millrace::resp::request::{RequestLimits, RequestParser};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

/// A whole request is never longer than this in any workload.
const REQUEST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Serves until the process is killed.
///
/// # Errors
/// The port is taken.
pub(crate) fn serve(port: u16) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::task::spawn_local(async move {
                // A connection that ends, however it ends, is all this server ever has to know.
                let _ended = answer(stream).await;
            });
        }
    })
}

async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let limits = RequestLimits {
        bulk_bytes_max: REQUEST_BYTES_MAX,
        argument_count_max: 1024 * 1024,
        unparsed_bytes_max: usize::MAX,
        line_bytes_max: 64 * 1024,
        unauthenticated: None,
    };
    let mut parser = RequestParser::new();
    let mut buffer: Vec<u8> = Vec::with_capacity(16 * 1024);
    let mut replies = Vec::new();
    loop {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        let mut begin = 0;
        loop {
            let parsed = parser.parse(&buffer[begin..], &limits);
            let Some(length) = parsed.map_err(|_| std::io::ErrorKind::InvalidData)? else {
                break;
            };
            begin += length;
            replies.extend_from_slice(b"+PONG\r\n");
        }
        buffer.drain(..begin);
        if !replies.is_empty() {
            stream.write_all(&replies).await?;
            replies.clear();
        }
    }
}
