//! gRPC streams and calls that filters make, and the peers that answer them.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::{Headers, Thread, UnixNanos};

/// Names a stream or call for as long as the host lives, over all threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrpcStreamId(pub(crate) u64);

/// A gRPC status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrpcStatus(pub u32);

impl GrpcStatus {
    pub const OK: Self = Self(0);
    pub const INTERNAL: Self = Self(13);
    /// What a filter sees when the peer cannot be reached or goes away.
    pub const UNAVAILABLE: Self = Self(14);
}

/// How a stream was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcOpen {
    pub stream: GrpcStreamId,
    pub thread: Thread,
    pub plugin: String,
    pub cluster: String,
    pub service: String,
    pub method: String,
    pub initial_metadata: Headers,
    /// True for a call: one message, already closed by the filter, one answer.
    pub unary: bool,
}

/// The other end of a cluster. Methods run between callbacks, never inside one; what they send is
/// delivered, in order, after they return. To look at a peer from a test, give the host an
/// `Rc<RefCell<...>>` of it.
pub trait GrpcPeer {
    fn on_open(&mut self, open: &GrpcOpen, replies: &mut GrpcReplies);
    fn on_message(&mut self, stream: GrpcStreamId, message: &[u8], replies: &mut GrpcReplies);
    /// The filter has no more to send.
    fn on_half_close(&mut self, _stream: GrpcStreamId, _replies: &mut GrpcReplies) {}
    /// The filter cut the stream, or its VM is dead, replaced and used by no request any more: a
    /// dead VM's streams stay open until then, and what is sent on them reaches nobody.
    fn on_cancel(&mut self, _stream: GrpcStreamId) {}
}

impl<P: GrpcPeer> GrpcPeer for Rc<RefCell<P>> {
    fn on_open(&mut self, open: &GrpcOpen, replies: &mut GrpcReplies) {
        self.borrow_mut().on_open(open, replies);
    }

    fn on_message(&mut self, stream: GrpcStreamId, message: &[u8], replies: &mut GrpcReplies) {
        self.borrow_mut().on_message(stream, message, replies);
    }

    fn on_half_close(&mut self, stream: GrpcStreamId, replies: &mut GrpcReplies) {
        self.borrow_mut().on_half_close(stream, replies);
    }

    fn on_cancel(&mut self, stream: GrpcStreamId) {
        self.borrow_mut().on_cancel(stream);
    }
}

/// What a peer sends while it handles something.
pub struct GrpcReplies {
    pub(crate) now: UnixNanos,
    pub(crate) deliveries: Vec<GrpcDelivery>,
}

impl GrpcReplies {
    /// The proxy's time.
    #[must_use]
    pub const fn now(&self) -> UnixNanos {
        self.now
    }

    pub fn send(&mut self, stream: GrpcStreamId, message: impl Into<Vec<u8>>) {
        self.deliveries.push(GrpcDelivery {
            stream,
            what: GrpcArrival::Message(message.into()),
        });
    }

    pub fn close(&mut self, stream: GrpcStreamId, status: GrpcStatus) {
        self.deliveries.push(GrpcDelivery {
            stream,
            what: GrpcArrival::Close(status),
        });
    }
}

#[derive(Debug)]
pub(crate) struct GrpcDelivery {
    pub(crate) stream: GrpcStreamId,
    pub(crate) what: GrpcArrival,
}

#[derive(Debug)]
pub(crate) enum GrpcArrival {
    Message(Vec<u8>),
    Close(GrpcStatus),
}

/// What filters did, for the peers.
#[derive(Debug)]
pub(crate) enum GrpcEvent {
    Open(GrpcOpen),
    Message(GrpcStreamId, Vec<u8>),
    HalfClose(GrpcStreamId),
    Cancel(GrpcStreamId),
}

impl GrpcEvent {
    pub(crate) const fn stream(&self) -> GrpcStreamId {
        match self {
            Self::Open(open) => open.stream,
            Self::Message(stream, _) | Self::HalfClose(stream) | Self::Cancel(stream) => *stream,
        }
    }
}

/// A stream as the proxy holds it.
#[derive(Debug)]
pub(crate) struct GrpcStream {
    pub(crate) vm: usize,
    pub(crate) root: u32,
    /// The filter's name for it.
    pub(crate) token: u32,
    pub(crate) cluster: String,
    pub(crate) unary: bool,
    pub(crate) initial_metadata_delivered: bool,
    pub(crate) local_closed: bool,
    pub(crate) remote_closed: bool,
}

/// Calls and streams have tokens of their own kind; the lowest two bits tell.
const CALL_TOKEN: u32 = 1;
const STREAM_TOKEN: u32 = 2;
const TOKEN_KIND: u32 = 3;
const TOKEN_STEP: u32 = 4;

#[derive(Debug, Default)]
pub(crate) struct GrpcStreams {
    next: u64,
    pub(crate) open: BTreeMap<GrpcStreamId, GrpcStream>,
    /// The next token by VM and kind.
    tokens: BTreeMap<(usize, u32), u32>,
    pub(crate) events: VecDeque<GrpcEvent>,
    pub(crate) arrivals: VecDeque<GrpcDelivery>,
    /// Clusters that cannot be reached.
    pub(crate) down: Vec<String>,
}

impl GrpcStreams {
    pub(crate) const fn is_call(token: u32) -> bool {
        token & TOKEN_KIND == CALL_TOKEN
    }

    pub(crate) const fn is_stream(token: u32) -> bool {
        token & TOKEN_KIND == STREAM_TOKEN
    }

    /// Opens a stream and says its token.
    pub(crate) fn open(&mut self, vm: usize, root: u32, mut open: GrpcOpen) -> (GrpcStreamId, u32) {
        self.next += 1;
        let id = GrpcStreamId(self.next);
        let kind = if open.unary { CALL_TOKEN } else { STREAM_TOKEN };
        let next = self.tokens.entry((vm, kind)).or_insert(kind);
        *next = next.saturating_add(TOKEN_STEP);
        let token = *next;
        self.open.insert(
            id,
            GrpcStream {
                vm,
                root,
                token,
                cluster: open.cluster.clone(),
                unary: open.unary,
                initial_metadata_delivered: false,
                local_closed: false,
                remote_closed: false,
            },
        );
        open.stream = id;
        self.events.push_back(GrpcEvent::Open(open));
        (id, token)
    }

    pub(crate) fn by_token(
        &mut self,
        vm: usize,
        token: u32,
    ) -> Option<(GrpcStreamId, &mut GrpcStream)> {
        let found = self
            .open
            .iter_mut()
            .find(|(_, s)| s.vm == vm && s.token == token);
        found.map(|(id, stream)| (*id, stream))
    }

    /// Cuts every stream of a VM that is gone.
    pub(crate) fn drop_vm(&mut self, vm: usize) {
        let gone: Vec<_> = self
            .open
            .iter()
            .filter(|(_, stream)| stream.vm == vm)
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            self.open.remove(&id);
            let unopened = self
                .events
                .iter()
                .any(|event| matches!(event, GrpcEvent::Open(open) if open.stream == id));
            if unopened {
                // The peer never heard of it.
                self.events.retain(|event| event.stream() != id);
            } else {
                self.events.push_back(GrpcEvent::Cancel(id));
            }
        }
    }
}
