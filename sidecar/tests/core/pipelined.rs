//! Batches that a worker sends while others of it are under way.

use std::time::Duration;

use sekisho::link::{Link, LinkError};
use sekisho::log::{Filter, search};
use sekisho::snapshot::SnapshotHub;
use sekisho::store::Store;
use sekisho::writer::{ApplyError, Writer};
use sekisho_domain::{AuditRecord, RecordKind};
use sekisho_link::v1;
use sekisho_link::v1::contents::Half;
use tokio::time::timeout;

use crate::world::{Worker, World, hold, log_key, open, policy, policy_json, usage_of};

fn up(entries: Vec<v1::Entry>) -> v1::Up {
    v1::Up {
        entries,
        ..v1::Up::default()
    }
}

/// What a worker is told of its batches, without what it is told besides.
async fn acknowledged(worker: &mut Worker) -> Result<u64, LinkError> {
    let told = async {
        loop {
            let down = worker.session.recv().await?;
            if down.ack > 0 {
                return Ok(down.ack);
            }
        }
    };
    timeout(Duration::from_secs(5), told).await.unwrap()
}

async fn submit(worker: &mut Worker, said: v1::Up) {
    let said = worker.batch(said);
    worker.session.submit(said).await;
}

/// The records of the log, oldest first.
async fn logged(store: &Store) -> Vec<(Vec<u8>, RecordKind)> {
    let page = search(store, &Filter::default(), None, 100).await.unwrap();
    let mut found = page.records;
    found.sort_by_key(|found| found.seq);
    let record = |body: &[u8]| {
        let record: AuditRecord<'_> = serde_json::from_slice(body).unwrap();
        (record.record_id.0.to_vec(), record.kind)
    };
    let records = found.iter().map(|found| record(&found.body));
    records
        .filter(|record| record.1 != RecordKind::Event)
        .collect()
}

#[tokio::test]
async fn two_batches_are_taken_without_waiting_and_acknowledged_in_their_order() {
    let world = World::new().await;
    let mut worker = world.worker(1);
    let held = hold(&world.writer).await;
    let call = worker.call(1, "sales");
    assert!(worker.session.has_room());
    submit(&mut worker, up(vec![call.admit(&[])])).await;
    assert!(worker.session.has_room());
    submit(&mut worker, up(vec![call.complete(usage_of(3, 4))])).await;
    assert!(!worker.session.has_room(), "no more than two are read");
    let early = timeout(Duration::from_millis(50), acknowledged(&mut worker)).await;
    assert!(
        early.is_err(),
        "nothing is acknowledged that is not durable"
    );
    drop(held);
    assert_eq!(acknowledged(&mut worker).await.unwrap(), 1);
    assert!(worker.session.has_room());
    assert_eq!(acknowledged(&mut worker).await.unwrap(), 2);
    assert!(worker.session.is_settled());
    let records = logged(&world.store).await;
    let kinds: Vec<RecordKind> = records.iter().map(|(_, kind)| *kind).collect();
    assert_eq!(kinds, [RecordKind::Admit, RecordKind::Complete]);
    world.writer.tick().await.unwrap();
    let report = world.verify().await;
    World::sound(&report);
    assert!(report.open.is_empty());
}

#[tokio::test]
async fn a_stream_that_ends_with_two_under_way_is_over_after_both() {
    let world = World::new().await;
    let (mut worker, mut other) = (world.worker(1), world.worker(2));
    other.entries(Vec::new()).await;
    let leases = worker.lease(&[("hr-calls", 3)]).await.leases;
    assert_eq!(leases[0].remaining, 0);
    let held = hold(&world.writer).await;
    let call = worker.call(1, "hr");
    submit(&mut worker, up(vec![call.admit(&leases)])).await;
    submit(&mut worker, up(vec![call.complete(usage_of(1, 1))])).await;
    drop(worker);
    drop(held);
    world.writer.tick().await.unwrap();
    // Nobody is asked for what is left there: that stream is over.
    let answer = other.lease(&[("hr-calls", 1)]).await;
    assert_eq!(answer.exhausted.unwrap().remaining, 0);
    let kinds: Vec<RecordKind> = logged(&world.store).await.iter().map(|r| r.1).collect();
    assert_eq!(kinds, [RecordKind::Admit, RecordKind::Complete]);
    World::sound(&world.verify().await);
}

#[tokio::test]
async fn what_is_behind_a_batch_of_an_expired_holder_is_not_taken() {
    let world = World::new().await;
    let mut worker = world.worker(1);
    worker.entries(Vec::new()).await;
    world.hand.advance(60_000);
    world.writer.tick().await.unwrap();
    let held = hold(&world.writer).await;
    for n in [1, 2] {
        let call = worker.call(n, "sales");
        submit(&mut worker, up(vec![call.refuse()])).await;
    }
    drop(held);
    let error = acknowledged(&mut worker).await.unwrap_err();
    assert!(
        matches!(error, LinkError::Apply(ApplyError::Expired)),
        "{error}"
    );
    drop(worker);
    world.writer.tick().await.unwrap();
    assert_eq!(logged(&world.store).await, []);
}

#[tokio::test]
async fn what_is_behind_bodies_that_cannot_be_kept_is_not_taken() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    // It has no key to encrypt bodies with.
    let start = Writer::start(
        store.clone(),
        policy(),
        world.clock.clone(),
        log_key(),
        None,
    );
    let writer = start.await.unwrap();
    let json = policy_json().to_string().into_bytes();
    let hub = SnapshotHub::new(policy(), json, b"pepper".to_vec());
    let link = Link::new(writer.clone(), hub);
    for (n, greeted) in [(1, true), (2, false)] {
        let mut worker = Worker::new(&link, n, n, Vec::new(), world.clock.clone());
        if greeted {
            worker.entries(Vec::new()).await;
        }
        let held = hold(&writer).await;
        let (kept, other) = (worker.call(1, "sales"), worker.call(2, "sales"));
        let bodies = v1::Up {
            contents: vec![kept.piece(Half::Request, 0, "a prompt")],
            ..up(vec![kept.admit(&[])])
        };
        submit(&mut worker, bodies).await;
        submit(&mut worker, up(vec![other.refuse()])).await;
        drop(held);
        let error = acknowledged(&mut worker).await.unwrap_err();
        let expected = matches!(error, LinkError::Apply(ApplyError::NoContentsKey));
        assert!(expected, "{error}");
        drop(worker);
        writer.tick().await.unwrap();
        assert_eq!(logged(&store).await, [], "greeted: {greeted}");
    }
}

#[tokio::test]
async fn what_is_behind_a_malformed_batch_is_not_taken_and_what_is_before_it_is_acknowledged() {
    let world = World::new().await;
    let malformed = || up(vec![v1::Entry::default()]);
    let skipped = |worker: &mut Worker| {
        // A batch is left out.
        worker.batch(v1::Up::default());
        v1::Up::default()
    };
    for n in [1, 2] {
        let mut worker = world.worker(n);
        let calls = [1, 2].map(|i| worker.call(u64::from(n) * 10 + i, "sales"));
        let before = logged(&world.store).await.len();
        let held = hold(&world.writer).await;
        submit(&mut worker, up(vec![calls[0].refuse()])).await;
        let wrong = match n {
            1 => malformed(),
            _ => skipped(&mut worker),
        };
        submit(&mut worker, wrong).await;
        assert!(!worker.session.has_room(), "nothing counts behind it");
        submit(&mut worker, up(vec![calls[1].refuse()])).await;
        drop(held);
        assert_eq!(acknowledged(&mut worker).await.unwrap(), 1);
        let error = acknowledged(&mut worker).await.unwrap_err();
        let expected = match n {
            1 => matches!(error, LinkError::Apply(ApplyError::Malformed(_))),
            _ => matches!(
                error,
                LinkError::Order {
                    found: 3,
                    expected: 2
                }
            ),
        };
        assert!(expected, "{error}");
        drop(worker);
        world.writer.tick().await.unwrap();
        let records = logged(&world.store).await;
        assert_eq!(records.len(), before + 1);
        assert_eq!(records[before].0, calls[0].id.0);
    }
}

#[tokio::test]
async fn a_lease_that_is_called_back_at_once_is_heard_of_first() {
    let world = World::new().await;
    let (mut one, mut other) = (world.worker(1), world.worker(2));
    one.entries(Vec::new()).await;
    other.entries(Vec::new()).await;
    let ask = |amount| {
        let demand = v1::Demand {
            budget: "hr-calls".into(),
            amount,
        };
        v1::Up {
            lease_requests: vec![v1::LeaseRequest {
                id: 1,
                demands: vec![demand],
            }],
            ..v1::Up::default()
        }
    };
    let held = hold(&world.writer).await;
    submit(&mut one, ask(3)).await;
    submit(&mut one, v1::Up::default()).await;
    submit(&mut other, ask(1)).await;
    let told = tokio::spawn(async move {
        let mut told = Vec::new();
        while told.len() < 3 {
            let down = one.session.recv().await.unwrap();
            if down.snapshot.is_none() {
                told.push(down);
            }
        }
        told
    });
    tokio::task::yield_now().await;
    drop(held);
    let told = timeout(Duration::from_secs(5), told)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((told[0].ack, told[0].lease_answers.len()), (2, 1));
    assert_eq!((told[1].ack, told[1].recalls.len()), (3, 0));
    assert_eq!(told[2].recalls.len(), 1);
}
