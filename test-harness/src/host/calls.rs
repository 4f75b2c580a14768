//! The host calls of ABI 0.2.1, one file for each family.

mod body;
mod clock;
mod context;
mod foreign;
mod grpc;
mod headers;
mod http_call;
mod log;
mod metrics;
mod properties;
mod reply;
mod shared;
mod wasi;

use wasmtime::{FuncType, ImportType, Linker, Val, ValType};

use super::vm::VmData;

/// Makes every call known to a linker.
pub(crate) fn define(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    headers::define(linker)?;
    body::define(linker)?;
    properties::define(linker)?;
    grpc::define(linker)?;
    http_call::define(linker)?;
    clock::define(linker)?;
    context::define(linker)?;
    foreign::define(linker)?;
    log::define(linker)?;
    metrics::define(linker)?;
    reply::define(linker)?;
    shared::define(linker)?;
    wasi::define(linker)
}

/// The functions of `env` that [`define`] defines.
const ABI: [&str; 38] = [
    "proxy_add_header_map_value",
    "proxy_call_foreign_function",
    "proxy_close_stream",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_dequeue_shared_queue",
    "proxy_done",
    "proxy_enqueue_shared_queue",
    "proxy_get_buffer_bytes",
    "proxy_get_buffer_status",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_size",
    "proxy_get_header_map_value",
    "proxy_get_log_level",
    "proxy_get_metric",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_get_status",
    "proxy_grpc_call",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_grpc_send",
    "proxy_grpc_stream",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_register_shared_queue",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_resolve_shared_queue",
    "proxy_send_local_response",
    "proxy_set_buffer_bytes",
    "proxy_set_effective_context",
    "proxy_set_header_map_pairs",
    "proxy_set_property",
    "proxy_set_shared_data",
];

/// Says whether an import is known. Functions of WASI that Envoy has but that do nothing there
/// are defined here, with the type that the module wants.
pub(crate) fn define_refusing(
    linker: &mut Linker<VmData>,
    import: &ImportType<'_>,
    ty: FuncType,
) -> bool {
    let name = import.name();
    if import.module() == "env" {
        return ABI.contains(&name) || name == "proxy_set_tick_period_milliseconds";
    }
    if import.module() != wasi::MODULE {
        return false;
    }
    if wasi::WORKING.contains(&name) {
        return true;
    }
    let Some((_, errno)) = wasi::REFUSING
        .iter()
        .find(|(refusing, _)| *refusing == name)
    else {
        return false;
    };
    let errno = *errno;
    let one_number = ty.results().len() == 1 && ty.results().all(|r| matches!(r, ValType::I32));
    one_number
        && linker
            .func_new(wasi::MODULE, name, ty, move |_, _, results| {
                if let Some(result) = results.first_mut() {
                    *result = Val::I32(errno);
                }
                Ok(())
            })
            .is_ok()
}
