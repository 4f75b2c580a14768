//! `upstream.wasm`: packaging only.

sekisho_hostcalls::main!(sekisho_plugin::start(sekisho_plugin::Stages::UPSTREAM));
