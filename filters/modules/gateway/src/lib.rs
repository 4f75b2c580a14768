//! `gateway.wasm`: packaging only.

proxy_wasm::main! {{
    sekisho_plugin::start(sekisho_plugin::Stages::ALL);
}}
