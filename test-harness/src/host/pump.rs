//! What happens between callbacks: peers hear what filters sent, filters what peers answered.

use super::grpc::{GrpcArrival, GrpcDelivery, GrpcEvent, GrpcReplies, GrpcStreamId};
use super::http_call::{HttpCallId, HttpReplies, HttpReply};
use super::vm::Root;
use super::{Callback, GrpcStatus, Headers, Host};

impl Host {
    pub(crate) fn root(&mut self, vm: usize, root: u32) -> Option<&mut Root> {
        self.vms.get_mut(vm)?.store.data_mut().roots.get_mut(&root)
    }

    /// A peer sends a message of its own accord. Nothing happens if the stream is gone.
    pub fn grpc_send(&mut self, stream: GrpcStreamId, message: impl Into<Vec<u8>>) {
        let what = GrpcArrival::Message(message.into());
        self.world
            .grpc
            .arrivals
            .push_back(GrpcDelivery { stream, what });
        self.pump();
    }

    /// A peer closes a stream of its own accord.
    pub fn grpc_close(&mut self, stream: GrpcStreamId, status: GrpcStatus) {
        let what = GrpcArrival::Close(status);
        self.world
            .grpc
            .arrivals
            .push_back(GrpcDelivery { stream, what });
        self.pump();
    }

    /// Cuts a cluster off, closing its streams as unavailable, or brings it back.
    pub fn set_grpc_reachable(&mut self, cluster: &str, reachable: bool) {
        let grpc = &mut self.world.grpc;
        grpc.down.retain(|down| down != cluster);
        if !reachable {
            grpc.down.push(cluster.to_owned());
            let cut = grpc
                .open
                .iter()
                .filter(|(_, s)| s.cluster == cluster && !s.remote_closed);
            let cut: Vec<_> = cut.map(|(id, _)| *id).collect();
            let what = || GrpcArrival::Close(GrpcStatus::UNAVAILABLE);
            grpc.arrivals
                .extend(cut.into_iter().map(|stream| GrpcDelivery {
                    stream,
                    what: what(),
                }));
        }
        self.pump();
    }

    /// The streams that are open to a cluster.
    #[must_use]
    pub fn grpc_streams(&self, cluster: &str) -> Vec<GrpcStreamId> {
        let open = self.world.grpc.open.iter();
        open.filter(|(_, s)| s.cluster == cluster && !s.remote_closed)
            .map(|(id, _)| *id)
            .collect()
    }

    /// A peer answers a call after it returned.
    pub fn http_reply(&mut self, call: HttpCallId, reply: HttpReply) {
        self.world.calls.replies.push_back((call, reply));
        self.pump();
    }

    /// Lets peers see what filters sent, and filters what peers answered, until all is said.
    pub(crate) fn pump(&mut self) {
        if std::mem::replace(&mut self.pumping, true) {
            return;
        }
        loop {
            if let Some(event) = self.world.grpc.events.pop_front() {
                self.tell_grpc_peer(event);
            } else if let Some(arrival) = self.world.grpc.arrivals.pop_front() {
                self.deliver(arrival);
            } else if let Some(call) = self.world.calls.sent.pop_front() {
                let mut replies = HttpReplies {
                    now: self.world.now,
                    replies: Vec::new(),
                };
                if let Some(peer) = self.http_peers.get_mut(&call.cluster) {
                    peer.on_call(&call, &mut replies);
                }
                self.world.calls.replies.extend(replies.replies);
            } else if let Some((id, reply)) = self.world.calls.replies.pop_front() {
                self.deliver_reply(id, reply);
            } else if let Some(token) = self.world.queues.ready.pop_front() {
                self.tell_queue(token);
            } else {
                break;
            }
        }
        self.pumping = false;
    }

    fn tell_grpc_peer(&mut self, event: GrpcEvent) {
        let id = event.stream();
        let cluster = match &event {
            GrpcEvent::Open(open) => Some(open.cluster.clone()),
            _ => None,
        };
        let cluster = cluster.or_else(|| Some(self.world.grpc.open.get(&id)?.cluster.clone()));
        let mut replies = GrpcReplies {
            now: self.world.now,
            deliveries: Vec::new(),
        };
        if let GrpcEvent::Cancel(stream) = event {
            // The stream is not known any more: every peer may be its peer.
            self.grpc_peers
                .values_mut()
                .for_each(|peer| peer.on_cancel(stream));
            return;
        }
        let Some(cluster) = cluster else { return };
        if self.world.grpc.down.contains(&cluster) {
            if matches!(event, GrpcEvent::Open(_)) {
                replies.close(id, GrpcStatus::UNAVAILABLE);
            }
        } else if let Some(peer) = self.grpc_peers.get_mut(&cluster) {
            match &event {
                GrpcEvent::Open(open) => peer.on_open(open, &mut replies),
                GrpcEvent::Message(stream, message) => {
                    peer.on_message(*stream, message, &mut replies);
                }
                GrpcEvent::HalfClose(stream) => peer.on_half_close(*stream, &mut replies),
                GrpcEvent::Cancel(_) => {}
            }
        }
        self.world.grpc.arrivals.extend(replies.deliveries);
    }

    fn deliver(&mut self, delivery: GrpcDelivery) {
        let id = delivery.stream;
        let Some(stream) = self
            .world
            .grpc
            .open
            .get_mut(&id)
            .filter(|s| !s.remote_closed)
        else {
            return;
        };
        let (vm, root, token, unary) = (stream.vm, stream.root, stream.token, stream.unary);
        match delivery.what {
            GrpcArrival::Message(message) => {
                if !std::mem::replace(&mut stream.initial_metadata_delivered, true) && !unary {
                    self.deliver_metadata(vm, root, token, true);
                }
                self.deliver_message(vm, root, token, message);
                if unary {
                    self.world.grpc.open.remove(&id);
                }
            }
            GrpcArrival::Close(status) => {
                stream.remote_closed = true;
                if unary || stream.local_closed {
                    self.world.grpc.open.remove(&id);
                }
                if !unary {
                    self.deliver_metadata(vm, root, token, false);
                }
                self.deliver_close(vm, root, token, status);
                // A filter that does not close its side keeps a handle that reaches nothing.
                self.world.grpc.open.remove(&id);
            }
        }
    }

    fn deliver_metadata(&mut self, vm: usize, root: u32, token: u32, initial: bool) {
        let metadata = if initial {
            Headers::from([(":status", "200"), ("content-type", "application/grpc")])
        } else {
            Headers::new()
        };
        let count = metadata.count();
        if let Some(state) = self.root(vm, root) {
            if initial {
                state.grpc_initial_metadata = Some(metadata);
            } else {
                state.grpc_trailing_metadata = Some(metadata);
            }
        }
        let callback = if initial {
            Callback::GrpcInitialMetadata { count }
        } else {
            Callback::GrpcTrailingMetadata { count }
        };
        self.call(vm, root, callback, |store, exports| {
            let function = if initial {
                &exports.grpc_initial_metadata
            } else {
                &exports.grpc_trailing_metadata
            };
            match function {
                Some(function) => function.call(store, (root, token, count)),
                None => Ok(()),
            }
        });
        if let Some(state) = self.root(vm, root) {
            state.grpc_initial_metadata = None;
            state.grpc_trailing_metadata = None;
        }
    }

    fn deliver_message(&mut self, vm: usize, root: u32, token: u32, message: Vec<u8>) {
        let size = u32::try_from(message.len()).unwrap_or(u32::MAX);
        if let Some(state) = self.root(vm, root) {
            state.grpc_message = Some(message);
        }
        self.call(
            vm,
            root,
            Callback::GrpcMessage { size },
            |store, exports| match &exports.grpc_message {
                Some(function) => function.call(store, (root, token, size)),
                None => Ok(()),
            },
        );
        if let Some(state) = self.root(vm, root) {
            state.grpc_message = None;
        }
    }

    fn deliver_close(&mut self, vm: usize, root: u32, token: u32, GrpcStatus(status): GrpcStatus) {
        if let Some(state) = self.root(vm, root) {
            state.status = (status, String::new());
        }
        self.call(
            vm,
            root,
            Callback::GrpcClose { status },
            |store, exports| match &exports.grpc_close {
                Some(function) => function.call(store, (root, token, status)),
                None => Ok(()),
            },
        );
    }

    fn deliver_reply(&mut self, id: HttpCallId, reply: HttpReply) {
        let Some(call) = self.world.calls.pending.remove(&id) else {
            return;
        };
        let size = u32::try_from(reply.body.len()).unwrap_or(u32::MAX);
        let (headers, trailers) = (reply.headers.count(), reply.trailers.count());
        if let Some(state) = self.root(call.vm, call.root) {
            state.http_response = Some(reply);
        }
        let callback = Callback::HttpCallResponse {
            headers,
            body: size,
            trailers,
        };
        self.call(
            call.vm,
            call.root,
            callback,
            |store, exports| match &exports.http_call_response {
                Some(function) => {
                    function.call(store, (call.root, call.token, headers, size, trailers))
                }
                None => Ok(()),
            },
        );
        if let Some(state) = self.root(call.vm, call.root) {
            state.http_response = None;
        }
    }

    fn tell_queue(&mut self, token: u32) {
        let Some((vm, root)) = self.world.queues.queue(token).map(|queue| queue.consumer) else {
            return;
        };
        self.call(
            vm,
            root,
            Callback::QueueReady,
            |store, exports| match &exports.queue_ready {
                Some(function) => function.call(store, (root, token)),
                None => Ok(()),
            },
        );
    }
}
