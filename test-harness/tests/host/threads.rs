//! Workers, the main thread, configuration, shared data and time.

use std::time::Duration;

use sekisho_test_harness::host::{Callback, HostError, Thread, WorkerId};

use super::support::{WORKER, builder, get, plugin, said};

#[test]
fn every_plugin_is_tried_and_then_configured_on_the_main_thread_and_every_worker() {
    let Some(builder) = builder() else { return };
    let host = builder
        .plugin(plugin("a", "va", ""))
        .workers(2)
        .build()
        .unwrap();
    let configured: Vec<_> = host
        .root_callbacks()
        .into_iter()
        .filter(|(_, _, callback)| **callback == Callback::Configure)
        .map(|(thread, plugin, _)| (thread, plugin))
        .collect();
    let worker = |worker| Thread::Worker(WorkerId(worker));
    assert_eq!(
        configured,
        [
            (Thread::Canary, "a"),
            (Thread::Main, "a"),
            (worker(0), "a"),
            (worker(1), "a")
        ]
    );
}

#[test]
fn ticks_come_to_the_main_thread_and_every_worker_and_not_to_the_canary() {
    let Some(builder) = builder() else { return };
    let mut host = builder
        .plugin(plugin("a", "va", ""))
        .workers(2)
        .build()
        .unwrap();
    host.advance(Duration::from_millis(650));
    let ticks = |wanted: Thread| {
        let calls = host.root_callbacks().into_iter();
        calls
            .filter(|(thread, _, call)| *thread == wanted && **call == Callback::Tick)
            .count()
    };
    assert_eq!(ticks(Thread::Main), 2);
    assert_eq!(ticks(Thread::Worker(WorkerId(0))), 2);
    assert_eq!(ticks(Thread::Worker(WorkerId(1))), 2);
    assert_eq!(ticks(Thread::Canary), 0);
}

#[test]
fn a_configuration_that_is_refused_stops_the_proxy_from_starting() {
    let Some(builder) = builder() else { return };
    let error = builder
        .plugin(plugin("a", "va", "refuse=1"))
        .build()
        .err()
        .unwrap();
    assert!(matches!(error, HostError::NotStarted { plugin, .. } if plugin == "a"));
}

#[test]
fn workers_do_not_share_a_vm_but_share_data_under_the_vm_id() {
    let Some(builder) = builder() else { return };
    let host = builder
        .plugin(plugin("a", "one", ""))
        .plugin(plugin("b", "two", ""));
    let mut host = host.workers(2).build().unwrap();
    host.request(WORKER, get("a.rqh=share:k:v"));
    let other = host.request(WorkerId(1), get("rqh=shared:k"));
    let said = said(&host, other);
    assert!(said[1].starts_with("shared k Ok((Some([118])"), "{said:?}");
    assert!(said[3].starts_with("shared k Ok((None, None)"), "{said:?}");
    assert_eq!(host.shared_data("one", "k"), Some(b"v".as_slice()));

    host.request(WORKER, get("a.rqh=panic"));
    assert!(host.is_dead(Thread::Worker(WORKER), "a"));
    assert!(!host.is_dead(Thread::Worker(WorkerId(1)), "a"));
}

#[test]
fn the_clock_stands_still_until_it_is_moved() {
    let Some(builder) = builder() else { return };
    let mut host = builder.plugin(plugin("a", "va", "")).build().unwrap();
    let stream = host.request(WORKER, get("rqh=time,time"));
    let first = said(&host, stream);
    assert_eq!(first[1], first[2]);
    host.advance(Duration::from_secs(60));
    let stream = host.request(WORKER, get("rqh=time"));
    assert_ne!(said(&host, stream)[1], first[1]);
    assert_eq!(said(&host, stream)[1], format!("time {}", host.now().0));
}
