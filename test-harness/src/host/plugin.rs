//! A filter's configuration in the proxy.

use std::sync::Arc;

use super::engine::LoadedModule;

/// What a new stream gets once a plugin's VM has trapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailPolicy {
    /// 503, for good.
    #[default]
    FailClosed,
    /// A new VM, unless the last one is younger than the back-off: then 503.
    FailReload,
    /// No filter.
    FailOpen,
}

/// One plugin, as a filter's `PluginConfig` describes it.
#[derive(Debug, Clone, Default)]
pub struct PluginSpec {
    /// The plugin's name; chains and logs name it so.
    pub name: String,
    /// The module's name, as given to the builder.
    pub module: String,
    pub root_id: String,
    /// Plugins with the same VM id, VM configuration and module share VMs.
    pub vm_id: String,
    pub vm_configuration: Vec<u8>,
    pub configuration: Vec<u8>,
    /// False turns a pause at headers into a stop of everything, body callbacks included.
    pub allow_on_headers_stop_iteration: bool,
    pub fail_policy: FailPolicy,
}

/// What plugins share VMs by: VM id, VM configuration, module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VmKey {
    pub(crate) vm_id: String,
    pub(crate) configuration: Vec<u8>,
    pub(crate) module: String,
}

/// A plugin with its module.
pub(crate) struct Plugin {
    pub(crate) name: String,
    pub(crate) root_id: String,
    pub(crate) key: VmKey,
    pub(crate) configuration: Arc<[u8]>,
    pub(crate) allow_on_headers_stop_iteration: bool,
    pub(crate) fail_policy: FailPolicy,
    pub(crate) module: LoadedModule,
}

impl Plugin {
    pub(crate) fn new(spec: PluginSpec, module: LoadedModule) -> Self {
        Self {
            name: spec.name,
            root_id: spec.root_id,
            key: VmKey {
                vm_id: spec.vm_id,
                configuration: spec.vm_configuration,
                module: spec.module,
            },
            configuration: spec.configuration.into(),
            allow_on_headers_stop_iteration: spec.allow_on_headers_stop_iteration,
            fail_policy: spec.fail_policy,
            module,
        }
    }
}
