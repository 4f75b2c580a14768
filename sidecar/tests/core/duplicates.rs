//! Batches that come twice, workers that vanish, sidecars that restart.

use sekisho::link::LinkError;
use sekisho::writer::ApplyError;
use sekisho_link::v1;

use crate::world::{Worker, World, usage_of};

#[tokio::test]
async fn sending_again_changes_nothing() {
    let world = World::new().await;
    let mut worker = world.worker(1);
    let leases = worker.lease(&[("sales-tokens", 2000)]).await.leases;
    let call = worker.call(1, "sales");
    let entries = vec![call.admit(&leases), call.complete(usage_of(10, 10))];
    worker.entries(entries.clone()).await;
    let before = (world.verify().await.records, world.summary().await);
    worker.entries(entries.clone()).await;
    drop(worker);
    // Over a new stream, and after a restart, when memory has forgotten.
    let mut again = Worker::new(&world.link, 1, 9, vec![[1; 16]], world.clock.clone());
    again.entries(entries.clone()).await;
    drop(again);
    let world = world.restarted().await;
    world.worker(1).entries(entries).await;
    let report = world.verify().await;
    World::sound(&report);
    assert_eq!((report.records, world.summary().await), before);
}

#[tokio::test]
async fn a_batch_lost_with_its_stream_still_finds_its_lease() {
    let world = World::new().await;
    let mut worker = world.worker(1);
    let leases = worker.lease(&[("hr-calls", 1)]).await.leases;
    let call = worker.call(1, "hr");
    drop(worker);
    let mut again = Worker::new(&world.link, 1, 2, vec![[1; 16]], world.clock.clone());
    let down = again.entries(vec![call.admit(&leases)]).await;
    assert!(down.refused.is_empty());
    // One is reserved, none is free with the former holder.
    let answer = again.lease(&[("hr-calls", 3)]).await;
    assert_eq!(answer.exhausted.unwrap().remaining, 2);
}

#[tokio::test]
async fn a_budget_stops_at_its_limit_and_starts_anew_with_its_window() {
    let world = World::new().await;
    let mut worker = world.worker(1);
    for n in 0..3 {
        let leases = worker.lease(&[("hr-calls", 1)]).await.leases;
        let call = worker.call(n, "hr");
        let down = worker.entries(vec![call.admit(&leases), call.complete(usage_of(1, 1))]);
        assert!(down.await.refused.is_empty());
    }
    let exhausted = worker.lease(&[("hr-calls", 1)]).await.exhausted.unwrap();
    assert_eq!((exhausted.limit, exhausted.remaining), (3, 0));
    // An admit without a lease is refused, and its withdrawal costs nothing.
    let call = worker.call(7, "hr");
    let bare = v1::Lease {
        budget: "hr-calls".into(),
        window_start: exhausted.window_end - 60_000,
        ..v1::Lease::default()
    };
    let down = worker.entries(vec![call.admit(&[bare])]).await;
    assert_eq!(down.refused, vec![call.id.0.to_vec()]);
    worker.entries(vec![call.withdraw()]).await;
    world.hand.advance(60_000);
    assert_eq!(worker.lease(&[("hr-calls", 1)]).await.leases.len(), 1);
    let report = world.verify().await;
    World::sound(&report);
    let figures = world.summary().await.total;
    assert_eq!((figures.requests, figures.refused), (3, 1));
}

#[tokio::test]
async fn the_calls_of_a_silent_gateway_end_at_their_worst() {
    let world = World::new().await;
    let mut worker = world.worker(1);
    let leases = worker.lease(&[("sales-tokens", 2000)]).await.leases;
    let call = worker.call(1, "sales");
    worker.entries(vec![call.admit(&leases)]).await;
    world.hand.advance(10_000);
    world.writer.tick().await.unwrap();
    assert_eq!(world.verify().await.open, [call.id]);
    world.hand.advance(1);
    world.writer.tick().await.unwrap();
    let report = world.verify().await;
    World::sound(&report);
    assert!(report.open.is_empty());
    let figures = world.summary().await.total;
    assert_eq!((figures.requests, figures.cost_micros.0), (1, 1_875_000));
    // Its stream is no longer worth anything, and what it says late is known already.
    let late = v1::Up {
        entries: vec![call.complete(usage_of(1, 1))],
        ..v1::Up::default()
    };
    let error = worker.send(late.clone()).await.unwrap_err();
    assert!(matches!(error, LinkError::Apply(ApplyError::Expired)));
    let mut again = Worker::new(&world.link, 1, 2, vec![[1; 16]], world.clock.clone());
    again.send(late).await.unwrap();
    assert_eq!(world.summary().await.total, figures);
    World::sound(&world.verify().await);
}

#[tokio::test]
async fn a_restart_forgets_nothing() {
    let world = World::new().await;
    let mut worker = world.worker(1);
    let leases = worker.lease(&[("hr-calls", 1)]).await.leases;
    let call = worker.call(1, "hr");
    worker.entries(vec![call.admit(&leases)]).await;
    drop(worker);
    let world = world.restarted().await;
    let mut again = Worker::new(&world.link, 1, 2, vec![[1; 16]], world.clock.clone());
    let down = again.entries(vec![call.complete(usage_of(1, 1))]).await;
    assert!(down.refused.is_empty());
    let exhausted = again.lease(&[("hr-calls", 3)]).await.exhausted.unwrap();
    assert_eq!(exhausted.remaining, 2);
    World::sound(&world.verify().await);
}

#[tokio::test]
async fn only_one_sidecar_writes() {
    let world = World::new().await;
    let second = sekisho::writer::Writer::start(
        world.store.clone(),
        world.policy.clone(),
        world.clock.clone(),
        crate::world::log_key(),
        None,
    );
    let error = second.await.unwrap_err();
    assert!(
        matches!(error, sekisho::writer::StartError::Taken(_)),
        "{error}"
    );
}

#[tokio::test]
async fn a_gateways_own_arithmetic_is_not_what_is_charged() {
    let world = World::new().await;
    let mut worker = world.worker(1);
    let leases = worker.lease(&[("sales-yen", 1_875_000)]).await.leases;
    let call = worker.call(1, "sales");
    let mut entry = call.complete(usage_of(1000, 0));
    let mut record: serde_json::Value = serde_json::from_slice(&entry.record).unwrap();
    record["cost_micros"] = 1.into();
    entry.record = record.to_string().into_bytes().into();
    worker.entries(vec![call.admit(&leases), entry]).await;
    assert_eq!(world.summary().await.total.cost_micros.0, 375_000);
    World::sound(&world.verify().await);
}
