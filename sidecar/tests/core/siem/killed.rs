//! A process that writes records and brings them to a file, killed again and again.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sekisho::clock::Clock;
use sekisho::forward::Standings;
use sekisho::link::Link;
use sekisho::policy_file;
use sekisho::siem;
use sekisho::snapshot::SnapshotHub;
use sekisho::store::Store;
use sekisho::writer::Writer;
use serde_json::{Value, json};

use super::complete_and_in_order;
use crate::world::{Worker, log_key, policy, policy_json, sqlite};

/// Folder of the database, for the process that is going to be killed.
const FOLDER: &str = "SEKISHO_SIEM_FOLDER";
const ROUNDS: u64 = 5;

fn events(folder: &Path) -> PathBuf {
    folder.join("ocsf.jsonl")
}

async fn bring(folder: &Path, store: &Store, origin: &str) -> Standings {
    let mut file = policy_json();
    file["siem"] = json!([{"name": "lines", "ocsf_file": {"path": events(folder)}}]);
    let file = policy_file::parse(&file.to_string()).unwrap();
    let (standings, clock) = (Standings::default(), Clock::system());
    let to = &file.sections.siem;
    let begun = siem::start(store, &file.policy, to, origin, &clock, &standings).await;
    begun.unwrap();
    standings
}

/// Not a test by itself: the process that the next one kills.
#[tokio::test]
async fn a_sidecar_that_brings() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let store = Store::open(&sqlite(&folder)).await.unwrap();
    let clock = Clock::system();
    let writer = Writer::start(store.clone(), policy(), clock.clone(), log_key(), None);
    let writer = writer.await.unwrap();
    bring(&folder, &store, writer.origin()).await;
    let hub = SnapshotHub::new(policy(), b"{}".to_vec(), b"pepper".to_vec());
    let link = Link::new(writer, hub);
    let round = std::process::id().to_be_bytes()[3];
    let mut worker = Worker::new(&link, round.max(1), 1, Vec::new(), clock);
    for n in u64::from(std::process::id()) << 32.. {
        let entry = worker.call(n, "sales").refuse();
        worker.entries(vec![entry]).await;
    }
}

#[tokio::test]
async fn no_record_is_missing_in_the_file_of_a_sidecar_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["siem::killed::a_sidecar_that_brings", "--exact"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let before = std::fs::metadata(events(folder.path())).map_or(0, |file| file.len());
        // Somewhere after it has begun to bring.
        for _ in 0..600 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let now = std::fs::metadata(events(folder.path())).map_or(0, |file| file.len());
            if now > before {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(300 + 217 * round)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let store = Store::open(&sqlite(folder.path())).await.unwrap();
    let records = sekisho::log::size(&store).await.unwrap();
    assert!(records > 100, "{records}");
    let standings = bring(folder.path(), &store, "sekisho/Example/00000000").await;
    for _ in 0..600 {
        if standings.all()[0].next >= records {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let text = std::fs::read_to_string(events(folder.path())).unwrap();
    let place = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["metadata"]["sequence"].as_u64().unwrap()
    };
    let received: Vec<u64> = text.lines().map(place).collect();
    complete_and_in_order(&received, records);
}
