//! What host calls see and change. It is lent to a VM for the length of a call.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::clock::Random;
use super::grpc::GrpcStreams;
use super::http_call::HttpCalls;
use super::log::{Level, LogLine};
use super::shared::{Queues, SharedData};
use super::stream::{Stream, StreamId};
use super::vm::CallbackRecord;
use super::{Callback, Cost, Metric, Thread, UnixNanos};

/// What stays the same for the life of a host.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) log_level: Level,
    pub(crate) buffer_limit: usize,
    pub(crate) stream_idle_timeout: Option<Duration>,
    /// Foreign functions that this proxy does not have.
    pub(crate) missing_foreign_functions: Vec<String>,
    pub(crate) clusters: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            log_level: Level::Info,
            buffer_limit: 1024 * 1024,
            stream_idle_timeout: Some(Duration::from_secs(300)),
            missing_foreign_functions: Vec::new(),
            clusters: Vec::new(),
        }
    }
}

pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) started: UnixNanos,
    pub(crate) now: UnixNanos,
    pub(crate) random: Random,
    pub(crate) logs: Vec<LogLine>,
    pub(crate) callbacks: Vec<CallbackRecord>,
    pub(crate) shared: SharedData,
    pub(crate) queues: Queues,
    pub(crate) metrics: BTreeMap<String, Metric>,
    pub(crate) streams: BTreeMap<StreamId, Stream>,
    pub(crate) next_stream: u64,
    pub(crate) grpc: GrpcStreams,
    pub(crate) calls: HttpCalls,
}

impl Default for World {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            started: UnixNanos(0),
            now: UnixNanos(0),
            random: Random(0),
            logs: Vec::new(),
            callbacks: Vec::new(),
            shared: SharedData::default(),
            queues: Queues::default(),
            metrics: BTreeMap::new(),
            streams: BTreeMap::new(),
            next_stream: 1,
            grpc: GrpcStreams::default(),
            calls: HttpCalls::default(),
        }
    }
}

impl World {
    pub(crate) fn log(&mut self, line: LogLine) {
        if line.level >= self.settings.log_level {
            self.logs.push(line);
        }
    }

    pub(crate) fn record(
        &mut self,
        thread: Thread,
        plugin: Option<String>,
        stream: Option<StreamId>,
        callback: Callback,
    ) {
        self.callbacks.push(CallbackRecord {
            thread,
            plugin,
            stream,
            callback,
            cost: Cost::default(),
        });
    }

    /// What the callback that was recorded last has cost.
    pub(crate) fn note_cost(&mut self, before: Cost, after: Cost) {
        if let Some(last) = self.callbacks.last_mut() {
            last.cost = Cost {
                instructions: after.instructions - before.instructions,
                nanos: after.nanos - before.nanos,
                entries: after.entries - before.entries,
                host_calls: after.host_calls - before.host_calls,
            };
        }
    }
}

/// What a host call put off until the callback is over, in order.
#[derive(Debug)]
pub(crate) enum AfterCall {
    Continue {
        stream: StreamId,
        filter: usize,
        response: bool,
    },
    Reply {
        stream: StreamId,
        reply: super::stream::LocalReply,
    },
    Reset {
        stream: StreamId,
    },
}

pub(crate) type AfterCalls = VecDeque<AfterCall>;
