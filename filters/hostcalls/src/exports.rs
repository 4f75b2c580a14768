//! What the module exports: proxy-wasm ABI 0.2.1.
#![expect(
    unsafe_code,
    reason = "the proxy finds functions by their names, which nobody else may have"
)]

use std::cell::OnceCell;

use crate::contexts::{Action, Contexts, NewRoot, Root};
use crate::{lent, logger};

std::thread_local! {
    static CONTEXTS: OnceCell<Contexts> = const { OnceCell::new() };
}

/// Says what a plugin is. A module calls this once, from [`main`](crate::main).
pub fn start(root: fn(u32) -> Box<dyn Root>) {
    logger::start();
    CONTEXTS.with(|contexts| {
        contexts.get_or_init(|| Contexts::new(Some(root as NewRoot)));
    });
}

/// Before the start there is nobody.
fn with<T>(act: impl FnOnce(&Contexts) -> T) -> T {
    CONTEXTS.with(|contexts| act(contexts.get_or_init(|| Contexts::new(None))))
}

/// Tells the proxy which ABI this is.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_abi_version_0_2_1() {}

/// The proxy wants to return so many bytes.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    lent::allocate(size)
}

/// A context has begun; that of a plugin itself if `root` is 0.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_context_create(context: u32, root: u32) {
    with(|contexts| contexts.create(context, root));
}

/// A context is over.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_delete(context: u32) {
    with(|contexts| contexts.delete(context));
}

/// A plugin gets its configuration.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_configure(context: u32, _size: usize) -> u32 {
    let configured = with(|contexts| contexts.at_root(context, |root| root.configure()));
    u32::from(configured == Some(true))
}

/// Time has passed.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_tick(context: u32) {
    with(|contexts| contexts.at_root(context, |root| root.tick()));
}

/// A message has come over a plugin's own stream.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_grpc_receive(context: u32, token: u32, size: usize) {
    with(|contexts| contexts.at_root(context, |root| root.message(token, size)));
}

/// A plugin's own stream has ended.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_grpc_close(context: u32, token: u32, status: u32) {
    with(|contexts| contexts.at_root(context, |root| root.closed(token, status)));
}

/// A request has begun.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_request_headers(
    context: u32,
    _count: usize,
    ends: u32,
) -> Action {
    with(|contexts| contexts.at_stream(context, |stream| stream.request_headers(ends != 0)))
}

/// A part of its body.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_request_body(context: u32, size: usize, ends: u32) -> Action {
    with(|contexts| contexts.at_stream(context, |stream| stream.request_body(size, ends != 0)))
}

/// Its trailers.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_request_trailers(context: u32, _count: usize) -> Action {
    with(|contexts| contexts.at_stream(context, |stream| stream.request_trailers()))
}

/// What of answers a module may export: with [`export`](crate::export), each by itself.
pub mod answers {
    use super::{Action, with};

    /// An answer has begun.
    #[must_use]
    pub fn headers(context: u32, ends: u32) -> Action {
        with(|contexts| contexts.at_stream(context, |stream| stream.response_headers(ends != 0)))
    }

    /// A part of its body.
    #[must_use]
    pub fn body(context: u32, size: usize, ends: u32) -> Action {
        with(|contexts| contexts.at_stream(context, |stream| stream.response_body(size, ends != 0)))
    }

    /// Its trailers.
    #[must_use]
    pub fn trailers(context: u32) -> Action {
        with(|contexts| contexts.at_stream(context, |stream| stream.response_trailers()))
    }
}
