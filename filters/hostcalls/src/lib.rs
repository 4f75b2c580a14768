//! Calls of the proxy that the SDK makes dearer than they are. The only crate with `unsafe`
//! code: whatever the SDK can do as well, the plugin does with the SDK.

mod headers;

pub use headers::{Headers, Iter};

/// The proxy's number for the headers of a request (proxy-wasm ABI 0.2.1, `proxy_map_type_t`).
#[cfg(target_arch = "wasm32")]
const REQUEST_HEADERS: u32 = 0;

/// All headers of the current request, in order. None at all if the proxy gives none.
#[must_use]
pub fn request_headers() -> Headers {
    Headers::new(serialized_request_headers().unwrap_or_default())
}

#[cfg(target_arch = "wasm32")]
#[expect(
    unsafe_code,
    reason = "the SDK's call copies every name and every value into memory of its own"
)]
fn serialized_request_headers() -> Option<Vec<u8>> {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        fn proxy_get_header_map_pairs(
            map_type: u32,
            return_map_data: *mut *mut u8,
            return_map_size: *mut usize,
        ) -> u32;
    }
    let mut data: *mut u8 = std::ptr::null_mut();
    let mut size: usize = 0;
    // SAFETY: both pointers are to live variables of the types that the ABI names, and the proxy
    // writes to them before it returns, if at all.
    let status = unsafe { proxy_get_header_map_pairs(REQUEST_HEADERS, &mut data, &mut size) };
    if status != 0 || data.is_null() {
        return None;
    }
    // SAFETY: the proxy got `data` from this module's `proxy_on_memory_allocate`, asking for `size`
    // bytes; the SDK's function of that name leaks a `Vec<u8>` of that capacity, and the proxy has
    // written all of it. The proxy keeps no pointer to it: nobody else frees it.
    Some(unsafe { Vec::from_raw_parts(data, size, size) })
}

/// There is no proxy outside of WebAssembly.
#[cfg(not(target_arch = "wasm32"))]
fn serialized_request_headers() -> Option<Vec<u8>> {
    None
}
