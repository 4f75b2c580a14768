//! The HTTP context: one stream's callbacks.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

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

impl Context for Filter {}

impl HttpContext for Filter {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.request_headers(end_of_stream)
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.request_body(size, end_of_stream)
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.request_trailers()
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.response_headers(end_of_stream)
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.response_body(size, end_of_stream)
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.response_trailers()
    }

    fn on_log(&mut self) {
        self.ended();
    }
}
