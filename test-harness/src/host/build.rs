//! Describing a proxy before it starts.

use std::collections::BTreeMap;
use std::time::Duration;

use super::clock::Random;
use super::engine::{self, Measured};
use super::plugin::{Plugin, PluginSpec};
use super::world::{Settings, World};
use super::{GrpcPeer, Host, HttpPeer, Level, LoadError, UnixNanos};

/// Why a proxy did not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    #[error("module `{0}` is not there")]
    NoModule(String),
    #[error("plugin `{0}` is not there")]
    NoPlugin(String),
    #[error("module `{module}` cannot be loaded")]
    Load {
        module: String,
        #[source]
        source: LoadError,
    },
    /// Envoy does not start, or refuses the configuration, whatever the fail policy says.
    #[error("plugin `{plugin}` did not start: {reason}")]
    NotStarted { plugin: String, reason: String },
}

/// A proxy's description.
pub struct HostBuilder {
    modules: BTreeMap<String, Vec<u8>>,
    plugins: Vec<PluginSpec>,
    chain: Option<Vec<String>>,
    workers: usize,
    now: UnixNanos,
    seed: u64,
    reload_backoff: Duration,
    settings: Settings,
    measured: Measured,
    grpc_peers: BTreeMap<String, Box<dyn GrpcPeer>>,
    http_peers: BTreeMap<String, Box<dyn HttpPeer>>,
}

impl Default for HostBuilder {
    fn default() -> Self {
        Self {
            modules: BTreeMap::new(),
            plugins: Vec::new(),
            chain: None,
            workers: 1,
            // 2026-01-01T00:00:00Z
            now: UnixNanos::from_secs(1_767_225_600),
            seed: 0,
            reload_backoff: Duration::from_secs(1),
            settings: Settings::default(),
            measured: Measured::default(),
            grpc_peers: BTreeMap::new(),
            http_peers: BTreeMap::new(),
        }
    }
}

impl HostBuilder {
    /// A module's bytes under the name by which plugins ask for it.
    #[must_use]
    pub fn module(mut self, name: &str, wasm: impl Into<Vec<u8>>) -> Self {
        self.modules.insert(name.to_owned(), wasm.into());
        self
    }

    #[must_use]
    pub fn plugin(mut self, plugin: PluginSpec) -> Self {
        self.plugins.push(plugin);
        self
    }

    /// The filters in the order in which requests pass them. Without it: all plugins, in order.
    #[must_use]
    pub fn chain<N: AsRef<str>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.chain = Some(
            names
                .into_iter()
                .map(|name| name.as_ref().to_owned())
                .collect(),
        );
        self
    }

    /// The number of worker threads, 1 if not said.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// The time at which the proxy starts, 2026-01-01T00:00:00Z if not said.
    #[must_use]
    pub fn starts_at(mut self, now: UnixNanos) -> Self {
        self.now = now;
        self
    }

    /// What the VMs' randomness comes from.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The least time between two reloads of a trapped VM, one second if not said. Envoy adds up
    /// to half of it at random; this host does not.
    #[must_use]
    pub fn reload_backoff(mut self, backoff: Duration) -> Self {
        self.reload_backoff = backoff;
        self
    }

    /// Lines below this level are neither kept nor, where the SDK asks, made. Info if not said.
    #[must_use]
    pub fn log_level(mut self, level: Level) -> Self {
        self.settings.log_level = level;
        self
    }

    /// The bytes of a body that are kept for a filter, 1 MiB if not said.
    #[must_use]
    pub fn buffer_limit(mut self, bytes: usize) -> Self {
        self.settings.buffer_limit = bytes;
        self
    }

    /// The time after which a stream on which nothing happens is cut, 5 minutes if not said.
    #[must_use]
    pub fn stream_idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.settings.stream_idle_timeout = timeout;
        self
    }

    /// A proxy that does not have a foreign function: calling it finds nothing.
    #[must_use]
    pub fn without_foreign_function(mut self, name: &str) -> Self {
        self.settings
            .missing_foreign_functions
            .push(name.to_owned());
        self
    }

    /// A cluster that speaks gRPC.
    #[must_use]
    pub fn grpc_peer(mut self, cluster: &str, peer: impl GrpcPeer + 'static) -> Self {
        self.settings.clusters.push(cluster.to_owned());
        self.grpc_peers.insert(cluster.to_owned(), Box::new(peer));
        self
    }

    /// A cluster that filters can call.
    #[must_use]
    pub fn http_peer(mut self, cluster: &str, peer: impl HttpPeer + 'static) -> Self {
        self.settings.clusters.push(cluster.to_owned());
        self.http_peers.insert(cluster.to_owned(), Box::new(peer));
        self
    }

    /// Takes the time that VMs take instead of counting their instructions.
    #[must_use]
    pub fn timed(mut self) -> Self {
        self.measured = Measured::Time;
        self
    }

    /// Loads the modules and starts the plugins on every thread.
    pub fn build(self) -> Result<Host, HostError> {
        let mut plugins = Vec::new();
        for spec in self.plugins {
            let wasm = self.modules.get(&spec.module);
            let wasm = wasm.ok_or_else(|| HostError::NoModule(spec.module.clone()))?;
            let module = engine::load(wasm, self.measured).map_err(|source| HostError::Load {
                module: spec.module.clone(),
                source,
            })?;
            plugins.push(Plugin::new(spec, module));
        }
        let place = |name: &String| {
            let place = plugins.iter().position(|plugin| plugin.name == *name);
            place.ok_or_else(|| HostError::NoPlugin(name.clone()))
        };
        let chain = match &self.chain {
            Some(names) => names.iter().map(place).collect::<Result<_, _>>()?,
            None => (0..plugins.len()).collect(),
        };
        let world = World {
            settings: self.settings,
            started: self.now,
            now: self.now,
            random: Random(self.seed),
            ..World::default()
        };
        let mut host = Host {
            plugins,
            chain,
            threads: Vec::new(),
            vms: Vec::new(),
            world,
            grpc_peers: self.grpc_peers,
            http_peers: self.http_peers,
            reload_backoff: self.reload_backoff,
            pumping: false,
        };
        host.start(self.workers)?;
        Ok(host)
    }
}
