//! `scope.wasm`: packaging only.

sekisho_hostcalls::main!(sekisho_plugin::start(sekisho_plugin::Stages::SCOPE));

// Exports no callback for answers: who asks is known before there is one.
