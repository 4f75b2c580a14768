//! What any wasm filter costs that looks at a request's headers: it reads them, and lets all pass.
//! The floor of `token-cached` in `scripts/bench`, which it shows what the platform takes of that.

use sekisho_hostcalls::{Action, Root, Stream};

sekisho_hostcalls::main!(sekisho_hostcalls::start(|_| Box::new(Floor)));

struct Floor;

impl Root for Floor {
    fn configure(&mut self) -> bool {
        true
    }

    fn tick(&mut self) {}

    fn message(&mut self, _token: u32, _size: usize) {}

    fn closed(&mut self, _token: u32, _status: u32) {}

    fn stream(&self, _context: u32) -> Box<dyn Stream> {
        Box::new(Floor)
    }
}

impl Stream for Floor {
    fn request_headers(&mut self, _ends: bool) -> Action {
        std::hint::black_box(sekisho_hostcalls::now_nanos());
        std::hint::black_box(sekisho_hostcalls::request_headers());
        Action::Continue
    }

    fn request_body(&mut self, _size: usize, _ends: bool) -> Action {
        Action::Continue
    }

    fn request_trailers(&mut self) -> Action {
        Action::Continue
    }

    fn response_headers(&mut self, _ends: bool) -> Action {
        Action::Continue
    }

    fn response_body(&mut self, _size: usize, _ends: bool) -> Action {
        Action::Continue
    }

    fn response_trailers(&mut self) -> Action {
        Action::Continue
    }

    fn over(&mut self) {}
}
