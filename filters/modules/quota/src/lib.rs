//! `quota.wasm`: packaging only.

sekisho_hostcalls::main!(sekisho_plugin::start(sekisho_plugin::Stages::QUOTA));

// Says where budgets stand; what an answer used is told by the module of records.
sekisho_hostcalls::export!(proxy_on_response_headers);
