//! What tests can see of a proxy.

use super::log::LogLine;
use super::stream::{Iteration, Side};
use super::{
    Callback, Cost, Host, Metric, Outcome, Pause, StreamId, Thread, UpstreamRequest, WorkerId,
};

impl Host {
    /// The request as it left the chain; none while it waits in it or if it was answered there.
    #[must_use]
    pub fn upstream(&self, stream: StreamId) -> Option<&UpstreamRequest> {
        self.world.streams.get(&stream)?.upstream.as_ref()
    }

    /// What the client has got so far.
    #[must_use]
    pub fn outcome(&self, stream: StreamId) -> Option<&Outcome> {
        self.world.streams.get(&stream).map(|state| &state.outcome)
    }

    /// The filter for which the stream waits, if it waits for one.
    #[must_use]
    pub fn paused(&self, stream: StreamId) -> Option<Pause> {
        let state = self
            .world
            .streams
            .get(&stream)
            .filter(|state| !state.ended)?;
        let stopped = |side: &Side| side.iteration != Iteration::Continue;
        let response = state
            .filters
            .iter()
            .rev()
            .find(|filter| stopped(&filter.response));
        let request = state.filters.iter().find(|filter| stopped(&filter.request));
        let (filter, response) = match (response, request) {
            (Some(filter), _) => (filter, true),
            (None, Some(filter)) => (filter, false),
            (None, None) => return None,
        };
        Some(Pause {
            plugin: self.plugins.get(filter.plugin)?.name.clone(),
            response,
            orphaned: filter.place.is_none_or(|(vm, _)| self.vm_failed(vm)),
        })
    }

    /// How often the router had to choose anew because of a filter.
    #[must_use]
    pub fn route_cache_clears(&self, stream: StreamId) -> u32 {
        self.world
            .streams
            .get(&stream)
            .map_or(0, |state| state.route_cache_clears)
    }

    /// A stream's filter state, by its full key (`wasm.k` for what a filter set as `k`).
    #[must_use]
    pub fn filter_state(&self, stream: StreamId, key: &str) -> Option<&[u8]> {
        self.world
            .streams
            .get(&stream)?
            .filter_state
            .get(key)
            .map(Vec::as_slice)
    }

    /// The worker that serves a stream.
    #[must_use]
    pub fn worker(&self, stream: StreamId) -> Option<WorkerId> {
        self.world.streams.get(&stream).map(|state| state.worker)
    }

    /// Everything logged so far.
    #[must_use]
    pub fn logs(&self) -> &[LogLine] {
        &self.world.logs
    }

    /// A metric's value, whichever VM defined it.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<&Metric> {
        self.world.metrics.get(name)
    }

    /// All metrics by name.
    pub fn metrics(&self) -> impl Iterator<Item = (&str, &Metric)> {
        self.world
            .metrics
            .iter()
            .map(|(name, metric)| (name.as_str(), metric))
    }

    /// A shared value.
    #[must_use]
    pub fn shared_data(&self, vm_id: &str, key: &str) -> Option<&[u8]> {
        self.world
            .shared
            .get(vm_id, key)
            .map(|(value, _)| value.as_slice())
    }

    /// The callbacks of a stream, in order, each with its plugin.
    #[must_use]
    pub fn callbacks(&self, stream: StreamId) -> Vec<(&str, &Callback)> {
        let of_stream = self
            .world
            .callbacks
            .iter()
            .filter(|call| call.stream == Some(stream));
        of_stream
            .map(|call| (call.plugin.as_deref().unwrap_or_default(), &call.callback))
            .collect()
    }

    /// The callbacks of root contexts, in order, each with its thread and plugin.
    #[must_use]
    pub fn root_callbacks(&self) -> Vec<(Thread, &str, &Callback)> {
        let of_roots = self
            .world
            .callbacks
            .iter()
            .filter(|call| call.stream.is_none());
        of_roots
            .map(|call| {
                (
                    call.thread,
                    call.plugin.as_deref().unwrap_or_default(),
                    &call.callback,
                )
            })
            .collect()
    }

    /// What the callbacks of a stream have cost, in order, each with its plugin. Those that a module
    /// does not have cost nothing.
    #[must_use]
    pub fn costs(&self, stream: StreamId) -> Vec<(&str, &Callback, Cost)> {
        let of_stream = self
            .world
            .callbacks
            .iter()
            .filter(|call| call.stream == Some(stream));
        of_stream
            .map(|call| {
                let plugin = call.plugin.as_deref().unwrap_or_default();
                (plugin, &call.callback, call.cost)
            })
            .collect()
    }

    /// What the callbacks of root contexts have cost, in order, each with its thread.
    #[must_use]
    pub fn root_costs(&self) -> Vec<(Thread, &Callback, Cost)> {
        let of_roots = self
            .world
            .callbacks
            .iter()
            .filter(|call| call.stream.is_none());
        of_roots
            .map(|call| (call.thread, &call.callback, call.cost))
            .collect()
    }
}
