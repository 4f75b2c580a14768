//! One request and its response, as the proxy holds them.

use std::collections::{BTreeMap, VecDeque};

use super::{Headers, UnixNanos, WorkerId};

/// Names a request for as long as the host lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub(crate) u64);

/// How a peer frames messages. HTTP/1 ends a body with an extra, empty callback and drops request
/// trailers; HTTP/2 ends it with the last data or with trailers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpVersion {
    #[default]
    Http1,
    Http2,
}

/// What a client sends first.
#[derive(Debug, Clone, Default)]
pub struct RequestHead {
    pub headers: Headers,
    /// True if no body follows.
    pub end_of_stream: bool,
    pub version: HttpVersion,
    /// What `get_property` answers beside what the host knows, by path with dots
    /// (`source.address`, `xds.route_name`). They win over the host's own.
    pub properties: BTreeMap<String, Vec<u8>>,
}

impl RequestHead {
    /// A request without a body.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self {
            end_of_stream: true,
            ..Self::new("GET", path)
        }
    }

    /// A request whose body follows.
    #[must_use]
    pub fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    fn new(method: &str, path: &str) -> Self {
        let headers = Headers::from([
            (":method", method),
            (":scheme", "http"),
            (":authority", "gateway.test"),
            (":path", path),
        ]);
        Self {
            headers,
            ..Self::default()
        }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.add(name, value);
        self
    }

    #[must_use]
    pub fn version(mut self, version: HttpVersion) -> Self {
        self.version = version;
        self
    }

    #[must_use]
    pub fn property(mut self, path: &str, value: impl AsRef<[u8]>) -> Self {
        self.properties
            .insert(path.to_owned(), value.as_ref().to_vec());
        self
    }
}

/// A request as it left the filter chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamRequest {
    /// The headers by which the router chose; what filters write later does not count.
    pub headers: Headers,
    /// The body in the pieces in which it left the chain.
    pub chunks: Vec<Vec<u8>>,
    pub trailers: Option<Headers>,
    /// True when the whole request has left the chain.
    pub complete: bool,
}

impl UpstreamRequest {
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        self.chunks.concat()
    }
}

/// Why a stream was cut, as Envoy's `response.flags` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResponseFlags(pub u64);

impl ResponseFlags {
    pub const UPSTREAM_CONNECTION_TERMINATION: Self = Self(0x40);
    pub const DOWNSTREAM_CONNECTION_TERMINATION: Self = Self(0x4000);
    pub const STREAM_IDLE_TIMEOUT: Self = Self(0x1_0000);
    pub const UPSTREAM_PROTOCOL_ERROR: Self = Self(0x80_0000);
}

/// What the client got.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// None until response headers reached the client.
    pub status: Option<u16>,
    pub headers: Headers,
    /// The body in the pieces in which it reached the client.
    pub chunks: Vec<Vec<u8>>,
    pub trailers: Option<Headers>,
    /// True when the response ended as it should.
    pub completed: bool,
    /// True when the stream was cut instead, by either side.
    pub reset: bool,
    /// `response.code_details`.
    pub details: Option<String>,
    pub flags: ResponseFlags,
}

impl Outcome {
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    /// True when nothing more will happen to the stream.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.completed || self.reset
    }
}

/// Where a stream waits for a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    pub plugin: String,
    /// True if it is the response that waits.
    pub response: bool,
    /// True if the filter's VM is dead, so that nobody will ever resume the stream.
    pub orphaned: bool,
}

/// Which half of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Request,
    Response,
}

/// What a filter last said about going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Iteration {
    #[default]
    Continue,
    /// Stopped, but the filter still gets data.
    StopSingle,
    /// Stopped, and nothing reaches the filter; data is kept, over the limit it is refused.
    StopAllBuffer,
    /// As above, but over the limit the sender is slowed down.
    StopAllWatermark,
}

/// A filter's place in one direction.
#[derive(Debug, Default)]
pub(crate) struct Side {
    pub(crate) iteration: Iteration,
    pub(crate) headers_continued: bool,
    pub(crate) iterate_from_current: bool,
    pub(crate) end_of_stream: bool,
    /// The filter may read and write the headers.
    pub(crate) headers_held: bool,
    pub(crate) trailers_held: bool,
    pub(crate) body: BodyView,
    /// The filter's last answer kept the body.
    pub(crate) buffering: bool,
}

impl Side {
    pub(crate) const fn stopped_all(&self) -> bool {
        matches!(
            self.iteration,
            Iteration::StopAllBuffer | Iteration::StopAllWatermark
        )
    }
}

/// What a filter sees as the body.
#[derive(Debug, Default)]
pub(crate) enum BodyView {
    #[default]
    None,
    /// The piece that is passing by.
    Frame(Vec<u8>),
    /// All that the stream keeps.
    Buffer,
}

/// One filter of a stream.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) plugin: usize,
    /// The VM and the context in it; none if the VM was dead when the stream began.
    pub(crate) place: Option<(usize, u32)>,
    pub(crate) root: u32,
    pub(crate) created: bool,
    pub(crate) failed_reply_sent: bool,
    pub(crate) logging: bool,
    pub(crate) request: Side,
    pub(crate) response: Side,
}

/// One direction of the stream itself.
#[derive(Debug, Default)]
pub(crate) struct Half {
    /// All of it came from the peer.
    pub(crate) observed_end: bool,
    pub(crate) aborted: bool,
    /// A callback of this direction is running.
    pub(crate) in_callback: bool,
    pub(crate) buffer: Option<Vec<u8>>,
    /// Over the limit the sender is slowed down rather than refused.
    pub(crate) streaming: bool,
    pub(crate) bytes_seen: u64,
}

/// An answer that the proxy makes itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct LocalReply {
    pub(crate) status: u32,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) details: String,
}

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) worker: WorkerId,
    pub(crate) version: HttpVersion,
    pub(crate) started: UnixNanos,
    pub(crate) last_activity: UnixNanos,
    pub(crate) properties: BTreeMap<String, Vec<u8>>,
    pub(crate) filter_state: BTreeMap<String, Vec<u8>>,
    pub(crate) request_headers: Headers,
    pub(crate) request_trailers: Option<Headers>,
    pub(crate) response_headers: Option<Headers>,
    pub(crate) response_trailers: Option<Headers>,
    pub(crate) request: Half,
    pub(crate) response: Half,
    pub(crate) filters: Vec<Filter>,
    pub(crate) prepared_reply: Option<LocalReply>,
    pub(crate) route_cache_clears: u32,
    pub(crate) upstream: Option<UpstreamRequest>,
    pub(crate) outcome: Outcome,
    pub(crate) ended: bool,
}

impl Stream {
    pub(crate) fn new(worker: WorkerId, head: RequestHead, now: UnixNanos) -> Self {
        Self {
            worker,
            version: head.version,
            started: now,
            last_activity: now,
            properties: head.properties,
            filter_state: BTreeMap::new(),
            request_headers: head.headers,
            request_trailers: None,
            response_headers: None,
            response_trailers: None,
            request: Half {
                observed_end: head.end_of_stream,
                ..Half::default()
            },
            response: Half::default(),
            filters: Vec::new(),
            prepared_reply: None,
            route_cache_clears: 0,
            upstream: None,
            outcome: Outcome::default(),
            ended: false,
        }
    }

    pub(crate) fn half(&self, direction: Direction) -> &Half {
        match direction {
            Direction::Request => &self.request,
            Direction::Response => &self.response,
        }
    }

    pub(crate) fn half_mut(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }

    pub(crate) fn trailers(&self, direction: Direction) -> Option<&Headers> {
        match direction {
            Direction::Request => self.request_trailers.as_ref(),
            Direction::Response => self.response_trailers.as_ref(),
        }
    }

    pub(crate) fn side(&mut self, filter: usize, direction: Direction) -> Option<&mut Side> {
        let filter = self.filters.get_mut(filter)?;
        Some(match direction {
            Direction::Request => &mut filter.request,
            Direction::Response => &mut filter.response,
        })
    }

    /// True when the request has no more to say: it was answered.
    pub(crate) const fn request_stopped(&self) -> bool {
        self.ended || self.request.aborted || self.response.observed_end
    }

    /// The filters from `first` on, in the order in which a direction passes them.
    pub(crate) fn order(&self, direction: Direction, first: Option<usize>) -> VecDeque<usize> {
        let count = self.filters.len();
        match direction {
            Direction::Request => (first.unwrap_or(0)..count).collect(),
            Direction::Response => {
                let last = first.map_or(count, |first| first.saturating_add(1).min(count));
                (0..last).rev().collect()
            }
        }
    }
}
