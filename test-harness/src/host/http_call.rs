//! HTTP calls that filters make, and the peers that answer them.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::{Headers, Thread, UnixNanos};

/// Names a call for as long as the host lives, over all threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpCallId(pub(crate) u64);

/// A request that a filter sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCall {
    pub id: HttpCallId,
    pub thread: Thread,
    pub plugin: String,
    pub cluster: String,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
}

/// An answer. Envoy makes up a 503 when the peer cannot be reached and a 504 when it is late.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpReply {
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
}

impl HttpReply {
    /// An answer of a status alone.
    #[must_use]
    pub fn status(status: u16) -> Self {
        let headers = Headers::from([(":status", status.to_string())]);
        Self {
            headers,
            ..Self::default()
        }
    }
}

/// The other end of a cluster. It runs between callbacks, never inside one.
pub trait HttpPeer {
    fn on_call(&mut self, call: &HttpCall, replies: &mut HttpReplies);
}

impl<P: HttpPeer> HttpPeer for Rc<RefCell<P>> {
    fn on_call(&mut self, call: &HttpCall, replies: &mut HttpReplies) {
        self.borrow_mut().on_call(call, replies);
    }
}

/// What a peer answers while it handles a call; it may also answer later, through the host.
pub struct HttpReplies {
    pub(crate) now: UnixNanos,
    pub(crate) replies: Vec<(HttpCallId, HttpReply)>,
}

impl HttpReplies {
    /// The proxy's time.
    #[must_use]
    pub const fn now(&self) -> UnixNanos {
        self.now
    }

    pub fn reply(&mut self, call: HttpCallId, reply: HttpReply) {
        self.replies.push((call, reply));
    }
}

#[derive(Debug)]
pub(crate) struct PendingCall {
    pub(crate) vm: usize,
    pub(crate) root: u32,
    pub(crate) token: u32,
    pub(crate) deadline: Option<UnixNanos>,
}

#[derive(Debug, Default)]
pub(crate) struct HttpCalls {
    next: u64,
    tokens: BTreeMap<usize, u32>,
    pub(crate) pending: BTreeMap<HttpCallId, PendingCall>,
    pub(crate) sent: VecDeque<HttpCall>,
    pub(crate) replies: VecDeque<(HttpCallId, HttpReply)>,
}

impl HttpCalls {
    /// Registers a call and says its token.
    pub(crate) fn send(
        &mut self,
        vm: usize,
        root: u32,
        deadline: Option<UnixNanos>,
        mut call: HttpCall,
    ) -> u32 {
        self.next += 1;
        call.id = HttpCallId(self.next);
        let token = self.tokens.entry(vm).or_insert(0);
        *token = token.saturating_add(4);
        let token = *token;
        self.pending.insert(
            call.id,
            PendingCall {
                vm,
                root,
                token,
                deadline,
            },
        );
        self.sent.push_back(call);
        token
    }
}
