//! Answers that the proxy makes itself, and what leaves the chain.

use super::super::stream::{Direction, LocalReply, StreamId, UpstreamRequest};
use super::super::{Headers, Host, HttpVersion};
use super::{Frame, From};

impl Host {
    /// Answers a stream, if it can still be answered: through the filters if there is no response
    /// yet, past them if there is one that has not begun, and by cutting the stream otherwise.
    pub(crate) fn local_reply(&mut self, stream: StreamId, reply: LocalReply) {
        let Some(state) = self.world.streams.get_mut(&stream).filter(|s| !s.ended) else {
            return;
        };
        let in_request = state.request.in_callback;
        if in_request {
            state.request.aborted = true;
        } else if state.response.in_callback {
            state.response.aborted = true;
        }
        state.outcome.details = Some(reply.details.clone());
        if state.response_headers.is_none() {
            if in_request {
                state.prepared_reply = Some(reply);
            } else {
                self.reply_through_chain(stream, &reply);
            }
        } else if state.outcome.status.is_none() {
            state.response.aborted = true;
            state.response_headers = Some(reply_headers(&reply));
            let end = reply.body.is_empty();
            self.headers_left_chain(stream, Direction::Response, end);
            if !end {
                self.data_left_chain(stream, Direction::Response, Frame::Own(reply.body), true);
            }
        } else {
            self.reset(stream);
        }
    }

    /// Sends a reply that waited for the end of the callback in which it was asked for.
    pub(super) fn send_prepared_reply(&mut self, stream: StreamId) {
        let state = self.world.streams.get_mut(&stream);
        if let Some(reply) = state.and_then(|state| state.prepared_reply.take()) {
            self.reply_through_chain(stream, &reply);
        }
    }

    fn reply_through_chain(&mut self, stream: StreamId, reply: &LocalReply) {
        let Some(state) = self.world.streams.get_mut(&stream) else {
            return;
        };
        state.response_headers = Some(reply_headers(reply));
        let head = state.request_headers.get(":method") == Some(b"HEAD");
        let end = reply.body.is_empty() || head;
        state.response.observed_end = end;
        self.pass_headers(stream, Direction::Response, From::Start, end);
        if !end {
            if let Some(half) = self.half(stream, Direction::Response) {
                half.observed_end = true;
                half.bytes_seen += reply.body.len() as u64;
            }
            let frame = Frame::Own(reply.body.clone());
            self.pass_data(stream, Direction::Response, From::Start, frame, true);
        }
    }

    /// What is kept for a filter is more than the proxy keeps.
    pub(super) fn too_large(&mut self, stream: StreamId, direction: Direction) {
        let (status, body, details) = match direction {
            Direction::Request => (413, "Payload Too Large", "request_payload_too_large"),
            Direction::Response => (500, "Internal Server Error", "response_payload_too_large"),
        };
        let reply = LocalReply {
            status,
            body: body.as_bytes().to_vec(),
            details: details.to_owned(),
            headers: Vec::new(),
        };
        self.local_reply(stream, reply);
    }

    /// Headers passed all filters: to the router, or to the client.
    pub(super) fn headers_left_chain(&mut self, stream: StreamId, direction: Direction, end: bool) {
        let Some(state) = self.world.streams.get_mut(&stream) else {
            return;
        };
        match direction {
            Direction::Request => {
                state.upstream = Some(UpstreamRequest {
                    headers: state.request_headers.clone(),
                    complete: end,
                    ..UpstreamRequest::default()
                });
            }
            Direction::Response => {
                let mut headers = state.response_headers.clone().unwrap_or_default();
                let status = headers
                    .text(":status")
                    .and_then(|status| status.parse().ok());
                headers.remove(":status");
                if state.version == HttpVersion::Http1 && !state.request.observed_end {
                    // The rest of the request would be read as the next one.
                    headers.set("connection", "close");
                }
                state.outcome.status = status;
                state.outcome.headers = headers;
                if end {
                    self.complete(stream);
                }
            }
        }
    }

    pub(super) fn data_left_chain(
        &mut self,
        stream: StreamId,
        direction: Direction,
        frame: Frame,
        end: bool,
    ) {
        let Some(state) = self.world.streams.get_mut(&stream) else {
            return;
        };
        let bytes = match frame {
            Frame::Own(bytes) => bytes,
            Frame::Buffer => {
                // What was kept left; that something was kept stays known, as in Envoy.
                let buffer = state.half_mut(direction).buffer.as_mut();
                buffer.map(std::mem::take).unwrap_or_default()
            }
        };
        match direction {
            Direction::Request => {
                if let Some(upstream) = &mut state.upstream {
                    if !bytes.is_empty() {
                        upstream.chunks.push(bytes);
                    }
                    upstream.complete |= end;
                }
            }
            Direction::Response => {
                if !bytes.is_empty() {
                    state.outcome.chunks.push(bytes);
                }
                if end {
                    self.complete(stream);
                }
            }
        }
    }

    pub(super) fn trailers_left_chain(&mut self, stream: StreamId, direction: Direction) {
        let Some(state) = self.world.streams.get_mut(&stream) else {
            return;
        };
        match direction {
            Direction::Request => {
                if let Some(upstream) = &mut state.upstream {
                    upstream.trailers = state.request_trailers.clone();
                    upstream.complete = true;
                }
            }
            Direction::Response => {
                state.outcome.trailers = state.response_trailers.clone();
                self.complete(stream);
            }
        }
    }
}

fn reply_headers(reply: &LocalReply) -> Headers {
    let mut headers = Headers::from([(":status", reply.status.to_string())]);
    for (name, value) in &reply.headers {
        headers.add(name, value);
    }
    if reply.body.is_empty() {
        headers.remove("content-type");
        headers.set("content-length", "0");
    } else {
        headers.set("content-length", reply.body.len().to_string());
        if headers.get("content-type").is_none() {
            headers.set("content-type", "text/plain");
        }
    }
    headers
}
