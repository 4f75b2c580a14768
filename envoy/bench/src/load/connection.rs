//! One connection of a client: a request goes out, its answer is read whole.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::clock;

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
    #[error("an answer is not HTTP/1.1 with a length or in chunks: `{0}`")]
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

    /// Sends a request and reads its answer, which must have status 200 and a body. Returns when
    /// the body's first byte was there.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<Instant, LoadError> {
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
        let facts = self.buffer.get(..head).and_then(status_and_framing);
        let Some((status, framing)) = facts else {
            return Err(self.unreadable());
        };
        while self.buffer.len() == head && framing != Framing::Length(0) {
            self.read_more()?;
        }
        let first_byte = clock::now();
        match framing {
            Framing::Length(length) => {
                while self.buffer.len() < head + length {
                    self.read_more()?;
                }
            }
            Framing::Chunks => self.read_chunks(head)?,
        }
        if status == 200 {
            return Ok(first_byte);
        }
        let body = self.buffer.get(head..).unwrap_or_default();
        Err(LoadError::Status {
            status,
            body: shown(body),
        })
    }

    /// Reads to the chunk of size 0 (RFC 9112, section 7.1); nobody sends trailers here.
    fn read_chunks(&mut self, mut at: usize) -> Result<(), LoadError> {
        loop {
            let rest = self.buffer.get(at..).unwrap_or_default();
            let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else {
                self.read_more()?;
                continue;
            };
            let size = rest
                .get(..line)
                .and_then(|digits| std::str::from_utf8(digits).ok())
                .and_then(|digits| usize::from_str_radix(digits, 16).ok());
            let Some(size) = size else {
                return Err(self.unreadable());
            };
            at += line + 2 + size + 2;
            while self.buffer.len() < at {
                self.read_more()?;
            }
            if size == 0 {
                return Ok(());
            }
        }
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

/// How an answer's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunks,
}

fn status_and_framing(head: &[u8]) -> Option<(u16, Framing)> {
    let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?;
    let framing = lines
        .filter_map(|line| line.split_once(':'))
        .find_map(|(name, value)| {
            if name.eq_ignore_ascii_case("content-length") {
                value.trim().parse().ok().map(Framing::Length)
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                (value.trim() == "chunked").then_some(Framing::Chunks)
            } else {
                None
            }
        })?;
    Some((status.parse().ok()?, framing))
}
