//! Threads, and which VM serves a plugin on each.

use std::collections::BTreeMap;

use super::Callback;
use super::build::HostError;
use super::log::{Level, LogLine};
use super::plugin::{FailPolicy, VmKey};
use super::vm::{ContextKind, Root, Vm, VmIdentity};
use super::{Host, UnixNanos};

/// A worker thread, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub usize);

/// Where a VM lives. Plugins have a VM on the main thread too; it serves no streams but ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Thread {
    Main,
    Worker(WorkerId),
    /// The VM in which Envoy tries a plugin's configuration before it goes live.
    Canary,
}

/// A plugin's VM and root context on a thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PluginHandle {
    pub(crate) vm: usize,
    pub(crate) root: u32,
    pub(crate) last_reload: Option<UnixNanos>,
}

#[derive(Debug, Default)]
pub(crate) struct ThreadVms {
    pub(crate) handles: Vec<PluginHandle>,
    pub(crate) live: BTreeMap<VmKey, usize>,
}

impl Host {
    pub(crate) fn thread_index(thread: Thread) -> usize {
        match thread {
            Thread::Main | Thread::Canary => 0,
            Thread::Worker(WorkerId(worker)) => worker + 1,
        }
    }

    /// Tries every plugin's configuration, then makes the VMs of every thread.
    pub(crate) fn start(&mut self, workers: usize) -> Result<(), HostError> {
        for plugin in 0..self.plugins.len() {
            let vm = self.new_vm(plugin, Thread::Canary)?;
            self.start_root(vm, plugin)?;
            // The canary does not live on; nor does what it asked for.
            if let Some(vm) = self.vms.get_mut(vm) {
                vm.failed = true;
                vm.store.data_mut().roots.clear();
            }
            self.world.grpc.drop_vm(vm);
        }
        let threads = std::iter::once(Thread::Main)
            .chain((0..workers).map(|worker| Thread::Worker(WorkerId(worker))));
        for thread in threads {
            self.threads.push(ThreadVms::default());
            for plugin in 0..self.plugins.len() {
                let handle = self.attach(plugin, thread)?;
                if let Some(thread) = self.threads.last_mut() {
                    thread.handles.push(handle);
                }
            }
        }
        self.pump();
        Ok(())
    }

    /// Puts a plugin into its thread's VM, which is made if there is none alive.
    fn attach(&mut self, plugin: usize, thread: Thread) -> Result<PluginHandle, HostError> {
        let key = self.plugins.get(plugin).map(|plugin| plugin.key.clone());
        let key = key.ok_or(HostError::NoPlugin(plugin.to_string()))?;
        let index = Self::thread_index(thread);
        let live = self
            .threads
            .get(index)
            .and_then(|thread| thread.live.get(&key))
            .copied();
        let vm = match live.filter(|vm| !self.vm_failed(*vm)) {
            Some(vm) => vm,
            None => {
                let vm = self.new_vm(plugin, thread)?;
                if let Some(thread) = self.threads.get_mut(index) {
                    thread.live.insert(key, vm);
                }
                vm
            }
        };
        let root = self.start_root(vm, plugin)?;
        Ok(PluginHandle {
            vm,
            root,
            last_reload: None,
        })
    }

    fn new_vm(&mut self, plugin: usize, thread: Thread) -> Result<usize, HostError> {
        let plugin = self
            .plugins
            .get(plugin)
            .ok_or_else(|| HostError::NoPlugin(plugin.to_string()))?;
        let identity = VmIdentity {
            index: self.vms.len(),
            thread,
            vm_id: plugin.key.vm_id.clone(),
            vm_configuration: plugin.key.configuration.clone(),
        };
        let vm = Vm::new(&plugin.module, identity, &mut self.world).map_err(|error| {
            HostError::NotStarted {
                plugin: plugin.name.clone(),
                reason: format!("{error:?}"),
            }
        })?;
        self.vms.push(vm);
        Ok(self.vms.len() - 1)
    }

    /// Makes a plugin's root context: create, start, configure.
    fn start_root(&mut self, vm: usize, plugin: usize) -> Result<u32, HostError> {
        let (name, root_id, configuration) = match self.plugins.get(plugin) {
            Some(p) => (p.name.clone(), p.root_id.clone(), p.configuration.clone()),
            None => return Err(HostError::NoPlugin(plugin.to_string())),
        };
        let refused = |reason: &str| HostError::NotStarted {
            plugin: name.clone(),
            reason: reason.to_owned(),
        };
        let size = u32::try_from(configuration.len()).unwrap_or(u32::MAX);
        let data = match self.vms.get_mut(vm) {
            Some(vm) => vm.store.data_mut(),
            None => return Err(refused("no VM")),
        };
        let root = data.new_context(ContextKind::Root);
        data.roots.insert(root, Root::new(&name, root_id));
        data.configuring = Some(configuration);
        let vm_size = u32::try_from(data.vm_configuration.len()).unwrap_or(u32::MAX);
        self.call(
            vm,
            root,
            Callback::ContextCreate,
            |store, exports| match &exports.context_create {
                Some(create) => create.call(store, (root, 0)).map(Some),
                None => Ok(None),
            },
        );
        // `on_vm_start` must not depend on the plugin: its configuration is not there yet.
        let configuration = self
            .vms
            .get_mut(vm)
            .and_then(|vm| vm.store.data_mut().configuring.take());
        let started = self.call(vm, root, Callback::VmStart, |store, exports| match &exports
            .vm_start
        {
            Some(start) => start.call(store, (root, vm_size)),
            None => Ok(1),
        });
        if let Some(vm) = self.vms.get_mut(vm) {
            vm.store.data_mut().configuring = configuration;
        }
        let configured = self.call(
            vm,
            root,
            Callback::Configure,
            |store, exports| match &exports.configure {
                Some(configure) => configure.call(store, (root, size)),
                None => Ok(1),
            },
        );
        if let Some(vm) = self.vms.get_mut(vm) {
            vm.store.data_mut().configuring = None;
        }
        match (started, configured) {
            (Some(1..), Some(1..)) => Ok(root),
            (Some(0), _) => Err(refused("`proxy_on_vm_start` returned false")),
            (_, Some(0)) => Err(refused("`proxy_on_configure` returned false")),
            _ => Err(refused(&self.last_error())),
        }
    }

    fn last_error(&self) -> String {
        let line = self
            .world
            .logs
            .iter()
            .rev()
            .find(|line| line.level >= Level::Error);
        line.map_or_else(|| "trapped".to_owned(), |line| line.text.clone())
    }

    pub(crate) fn vm_failed(&self, vm: usize) -> bool {
        self.vms.get(vm).is_none_or(|vm| vm.failed)
    }

    /// The plugin's VM for a new stream: a new one if the old one trapped and the policy and the
    /// back-off allow it.
    pub(crate) fn handle_for_stream(
        &mut self,
        plugin: usize,
        worker: WorkerId,
    ) -> Option<PluginHandle> {
        let thread = Thread::Worker(worker);
        let index = Self::thread_index(thread);
        let handle = *self.threads.get(index)?.handles.get(plugin)?;
        if !self.vm_failed(handle.vm) {
            return Some(handle);
        }
        let policy = self.plugins.get(plugin)?.fail_policy;
        let now = self.world.now;
        let too_young = handle
            .last_reload
            .is_some_and(|at| now.since(at) < self.reload_backoff);
        if policy != FailPolicy::FailReload || too_young {
            return Some(handle);
        }
        let dead = handle.vm;
        let fresh = match self.attach(plugin, thread) {
            Ok(fresh) => PluginHandle {
                last_reload: Some(now),
                ..fresh
            },
            Err(error) => {
                self.world.log(LogLine {
                    level: Level::Error,
                    thread,
                    plugin: self.plugins.get(plugin).map(|plugin| plugin.name.clone()),
                    stream: None,
                    text: error.to_string(),
                });
                PluginHandle {
                    last_reload: Some(now),
                    ..handle
                }
            }
        };
        *self.threads.get_mut(index)?.handles.get_mut(plugin)? = fresh;
        self.release(dead);
        Some(fresh)
    }

    /// Cuts the gRPC streams of a dead VM once no plugin and no unfinished stream refers to it. Until
    /// then its peers see them open, though nobody listens.
    pub(crate) fn release(&mut self, vm: usize) {
        let handles = self.threads.iter().flat_map(|thread| &thread.handles);
        let mut streams = self.world.streams.values().filter(|stream| !stream.ended);
        let used = handles.into_iter().any(|handle| handle.vm == vm)
            || streams.any(|s| {
                s.filters
                    .iter()
                    .any(|f| f.place.is_some_and(|(v, _)| v == vm))
            });
        if !used {
            self.world.grpc.drop_vm(vm);
        }
    }

    /// The bytes of memory that a plugin's VM has taken on a thread.
    #[must_use]
    pub fn memory_bytes(&self, thread: Thread, plugin: &str) -> Option<usize> {
        let plugin = self.plugins.iter().position(|p| p.name == plugin)?;
        let handle = self
            .threads
            .get(Self::thread_index(thread))?
            .handles
            .get(plugin)?;
        self.vms.get(handle.vm).map(Vm::memory_bytes)
    }

    /// The bytes of memory that all VMs together have taken. A VM never gives any back.
    #[must_use]
    pub fn all_memory_bytes(&self) -> usize {
        self.vms.iter().map(Vm::memory_bytes).sum()
    }

    /// True if a plugin's VM on a thread has trapped and was not replaced.
    #[must_use]
    pub fn is_dead(&self, thread: Thread, plugin: &str) -> bool {
        let place = self.plugins.iter().position(|p| p.name == plugin);
        let handle = place.and_then(|plugin| {
            self.threads
                .get(Self::thread_index(thread))?
                .handles
                .get(plugin)
                .copied()
        });
        handle.is_none_or(|handle| self.vm_failed(handle.vm))
    }
}

impl Root {
    fn new(name: &str, root_id: String) -> Self {
        Self {
            name: name.to_owned(),
            root_id,
            grpc_message: None,
            grpc_initial_metadata: None,
            grpc_trailing_metadata: None,
            http_response: None,
            status: (0, String::new()),
            tick: None,
            declared: Vec::new(),
        }
    }
}
