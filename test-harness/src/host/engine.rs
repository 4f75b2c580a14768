//! Compiled modules: once per process, and once per machine through wasmtime's cache.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use wasmtime::{
    Cache, CacheConfig, Config, Engine, ExternType, InstancePre, Linker, Module, OptLevel,
};

use super::calls;
use super::vm::VmData;

/// A module that this host, and so Envoy, will not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("not a WebAssembly module: {0}")]
    Malformed(String),
    #[error("the module does not export `proxy_abi_version_0_2_1`")]
    UnknownAbi,
    #[error("the module exports neither `malloc` nor `proxy_on_memory_allocate`")]
    NoAllocator,
    #[error("the module imports `{0}`, which the ABI does not have")]
    UnknownImport(String),
}

/// A module with its imports resolved.
pub(crate) type LoadedModule = InstancePre<VmData>;

/// What is measured of what VMs do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) enum Measured {
    /// Instructions are counted, which takes longer than many of them do.
    #[default]
    Instructions,
    /// Code is made as good as can be, as Envoy's V8 does, and its time is taken.
    Time,
}

/// Compiles a module, or finds it compiled.
pub(crate) fn load(wasm: &[u8], measured: Measured) -> Result<LoadedModule, LoadError> {
    type Modules = HashMap<(Measured, Vec<u8>), LoadedModule>;
    static MODULES: OnceLock<Mutex<Modules>> = OnceLock::new();
    let modules = MODULES.get_or_init(Mutex::default);
    // Held while compiling, so that parallel tests wait for one compilation.
    let mut modules = modules.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (measured, wasm.to_vec());
    if let Some(module) = modules.get(&key) {
        return Ok(module.clone());
    }
    let module = compile(wasm, engine(measured))?;
    modules.insert(key, module.clone());
    Ok(module)
}

/// What is measured of a module that was loaded.
pub(crate) fn measured(module: &LoadedModule) -> Measured {
    let is_timed = Engine::same(module.module().engine(), engine(Measured::Time));
    match is_timed {
        true => Measured::Time,
        false => Measured::Instructions,
    }
}

fn compile(wasm: &[u8], engine: &Engine) -> Result<LoadedModule, LoadError> {
    let malformed = |error: wasmtime::Error| LoadError::Malformed(error.to_string());
    let module = Module::new(engine, wasm).map_err(malformed)?;
    let exports = |name: &str| module.get_export(name).is_some();
    if !exports("proxy_abi_version_0_2_1") {
        return Err(LoadError::UnknownAbi);
    }
    if !exports("malloc") && !exports("proxy_on_memory_allocate") {
        return Err(LoadError::NoAllocator);
    }
    let mut linker = Linker::new(engine);
    calls::define(&mut linker).map_err(malformed)?;
    for import in module.imports() {
        let known = match import.ty() {
            ExternType::Func(ty) => calls::define_refusing(&mut linker, &import, ty),
            _ => false,
        };
        if !known {
            let name = format!("{}.{}", import.module(), import.name());
            return Err(LoadError::UnknownImport(name));
        }
    }
    linker.instantiate_pre(&module).map_err(malformed)
}

fn engine(measured: Measured) -> &'static Engine {
    static COUNTING: OnceLock<Engine> = OnceLock::new();
    static TIMED: OnceLock<Engine> = OnceLock::new();
    let (engine, level) = match measured {
        Measured::Instructions => (&COUNTING, OptLevel::None),
        Measured::Time => (&TIMED, OptLevel::Speed),
    };
    engine.get_or_init(|| {
        let mut config = Config::new();
        config.cranelift_opt_level(level);
        config.consume_fuel(measured == Measured::Instructions);
        // Without the cache every test process would compile the modules again.
        let mut cache = CacheConfig::new();
        cache.with_directory(cache_directory());
        if let Ok(cache) = Cache::new(cache) {
            config.cache(Some(cache));
        }
        Engine::new(&config).unwrap_or_default()
    })
}

fn cache_directory() -> PathBuf {
    std::env::temp_dir()
        .join("sekisho-test-harness")
        .join("modules")
}
