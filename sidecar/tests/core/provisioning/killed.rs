//! A process that is killed at random points.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use sekisho::clock::Clock;
use sekisho::ledger::Calendar;
use sekisho::provisioning::{Embedded, Runner, jobs};
use sekisho::snapshot::SnapshotHub;
use sekisho::store::Store;

use super::{TENANT, exact, file, order, settings};
use crate::world::policy_json;
use crate::world::{make_schema, on_postgres, policy, schema_url, sqlite};

/// Folder of the database, for the process that is going to be killed.
const FOLDER: &str = "SEKISHO_PROVISIONING_FOLDER";

fn url(folder: &std::path::Path) -> String {
    if on_postgres() {
        schema_url(folder)
    } else {
        sqlite(folder)
    }
}

fn figure(variable: &str, usual: usize) -> usize {
    let given = std::env::var(variable).ok();
    given.map_or(usual, |given| given.parse().unwrap())
}

async fn run(folder: &std::path::Path) {
    let store = Store::open(&url(folder)).await.unwrap();
    let clock = Clock::system();
    let accounts = Embedded::new(store.clone(), TENANT, clock.clone());
    let mut runner = Runner::new(
        store.clone(),
        SnapshotHub::new(policy(), policy_json().to_string().into_bytes(), Vec::new()),
        Calendar::new("Asia/Tokyo").unwrap(),
        clock,
        Arc::new(settings()),
        Arc::new(accounts),
        None,
    );
    while jobs::standing(&store).await.unwrap().waiting > 0 {
        if !runner.round().await.unwrap() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Not a test by itself: the process that the next one kills.
#[tokio::test]
async fn a_runner_under_way() {
    if let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) {
        run(&folder).await;
    }
}

/// `SEKISHO_PROVISIONING_PEOPLE=10000 SEKISHO_PROVISIONING_KILLS=100` for the long run.
#[tokio::test]
async fn kills_leave_no_half_person_and_no_second_account() {
    let (people, kills) = (
        figure("SEKISHO_PROVISIONING_PEOPLE", 200),
        figure("SEKISHO_PROVISIONING_KILLS", 10),
    );
    let folder = tempfile::tempdir().unwrap();
    if on_postgres() {
        make_schema(folder.path()).await;
    }
    let store = Store::open(&url(folder.path())).await.unwrap();
    let now = Clock::system().now();
    let mut killed = 0;
    for round in 1..1000 {
        order(
            &store,
            &policy(),
            &format!("{round:04}"),
            &file(people, round),
            now,
        )
        .await;
        while killed < kills {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["provisioning::killed::a_runner_under_way", "--exact"])
                .env(FOLDER, folder.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            // Long enough to begin, too short to end; different every time.
            let before = left(&store).await;
            for _ in 0..400 {
                tokio::time::sleep(Duration::from_millis(5)).await;
                if left(&store).await < before {
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis((killed as u64 * 37) % 190)).await;
            child.kill().unwrap();
            child.wait().unwrap();
            if left(&store).await == 0 {
                break;
            }
            killed += 1;
        }
        run(folder.path()).await;
        exact(&store, people, round).await;
        if killed >= kills {
            break;
        }
    }
    println!("{people} people, {killed} kills");
}

/// What is not done yet: tasks that wait, counted more finely than by their ends.
async fn left(store: &Store) -> i64 {
    use sqlx::Row as _;
    let sql = "SELECT CAST(COALESCE(SUM(CASE state WHEN 'waiting' THEN 1 ELSE 0 END \
               + CASE phase WHEN 'look' THEN 2 WHEN 'save' THEN 2 WHEN 'create' THEN 1 ELSE 0 END \
               * CASE state WHEN 'waiting' THEN 1 ELSE 0 END), 0) AS BIGINT) AS n \
               FROM provisioning_tasks";
    let row = sqlx::query(sql).fetch_one(store.pool()).await.unwrap();
    row.get("n")
}
