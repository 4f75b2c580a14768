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

/// Compiles a module, or finds it compiled.
pub(crate) fn load(wasm: &[u8]) -> Result<LoadedModule, LoadError> {
    static MODULES: OnceLock<Mutex<HashMap<Vec<u8>, LoadedModule>>> = OnceLock::new();
    let modules = MODULES.get_or_init(Mutex::default);
    // Held while compiling, so that parallel tests wait for one compilation.
    let mut modules = modules.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = modules.get(wasm) {
        return Ok(module.clone());
    }
    let module = compile(wasm)?;
    modules.insert(wasm.to_vec(), module.clone());
    Ok(module)
}

fn compile(wasm: &[u8]) -> Result<LoadedModule, LoadError> {
    let malformed = |error: wasmtime::Error| LoadError::Malformed(error.to_string());
    let engine = engine();
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

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut config = Config::new();
        config.cranelift_opt_level(OptLevel::None);
        // Instructions are counted.
        config.consume_fuel(true);
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
