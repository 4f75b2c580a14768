//! One VM: an instance of a module with its contexts.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::{CallHook, Memory, Store, StoreLimits, StoreLimitsBuilder, TypedFunc};

use super::clock::UnixNanos;
use super::engine::{self, LoadedModule, Measured};
use super::metrics::Kind;
use super::stopwatch::Stopwatch;
use super::stream::StreamId;
use super::world::{AfterCalls, World};
use super::{Headers, Thread};

/// Envoy gives a VM at most this much memory.
const MOST_MEMORY: usize = 1024 * 1024 * 1024;

/// A callback that the host made, with what it told the filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Callback {
    ContextCreate,
    VmStart,
    Configure,
    Tick,
    RequestHeaders {
        count: u32,
        end_of_stream: bool,
    },
    RequestBody {
        size: u32,
        end_of_stream: bool,
    },
    RequestTrailers {
        count: u32,
    },
    ResponseHeaders {
        count: u32,
        end_of_stream: bool,
    },
    ResponseBody {
        size: u32,
        end_of_stream: bool,
    },
    ResponseTrailers {
        count: u32,
    },
    HttpCallResponse {
        headers: u32,
        body: u32,
        trailers: u32,
    },
    GrpcInitialMetadata {
        count: u32,
    },
    GrpcMessage {
        size: u32,
    },
    GrpcTrailingMetadata {
        count: u32,
    },
    GrpcClose {
        status: u32,
    },
    QueueReady,
    Log,
    Done,
    Delete,
}

/// What a callback made a VM do. The same module does the same on every machine, so that unlike
/// time it can be compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// WebAssembly instructions; none where time is taken.
    pub instructions: u64,
    /// Time that the VM took, not that of the host's functions, nanoseconds; none where instructions
    /// are counted.
    pub nanos: u64,
    /// How often the VM was entered: the callback itself, and its allocator for each host call that
    /// returns data. None if the module does not have the callback.
    pub entries: u32,
    /// Calls of the host.
    pub host_calls: u32,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, more: Self) {
        self.instructions += more.instructions;
        self.nanos += more.nanos;
        self.entries += more.entries;
        self.host_calls += more.host_calls;
    }
}

/// A callback with where it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallbackRecord {
    pub(crate) thread: Thread,
    pub(crate) plugin: Option<String>,
    pub(crate) stream: Option<StreamId>,
    pub(crate) callback: Callback,
    pub(crate) cost: Cost,
}

/// What a context of the VM stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContextKind {
    Root,
    Stream {
        stream: StreamId,
        filter: usize,
        root: u32,
    },
}

/// A root context: a plugin's part of a VM.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) name: String,
    pub(crate) root_id: String,
    /// What buffers and maps show while a callback about them runs.
    pub(crate) grpc_message: Option<Vec<u8>>,
    pub(crate) grpc_initial_metadata: Option<Headers>,
    pub(crate) grpc_trailing_metadata: Option<Headers>,
    pub(crate) http_response: Option<super::HttpReply>,
    pub(crate) status: (u32, String),
    pub(crate) tick: Option<Tick>,
    pub(crate) declared: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Tick {
    pub(crate) period_nanos: u64,
    pub(crate) due: UnixNanos,
}

/// What host calls reach from inside a VM.
pub(crate) struct VmData {
    pub(crate) index: usize,
    pub(crate) thread: Thread,
    pub(crate) vm_id: String,
    pub(crate) vm_configuration: Vec<u8>,
    pub(crate) memory: Option<Memory>,
    pub(crate) allocate: Option<TypedFunc<u32, u32>>,
    pub(crate) contexts: BTreeMap<u32, ContextKind>,
    pub(crate) roots: BTreeMap<u32, Root>,
    pub(crate) next_context: u32,
    /// The context in which the running callback was made, and the one that it chose.
    pub(crate) current: u32,
    pub(crate) effective: u32,
    /// A local reply was asked for: what the callback returns does not matter.
    pub(crate) stop_iteration: bool,
    pub(crate) after_call: AfterCalls,
    /// The plugin configuration, readable only while it is being given.
    pub(crate) configuring: Option<Arc<[u8]>>,
    pub(crate) metrics: BTreeMap<u32, (Kind, String)>,
    pub(crate) next_metric: [u32; 3],
    pub(crate) limits: StoreLimits,
    /// What callbacks have made the VM do, but for instructions and time.
    pub(crate) cost: Cost,
    /// Where time is taken.
    pub(crate) watch: Option<Stopwatch>,
    pub(crate) world: World,
}

impl VmData {
    /// The context that a host call is about.
    pub(crate) fn context(&self) -> u32 {
        if self.effective != 0 && self.contexts.contains_key(&self.effective) {
            self.effective
        } else {
            self.current
        }
    }

    /// The root context of the context that a host call is about.
    pub(crate) fn root_id(&self) -> u32 {
        let context = self.context();
        match self.contexts.get(&context) {
            Some(ContextKind::Stream { root, .. }) => *root,
            _ => context,
        }
    }

    pub(crate) fn root(&mut self) -> Option<&mut Root> {
        let id = self.root_id();
        self.roots.get_mut(&id)
    }

    /// The stream and the place in its chain, if a host call is about a stream.
    pub(crate) fn filter(&self) -> Option<(StreamId, usize)> {
        match self.contexts.get(&self.context()) {
            Some(ContextKind::Stream { stream, filter, .. }) => Some((*stream, *filter)),
            _ => None,
        }
    }

    pub(crate) fn new_context(&mut self, kind: ContextKind) -> u32 {
        let id = self.next_context;
        self.next_context = self.next_context.saturating_add(1);
        self.contexts.insert(id, kind);
        id
    }
}

/// Context, token, and the numbers of headers, body bytes and trailers.
type FiveNumbers = (u32, u32, u32, u32, u32);

/// The callbacks that a module may export.
pub(crate) struct Exports {
    pub(crate) context_create: Option<TypedFunc<(u32, u32), ()>>,
    pub(crate) vm_start: Option<TypedFunc<(u32, u32), u32>>,
    pub(crate) configure: Option<TypedFunc<(u32, u32), u32>>,
    pub(crate) tick: Option<TypedFunc<u32, ()>>,
    pub(crate) request_headers: Option<TypedFunc<(u32, u32, u32), u32>>,
    pub(crate) request_body: Option<TypedFunc<(u32, u32, u32), u32>>,
    pub(crate) request_trailers: Option<TypedFunc<(u32, u32), u32>>,
    pub(crate) response_headers: Option<TypedFunc<(u32, u32, u32), u32>>,
    pub(crate) response_body: Option<TypedFunc<(u32, u32, u32), u32>>,
    pub(crate) response_trailers: Option<TypedFunc<(u32, u32), u32>>,
    pub(crate) http_call_response: Option<TypedFunc<FiveNumbers, ()>>,
    pub(crate) grpc_initial_metadata: Option<TypedFunc<(u32, u32, u32), ()>>,
    pub(crate) grpc_message: Option<TypedFunc<(u32, u32, u32), ()>>,
    pub(crate) grpc_trailing_metadata: Option<TypedFunc<(u32, u32, u32), ()>>,
    pub(crate) grpc_close: Option<TypedFunc<(u32, u32, u32), ()>>,
    pub(crate) queue_ready: Option<TypedFunc<(u32, u32), ()>>,
    pub(crate) log: Option<TypedFunc<u32, ()>>,
    pub(crate) done: Option<TypedFunc<u32, u32>>,
    pub(crate) delete: Option<TypedFunc<u32, ()>>,
}

pub(crate) struct Vm {
    pub(crate) store: Store<VmData>,
    pub(crate) exports: Exports,
    /// Trapped: nothing runs in it any more.
    pub(crate) failed: bool,
}

/// What a VM is made for.
pub(crate) struct VmIdentity {
    pub(crate) index: usize,
    pub(crate) thread: Thread,
    pub(crate) vm_id: String,
    pub(crate) vm_configuration: Vec<u8>,
}

impl Vm {
    /// Instantiates a module and runs its start functions, with the world lent to it.
    pub(crate) fn new(
        module: &LoadedModule,
        identity: VmIdentity,
        world: &mut World,
    ) -> wasmtime::Result<Self> {
        let is_timed = engine::measured(module) == Measured::Time;
        let data = VmData {
            index: identity.index,
            thread: identity.thread,
            vm_id: identity.vm_id,
            vm_configuration: identity.vm_configuration,
            memory: None,
            allocate: None,
            contexts: BTreeMap::new(),
            roots: BTreeMap::new(),
            next_context: 1,
            current: 0,
            effective: 0,
            stop_iteration: false,
            after_call: AfterCalls::new(),
            configuring: None,
            metrics: BTreeMap::new(),
            next_metric: [0; 3],
            limits: StoreLimitsBuilder::new().memory_size(MOST_MEMORY).build(),
            cost: Cost::default(),
            watch: is_timed.then(Stopwatch::default),
            world: World::default(),
        };
        let mut store = Store::new(module.module().engine(), data);
        store.limiter(|data| &mut data.limits);
        if !is_timed {
            // Counts instructions downwards; nobody runs out of them.
            store.set_fuel(u64::MAX)?;
        }
        store.call_hook(|mut vm, passing| {
            let data = vm.data_mut();
            match passing {
                CallHook::CallingWasm => data.cost.entries += 1,
                CallHook::CallingHost => data.cost.host_calls += 1,
                CallHook::ReturningFromWasm | CallHook::ReturningFromHost => {}
            }
            match &mut data.watch {
                Some(watch) if passing.entering_host() => watch.stop(),
                Some(watch) => watch.start(),
                None => {}
            }
            Ok(())
        });
        let instance = module.instantiate(&mut store)?;
        let mut func = Lookup {
            store: &mut store,
            instance: &instance,
        };
        let exports = func.exports();
        let allocate = func
            .get("malloc")
            .or_else(|| func.get("proxy_on_memory_allocate"));
        let initialize = func.get::<(), ()>("_initialize");
        let main = match &initialize {
            Some(_) => func.get::<(u32, u32), u32>("main"),
            None => None,
        };
        let start = initialize.or_else(|| func.get("_start"));
        let memory = instance.get_memory(&mut store, "memory");
        let data = store.data_mut();
        data.memory = memory;
        data.allocate = allocate;
        std::mem::swap(&mut data.world, world);
        let mut result = start.map_or(Ok(()), |start| start.call(&mut store, ()));
        if let (Ok(()), Some(main)) = (&result, main) {
            result = main.call(&mut store, (0, 0)).map(|_| ());
        }
        std::mem::swap(&mut store.data_mut().world, world);
        result.map(|()| Self {
            store,
            exports,
            failed: false,
        })
    }

    /// What callbacks have made this VM do so far.
    pub(crate) fn cost(&self) -> Cost {
        Cost {
            instructions: self.store.get_fuel().map_or(0, |left| u64::MAX - left),
            nanos: self.store.data().watch.as_ref().map_or(0, Stopwatch::nanos),
            ..self.store.data().cost
        }
    }

    /// The bytes of linear memory that the VM has taken.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.store
            .data()
            .memory
            .map_or(0, |memory| memory.data_size(&self.store))
    }
}

struct Lookup<'a> {
    store: &'a mut Store<VmData>,
    instance: &'a wasmtime::Instance,
}

impl Lookup<'_> {
    /// An exported function; one of another type counts as missing.
    fn get<P: wasmtime::WasmParams, R: wasmtime::WasmResults>(
        &mut self,
        name: &str,
    ) -> Option<TypedFunc<P, R>> {
        self.instance.get_typed_func(&mut *self.store, name).ok()
    }

    fn exports(&mut self) -> Exports {
        Exports {
            context_create: self.get("proxy_on_context_create"),
            vm_start: self.get("proxy_on_vm_start"),
            configure: self.get("proxy_on_configure"),
            tick: self.get("proxy_on_tick"),
            request_headers: self.get("proxy_on_request_headers"),
            request_body: self.get("proxy_on_request_body"),
            request_trailers: self.get("proxy_on_request_trailers"),
            response_headers: self.get("proxy_on_response_headers"),
            response_body: self.get("proxy_on_response_body"),
            response_trailers: self.get("proxy_on_response_trailers"),
            http_call_response: self.get("proxy_on_http_call_response"),
            grpc_initial_metadata: self.get("proxy_on_grpc_receive_initial_metadata"),
            grpc_message: self.get("proxy_on_grpc_receive"),
            grpc_trailing_metadata: self.get("proxy_on_grpc_receive_trailing_metadata"),
            grpc_close: self.get("proxy_on_grpc_close"),
            queue_ready: self.get("proxy_on_queue_ready"),
            log: self.get("proxy_on_log"),
            done: self.get("proxy_on_done"),
            delete: self.get("proxy_on_delete"),
        }
    }
}
