//! `gateway.wasm`: packaging only.

sekisho_hostcalls::main!(sekisho_plugin::start(sekisho_plugin::Stages::ALL));

sekisho_hostcalls::export!(
    proxy_on_response_headers,
    proxy_on_response_body,
    proxy_on_response_trailers,
);
