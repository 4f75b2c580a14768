//! The proxy's functions, in the forms that cannot trap on what a client sends.
//!
//! Header writes are legal only while a message's headers are held back; callers keep to that.

use sekisho_domain::UnixMillis;
use sekisho_hostcalls::{Buffer, Half, Lent, Map};
pub(crate) use sekisho_hostcalls::{Headers, request_headers};

/// The proxy's clock.
pub(crate) fn now() -> UnixMillis {
    UnixMillis(sekisho_hostcalls::now_nanos() / 1_000_000)
}

/// Bytes from the proxy's random source. Without it nothing can be named: all zero, which
/// the sidecar refuses.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0u8; N];
    if getrandom::fill(&mut bytes).is_err() {
        log::error!("the proxy gives no random bytes");
    }
    bytes
}

/// One header of the response.
pub(crate) fn response_header(name: &str) -> Option<Lent> {
    sekisho_hostcalls::header(Map::Response, name)
}

/// Sets or removes every copy of a request header.
pub(crate) fn set_request_header(name: &str, value: Option<&[u8]>) {
    if sekisho_hostcalls::set_header(Map::Request, name, value).is_err() {
        log::error!("request header `{name}` could not be set");
    }
}

/// Sets every copy of a response header.
pub(crate) fn set_response_header(name: &str, value: &[u8]) {
    if sekisho_hostcalls::set_header(Map::Response, name, Some(value)).is_err() {
        log::error!("response header `{name}` could not be set");
    }
}

/// Removes every copy of a response header.
pub(crate) fn remove_response_header(name: &str) {
    if sekisho_hostcalls::set_header(Map::Response, name, None).is_err() {
        log::error!("response header `{name}` could not be removed");
    }
}

/// A part of the request's body that the proxy holds.
pub(crate) fn request_body(start: usize, size: usize) -> Lent {
    body(Buffer::RequestBody, start, size)
}

/// A part of the response's body that the proxy holds.
pub(crate) fn response_body(start: usize, size: usize) -> Lent {
    body(Buffer::ResponseBody, start, size)
}

fn body(which: Buffer, start: usize, size: usize) -> Lent {
    if size == 0 {
        return Lent::default();
    }
    sekisho_hostcalls::buffer(which, start, size).unwrap_or_default()
}

/// Replaces the request's whole body of `size` bytes.
pub(crate) fn replace_request_body(size: usize, body: &[u8]) -> bool {
    sekisho_hostcalls::replace_buffer(Buffer::RequestBody, size, body).is_ok()
}

/// Replaces all that the proxy holds of the response's body, `size` bytes.
pub(crate) fn replace_response_body(size: usize, body: &[u8]) -> bool {
    sekisho_hostcalls::replace_buffer(Buffer::ResponseBody, size, body).is_ok()
}

/// Lets a half of the effective context's call go on that was held.
pub(crate) fn resume(half: Half) {
    if let Err(status) = sekisho_hostcalls::resume(half) {
        log::error!("a call that was held cannot go on: {status:?}");
    }
}

/// Cuts the effective context's call.
pub(crate) fn reset(half: Half) {
    if let Err(status) = sekisho_hostcalls::reset(half) {
        log::error!("a call cannot be cut: {status:?}");
    }
}

/// A property of the stream.
pub(crate) fn property(name: &str) -> Option<Lent> {
    sekisho_hostcalls::property(name)
}

/// Puts a value into the stream's filter state.
pub(crate) fn set_property(name: &str, value: &[u8]) {
    if sekisho_hostcalls::set_property(name, value).is_err() {
        log::error!("filter state `{name}` could not be set");
    }
}

/// Does something in the name of another context. `None`: the context is gone.
pub(crate) fn in_context<T>(context: u32, own: u32, act: impl FnOnce() -> T) -> Option<T> {
    sekisho_hostcalls::set_effective_context(context).ok()?;
    let done = act();
    if sekisho_hostcalls::set_effective_context(own).is_err() {
        log::error!("own context is gone");
    }
    Some(done)
}
