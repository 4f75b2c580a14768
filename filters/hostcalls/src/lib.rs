//! The border of the VM (proxy-wasm ABI 0.2.1): what the proxy calls here, and what is called in the
//! proxy. The only crate with `unsafe` code, and small, because every call of every client passes
//! it several times.
//!
//! It stands in the place of the SDK, which exports every callback there is (the proxy enters the VM
//! for each), takes memory anew for whatever the proxy returns, and traps on statuses that a client
//! can bring about.

mod calls;
mod contexts;
mod exports;
mod headers;
mod imports;
mod lent;
mod logger;
mod memory;
mod status;

pub use calls::{
    Buffer, Half, Map, buffer, foreign, header, now_nanos, open_grpc_stream, property,
    replace_buffer, reply, request_headers, reset, resume, send_message, set_effective_context,
    set_header, set_property, set_tick_period,
};
pub use contexts::{Action, Root, Stream};
pub use exports::{answers, start};
pub use headers::{Headers, Iter};
pub use lent::Lent;
pub use status::Status;

/// The start function of a module, which the proxy calls first.
#[macro_export]
macro_rules! main {
    ($start:expr) => {
        #[cfg(target_arch = "wasm32")]
        unsafe extern "C" {
            fn __wasm_call_ctors();
        }

        /// Called by the proxy before anything else.
        #[unsafe(no_mangle)]
        pub extern "C" fn _initialize() {
            #[cfg(target_arch = "wasm32")]
            // SAFETY: the C library's start, once, before anything uses it.
            unsafe {
                __wasm_call_ctors();
            }
            $start;
        }
    };
}

/// Exports callbacks for answers. A module that does not look at answers, or not at their bodies,
/// leaves them out: the proxy then does not enter it for them.
#[macro_export]
macro_rules! export {
    (@ proxy_on_response_headers) => {
        /// An answer has begun.
        #[unsafe(no_mangle)]
        pub extern "C" fn proxy_on_response_headers(
            context: u32,
            _count: usize,
            ends: u32,
        ) -> $crate::Action {
            $crate::answers::headers(context, ends)
        }
    };
    (@ proxy_on_response_body) => {
        /// A part of an answer's body.
        #[unsafe(no_mangle)]
        pub extern "C" fn proxy_on_response_body(
            context: u32,
            size: usize,
            ends: u32,
        ) -> $crate::Action {
            $crate::answers::body(context, size, ends)
        }
    };
    (@ proxy_on_response_trailers) => {
        /// An answer's trailers.
        #[unsafe(no_mangle)]
        pub extern "C" fn proxy_on_response_trailers(
            context: u32,
            _count: usize,
        ) -> $crate::Action {
            $crate::answers::trailers(context)
        }
    };
    ($($callback:ident),+ $(,)?) => {
        $($crate::export!(@ $callback);)+
    };
}
