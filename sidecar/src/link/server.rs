//! Link over gRPC, on a loopback port or a Unix socket.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use sekisho_link::v1;
use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use super::access_log::AccessLog;
use super::{Link, LinkError, LinkSession};
use crate::writer::ApplyError;

mod generated {
    #![expect(
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        unused_qualifications,
        unreachable_pub,
        reason = "generated code"
    )]
    tonic::include_proto!("sekisho.link.v1");
}

use generated::link_server;

/// Largest batch, bytes: what gathers while the sidecar is away comes in one.
const MOST_BYTES: usize = 256 * 1024 * 1024;

/// Messages that wait for a slow worker.
const AHEAD: usize = 16;

/// Bytes that a gateway may send ahead (RFC 9113, section 5.2): more than it gathers in a
/// commit, so that it never waits for leave to send.
const WINDOW: u32 = 1024 * 1024;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// A silent connection is asked whether it is alive, and closed without an answer.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// Where Link listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkAddress {
    /// A port; only loopback makes sense without further protection.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither `HOST:PORT` nor `unix:PATH`")]
pub struct BadLinkAddress(String);

impl FromStr for LinkAddress {
    type Err = BadLinkAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(path.into()));
        }
        text.parse()
            .map(Self::Tcp)
            .map_err(|_| BadLinkAddress(text.to_owned()))
    }
}

/// An address that is taken, and at which nobody listens yet: whoever connects is refused
/// at once, and goes elsewhere.
#[derive(Debug)]
pub enum LinkPlace {
    /// A port.
    Tcp(TcpSocket),
    /// A Unix socket.
    Unix(PathBuf),
}

impl LinkPlace {
    /// Takes an address.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn take(address: &LinkAddress) -> io::Result<Self> {
        match address {
            LinkAddress::Tcp(address) => {
                let socket = match address {
                    SocketAddr::V4(_) => TcpSocket::new_v4()?,
                    SocketAddr::V6(_) => TcpSocket::new_v6()?,
                };
                // A former process's connections may linger.
                socket.set_reuseaddr(true)?;
                socket.bind(*address)?;
                Ok(Self::Tcp(socket))
            }
            LinkAddress::Unix(path) => Ok(Self::Unix(path.clone())),
        }
    }

    /// Begins to listen. A socket file that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn listen(self) -> io::Result<LinkListener> {
        match self {
            Self::Tcp(socket) => socket.listen(BACKLOG).map(LinkListener::Tcp),
            Self::Unix(path) => {
                let dead = path.exists() && tokio::net::UnixStream::connect(&path).await.is_err();
                if dead {
                    std::fs::remove_file(&path)?;
                }
                UnixListener::bind(path).map(LinkListener::Unix)
            }
        }
    }
}

/// A bound address that does not serve yet.
#[derive(Debug)]
pub enum LinkListener {
    /// A port.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

impl LinkListener {
    /// Takes an address and listens there.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(address: &LinkAddress) -> io::Result<Self> {
        LinkPlace::take(address)?.listen().await
    }

    /// The port that was bound.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    /// Serves until `end`; then closes all streams, which workers open anew elsewhere or later.
    ///
    /// # Errors
    /// The listener fails.
    pub async fn serve(
        self,
        link: Link,
        end: impl Future<Output = ()>,
    ) -> Result<(), tonic::transport::Error> {
        let (ending, ended) = watch::channel(false);
        let end = async move {
            end.await;
            ending.send_replace(true);
        };
        let refusals = AccessLog::new(link.writer(), ended.clone()).into_service();
        let service = link_server::LinkServer::new(LinkServer { link, ended })
            .max_decoding_message_size(MOST_BYTES)
            .max_encoding_message_size(MOST_BYTES);
        // By which proxies tell the sidecar that serves from those that stand by, or hang.
        let (_, health) = tonic_health::server::health_reporter();
        let router = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .add_service(refusals)
            .add_service(service)
            .add_service(health);
        match self {
            Self::Tcp(listener) => {
                // Acknowledgements are small: without this, one in some dozens waits 40 ms for
                // the other side's delayed TCP acknowledgement.
                let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                router.serve_with_incoming_shutdown(incoming, end).await
            }
            Self::Unix(listener) => {
                let incoming = UnixListenerStream::new(listener);
                router.serve_with_incoming_shutdown(incoming, end).await
            }
        }
    }
}

/// The gRPC service.
#[derive(Clone, Debug)]
pub struct LinkServer {
    link: Link,
    ended: watch::Receiver<bool>,
}

#[tonic::async_trait]
impl link_server::Link for LinkServer {
    type OpenStream = ReceiverStream<Result<v1::Down, Status>>;

    async fn open(
        &self,
        request: Request<Streaming<v1::Up>>,
    ) -> Result<Response<Self::OpenStream>, Status> {
        let (downs, stream) = mpsc::channel(AHEAD);
        let (session, ended) = (self.link.open(), self.ended.clone());
        tokio::spawn(carry(session, request.into_inner(), downs, ended));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// Carries a session until either side ends it. Batches are read while others are with the
/// writer, which then has the next as soon as it has done with one.
async fn carry(
    mut session: LinkSession,
    mut ups: Streaming<v1::Up>,
    downs: mpsc::Sender<Result<v1::Down, Status>>,
    mut ended: watch::Receiver<bool>,
) {
    let mut is_open = true;
    // Once and for all: each would otherwise be waited for anew with every message.
    let gone = async {
        tokio::select! {
            () = downs.closed() => {}
            () = stopping(&mut ended) => {}
        }
    };
    tokio::pin!(gone);
    // Whoever says nothing more still hears what became of all that it said.
    while is_open || !session.is_settled() {
        let reads = is_open && session.has_room();
        tokio::select! {
            biased;
            () = &mut gone => return,
            down = session.recv() => match down {
                Ok(down) => {
                    if downs.send(Ok(down)).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a stream of a gateway is closed");
                    let _ = downs.send(Err(status(&error))).await;
                    return;
                }
            },
            up = ups.message(), if reads => match up {
                Ok(Some(up)) => session.submit(up).await,
                Ok(None) => is_open = false,
                Err(_) => return,
            },
        }
    }
}

/// Returns when the server is to end, or nobody is left who could say so.
pub(super) async fn stopping(ended: &mut watch::Receiver<bool>) {
    let _ = ended.wait_for(|ended| *ended).await;
}

fn status(error: &LinkError) -> Status {
    let text = error.to_string();
    match error {
        LinkError::Apply(ApplyError::Expired) => Status::aborted(text),
        LinkError::Apply(ApplyError::Gone(_)) => Status::unavailable(text),
        LinkError::Apply(ApplyError::NoContentsKey) => Status::failed_precondition(text),
        LinkError::Apply(ApplyError::Malformed(_))
        | LinkError::Decode(_)
        | LinkError::Hello
        | LinkError::Order { .. } => Status::invalid_argument(text),
    }
}
