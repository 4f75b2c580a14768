//! Death at any moment: what was acknowledged is there, what is there is sound.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sekisho::clock::Clock;
use sekisho::link::{Link, LinkError};
use sekisho::log::verify::{Copies, verify};
use sekisho::log::{Filter, search};
use sekisho::snapshot::SnapshotHub;
use sekisho::store::Store;
use sekisho::writer::{ApplyError, Writer};
use sekisho_domain::RecordId;

use crate::world::{Worker, World, log_key, policy, sqlite, usage_of};

/// Folder of the database, for the process that is going to be killed.
const FOLDER: &str = "SEKISHO_CRASH_FOLDER";

/// Rounds of killing; each begins on what the former left.
const ROUNDS: u64 = 5;

/// Not a test by itself: the process that the next one kills.
#[tokio::test]
async fn a_sidecar_under_load() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let store = Store::open(&sqlite(&folder)).await.unwrap();
    let exported = Some(folder.join("checkpoints"));
    let clock = Clock::system();
    let writer = Writer::start(store, policy(), clock.clone(), log_key(), exported);
    let writer = writer.await.unwrap();
    let hub = SnapshotHub::new(policy(), b"{}".to_vec(), b"pepper".to_vec());
    let link = Link::new(writer, hub);
    let mut workers = Vec::new();
    for n in 1..=4u8 {
        let round = std::process::id().to_be_bytes()[3];
        let worker = Worker::new(&link, round.max(1), n, Vec::new(), clock.clone());
        workers.push(tokio::spawn(load(worker, u64::from(n) << 32)));
    }
    for worker in workers {
        worker.await.unwrap();
    }
}

/// Calls without end; each acknowledged record is printed.
async fn load(mut worker: Worker, first: u64) {
    for n in first.. {
        let leases = worker.lease(&[("sales-tokens", 2000)]).await.leases;
        let call = worker.call(n, "sales");
        let down = worker.entries(vec![call.admit(&leases)]).await;
        if down.refused.is_empty() {
            println!("admit {}", call.id);
            worker.entries(vec![call.complete(usage_of(3, 4))]).await;
            println!("complete {}", call.id);
        }
    }
}

async fn ids(
    folder: &Path,
) -> (
    HashSet<(String, RecordId)>,
    Vec<sekisho::log::verify::Finding>,
) {
    let store = Store::open(&sqlite(folder)).await.unwrap();
    let mut found = HashSet::new();
    let mut cursor = None;
    loop {
        let page = search(&store, &Filter::default(), cursor, 1000)
            .await
            .unwrap();
        for record in page.records {
            let body: sekisho_domain::AuditRecord<'_> =
                serde_json::from_slice(&record.body).unwrap();
            let kind = serde_json::to_value(body.kind).unwrap();
            found.insert((kind.as_str().unwrap().to_owned(), body.record_id));
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let key = log_key().verifying_key();
    let exported = folder.join("checkpoints");
    let copies = Copies {
        checkpoints: Some(&exported),
        archive: None,
    };
    let report = verify(&store, &policy(), &key, copies).await.unwrap();
    store.pool().close().await;
    (found, report.findings)
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged: HashSet<(String, RecordId)> = HashSet::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["crash::a_sidecar_under_load", "--exact", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let reader = std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .filter_map(|line| {
                    let (kind, id) = line.split_once(' ')?;
                    Some((kind.to_owned(), RecordId::parse(id)?))
                })
                .collect::<Vec<_>>()
        });
        tokio::time::sleep(Duration::from_millis(1200 + 137 * round)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(reader.join().unwrap());
        let (found, findings) = ids(folder.path()).await;
        let lost: Vec<_> = acknowledged.difference(&found).collect();
        assert!(lost.is_empty(), "{lost:?}");
        assert!(findings.is_empty(), "{findings:#?}");
    }
    assert!(
        acknowledged.len() > 50,
        "only {} records",
        acknowledged.len()
    );
}

#[tokio::test]
async fn a_writer_that_was_taken_over_acknowledges_nothing_more() {
    let world = World::new().await;
    let mut worker = world.worker(1);
    worker.entries(vec![worker.call(1, "hr").refuse()]).await;
    sqlx::query("UPDATE audit_tree SET epoch = epoch + 1")
        .execute(world.store.pool())
        .await
        .unwrap();
    let up = sekisho_link::v1::Up {
        entries: vec![worker.call(2, "hr").refuse()],
        ..Default::default()
    };
    let error = worker.send(up).await.unwrap_err();
    assert!(
        matches!(error, LinkError::Apply(ApplyError::Gone(_))),
        "{error}"
    );
    assert!(
        world
            .writer
            .poisoned()
            .await
            .contains("taken this log over")
    );
    let report = world.verify().await;
    assert_eq!(report.records, 1);
}
