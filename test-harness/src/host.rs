//! A host for proxy-wasm ABI 0.2.1 that behaves like Envoy 1.40 where it matters to a filter.
//!
//! A [`Host`] is one proxy: a chain of plugins, a main thread and some workers, each with its own
//! VMs. Tests play the client, the upstream, the gRPC and HTTP peers and the clock. Everything is
//! synchronous and single-threaded: when a call on the host returns, every callback that it caused
//! has run, including the ones that peers' answers caused.
//!
//! The order of callbacks, the buffering rules and the statuses of host calls follow Envoy's HTTP
//! filter manager and its wasm extension, and were compared with the real binary. What is left
//! out on purpose: routing (tests look at the headers with which a request left the chain), flow
//! control, gRPC-shaped local replies, TCP filters.

mod abi;
mod build;
mod calls;
mod chain;
mod clock;
mod engine;
mod grpc;
mod headers;
mod http_call;
mod log;
mod metrics;
mod observe;
mod plugin;
mod pump;
mod shared;
mod stopwatch;
mod stream;
mod thread;
mod timers;
mod traffic;
mod vm;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

pub use self::build::{HostBuilder, HostError};
pub use self::clock::UnixNanos;
pub use self::engine::LoadError;
pub use self::grpc::{GrpcOpen, GrpcPeer, GrpcReplies, GrpcStatus, GrpcStreamId};
pub use self::headers::Headers;
pub use self::http_call::{HttpCall, HttpCallId, HttpPeer, HttpReplies, HttpReply};
pub use self::log::{Level, LogLine};
pub use self::metrics::Metric;
pub use self::plugin::{FailPolicy, PluginSpec};
pub use self::stream::{
    HttpVersion, Outcome, Pause, RequestHead, ResponseFlags, StreamId, UpstreamRequest,
};
pub use self::thread::{Thread, WorkerId};
pub use self::vm::{Callback, Cost};

use self::plugin::Plugin;
use self::thread::ThreadVms;
use self::vm::Vm;
use self::world::World;

/// One proxy with its filter chain. See the module's description.
pub struct Host {
    plugins: Vec<Plugin>,
    chain: Vec<usize>,
    threads: Vec<ThreadVms>,
    vms: Vec<Vm>,
    world: World,
    grpc_peers: BTreeMap<String, Box<dyn GrpcPeer>>,
    http_peers: BTreeMap<String, Box<dyn HttpPeer>>,
    reload_backoff: Duration,
    /// Set while peers' answers are being delivered, so that a delivery does not start another.
    pumping: bool,
}

impl Host {
    /// Starts the description of a proxy.
    #[must_use]
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }
}
