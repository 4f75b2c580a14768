//! The functions of the proxy (proxy-wasm ABI 0.2.1), as they are.
#![expect(
    unsafe_code,
    reason = "what a proxy does cannot be known to the compiler"
)]
#![cfg_attr(
    not(target_arch = "wasm32"),
    expect(clippy::too_many_arguments, reason = "the ABI has them")
)]

/// Declares them where there is a proxy; elsewhere each of them says that it is not there.
macro_rules! imports {
    ($(fn $name:ident($($argument:ident: $type:ty),* $(,)?);)*) => {
        #[cfg(target_arch = "wasm32")]
        #[link(wasm_import_module = "env")]
        unsafe extern "C" {
            $(pub(crate) fn $name($($argument: $type),*) -> u32;)*
        }
        $(
            /// There is no proxy outside of WebAssembly.
            #[cfg(not(target_arch = "wasm32"))]
            pub(crate) const unsafe fn $name($(_: $type),*) -> u32 {
                crate::status::UNIMPLEMENTED
            }
        )*
    };
}

imports! {
    fn proxy_log(level: u32, text: *const u8, size: usize);
    fn proxy_get_current_time_nanoseconds(time: *mut u64);
    fn proxy_set_tick_period_milliseconds(period: u32);
    fn proxy_get_buffer_bytes(
        buffer: u32, start: usize, most: usize, data: *mut *mut u8, size: *mut usize,
    );
    fn proxy_set_buffer_bytes(buffer: u32, start: usize, size: usize, data: *const u8, length: usize);
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize);
    fn proxy_get_header_map_value(
        map: u32, name: *const u8, name_size: usize, data: *mut *mut u8, size: *mut usize,
    );
    fn proxy_replace_header_map_value(
        map: u32, name: *const u8, name_size: usize, value: *const u8, value_size: usize,
    );
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize);
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize);
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize);
    fn proxy_set_effective_context(context: u32);
    fn proxy_continue_stream(stream: u32);
    fn proxy_close_stream(stream: u32);
    fn proxy_send_local_response(
        status: u32, details: *const u8, details_size: usize, body: *const u8, body_size: usize,
        headers: *const u8, headers_size: usize, grpc_status: i32,
    );
    fn proxy_grpc_stream(
        cluster: *const u8, cluster_size: usize, service: *const u8, service_size: usize,
        method: *const u8, method_size: usize, metadata: *const u8, metadata_size: usize,
        token: *mut u32,
    );
    fn proxy_grpc_send(token: u32, message: *const u8, size: usize, end_of_stream: u32);
    fn proxy_call_foreign_function(
        name: *const u8, name_size: usize, arguments: *const u8, arguments_size: usize,
        data: *mut *mut u8, size: *mut usize,
    );
}
