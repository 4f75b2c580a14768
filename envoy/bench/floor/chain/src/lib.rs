//! What any wasm filter costs that has to know a chat completion's model and usage: it takes the
//! callbacks and makes the calls of the proxy that `gateway.wasm` does, but decides nothing, tells
//! nobody, and looks at nothing of what it gets. The floor of `gateway-relaxed` in `scripts/bench`.

use std::hint::black_box;

use sekisho_hostcalls::{
    Action, Buffer, Map, Root, Stream, buffer, header, now_nanos, request_headers, set_header,
};

sekisho_hostcalls::main!(sekisho_hostcalls::start(|_| Box::new(Floor)));
sekisho_hostcalls::export!(proxy_on_response_headers, proxy_on_response_body);

/// As many and as long as those that tell a caller where its budgets stand, and the record's name.
const ANSWER_HEADERS: [(&str, &[u8]); 7] = [
    ("x-sekisho-record", b"00000000-0000-4000-8000-000000000001"),
    ("x-ratelimit-limit-requests", b"100000000"),
    ("x-ratelimit-remaining-requests", b"99999999"),
    ("x-ratelimit-reset-requests", b"59s"),
    ("x-ratelimit-limit-tokens", b"1000000000000"),
    ("x-ratelimit-remaining-tokens", b"999999999999"),
    ("x-ratelimit-reset-tokens", b"12h30m1s"),
];

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
        black_box(now_nanos());
        black_box(request_headers());
        // The model stands in the body.
        Action::Pause
    }

    fn request_body(&mut self, size: usize, ends: bool) -> Action {
        black_box(buffer(Buffer::RequestBody, 0, size).ok());
        if !ends {
            return Action::Pause;
        }
        black_box(now_nanos());
        let _ = set_header(Map::Request, "x-sekisho-upstream", Some(b"llm"));
        let _ = set_header(Map::Request, "authorization", None);
        Action::Continue
    }

    fn request_trailers(&mut self) -> Action {
        Action::Continue
    }

    fn response_headers(&mut self, _ends: bool) -> Action {
        black_box(header(Map::Response, ":status"));
        black_box(now_nanos());
        for (name, value) in ANSWER_HEADERS {
            let _ = set_header(Map::Response, name, Some(value));
        }
        Action::Continue
    }

    fn response_body(&mut self, size: usize, ends: bool) -> Action {
        if size > 0 {
            black_box(buffer(Buffer::ResponseBody, 0, size).ok());
        }
        if ends {
            black_box(now_nanos());
        }
        Action::Continue
    }

    fn response_trailers(&mut self) -> Action {
        Action::Continue
    }

    fn over(&mut self) {}
}
