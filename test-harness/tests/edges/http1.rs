//! HTTP/1.1, byte by byte.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::case::{Outcome, TAG, header};

/// An answer takes no longer than this.
const PATIENCE: Duration = Duration::from_secs(1);
/// A second answer would come within this time.
const LINGERING: Duration = Duration::from_millis(20);

/// A request that is well-formed until it is bent.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) line: Vec<u8>,
    pub(crate) headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    /// What ends a line.
    pub(crate) line_end: &'static [u8],
}

impl Message {
    /// `POST` of JSON with a key. The connection ends with the answer.
    pub(crate) fn post(path: &str, key: &str, body: &[u8]) -> Self {
        let message = Self {
            line: format!("POST {path} HTTP/1.1").into_bytes(),
            headers: Vec::new(),
            body: body.to_vec(),
            line_end: b"\r\n",
        };
        message
            .with("Host", "gateway.test")
            .with("Connection", "close")
            .with("Api-Key", key)
            .with("Content-Type", "application/json")
            .with("Content-Length", &body.len().to_string())
    }

    pub(crate) fn line(mut self, line: &str) -> Self {
        self.line = line.as_bytes().to_vec();
        self
    }

    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        self.with_bytes(name, value.as_bytes())
    }

    pub(crate) fn with_bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.headers
            .push((name.as_bytes().to_vec(), value.to_vec()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(given, _)| !given.eq_ignore_ascii_case(name.as_bytes()));
        self
    }

    pub(crate) fn set(self, name: &str, value: &str) -> Self {
        self.without(name).with(name, value)
    }

    /// The bytes, with a field more by which the call is known again.
    fn bytes(&self, tag: &str) -> Vec<u8> {
        let tag = (TAG.as_bytes().to_vec(), tag.as_bytes().to_vec());
        let mut bytes = self.line.clone();
        for (name, value) in [&tag].into_iter().chain(&self.headers) {
            bytes.extend_from_slice(self.line_end);
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
        }
        bytes.extend_from_slice(self.line_end);
        bytes.extend_from_slice(self.line_end);
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// Sends bytes on a connection of their own and reads what comes back.
pub(crate) fn send(to: SocketAddr, message: &Message, tag: &str) -> io::Result<Outcome> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // Who refuses headers does not read the rest.
    let _ = stream.write_all(&message.bytes(tag));
    let mut got = Vec::new();
    let mut piece = [0; 16 * 1024];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => got.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
        match Answer::parse(&got) {
            // Envoy keeps what it has refused open for a second.
            Some(answer) if answer.is_whole() && answer.closes() => break,
            Some(answer) if answer.is_whole() => stream.set_read_timeout(Some(LINGERING))?,
            _ => {}
        }
    }
    Ok(Answer::parse(&got).map_or_else(Outcome::default, |answer| {
        let answers = got.windows(9).filter(|window| window == b"HTTP/1.1 ");
        Outcome {
            status: answer.status,
            answers: answers.count(),
            body: answer.rest.to_vec(),
            headers: answer.headers,
        }
    }))
}

/// An answer as far as it came.
struct Answer<'b> {
    status: Option<u16>,
    headers: Vec<(String, Vec<u8>)>,
    /// Everything behind its head.
    rest: &'b [u8],
}

impl<'b> Answer<'b> {
    /// The first final answer; interim ones (1xx) are passed over.
    fn parse(bytes: &'b [u8]) -> Option<Self> {
        let mut bytes = bytes;
        loop {
            let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
            let (head, rest) = (&bytes[..end], &bytes[end + 4..]);
            if head.starts_with(b"HTTP/1.1 1") {
                bytes = rest;
                continue;
            }
            let head = String::from_utf8_lossy(head).into_owned();
            let mut lines = head.split("\r\n");
            let status = lines.next().and_then(|line| line.split(' ').nth(1));
            let fields = lines.filter_map(|line| line.split_once(':'));
            return Some(Self {
                status: status.and_then(|status| status.parse().ok()),
                headers: fields
                    .map(|(name, value)| (name.to_lowercase(), value.trim().as_bytes().to_vec()))
                    .collect(),
                rest,
            });
        }
    }

    fn is_whole(&self) -> bool {
        match header(&self.headers, "content-length") {
            Some(length) => length
                .parse()
                .is_ok_and(|length: usize| self.rest.len() >= length),
            None => self.rest.ends_with(b"0\r\n\r\n"),
        }
    }

    fn closes(&self) -> bool {
        header(&self.headers, "connection").is_some_and(|value| value == "close")
    }
}
