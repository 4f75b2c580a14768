//! A receiver of syslog over TCP (RFC 6587, octet counting) or TLS (RFC 5425).
//!
//! Syslog has no acknowledgement. So each delivery has a connection of its own: we close our
//! side behind the last message, and what was sent counts as taken when the receiver closes
//! its side in turn, which it does when it has read everything. Over TLS it must do so
//! properly, with `close_notify`, or somebody on the way could do it in its place; not every
//! receiver does, so that can be waived.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Entry;
use super::cef;
use super::config::SyslogTarget;
use crate::forward::courier::Recipient;
use crate::forward::{Trouble, tls};

/// For a connection, with its handshake.
const CONNECT: Duration = Duration::from_secs(10);
/// For writing, and for the receiver to have read everything.
const CONFIRM: Duration = Duration::from_secs(30);
/// A receiver that closed although there was more to read sends a reset, which may be on its
/// way when its end of file is here.
const RESET: Duration = Duration::from_millis(50);

/// A receiver.
pub(super) struct Receiver {
    target: SyslogTarget,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    host: String,
}

impl Receiver {
    pub(super) fn new(target: SyslogTarget) -> Result<Self, Trouble> {
        let tls = if target.plaintext {
            None
        } else {
            let config: Arc<ClientConfig> = tls::client(target.authorities.as_deref())?;
            let name = ServerName::try_from(target.host.clone());
            let name = name.map_err(|_| Trouble::Host(target.host.clone()))?;
            Some((TlsConnector::from(config), name))
        };
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Ok(Self {
            target,
            tls,
            host: shown(host.trim()),
        })
    }

    async fn connect(&self) -> Result<TcpStream, Trouble> {
        let to = (self.target.host.as_str(), self.target.port);
        let connecting = tokio::time::timeout(CONNECT, TcpStream::connect(to));
        Ok(connecting.await.map_err(|_| Trouble::Slow)??)
    }
}

impl Recipient for Receiver {
    type Item = Entry;

    async fn bring(&mut self, items: &[Entry]) -> Result<usize, Trouble> {
        let mut frames = Vec::new();
        for entry in items {
            let message = cef::message(entry, &self.host);
            frames.extend(format!("{} ", message.len()).into_bytes());
            frames.extend(message.into_bytes());
        }
        let mut stream = self.connect().await?;
        let delivered = match &self.tls {
            None => tokio::time::timeout(CONFIRM, deliver(&mut stream, &frames, false)).await,
            Some((connector, name)) => {
                let connecting = connector.connect(name.clone(), &mut stream);
                let connected = tokio::time::timeout(CONNECT, connecting).await;
                let mut encrypted = connected.map_err(|_| Trouble::Slow)??;
                let bare = self.target.accept_bare_close;
                tokio::time::timeout(CONFIRM, deliver(&mut encrypted, &frames, bare)).await
            }
        };
        delivered.map_err(|_| Trouble::Slow)??;
        tokio::time::sleep(RESET).await;
        match stream.take_error()? {
            None => Ok(items.len()),
            Some(_) => Err(Trouble::Unconfirmed),
        }
    }
}

/// Writes everything, closes, and waits until the other side does.
async fn deliver(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    frames: &[u8],
    accept_bare_close: bool,
) -> Result<(), Trouble> {
    stream.write_all(frames).await?;
    stream.shutdown().await?;
    let mut nothing = [0; 256];
    // What a receiver may have to say is not for us.
    loop {
        match stream.read(&mut nothing).await {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return match accept_bare_close {
                    true => Ok(()),
                    false => Err(Trouble::Unconfirmed),
                };
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// A host as RFC 5424 has it: printable ASCII, or a dash.
fn shown(host: &str) -> String {
    let is_host = (1..=255).contains(&host.len()) && host.bytes().all(|b| b.is_ascii_graphic());
    if is_host { host } else { "-" }.to_owned()
}
