//! How a request and its response pass the filters: a port of the rules of Envoy's filter
//! manager, both directions in one.

mod callback;
mod end;
mod reply;
mod vm_call;

use super::Host;
use super::stream::{BodyView, Direction, Half, Iteration, Side, StreamId};

/// From where on frames pass the filters.
#[derive(Debug, Clone, Copy)]
pub(crate) enum From {
    Start,
    /// From the one after this, or from this one if it is being replayed to.
    After(usize),
}

/// A piece of a body on its way.
#[derive(Debug)]
pub(crate) enum Frame {
    Own(Vec<u8>),
    /// What the stream kept, with whatever filters made of it.
    Buffer,
}

/// What a filter said to headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadersStatus {
    Continue,
    Stop(Iteration),
}

/// What a filter said to a piece of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DataStatus {
    Continue,
    StopAndBuffer,
    StopAndWatermark,
    StopNoBuffer,
}

impl Host {
    pub(crate) fn half(&mut self, stream: StreamId, direction: Direction) -> Option<&mut Half> {
        Some(self.world.streams.get_mut(&stream)?.half_mut(direction))
    }

    pub(crate) fn side(
        &mut self,
        stream: StreamId,
        filter: usize,
        direction: Direction,
    ) -> Option<&mut Side> {
        self.world.streams.get_mut(&stream)?.side(filter, direction)
    }

    fn order(
        &mut self,
        stream: StreamId,
        direction: Direction,
        from: From,
        data: bool,
    ) -> Vec<usize> {
        let first = match from {
            From::Start => None,
            From::After(filter) => {
                let current = data
                    && self
                        .side(stream, filter, direction)
                        .is_some_and(|s| s.iterate_from_current);
                match (direction, current) {
                    (_, true) => Some(filter),
                    (Direction::Request, false) => Some(filter + 1),
                    (Direction::Response, false) => match filter.checked_sub(1) {
                        Some(next) => Some(next),
                        None => return Vec::new(),
                    },
                }
            }
        };
        let stream = self.world.streams.get(&stream);
        stream
            .map(|s| s.order(direction, first).into_iter().collect())
            .unwrap_or_default()
    }

    /// No more callbacks of a direction make sense.
    fn stopped(&self, stream: StreamId, direction: Direction) -> bool {
        self.world
            .streams
            .get(&stream)
            .is_none_or(|s| match direction {
                Direction::Request => s.request_stopped(),
                Direction::Response => s.ended || s.response.aborted,
            })
    }

    fn aborted(&self, stream: StreamId, direction: Direction) -> bool {
        self.world
            .streams
            .get(&stream)
            .is_none_or(|s| s.ended || s.half(direction).aborted)
    }

    pub(crate) fn pass_headers(
        &mut self,
        stream: StreamId,
        direction: Direction,
        from: From,
        end: bool,
    ) {
        for filter in self.order(stream, direction, from, false) {
            if let Some(side) = self.side(stream, filter, direction) {
                side.end_of_stream = end;
            }
            let status = self.on_headers(stream, filter, direction, end);
            if self.aborted(stream, direction) {
                self.send_prepared_reply(stream);
                return;
            }
            let Some(side) = self.side(stream, filter, direction) else {
                return;
            };
            match status {
                HeadersStatus::Continue => side.headers_continued = true,
                HeadersStatus::Stop(how) => {
                    side.iteration = how;
                    return;
                }
            }
        }
        self.headers_left_chain(stream, direction, end);
    }

    pub(crate) fn pass_data(
        &mut self,
        stream: StreamId,
        direction: Direction,
        from: From,
        mut frame: Frame,
        end: bool,
    ) {
        if self.stopped(stream, direction) {
            return;
        }
        for filter in self.order(stream, direction, from, true) {
            let trailers = self
                .world
                .streams
                .get(&stream)
                .is_some_and(|s| s.trailers(direction).is_some());
            let Some(side) = self.side(stream, filter, direction) else {
                return;
            };
            if side.stopped_all() {
                let streaming = side.iteration == Iteration::StopAllWatermark;
                self.keep(stream, direction, &mut frame, streaming);
                return;
            }
            if side.end_of_stream {
                return;
            }
            side.end_of_stream = end && !trailers;
            let end_here = side.end_of_stream;
            let status = self.on_data(stream, filter, direction, &mut frame, end_here);
            if self.aborted(stream, direction) {
                self.send_prepared_reply(stream);
                return;
            }
            if !self.after_data(stream, filter, direction, status, &mut frame) {
                return;
            }
        }
        self.data_left_chain(stream, direction, frame, end);
    }

    fn after_data(
        &mut self,
        stream: StreamId,
        filter: usize,
        direction: Direction,
        status: DataStatus,
        frame: &mut Frame,
    ) -> bool {
        let Some(side) = self.side(stream, filter, direction) else {
            return false;
        };
        match status {
            DataStatus::Continue if side.iteration == Iteration::StopSingle => {
                let streaming = self
                    .half(stream, direction)
                    .is_some_and(|half| half.streaming);
                self.keep(stream, direction, frame, streaming);
                self.resume(stream, filter, direction);
                false
            }
            DataStatus::Continue => true,
            DataStatus::StopAndBuffer | DataStatus::StopAndWatermark => {
                side.iteration = Iteration::StopSingle;
                self.keep(
                    stream,
                    direction,
                    frame,
                    status == DataStatus::StopAndWatermark,
                );
                false
            }
            DataStatus::StopNoBuffer => {
                side.iteration = Iteration::StopSingle;
                let Some(state) = self.world.streams.get_mut(&stream) else {
                    return false;
                };
                let trailers = state.trailers(direction).is_some();
                let half = state.half_mut(direction);
                if half.observed_end && !trailers && half.buffer.is_none() {
                    // So that resuming still ends the stream.
                    half.buffer = Some(Vec::new());
                }
                false
            }
        }
    }

    pub(crate) fn pass_trailers(&mut self, stream: StreamId, direction: Direction, from: From) {
        if self.stopped(stream, direction) {
            return;
        }
        for filter in self.order(stream, direction, from, true) {
            let Some(side) = self.side(stream, filter, direction) else {
                return;
            };
            if side.stopped_all() {
                return;
            }
            let go_on = self.on_trailers(stream, filter, direction);
            if self.aborted(stream, direction) {
                self.send_prepared_reply(stream);
                return;
            }
            let Some(side) = self.side(stream, filter, direction) else {
                return;
            };
            side.end_of_stream = true;
            match (go_on, side.iteration) {
                (true, Iteration::StopSingle) => {
                    self.resume(stream, filter, direction);
                    return;
                }
                (true, _) => {}
                (false, Iteration::Continue) => {
                    side.iteration = Iteration::StopSingle;
                    return;
                }
                (false, _) => return,
            }
        }
        self.trailers_left_chain(stream, direction);
    }

    /// Lets a direction go on behind a filter that stopped it: headers if they were stopped, then
    /// what was kept, then trailers.
    pub(crate) fn resume(&mut self, stream: StreamId, filter: usize, direction: Direction) {
        if self.stopped(stream, direction) {
            return;
        }
        let Some(side) = self.side(stream, filter, direction) else {
            return;
        };
        if side.stopped_all() {
            side.iterate_from_current = true;
        }
        side.iteration = Iteration::Continue;
        let headers_waited = !side.headers_continued;
        side.headers_continued = true;
        let Some(state) = self.world.streams.get(&stream) else {
            return;
        };
        let ended = state.half(direction).observed_end;
        let kept = state.half(direction).buffer.is_some();
        let trailers = state.trailers(direction).is_some();
        let from = From::After(filter);
        if headers_waited {
            self.pass_headers(stream, direction, from, ended && !kept && !trailers);
        }
        if self
            .half(stream, direction)
            .is_some_and(|half| half.buffer.is_some())
        {
            self.pass_data(stream, direction, from, Frame::Buffer, ended && !trailers);
        }
        if trailers {
            self.pass_trailers(stream, direction, from);
        }
        if let Some(side) = self.side(stream, filter, direction) {
            side.iterate_from_current = false;
        }
    }

    /// Keeps a frame for later. Over the limit the proxy answers instead, unless the sender can be
    /// slowed down.
    pub(crate) fn keep(
        &mut self,
        stream: StreamId,
        direction: Direction,
        frame: &mut Frame,
        streaming: bool,
    ) {
        let limit = self.world.settings.buffer_limit;
        let Some(half) = self.half(stream, direction) else {
            return;
        };
        half.streaming = streaming;
        if let Frame::Own(bytes) = std::mem::replace(frame, Frame::Buffer) {
            let buffer = half.buffer.get_or_insert_default();
            let before = buffer.len();
            buffer.extend(bytes);
            if !streaming && before <= limit && buffer.len() > limit {
                self.too_large(stream, direction);
            }
        }
    }

    /// Takes what a filter saw as a passing frame back from it.
    pub(crate) fn take_view(
        &mut self,
        stream: StreamId,
        filter: usize,
        direction: Direction,
        frame: &mut Frame,
        leave: BodyView,
    ) {
        if let Some(side) = self.side(stream, filter, direction)
            && let BodyView::Frame(bytes) = std::mem::replace(&mut side.body, leave)
        {
            *frame = Frame::Own(bytes);
        }
    }
}
