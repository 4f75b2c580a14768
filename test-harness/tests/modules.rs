//! What the host takes as a module, with modules small enough to read.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what the tests share may be blunt too"
)]

use std::time::Duration;

use sekisho_test_harness::host::{
    FailPolicy, Headers, Host, HostError, LoadError, PluginSpec, RequestHead, Thread, WorkerId,
};

const WORKER: WorkerId = WorkerId(0);

/// A module with the exports that every module needs and a bump allocator, around `more`.
fn module(imports: &str, more: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            {imports}
            (memory (export "memory") 2)
            (global $top (mut i32) (i32.const 65536))
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "malloc") (param $size i32) (result i32)
                global.get $top
                (global.set $top (i32.add (global.get $top) (local.get $size))))
            {more})"#
    );
    wat::parse_str(text).unwrap()
}

fn plugin() -> PluginSpec {
    PluginSpec {
        name: "tiny".to_owned(),
        module: "tiny".to_owned(),
        fail_policy: FailPolicy::FailReload,
        ..PluginSpec::default()
    }
}

fn host(wasm: Vec<u8>) -> Result<Host, HostError> {
    Host::builder()
        .module("tiny", wasm)
        .plugin(plugin())
        .build()
}

fn refusal(wasm: Vec<u8>) -> LoadError {
    match host(wasm).err().unwrap() {
        HostError::Load { module, source } if module == "tiny" => source,
        other => panic!("{other}"),
    }
}

#[test]
fn a_module_without_callbacks_lets_everything_pass() {
    let mut host = host(module("", "")).unwrap();
    let stream = host.request(WORKER, RequestHead::post("/"));
    host.request_body(stream, "abc", true);
    assert_eq!(host.upstream(stream).unwrap().body(), b"abc");
    host.response_headers(stream, Headers::from([(":status", "204")]), true);
    assert!(host.outcome(stream).unwrap().completed);
    assert_eq!(host.memory_bytes(Thread::Main, "tiny"), Some(2 * 65_536));
}

#[test]
fn a_callback_sets_a_header_that_the_upstream_gets() {
    let imports = r#"(import "env" "proxy_replace_header_map_value"
        (func $set (param i32 i32 i32 i32 i32) (result i32)))"#;
    let more = r#"
        (data (i32.const 0) "x-tinyyes")
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (drop (call $set (i32.const 0)
                (i32.const 0) (i32.const 6) (i32.const 6) (i32.const 3)))
            (i32.const 0))"#;
    let mut host = host(module(imports, more)).unwrap();
    let stream = host.request(WORKER, RequestHead::get("/").header("x-tiny", "no"));
    assert_eq!(
        host.upstream(stream).unwrap().headers.text("x-tiny"),
        Some("yes")
    );
    assert_eq!(host.route_cache_clears(stream), 1);
}

#[test]
fn memory_that_the_guest_does_not_have_is_a_status_and_not_a_trap() {
    let imports = r#"(import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))"#;
    let more = r#"
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (if (i32.ne (call $log (i32.const 2) (i32.const 131070) (i32.const 3)) (i32.const 6))
                (then unreachable))
            (if (i32.ne (call $log (i32.const 9) (i32.const 0) (i32.const 0)) (i32.const 2))
                (then unreachable))
            (i32.const 0))"#;
    let mut host = host(module(imports, more)).unwrap();
    let stream = host.request(WORKER, RequestHead::get("/"));
    assert!(host.upstream(stream).is_some());
}

#[test]
fn a_trap_in_one_worker_is_that_workers_alone() {
    let more = r#"
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (if (i32.eq (local.get 1) (i32.const 5)) (then unreachable))
            (i32.const 0))"#;
    let builder = Host::builder()
        .module("tiny", module("", more))
        .plugin(plugin())
        .workers(2);
    let mut host = builder.build().unwrap();
    let fifth = host.request(
        WORKER,
        RequestHead::get("/").header("x", "the fifth header"),
    );
    assert_eq!(host.outcome(fifth).unwrap().status, Some(503));
    assert!(host.is_dead(Thread::Worker(WORKER), "tiny"));
    assert!(!host.is_dead(Thread::Worker(WorkerId(1)), "tiny"));
    host.advance(Duration::from_secs(1));
    let next = host.request(WORKER, RequestHead::get("/"));
    assert!(host.upstream(next).is_some());
}

#[test]
fn what_envoy_would_not_load_is_refused() {
    assert!(matches!(
        refusal(b"not wasm".to_vec()),
        LoadError::Malformed(_)
    ));
    let no_abi = wat::parse_str(r#"(module (func (export "malloc")))"#).unwrap();
    assert_eq!(refusal(no_abi), LoadError::UnknownAbi);
    let no_malloc = wat::parse_str(r#"(module (func (export "proxy_abi_version_0_2_1")))"#);
    assert_eq!(refusal(no_malloc.unwrap()), LoadError::NoAllocator);
    let browser = module(r#"(import "__wbindgen_placeholder__" "now" (func))"#, "");
    assert_eq!(
        refusal(browser),
        LoadError::UnknownImport("__wbindgen_placeholder__.now".to_owned())
    );
    let later = module(r#"(import "env" "proxy_from_the_future" (func))"#, "");
    assert_eq!(
        refusal(later),
        LoadError::UnknownImport("env.proxy_from_the_future".to_owned())
    );
}

#[test]
fn a_plugin_of_no_module_and_a_chain_of_no_plugin_are_named() {
    let no_module = Host::builder().plugin(plugin()).build().err().unwrap();
    assert_eq!(no_module, HostError::NoModule("tiny".to_owned()));
    let builder = Host::builder()
        .module("tiny", module("", ""))
        .plugin(plugin());
    let no_plugin = builder.chain(["tiny", "other"]).build().err().unwrap();
    assert_eq!(no_plugin, HostError::NoPlugin("other".to_owned()));
}
