//! Without room for their ends no calls begin; those that have begun end.

use std::time::Duration;

use sekisho::link::Link;
use sekisho::log::verify::{Copies, Report, verify};
use sekisho::snapshot::SnapshotHub;
use sekisho::writer::{Post, StartError, Writer};
use sekisho_domain::RecordId;

use crate::world::{Worker, World, log_key, usage_of};

/// More than any disk has.
const TOO_MUCH: u64 = 1 << 60;

/// Another start on the same database, which wants so much room to be kept.
async fn again(world: &World, reserve_bytes: u64) -> (Writer, Link) {
    let writer = loop {
        let post = Post {
            policy: world.policy.clone(),
            clock: world.clock.clone(),
            log_key: log_key(),
            checkpoint_dir: Some(world.exported()),
            contents_key: None,
            reserve_bytes,
        };
        match Writer::stand_by(world.store.clone(), post, String::new()).await {
            Err(StartError::Taken(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
            started => break started.unwrap(),
        }
    };
    let hub = SnapshotHub::new(world.policy.clone(), b"{}".to_vec(), b"pepper".to_vec());
    (writer.clone(), Link::new(writer, hub))
}

async fn check(world: &World) -> Report {
    let key = log_key().verifying_key();
    let exported = world.exported();
    let copies = Copies {
        checkpoints: Some(&exported),
        archive: None,
    };
    let report = verify(&world.store, &world.policy, &key, copies).await;
    let report = report.unwrap();
    World::sound(&report);
    report
}

fn is_refused(down: &sekisho_link::v1::Down, id: RecordId) -> bool {
    down.refused.iter().any(|refused| **refused == id.0)
}

#[tokio::test]
async fn on_a_full_disk_calls_end_and_none_begin() {
    let mut world = World::on_sqlite().await;
    // Another world's writer in its place: the database is free for others.
    let other = World::on_sqlite().await;
    world.writer = other.writer.clone();
    world.link = other.link.clone();
    let (writer, link) = again(&world, 64 * 1024).await;
    let mut worker = Worker::new(&link, 1, 1, Vec::new(), world.clock.clone());
    let (open, withdrawn) = (worker.call(1, "hr"), worker.call(2, "hr"));
    let admits = vec![open.admit(&[]), withdrawn.admit(&[])];
    assert!(worker.entries(admits).await.refused.is_empty());
    drop((worker, link, writer));

    let (writer, link) = again(&world, TOO_MUCH).await;
    let mut worker = Worker::new(&link, 1, 2, vec![[1; 16]], world.clock.clone());
    let call = worker.call(3, "hr");
    let down = worker.entries(vec![call.admit(&[])]).await;
    assert!(is_refused(&down, call.id));
    // What a gateway says of that call, and of one that never came so far, is counted.
    let refusals = vec![call.refuse(), worker.call(4, "hr").refuse()];
    worker.entries(refusals).await;
    let ends = vec![open.complete(usage_of(3, 4)), withdrawn.refuse()];
    worker.entries(ends).await;
    writer.tick().await.unwrap();
    let disk = writer.pulses().disk.beat();
    assert!(disk.failing.unwrap().why.starts_with("the disk is full"));
    assert!(writer.pulses().log.beat().well_since.is_some());
    let report = check(&world).await;
    assert_eq!((report.records, report.refusals_dropped), (4, 2));
    assert!(report.open.is_empty());
    drop((worker, link, writer));

    let (writer, link) = again(&world, 64 * 1024).await;
    let mut worker = Worker::new(&link, 1, 3, Vec::new(), world.clock.clone());
    let call = worker.call(5, "hr");
    let down = worker.entries(vec![call.admit(&[])]).await;
    assert!(!is_refused(&down, call.id));
    writer.tick().await.unwrap();
    assert!(writer.pulses().disk.beat().well_since.is_some());
    check(&world).await;
}
