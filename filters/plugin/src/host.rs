//! The proxy's functions, in the forms that cannot trap on what a client sends.
//!
//! The SDK's text getters unwrap UTF-8 and would let one odd header kill the VM; only
//! byte getters are used. Header writes are legal only while a message's headers are held
//! back; callers keep to that.

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, Bytes, MapType};
use sekisho_domain::UnixMillis;
pub(crate) use sekisho_hostcalls::{Headers, request_headers};

/// The proxy's clock.
pub(crate) fn now() -> UnixMillis {
    let time = hostcalls::get_current_time().unwrap_or(std::time::UNIX_EPOCH);
    let since = time
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
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
pub(crate) fn response_header(name: &str) -> Option<Bytes> {
    hostcalls::get_map_value_bytes(MapType::HttpResponseHeaders, name)
        .ok()
        .flatten()
}

/// Sets or removes every copy of a request header.
pub(crate) fn set_request_header(name: &str, value: Option<&[u8]>) {
    if hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, value).is_err() {
        log::error!("request header `{name}` could not be set");
    }
}

/// Sets every copy of a response header.
pub(crate) fn set_response_header(name: &str, value: &[u8]) {
    let set = hostcalls::set_map_value_bytes(MapType::HttpResponseHeaders, name, Some(value));
    if set.is_err() {
        log::error!("response header `{name}` could not be set");
    }
}

/// Removes every copy of a response header.
pub(crate) fn remove_response_header(name: &str) {
    let removed = hostcalls::set_map_value_bytes(MapType::HttpResponseHeaders, name, None);
    if removed.is_err() {
        log::error!("response header `{name}` could not be removed");
    }
}

/// A part of the request's body that the proxy holds.
pub(crate) fn request_body(start: usize, size: usize) -> Bytes {
    body(BufferType::HttpRequestBody, start, size)
}

/// A part of the response's body that the proxy holds.
pub(crate) fn response_body(start: usize, size: usize) -> Bytes {
    body(BufferType::HttpResponseBody, start, size)
}

fn body(which: BufferType, start: usize, size: usize) -> Bytes {
    if size == 0 {
        return Bytes::new();
    }
    hostcalls::get_buffer(which, start, size)
        .ok()
        .flatten()
        .unwrap_or_default()
}

/// Replaces the request's whole body of `size` bytes.
pub(crate) fn replace_request_body(size: usize, body: &[u8]) -> bool {
    hostcalls::set_buffer(BufferType::HttpRequestBody, 0, size, body).is_ok()
}

/// Replaces all that the proxy holds of the response's body, `size` bytes.
pub(crate) fn replace_response_body(size: usize, body: &[u8]) -> bool {
    hostcalls::set_buffer(BufferType::HttpResponseBody, 0, size, body).is_ok()
}

/// A property of the stream.
pub(crate) fn property(name: &str) -> Option<Bytes> {
    hostcalls::get_property(vec![name]).ok().flatten()
}

/// Puts a value into the stream's filter state.
pub(crate) fn set_property(name: &str, value: &[u8]) {
    if hostcalls::set_property(vec![name], Some(value)).is_err() {
        log::error!("filter state `{name}` could not be set");
    }
}

/// Does something in the name of another context. `None`: the context is gone.
pub(crate) fn in_context<T>(context: u32, own: u32, act: impl FnOnce() -> T) -> Option<T> {
    hostcalls::set_effective_context(context).ok()?;
    let done = act();
    if hostcalls::set_effective_context(own).is_err() {
        log::error!("own context is gone");
    }
    Some(done)
}
