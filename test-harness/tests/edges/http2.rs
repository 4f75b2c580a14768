//! HTTP/2, frame by frame: no library sends what no client should.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::case::{Outcome, TAG};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PATIENCE: Duration = Duration::from_secs(1);

/// One stream: header blocks and data as they are to be sent.
#[derive(Clone)]
pub(crate) struct Stream {
    pub(crate) headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Pieces of the body, each a frame.
    pub(crate) data: Vec<Vec<u8>>,
    pub(crate) trailers: Option<Vec<(Vec<u8>, Vec<u8>)>>,
}

impl Stream {
    /// `POST` of JSON with a key.
    pub(crate) fn post(path: &str, key: &str, body: &[u8]) -> Self {
        let stream = Self {
            headers: Vec::new(),
            data: vec![body.to_vec()],
            trailers: None,
        };
        stream
            .with(":method", "POST")
            .with(":scheme", "http")
            .with(":authority", "gateway.test")
            .with(":path", path)
            .with("api-key", key)
            .with("content-type", "application/json")
    }

    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        self.with_bytes(name.as_bytes(), value.as_bytes())
    }

    pub(crate) fn with_bytes(mut self, name: &[u8], value: &[u8]) -> Self {
        self.headers.push((name.to_vec(), value.to_vec()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(given, _)| given != name.as_bytes());
        self
    }

    /// Replaces a header where it stands: pseudo-headers come first.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        for (given, old) in &mut self.headers {
            if given == name.as_bytes() {
                *old = value.as_bytes().to_vec();
            }
        }
        self
    }

    pub(crate) fn trailer(mut self, name: &str, value: &str) -> Self {
        let trailers = self.trailers.get_or_insert_default();
        trailers.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        self
    }

    /// The frames, with a field more by which the call is known again.
    fn frames(&self, tag: &str) -> Vec<u8> {
        let tagged = self.clone().with(TAG, tag);
        let mut bytes = PREFACE.to_vec();
        frame(&mut bytes, SETTINGS, 0, 0, &[]);
        let ends = self.data.is_empty() && self.trailers.is_none();
        let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
        frame(&mut bytes, HEADERS, flags, 1, &block(&tagged.headers));
        for (at, piece) in self.data.iter().enumerate() {
            let ends = at + 1 == self.data.len() && self.trailers.is_none();
            frame(&mut bytes, DATA, u8::from(ends), 1, piece);
        }
        if let Some(trailers) = &self.trailers {
            let flags = END_HEADERS | END_STREAM;
            frame(&mut bytes, HEADERS, flags, 1, &block(trailers));
        }
        bytes
    }
}

fn frame(to: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    to.extend_from_slice(&length[1..]);
    to.extend_from_slice(&[kind, flags]);
    to.extend_from_slice(&stream.to_be_bytes());
    to.extend_from_slice(payload);
}

/// A header block of literals that nobody is to index (RFC 7541, section 6.2.2).
fn block(headers: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(0);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend_from_slice(text);
        }
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541, section 5.1).
fn length(to: &mut Vec<u8>, length: usize) {
    if length < 127 {
        to.push(u8::try_from(length).unwrap());
        return;
    }
    to.push(127);
    let mut rest = length - 127;
    while rest >= 128 {
        to.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    to.push(u8::try_from(rest).unwrap());
}

/// Sends a stream on a connection of its own and reads until it has ended.
pub(crate) fn send(to: SocketAddr, stream: &Stream, tag: &str) -> io::Result<Outcome> {
    let mut connection = TcpStream::connect(to)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    let _ = connection.write_all(&stream.frames(tag));
    let mut decoder = loona_hpack::Decoder::new();
    let mut outcome = Outcome::default();
    loop {
        let mut head = [0; 9];
        if connection.read_exact(&mut head).is_err() {
            return Ok(outcome);
        }
        let size = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(size).unwrap()];
        connection.read_exact(&mut payload)?;
        let (kind, flags) = (head[3], head[4]);
        let of_stream = head[5..] == [0, 0, 0, 1];
        match kind {
            SETTINGS if flags & 1 == 0 => {
                let mut ack = Vec::new();
                frame(&mut ack, SETTINGS, 1, 0, &[]);
                let _ = connection.write_all(&ack);
            }
            HEADERS => {
                let headers = decoder.decode(&payload).unwrap_or_default();
                for (name, value) in headers {
                    let name = String::from_utf8_lossy(&name).into_owned();
                    let value = value.to_vec();
                    if name == ":status" {
                        let status = String::from_utf8_lossy(&value).parse().ok();
                        outcome.status = status;
                        outcome.answers += 1;
                    }
                    outcome.headers.push((name, value));
                }
            }
            DATA => outcome.body.extend_from_slice(&payload),
            RST_STREAM if of_stream => return Ok(outcome),
            GOAWAY => return Ok(outcome),
            _ => {}
        }
        if of_stream && matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
            return Ok(outcome);
        }
    }
}
