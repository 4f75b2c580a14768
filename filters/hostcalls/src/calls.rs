//! Calls of the proxy. None of them can trap on what a client sends, and none on what the proxy
//! answers: that is for whoever asked to judge.
#![expect(
    unsafe_code,
    reason = "each call passes pointers to what is borrowed for as long as it takes, and the proxy keeps none"
)]

use crate::headers::{Headers, serialize};
use crate::imports;
use crate::lent::{self, Lent};
use crate::status::{Status, result};

/// Bodies and messages that the proxy holds (`proxy_buffer_type_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Buffer {
    /// Of a request.
    RequestBody = 0,
    /// Of its answer.
    ResponseBody = 1,
    /// The message that has come over a stream of ours.
    Message = 5,
    /// While it is given.
    PluginConfiguration = 7,
}

/// Headers that the proxy holds (`proxy_map_type_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Map {
    /// Of a request.
    Request = 0,
    /// Of its answer.
    Response = 2,
}

/// Halves of a call (`proxy_stream_type_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Half {
    /// Towards the upstream.
    Request = 0,
    /// Back to the client.
    Response = 1,
}

/// The proxy's clock, nanoseconds since 1970. 0 if it has none.
#[must_use]
pub fn now_nanos() -> u64 {
    let mut time = 0;
    // SAFETY: `time` lives until the call is over.
    let _status = unsafe { imports::proxy_get_current_time_nanoseconds(&raw mut time) };
    time
}

/// Asks for a tick every so many milliseconds.
///
/// # Errors
/// What the proxy says.
pub fn set_tick_period(millis: u32) -> Result<(), Status> {
    // SAFETY: no pointers.
    result(unsafe { imports::proxy_set_tick_period_milliseconds(millis) })
}

/// Writes to the proxy's log, at a level from 0 (trace) to 5 (critical).
pub(crate) fn log(level: u32, text: &str) {
    // SAFETY: `text` is borrowed until the call is over.
    let _status = unsafe { imports::proxy_log(level, text.as_ptr(), text.len()) };
}

/// What a call returns that has the proxy write it to memory of ours; nothing is no bytes.
fn returned(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Lent, Status> {
    let mut data: *mut u8 = std::ptr::null_mut();
    let mut size: usize = 0;
    result(call(&raw mut data, &raw mut size))?;
    Ok(lent::take(data, size).unwrap_or_default())
}

/// At most so many bytes of a buffer, from `start` on.
///
/// # Errors
/// What the proxy says.
pub fn buffer(buffer: Buffer, start: usize, most: usize) -> Result<Lent, Status> {
    returned(|data, size| {
        // SAFETY: both pointers are to variables that live until the call is over.
        unsafe { imports::proxy_get_buffer_bytes(buffer as u32, start, most, data, size) }
    })
}

/// Replaces the first `size` bytes of a buffer.
///
/// # Errors
/// What the proxy says.
pub fn replace_buffer(buffer: Buffer, size: usize, new: &[u8]) -> Result<(), Status> {
    // SAFETY: `new` is borrowed until the call is over.
    result(unsafe {
        imports::proxy_set_buffer_bytes(buffer as u32, 0, size, new.as_ptr(), new.len())
    })
}

/// All headers of the current request, in order. None at all if the proxy gives none.
#[must_use]
pub fn request_headers() -> Headers {
    let all = returned(|data, size| {
        // SAFETY: both pointers are to variables that live until the call is over.
        unsafe { imports::proxy_get_header_map_pairs(Map::Request as u32, data, size) }
    });
    Headers::new(all.unwrap_or_default())
}

/// The first value of a header; none if there is no such header.
#[must_use]
pub fn header(map: Map, name: &str) -> Option<Lent> {
    let value = returned(|data, size| {
        // SAFETY: `name` is borrowed, and the variables live, until the call is over.
        unsafe {
            imports::proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, size)
        }
    });
    value.ok()
}

/// Sets or removes every copy of a header.
///
/// # Errors
/// What the proxy says: that the headers are on their way already, for one.
pub fn set_header(map: Map, name: &str, value: Option<&[u8]>) -> Result<(), Status> {
    let (at, size) = (name.as_ptr(), name.len());
    result(match value {
        // SAFETY: `name` and `value` are borrowed until the call is over.
        Some(value) => unsafe {
            imports::proxy_replace_header_map_value(
                map as u32,
                at,
                size,
                value.as_ptr(),
                value.len(),
            )
        },
        // SAFETY: `name` is borrowed until the call is over.
        None => unsafe { imports::proxy_remove_header_map_value(map as u32, at, size) },
    })
}

/// A property of the stream, by a path of one segment.
#[must_use]
pub fn property(name: &str) -> Option<Lent> {
    let value = returned(|data, size| {
        // SAFETY: `name` is borrowed, and the variables live, until the call is over.
        unsafe { imports::proxy_get_property(name.as_ptr(), name.len(), data, size) }
    });
    value.ok()
}

/// Puts a value into the stream's filter state, under a path of one segment.
///
/// # Errors
/// What the proxy says.
pub fn set_property(name: &str, value: &[u8]) -> Result<(), Status> {
    // SAFETY: both are borrowed until the call is over.
    result(unsafe {
        imports::proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

/// Goes on in the name of another context.
///
/// # Errors
/// There is no such context any more.
pub fn set_effective_context(context: u32) -> Result<(), Status> {
    // SAFETY: no pointers.
    result(unsafe { imports::proxy_set_effective_context(context) })
}

/// Lets a half of the current call go on that was held.
///
/// # Errors
/// What the proxy says.
pub fn resume(half: Half) -> Result<(), Status> {
    // SAFETY: no pointers.
    result(unsafe { imports::proxy_continue_stream(half as u32) })
}

/// Cuts the current call.
///
/// # Errors
/// What the proxy says.
pub fn reset(half: Half) -> Result<(), Status> {
    // SAFETY: no pointers.
    result(unsafe { imports::proxy_close_stream(half as u32) })
}

/// Answers the current call. An answer that has begun is cut.
///
/// # Errors
/// What the proxy says.
pub fn reply(status: u32, headers: &[(&str, &str)], body: &[u8]) -> Result<(), Status> {
    /// The answer is not gRPC's.
    const NO_GRPC: i32 = -1;
    let headers = serialize(headers);
    // SAFETY: headers and body live until the call is over; no details are at no place.
    result(unsafe {
        imports::proxy_send_local_response(
            status,
            std::ptr::null(),
            0,
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            NO_GRPC,
        )
    })
}

/// Opens a gRPC stream of the root context; returns its token.
///
/// # Errors
/// What the proxy says: that there is no such cluster, for one.
pub fn open_grpc_stream(cluster: &str, service: &str, method: &str) -> Result<u32, Status> {
    let metadata = serialize(&[]);
    let mut token = 0;
    // SAFETY: the texts are borrowed, and the variables live, until the call is over.
    result(unsafe {
        imports::proxy_grpc_stream(
            cluster.as_ptr(),
            cluster.len(),
            service.as_ptr(),
            service.len(),
            method.as_ptr(),
            method.len(),
            metadata.as_ptr(),
            metadata.len(),
            &raw mut token,
        )
    })?;
    Ok(token)
}

/// Sends a message over a gRPC stream of the root context, which has to be the current one.
///
/// # Errors
/// What the proxy says.
pub fn send_message(token: u32, message: &[u8]) -> Result<(), Status> {
    // SAFETY: `message` is borrowed until the call is over.
    result(unsafe { imports::proxy_grpc_send(token, message.as_ptr(), message.len(), 0) })
}

/// Calls a function that this proxy may or may not have.
///
/// # Errors
/// [`Status::NOT_FOUND`] if it has none of that name, else what the proxy says.
pub fn foreign(name: &str, arguments: &[u8]) -> Result<Lent, Status> {
    returned(|data, size| {
        // SAFETY: name and arguments are borrowed, and the variables live, until the call is over.
        unsafe {
            imports::proxy_call_foreign_function(
                name.as_ptr(),
                name.len(),
                arguments.as_ptr(),
                arguments.len(),
                data,
                size,
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_proxy_nothing_comes_back_and_nothing_is_done() {
        assert_eq!(request_headers().iter().count(), 0);
        assert!(header(Map::Response, ":status").is_none() && property("p").is_none());
        assert!(set_header(Map::Request, "n", Some(b"v")).is_err());
        assert!(buffer(Buffer::RequestBody, 0, 1).is_err());
        assert!(open_grpc_stream("c", "s", "m").is_err());
        assert_ne!(foreign("f", b"").unwrap_err(), Status::NOT_FOUND);
        assert_eq!(now_nanos(), 0);
    }
}
