//! Proxies with probes in them.

use std::path::PathBuf;
use std::time::Duration;

use sekisho_test_harness::host::{
    FailPolicy, Headers, Host, HostBuilder, Level, PluginSpec, RequestHead, StreamId, WorkerId,
};

pub(crate) const WORKER: WorkerId = WorkerId(0);

/// The probe's module, if it was built.
pub(crate) fn probe() -> Option<Vec<u8>> {
    let built = std::env::var_os("SEKISHO_PROBE").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/filters/probe.wasm"),
        PathBuf::from,
    );
    let wasm = std::fs::read(&built).ok();
    if wasm.is_none() {
        eprintln!("skipped: no {}; run scripts/build-filters", built.display());
    }
    wasm
}

/// A plugin that calls itself `name` and has the VM id `vm`.
pub(crate) fn plugin(name: &str, vm: &str, more: &str) -> PluginSpec {
    PluginSpec {
        name: name.to_owned(),
        module: "probe".to_owned(),
        root_id: name.to_owned(),
        vm_id: vm.to_owned(),
        configuration: format!("name={name} tick=300 {more}").into_bytes(),
        allow_on_headers_stop_iteration: true,
        fail_policy: FailPolicy::FailReload,
        ..PluginSpec::default()
    }
}

pub(crate) fn builder() -> Option<HostBuilder> {
    Some(
        Host::builder()
            .module("probe", probe()?)
            .log_level(Level::Warn)
            .buffer_limit(65_536),
    )
}

/// Probes a and b, each in its own VM.
pub(crate) fn two() -> Option<Host> {
    let builder = builder()?
        .plugin(plugin("a", "va", ""))
        .plugin(plugin("b", "vb", ""));
    Some(builder.build().unwrap())
}

/// One probe o under the default for pauses at headers.
pub(crate) fn old() -> Option<Host> {
    let mut o = plugin("o", "vo", "");
    o.allow_on_headers_stop_iteration = false;
    Some(builder()?.plugin(o).build().unwrap())
}

pub(crate) fn get(script: &str) -> RequestHead {
    RequestHead::get("/ok").header("x-do", script)
}

pub(crate) fn post(script: &str) -> RequestHead {
    RequestHead::post("/ok").header("x-do", script)
}

/// The answer that Envoy's upstream gave: five bytes.
pub(crate) fn answer(host: &mut Host, stream: StreamId) {
    host.response_headers(
        stream,
        Headers::from([(":status", "200"), ("content-length", "5")]),
        false,
    );
    host.response_body(stream, "hello", true);
}

/// One tick of every probe.
pub(crate) fn tick(host: &mut Host) {
    host.advance(Duration::from_millis(300));
}

/// What probes said about a stream. Context ids are left out, and how many headers there were.
pub(crate) fn said(host: &Host, stream: StreamId) -> Vec<String> {
    let lines = host
        .logs()
        .iter()
        .filter(|line| line.stream == Some(stream));
    lines
        .filter_map(|line| line.text.strip_prefix("probe "))
        .map(tidy)
        .collect()
}

fn tidy(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let headers = words.iter().any(|word| matches!(*word, "rqh" | "rsh"));
    let kept = words
        .into_iter()
        .filter(|word| !(word.starts_with("ctx=") || headers && word.starts_with("n=")));
    let line = kept.collect::<Vec<_>>().join(" ");
    match line.split_once(" wake ") {
        Some((name, rest)) => {
            format!(
                "{name} wake {}",
                rest.split_once(' ').map_or("", |(_, status)| status)
            )
        }
        None => line,
    }
}

/// The lines that follow when a whole response of five bytes passes two probes.
pub(crate) const PASSED: [&str; 12] = [
    "b rsh eos=false",
    "a rsh eos=false",
    "b rsb n=5 eos=false",
    "a rsb n=5 eos=false",
    "b rsb n=0 eos=true",
    "a rsb n=0 eos=true",
    "a log",
    "b log",
    "a done",
    "a delete",
    "b done",
    "b delete",
];

/// The lines that follow when a stream with two probes ends.
pub(crate) const ENDED: [&str; 6] = ["a log", "b log", "a done", "a delete", "b done", "b delete"];

pub(crate) fn lines(parts: &[&[&str]]) -> Vec<String> {
    parts.concat().into_iter().map(str::to_owned).collect()
}
