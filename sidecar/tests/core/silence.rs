//! Calls whose gateway fell silent.

use sekisho::log::{Filter, search};
use sekisho::vitals::{Beat, Pulse};
use sekisho::writer::Lost;
use sekisho_domain::{AuditRecord, Outcome, RecordKind};

use crate::world::{Worker, World, usage_of};

const DAY_MILLIS: u64 = 24 * 60 * 60 * 1_000;

/// A call has ended and is charged; another is never heard of again, and is noticed by a sidecar that
/// comes back after the window of both is over.
async fn a_lost_call_after_its_window(leased: bool) -> World {
    let world = World::new().await;
    let mut worker = world.worker(1);
    let leases = worker.lease(&[("sales-tokens", 4_000)]).await.leases;
    let seen = worker.call(1, "sales");
    worker.entries(vec![seen.admit(&leases)]).await;
    worker.entries(vec![seen.complete(usage_of(30, 40))]).await;
    let lost = worker.call(2, "sales");
    let leases = if leased {
        worker.lease(&[("sales-tokens", 4_000)]).await.leases
    } else {
        Vec::new()
    };
    worker.entries(vec![lost.admit(&leases)]).await;
    world.hand.advance(2 * DAY_MILLIS);
    world.writer.tick().await.unwrap();
    world
}

#[tokio::test]
async fn a_lost_call_is_charged_to_its_window_also_when_that_is_over() {
    for leased in [true, false] {
        let world = a_lost_call_after_its_window(leased).await;
        let report = world.verify().await;
        assert!(
            report.open.is_empty(),
            "leased: {leased}: {:?}",
            report.open
        );
        World::sound(&report);
        let world = world.restarted().await;
        world.writer.tick().await.unwrap();
        World::sound(&world.verify().await);
    }
}

#[tokio::test]
async fn gateways_are_known_from_what_they_send() {
    let world = World::new().await;
    let pulse = Pulse::default();
    let link = world
        .link
        .clone()
        .with_pulse(pulse.clone(), world.clock.clone());
    let worker = |n| Worker::new(&link, n, n, Vec::new(), world.clock.clone());
    let (mut one, mut other) = (worker(1), worker(2));
    assert_eq!(pulse.beat(), Beat::default());
    one.lease(&[("sales-tokens", 10)]).await;
    other.lease(&[("sales-tokens", 10)]).await;
    world.hand.advance(5);
    one.lease(&[("sales-tokens", 10)]).await;
    assert_eq!(pulse.beat().last_success, Some(world.clock.now()));
    drop(one);
    assert!(pulse.beat().well_since.is_some());
    drop(other);
    let beat = pulse.beat();
    assert!(beat.well_since.is_none() && beat.last_success.is_some());
}

#[tokio::test]
async fn a_call_of_which_the_proxy_says_that_it_is_lost_ends_at_once_and_says_why() {
    let world = World::new().await;
    let mut worker = world.worker(1);
    let leases = worker.lease(&[("sales-tokens", 4_000)]).await.leases;
    let (ended, lost, never) = (
        worker.call(1, "sales"),
        worker.call(2, "sales"),
        worker.call(3, "sales"),
    );
    worker.entries(vec![ended.admit(&leases)]).await;
    worker.entries(vec![ended.complete(usage_of(30, 40))]).await;
    worker.entries(vec![lost.admit(&leases)]).await;
    let told = [&ended, &lost, &never].map(|call| Lost {
        id: call.id,
        why: "wasm_fail_stream".to_owned(),
    });
    let known = world.writer.lose(told.to_vec()).await.unwrap();
    assert_eq!(known, [true, true, false]);
    let report = world.verify().await;
    assert!(report.open.is_empty(), "{:?}", report.open);
    World::sound(&report);
    for (call, outcome, detail) in [
        (&ended, Outcome::Answered, None),
        (&lost, Outcome::Unknown, Some("wasm_fail_stream")),
    ] {
        let filter = Filter {
            record_id: Some(call.id),
            ..Filter::default()
        };
        let page = search(&world.store, &filter, None, 10).await.unwrap();
        let records: Vec<AuditRecord<'_>> = page
            .records
            .iter()
            .map(|found| serde_json::from_slice(&found.body).unwrap())
            .collect();
        let of = |kind| records.iter().find(|record| record.kind == kind).unwrap();
        let (admit, end) = (of(RecordKind::Admit), of(RecordKind::Complete));
        assert_eq!(
            (end.outcome, end.detail.as_deref()),
            (Some(outcome), detail)
        );
        if outcome == Outcome::Unknown {
            assert_eq!(
                (end.usage, end.cost_micros),
                (admit.usage, admit.cost_micros)
            );
        }
    }
    // Said again it changes nothing.
    let again = world.writer.lose(told.to_vec()).await.unwrap();
    assert_eq!(again, [true, true, false]);
    assert_eq!(world.verify().await.records, report.records);
}
