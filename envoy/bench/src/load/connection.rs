//! One connection of a client: a request goes out, its answer is read whole.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer that takes longer is an error.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of an answer's headers.
const MOST_HEADERS: usize = 16 * 1024;
/// How much of an unexpected answer is shown.
const SHOWN: usize = 300;

/// Why the load cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("no connection to `{to}`: {source}")]
    Connect {
        to: SocketAddr,
        source: std::io::Error,
    },
    #[error("a connection broke off: {0}")]
    Broken(#[from] std::io::Error),
    #[error("the gateway closed a connection instead of answering")]
    Closed,
    #[error("an answer is not HTTP/1.1 with a `content-length`: `{0}`")]
    Unreadable(String),
    #[error("an answer has status {status} instead of 200: `{body}`")]
    Status { status: u16, body: String },
    #[error("a thread of the load ended too early")]
    Thread,
}

/// A kept connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(to: SocketAddr) -> Result<Self, LoadError> {
        let connect = || {
            let stream = TcpStream::connect(to)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        let stream = connect().map_err(|source| LoadError::Connect { to, source })?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(MOST_HEADERS),
        })
    }

    /// Sends a request and reads its answer, which must have status 200.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<(), LoadError> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        let head = loop {
            self.read_more()?;
            if let Some(end) = end_of_headers(&self.buffer) {
                break end;
            }
            if self.buffer.len() > MOST_HEADERS {
                return Err(self.unreadable());
            }
        };
        let facts = self.buffer.get(..head).and_then(status_and_length);
        let Some((status, length)) = facts else {
            return Err(self.unreadable());
        };
        while self.buffer.len() < head + length {
            self.read_more()?;
        }
        if status == 200 {
            return Ok(());
        }
        let body = self.buffer.get(head..).unwrap_or_default();
        Err(LoadError::Status {
            status,
            body: shown(body),
        })
    }

    fn read_more(&mut self) -> Result<(), LoadError> {
        let mut piece = [0u8; 8192];
        let count = self.stream.read(&mut piece)?;
        if count == 0 {
            return Err(LoadError::Closed);
        }
        self.buffer
            .extend_from_slice(piece.get(..count).unwrap_or_default());
        Ok(())
    }

    fn unreadable(&self) -> LoadError {
        LoadError::Unreadable(shown(&self.buffer))
    }
}

fn shown(bytes: &[u8]) -> String {
    let clipped = bytes.get(..SHOWN.min(bytes.len())).unwrap_or_default();
    String::from_utf8_lossy(clipped).into_owned()
}

fn end_of_headers(bytes: &[u8]) -> Option<usize> {
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(at + 4)
}

fn status_and_length(head: &[u8]) -> Option<(u16, usize)> {
    let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    Some((status.parse().ok()?, length.1.trim().parse().ok()?))
}
