//! What tests do to a proxy as client and upstream.

use super::chain::{Frame, From};
use super::plugin::FailPolicy;
use super::stream::{Direction, Filter, LocalReply, Side, Stream};
use super::vm::ContextKind;
use super::{Headers, Host, HttpVersion, RequestHead, ResponseFlags, StreamId, WorkerId};

impl Host {
    /// A request's headers arrive at a worker. A worker that the host does not have serves a
    /// chain without filters.
    pub fn request(&mut self, worker: WorkerId, head: RequestHead) -> StreamId {
        let id = StreamId(self.world.next_stream);
        self.world.next_stream += 1;
        let end = head.end_of_stream;
        let stream = Stream::new(worker, head, self.world.now);
        self.world.streams.insert(id, stream);
        for plugin in self.chain.clone() {
            if let Some(filter) = self.new_filter(id, plugin, worker)
                && let Some(stream) = self.world.streams.get_mut(&id)
            {
                stream.filters.push(filter);
            }
        }
        self.pass_headers(id, Direction::Request, From::Start, end);
        self.pump();
        id
    }

    /// A plugin's part of a new stream; none if it is dead and open.
    fn new_filter(&mut self, stream: StreamId, plugin: usize, worker: WorkerId) -> Option<Filter> {
        let handle = self.handle_for_stream(plugin, worker)?;
        let dead = self.vm_failed(handle.vm);
        if dead && self.plugins.get(plugin)?.fail_policy == FailPolicy::FailOpen {
            return None;
        }
        let place = self.world.streams.get(&stream)?.filters.len();
        let context = if dead {
            None
        } else {
            let kind = ContextKind::Stream {
                stream,
                filter: place,
                root: handle.root,
            };
            Some((
                handle.vm,
                self.vms
                    .get_mut(handle.vm)?
                    .store
                    .data_mut()
                    .new_context(kind),
            ))
        };
        Some(Filter {
            plugin,
            place: context,
            root: handle.root,
            created: false,
            failed_reply_sent: false,
            logging: false,
            request: Side::default(),
            response: Side::default(),
        })
    }

    /// A piece of a request's body arrives. On HTTP/1 the end is a frame of its own.
    pub fn request_body(&mut self, stream: StreamId, bytes: impl AsRef<[u8]>, end: bool) {
        let http1 = self.stream_version(stream) == Some(HttpVersion::Http1);
        self.arrive(stream, Direction::Request, bytes.as_ref(), end, http1);
    }

    /// An upgrade's body begins, of which nothing has come: Envoy tells the filters so at once,
    /// whatever they have said about the headers.
    pub fn upgrade_begins(&mut self, stream: StreamId) {
        self.arrive_frame(stream, Direction::Request, &[], false);
        self.pump();
    }

    /// A request's trailers arrive. HTTP/1 drops them: only the end of the body is left.
    pub fn request_trailers(&mut self, stream: StreamId, trailers: Headers) {
        if self.stream_version(stream) == Some(HttpVersion::Http1) {
            self.arrive(stream, Direction::Request, &[], true, true);
        } else {
            self.arrive_trailers(stream, Direction::Request, trailers);
        }
    }

    /// The upstream's headers arrive; `:status` is one of them.
    pub fn response_headers(&mut self, stream: StreamId, headers: Headers, end: bool) {
        let Some(state) = self.world.streams.get_mut(&stream) else {
            return;
        };
        // Nothing comes from an upstream that was not asked, or to a request that was answered.
        if state.ended || state.upstream.is_none() || state.response_headers.is_some() {
            return;
        }
        state.response_headers = Some(headers);
        state.response.observed_end = end;
        state
            .outcome
            .details
            .get_or_insert_with(|| "via_upstream".to_owned());
        self.touch(stream);
        self.pass_headers(stream, Direction::Response, From::Start, end);
        self.pump();
    }

    /// A piece of the upstream's body arrives as HTTP/1 frames it: the end is a frame of its own.
    pub fn response_body(&mut self, stream: StreamId, bytes: impl AsRef<[u8]>, end: bool) {
        self.arrive(stream, Direction::Response, bytes.as_ref(), end, true);
    }

    /// A piece of the upstream's body arrives as HTTP/2 frames it: the last piece is the end.
    pub fn response_data_frame(&mut self, stream: StreamId, bytes: impl AsRef<[u8]>, end: bool) {
        self.arrive(stream, Direction::Response, bytes.as_ref(), end, false);
    }

    /// The upstream's trailers arrive.
    pub fn response_trailers(&mut self, stream: StreamId, trailers: Headers) {
        self.arrive_trailers(stream, Direction::Response, trailers);
    }

    fn arrive(
        &mut self,
        stream: StreamId,
        direction: Direction,
        bytes: &[u8],
        end: bool,
        extra_end: bool,
    ) {
        if !bytes.is_empty() || (end && !extra_end) {
            self.arrive_frame(stream, direction, bytes, end && !extra_end);
        }
        if end && extra_end {
            self.arrive_frame(stream, direction, &[], true);
        }
        self.pump();
    }

    fn arrive_frame(&mut self, stream: StreamId, direction: Direction, bytes: &[u8], end: bool) {
        self.touch(stream);
        let Some(half) = self.open_half(stream, direction) else {
            return;
        };
        half.observed_end = end;
        half.bytes_seen += bytes.len() as u64;
        self.pass_data(
            stream,
            direction,
            From::Start,
            Frame::Own(bytes.to_vec()),
            end,
        );
    }

    fn arrive_trailers(&mut self, stream: StreamId, direction: Direction, trailers: Headers) {
        self.touch(stream);
        let Some(half) = self.open_half(stream, direction) else {
            return;
        };
        half.observed_end = true;
        let Some(state) = self.world.streams.get_mut(&stream) else {
            return;
        };
        match direction {
            Direction::Request => state.request_trailers = Some(trailers),
            Direction::Response => state.response_trailers = Some(trailers),
        }
        self.pass_trailers(stream, direction, From::Start);
        self.pump();
    }

    /// A direction into which more can come.
    fn open_half(
        &mut self,
        stream: StreamId,
        direction: Direction,
    ) -> Option<&mut super::stream::Half> {
        let state = self.world.streams.get_mut(&stream)?;
        let open = match direction {
            Direction::Request => !state.request_stopped() && !state.request.observed_end,
            Direction::Response => {
                !state.ended
                    && state.upstream.is_some()
                    && state.response_headers.is_some()
                    && !state.response.aborted
                    && !state.response.observed_end
            }
        };
        open.then(|| state.half_mut(direction))
    }

    /// The client goes away.
    pub fn abort_client(&mut self, stream: StreamId) {
        let Some(state) = self.world.streams.get_mut(&stream).filter(|s| !s.ended) else {
            return;
        };
        state.outcome.details = Some("downstream_remote_disconnect".to_owned());
        state.outcome.flags = ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION;
        self.reset(stream);
        self.pump();
    }

    /// The upstream goes away: 503 before it answered, a cut after.
    pub fn reset_upstream(&mut self, stream: StreamId) {
        let Some(state) = self.world.streams.get_mut(&stream) else {
            return;
        };
        if state.ended || state.upstream.is_none() {
            return;
        }
        if state.response_headers.is_some() {
            state.outcome.details =
                Some("upstream_reset_after_response_started{protocol_error}".to_owned());
            state.outcome.flags = ResponseFlags::UPSTREAM_PROTOCOL_ERROR;
            self.reset(stream);
        } else {
            state.outcome.flags = ResponseFlags::UPSTREAM_CONNECTION_TERMINATION;
            let body = "upstream connect error or disconnect/reset before headers. \
                        reset reason: connection termination";
            let reply = LocalReply {
                status: 503,
                body: body.as_bytes().to_vec(),
                details: "upstream_reset_before_response_started{connection_termination}"
                    .to_owned(),
                headers: Vec::new(),
            };
            self.local_reply(stream, reply);
        }
        self.pump();
    }

    pub(crate) fn touch(&mut self, stream: StreamId) {
        let now = self.world.now;
        if let Some(state) = self.world.streams.get_mut(&stream) {
            state.last_activity = now;
        }
    }

    fn stream_version(&self, stream: StreamId) -> Option<HttpVersion> {
        self.world.streams.get(&stream).map(|state| state.version)
    }
}
