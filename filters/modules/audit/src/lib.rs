//! `audit.wasm`: packaging only.

sekisho_hostcalls::main!(sekisho_plugin::start(sekisho_plugin::Stages::AUDIT));

sekisho_hostcalls::export!(
    proxy_on_response_headers,
    proxy_on_response_body,
    proxy_on_response_trailers,
);
