//! The metrics over HTTP, for Prometheus: `GET /metrics` on a port of its own (`metrics-port`).
//!
//! ```text
//! connection ─► hyper ─► Source::scrape ── StreamQuery ──► every shard, in its queue
//!                            │    counters of all shards ◄──── StreamListing
//!                            └─► observe/metrics.rs: text
//! ```
//! On the acceptor's thread: a scrape costs a shard what its listed streams cost, nothing else. Gathered is one at a time.
//! With TLS (`metrics-tls`) on a thread of its own: a handshake costs far more, and no client waits for it to be accepted.
//!
//! Strangers may connect: so many at once, a head of a limited size within a limited time, the whole exchange within another,
//! one request each. A handshake has the time of a head before it. When one more comes than there are places, the oldest without a whole request is closed: sockets that send
//! nothing keep nobody out ([`places`]). Whom protected mode turns away from the server it turns away here.

mod places;
pub mod probe;

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{debug, warn};

use crate::client::registry::ClientFlag;
use crate::command::context::Shared;
use crate::command::table::commands;
use crate::config::Settings;
use crate::ids::ShardId;
use crate::limits;
use crate::observe::metrics::{MetricsFacts, ShardClients, StreamListing, render};
use crate::pubsub::registry::ChannelKind;
use crate::shard::describe::StreamQuery;
use crate::shard::mailbox::{Message, Post};

use super::error::{StartError, reason_of};
use super::tls::TermsInForce;
use super::{listen, process};
use places::{Place, Places, Stage};

/// The version of the text.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Where the metrics come from.
pub(crate) struct Source {
    shared: Arc<Shared>,
    post: Arc<dyn Post + Send + Sync>,
    /// Held while one scrape is gathered.
    gathering: Mutex<()>,
}

impl Source {
    /// The facts and mailboxes of all shards.
    pub(crate) fn new(shared: Arc<Shared>, post: Arc<dyn Post + Send + Sync>) -> Self {
        Self {
            shared,
            post,
            gathering: Mutex::new(()),
        }
    }

    fn settings(&self) -> Arc<Settings> {
        let settings = self.shared.settings.read();
        Arc::clone(&settings.unwrap_or_else(PoisonError::into_inner))
    }

    /// The text of all metrics as they are now.
    async fn scrape(&self) -> String {
        let _one_at_a_time = self.gathering.lock().await;
        let (shared, settings) = (&self.shared, self.settings());
        let streams = self.streams(&settings).await;
        let rows = commands().rows().iter();
        let kinds = [
            ChannelKind::Channel,
            ChannelKind::Pattern,
            ChannelKind::Shard,
        ];
        let facts = MetricsFacts {
            started_ms: shared.started_ms,
            maxclients: settings.maxclients,
            clients: clients_by_shard(shared),
            channels: kinds.map(|kind| shared.channels.name_count(kind)),
            commands: rows.map(|row| row.full_name.as_str()).collect(),
            latency_tracking: settings.latency_tracking,
            streams,
        };
        render(&facts, &shared.observations)
    }

    /// Asks every shard for its streams, and waits for those that answer in time: one may be held by a long command.
    async fn streams(&self, settings: &Settings) -> StreamListing {
        let (answer, mut answers) = mpsc::unbounded_channel();
        let shard_count = self.shared.shard_count;
        for shard in 0..shard_count {
            let query = StreamQuery {
                pattern: settings.metrics.streams_pattern.clone(),
                streams_max: settings.metrics.streams_max,
                answer: answer.clone(),
            };
            let message = Message::DescribeStreams(Box::new(query));
            self.post.post(ShardId(shard as u16), message);
        }
        let mut all = StreamListing::default();
        let gather = async {
            while all.shards_answered < shard_count {
                match answers.recv().await {
                    Some(listing) => all.merge(listing),
                    None => break,
                }
            }
        };
        let patience = Duration::from_millis(limits::METRICS_GATHER_MS);
        if tokio::time::timeout(patience, gather).await.is_err() {
            warn!("Metrics: a shard did not tell of its streams in time");
        }
        all.keep_first(settings.metrics.streams_max);
        all
    }
}

fn clients_by_shard(shared: &Shared) -> Vec<ShardClients> {
    let mut by_shard = vec![ShardClients::default(); shared.shard_count];
    for client in shared.clients.all() {
        let Some(of) = by_shard.get_mut(client.shard().index()) else {
            continue;
        };
        of.connected += 1;
        of.blocked += usize::from(client.is_blocked());
        of.pubsub += usize::from(client.has_flag(ClientFlag::PUBSUB));
        of.input_bytes += client.query_bytes.load(Ordering::Relaxed);
        of.output_bytes += client.output_bytes.load(Ordering::Relaxed);
    }
    by_shard
}

/// Answers on listening sockets for as long as the process lives: as a task of `tasks`, or on a thread if TLS is spoken there.
///
/// # Errors
/// There is no thread to be had.
pub(crate) fn start(
    listeners: Vec<std::net::TcpListener>,
    source: Source,
    terms: TermsInForce,
    tasks: &LocalSet,
) -> Result<(), StartError> {
    if !source.settings().tls.metrics {
        tasks.spawn_local(serve(listeners, source, None));
        return Ok(());
    }
    let failed = |error| StartError::Runtime(reason_of(error));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let thread = std::thread::Builder::new().name("metrics".to_owned());
    let serve = move || LocalSet::new().block_on(&runtime, serve(listeners, source, Some(terms)));
    thread.spawn(serve).map(drop).map_err(failed)
}

/// `terms`: TLS is spoken.
async fn serve(listeners: Vec<std::net::TcpListener>, source: Source, terms: Option<TermsInForce>) {
    let door = Rc::new(MetricsDoor { source, terms });
    let places = Rc::new(Places::default());
    let mut accepting = tokio::task::JoinSet::new();
    for listener in listeners {
        let (door, places) = (Rc::clone(&door), Rc::clone(&places));
        accepting.spawn_local(accept(listener, door, places));
    }
    while accepting.join_next().await.is_some() {}
}

/// What every connection needs.
struct MetricsDoor {
    source: Source,
    /// On which terms TLS is spoken, if it is.
    terms: Option<TermsInForce>,
}

async fn accept(listener: std::net::TcpListener, door: Rc<MetricsDoor>, places: Rc<Places>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            warn!("Metrics are not served: {}", reason_of(error));
            return;
        }
    };
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                places.make_room(process::metrics_connections_max(
                    door.source.settings().maxclients,
                ));
                let door = Rc::clone(&door);
                places.start(|place| converse(socket, peer, door, place));
            }
            Err(error) => {
                debug!("Accepting a connection for metrics: {}", reason_of(error));
                tokio::time::sleep(Duration::from_millis(limits::ACCEPT_PAUSE_MS)).await;
            }
        }
    }
}

/// One connection of the port.
async fn converse(socket: TcpStream, peer: SocketAddr, door: Rc<MetricsDoor>, place: Place) {
    let source = &door.source;
    // Nobody logs in here: what counts is whether somebody has thought of a password.
    let is_open = || source.shared.users.default().rules().has_no_password();
    let is_welcome = || !listen::is_turned_away(&source.settings(), is_open, Some(peer));
    let respond = async |request: Request<Incoming>| {
        place.is_at(Stage::Gathers);
        let response = answer(&request, is_welcome(), source.scrape()).await;
        place.is_at(Stage::Sends);
        response
    };
    let patience = Duration::from_millis(limits::METRICS_EXCHANGE_MS);
    let speak = async {
        match &door.terms {
            None => exchange(socket, respond).await?,
            Some(terms) => exchange(shake_hands(socket, terms).await?, respond).await?,
        }
        Ok::<_, Box<dyn Error>>(())
    };
    match tokio::time::timeout(patience, speak).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!("Metrics for {peer}: {error}"),
        Err(_) => debug!("Metrics for {peer}: too slow"),
    }
}

/// The handshake of TLS, in the time that a request has.
async fn shake_hands(socket: TcpStream, terms: &TermsInForce) -> io::Result<TlsStream<TcpStream>> {
    let terms = terms.now()?;
    let handshake = TlsAcceptor::from(Arc::clone(&terms.config)).accept(socket);
    let patience = Duration::from_millis(limits::METRICS_REQUEST_MS);
    let stream = tokio::time::timeout(patience, handshake).await??;
    // As for clients of the server: whoever has shown less than is asked for now comes again.
    if !terms.are_current() {
        return Err(io::Error::other("the terms of TLS were changed"));
    }
    Ok(stream)
}

/// One request and its answer.
async fn exchange(
    socket: impl AsyncRead + AsyncWrite + Unpin,
    respond: impl AsyncFn(Request<Incoming>) -> Response<Full<Bytes>>,
) -> hyper::Result<()> {
    let respond = &respond;
    let service = service_fn(async |request| Ok::<_, Infallible>(respond(request).await));
    http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits::METRICS_REQUEST_MS))
        .max_buf_size(limits::METRICS_REQUEST_BYTES_MAX)
        .serve_connection(TokioIo::new(socket), service)
        .await
}

async fn answer(
    request: &Request<Incoming>,
    is_welcome: bool,
    metrics: impl Future<Output = String>,
) -> Response<Full<Bytes>> {
    if !is_welcome {
        let text = "Protected mode: only 127.0.0.1 and ::1 are answered. Set a password, or protected-mode no.\n";
        return plain(StatusCode::FORBIDDEN, text);
    }
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "The metrics are at /metrics.\n");
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let text = "The metrics are to be read: GET or HEAD.\n";
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, text);
        let methods = hyper::header::HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, methods);
        return response;
    }
    let mut response = Response::new(Full::from(metrics.await));
    let kind = hyper::header::HeaderValue::from_static(FORMAT);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// An answer for people.
fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
