//! The HTTP context: one stream's callbacks.

use std::cell::RefCell;
use std::rc::Rc;

use sekisho_hostcalls::{Action, Stream};

use crate::call::SharedCall;
use crate::request::RequestReader;
use crate::response::ResponseReader;
use crate::socket::SharedSession;
use crate::worker::Worker;

/// One stream.
pub(crate) struct Filter {
    pub(crate) context: u32,
    pub(crate) worker: Rc<RefCell<Worker>>,
    pub(crate) call: SharedCall,
    /// Shared with whoever goes on with a call that had to wait.
    pub(crate) request: Rc<RefCell<RequestReader>>,
    pub(crate) response: ResponseReader,
    /// Where the call is a WebSocket.
    pub(crate) socket: Option<SharedSession>,
}

impl Filter {
    pub(crate) fn new(context: u32, worker: Rc<RefCell<Worker>>) -> Self {
        Self {
            context,
            worker,
            call: SharedCall::default(),
            request: Rc::default(),
            response: ResponseReader::default(),
            socket: None,
        }
    }
}

impl Filter {
    /// The same request, for going on with it outside the stream's own callbacks.
    pub(crate) fn on_hold(&self) -> Self {
        Self {
            context: self.context,
            worker: Rc::clone(&self.worker),
            call: Rc::clone(&self.call),
            request: Rc::clone(&self.request),
            response: ResponseReader::default(),
            socket: self.socket.clone(),
        }
    }
}

impl Stream for Filter {
    fn request_headers(&mut self, ends: bool) -> Action {
        self.on_request_headers(ends)
    }

    fn request_body(&mut self, size: usize, ends: bool) -> Action {
        self.on_request_body(size, ends)
    }

    fn request_trailers(&mut self) -> Action {
        self.on_request_trailers()
    }

    fn response_headers(&mut self, ends: bool) -> Action {
        self.on_response_headers(ends)
    }

    fn response_body(&mut self, size: usize, ends: bool) -> Action {
        self.on_response_body(size, ends)
    }

    fn response_trailers(&mut self) -> Action {
        self.on_response_trailers()
    }

    fn over(&mut self) {
        self.ended();
    }
}
