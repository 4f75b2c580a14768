//! One callback of one filter of one stream.

use wasmtime::Store;

use super::super::stream::{BodyView, Direction, Iteration, LocalReply, StreamId};
use super::super::vm::{Exports, VmData};
use super::super::{Callback, Host};
use super::{DataStatus, Frame, HeadersStatus};

/// How a callback of a stream ended.
enum Called {
    /// With this value; true if a local reply was asked for in it.
    Returned(u32, bool),
    /// The module does not have it.
    Missing,
    /// The VM is dead; the stream was failed.
    Failed,
}

impl Host {
    /// A stream's callback. `run` gets the context's id.
    fn call_filter(
        &mut self,
        stream: StreamId,
        filter: usize,
        callback: Callback,
        run: impl FnOnce(&mut Store<VmData>, &Exports, u32) -> Option<wasmtime::Result<u32>>,
    ) -> Called {
        let place = self
            .world
            .streams
            .get(&stream)
            .and_then(|s| s.filters.get(filter)?.place);
        let Some((vm, context)) = place.filter(|(vm, _)| !self.vm_failed(*vm)) else {
            self.fail_stream(stream, filter);
            return Called::Failed;
        };
        let result = self.enter(vm, context, callback, |store, exports| {
            run(store, exports, context).transpose()
        });
        match result {
            Some((value, stopped)) => {
                self.run_after_call(vm);
                value.map_or(Called::Missing, |value| Called::Returned(value, stopped))
            }
            None => {
                self.fail_stream(stream, filter);
                Called::Failed
            }
        }
    }

    /// Answers 503 for a stream whose VM is dead, or cuts it if the answer has begun.
    fn fail_stream(&mut self, stream: StreamId, filter: usize) {
        let state = self.world.streams.get_mut(&stream);
        let Some(filter) = state.and_then(|s| s.filters.get_mut(filter)) else {
            return;
        };
        if std::mem::replace(&mut filter.failed_reply_sent, true) {
            return;
        }
        let reply = LocalReply {
            status: 503,
            details: "wasm_fail_stream".to_owned(),
            ..LocalReply::default()
        };
        self.local_reply(stream, reply);
    }

    fn set_in_callback(&mut self, stream: StreamId, direction: Direction, running: bool) -> bool {
        let half = self.half(stream, direction);
        half.is_some_and(|half| std::mem::replace(&mut half.in_callback, running))
    }

    /// True if a filter takes no part in the response: it never saw the request, or it failed.
    fn skips_response(&self, stream: StreamId, filter: usize) -> bool {
        let filter = self
            .world
            .streams
            .get(&stream)
            .and_then(|s| s.filters.get(filter));
        filter.is_none_or(|filter| !filter.created || filter.failed_reply_sent)
    }

    pub(super) fn on_headers(
        &mut self,
        stream: StreamId,
        filter: usize,
        direction: Direction,
        end: bool,
    ) -> HeadersStatus {
        if direction == Direction::Response && self.skips_response(stream, filter) {
            return HeadersStatus::Continue;
        }
        let before = self.set_in_callback(stream, direction, true);
        if direction == Direction::Request {
            self.create_context(stream, filter);
        }
        let count = self.hold_headers(stream, filter, direction);
        let flag = u32::from(end);
        let called = match direction {
            Direction::Request => {
                let callback = Callback::RequestHeaders {
                    count,
                    end_of_stream: end,
                };
                self.call_filter(stream, filter, callback, |store, exports, context| {
                    let function = exports.request_headers.as_ref()?;
                    Some(function.call(store, (context, count, flag)))
                })
            }
            Direction::Response => {
                let callback = Callback::ResponseHeaders {
                    count,
                    end_of_stream: end,
                };
                self.call_filter(stream, filter, callback, |store, exports, context| {
                    let function = exports.response_headers.as_ref()?;
                    Some(function.call(store, (context, count, flag)))
                })
            }
        };
        self.set_in_callback(stream, direction, before);
        let status = self.headers_status(stream, filter, &called);
        if status == HeadersStatus::Continue
            && let Some(side) = self.side(stream, filter, direction)
        {
            side.headers_held = false;
        }
        status
    }

    fn hold_headers(&mut self, stream: StreamId, filter: usize, direction: Direction) -> u32 {
        if let Some(side) = self.side(stream, filter, direction) {
            side.headers_held = true;
        }
        let Some(state) = self.world.streams.get(&stream) else {
            return 0;
        };
        match direction {
            Direction::Request => state.request_headers.count(),
            Direction::Response => state.response_headers.as_ref().map_or(0, |h| h.count()),
        }
    }

    fn headers_status(&self, stream: StreamId, filter: usize, called: &Called) -> HeadersStatus {
        let plugin = self
            .world
            .streams
            .get(&stream)
            .and_then(|s| s.filters.get(filter));
        let plugin = plugin.and_then(|filter| self.plugins.get(filter.plugin));
        let single = plugin.is_some_and(|plugin| plugin.allow_on_headers_stop_iteration);
        match called {
            Called::Missing | Called::Returned(0 | 2, false) => HeadersStatus::Continue,
            Called::Returned(1, false) if single => HeadersStatus::Stop(Iteration::StopSingle),
            Called::Returned(3, false) => HeadersStatus::Stop(Iteration::StopAllBuffer),
            Called::Returned(..) | Called::Failed => {
                HeadersStatus::Stop(Iteration::StopAllWatermark)
            }
        }
    }

    pub(super) fn on_data(
        &mut self,
        stream: StreamId,
        filter: usize,
        direction: Direction,
        frame: &mut Frame,
        end: bool,
    ) -> DataStatus {
        if self.skips_response(stream, filter) {
            return DataStatus::Continue;
        }
        let before = self.set_in_callback(stream, direction, true);
        if self
            .side(stream, filter, direction)
            .is_some_and(|side| side.buffering)
        {
            self.keep(stream, direction, frame, false);
        }
        let size = self.show_body(stream, filter, direction, frame);
        let flag = u32::from(end);
        let called = match direction {
            Direction::Request => {
                let callback = Callback::RequestBody {
                    size,
                    end_of_stream: end,
                };
                self.call_filter(stream, filter, callback, |store, exports, context| {
                    let function = exports.request_body.as_ref()?;
                    Some(function.call(store, (context, size, flag)))
                })
            }
            Direction::Response => {
                let callback = Callback::ResponseBody {
                    size,
                    end_of_stream: end,
                };
                self.call_filter(stream, filter, callback, |store, exports, context| {
                    let function = exports.response_body.as_ref()?;
                    Some(function.call(store, (context, size, flag)))
                })
            }
        };
        self.set_in_callback(stream, direction, before);
        let status = match called {
            Called::Missing | Called::Returned(0, false) => DataStatus::Continue,
            Called::Returned(1, false) => DataStatus::StopAndBuffer,
            Called::Returned(2, false) => DataStatus::StopAndWatermark,
            Called::Returned(..) | Called::Failed => DataStatus::StopNoBuffer,
        };
        let buffering = status == DataStatus::StopAndBuffer;
        let leave = if buffering {
            BodyView::Buffer
        } else {
            BodyView::None
        };
        self.take_view(stream, filter, direction, frame, leave);
        if let Some(side) = self.side(stream, filter, direction) {
            side.buffering = buffering;
        }
        status
    }

    /// Shows a frame to a filter as the body and says how large it is.
    fn show_body(
        &mut self,
        stream: StreamId,
        filter: usize,
        direction: Direction,
        frame: &mut Frame,
    ) -> u32 {
        let (view, size) = match frame {
            Frame::Own(bytes) => {
                let size = bytes.len();
                (BodyView::Frame(std::mem::take(bytes)), size)
            }
            Frame::Buffer => {
                let kept = self
                    .half(stream, direction)
                    .and_then(|half| half.buffer.as_ref());
                (BodyView::Buffer, kept.map_or(0, Vec::len))
            }
        };
        if let Some(side) = self.side(stream, filter, direction) {
            side.body = view;
        }
        u32::try_from(size).unwrap_or(u32::MAX)
    }

    /// True if the filter lets the trailers pass.
    pub(super) fn on_trailers(
        &mut self,
        stream: StreamId,
        filter: usize,
        direction: Direction,
    ) -> bool {
        if self.skips_response(stream, filter) {
            return true;
        }
        let before = self.set_in_callback(stream, direction, true);
        if let Some(side) = self.side(stream, filter, direction) {
            side.trailers_held = true;
        }
        let trailers = self
            .world
            .streams
            .get(&stream)
            .and_then(|s| s.trailers(direction));
        let count = trailers.map_or(0, |trailers| trailers.count());
        let called = match direction {
            Direction::Request => {
                let callback = Callback::RequestTrailers { count };
                self.call_filter(stream, filter, callback, |store, exports, context| {
                    Some(
                        exports
                            .request_trailers
                            .as_ref()?
                            .call(store, (context, count)),
                    )
                })
            }
            Direction::Response => {
                let callback = Callback::ResponseTrailers { count };
                self.call_filter(stream, filter, callback, |store, exports, context| {
                    Some(
                        exports
                            .response_trailers
                            .as_ref()?
                            .call(store, (context, count)),
                    )
                })
            }
        };
        self.set_in_callback(stream, direction, before);
        let go_on = matches!(called, Called::Missing | Called::Returned(0, false));
        if go_on && let Some(side) = self.side(stream, filter, direction) {
            side.trailers_held = false;
        }
        go_on
    }
}
