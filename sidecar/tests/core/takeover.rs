//! Several sidecars on one PostgreSQL: one writes, the others wait for their turn. Without
//! PostgreSQL (`SEKISHO_TEST_POSTGRES`) there is nothing to see: SQLite has one sidecar.

use std::sync::Arc;
use std::time::Duration;

use sekisho::clock::Clock;
use sekisho::link::Link;
use sekisho::store::{Store, active};
use sekisho::writer::{Post, Writer};
use sekisho_domain::{Policy, UnixMillis};
use sqlx::{AnyConnection, Connection as _, Row as _};
use tempfile::TempDir;

use crate::world::{START, Worker, World, log_key, make_schema, on_postgres, schema_url, usage_of};

/// What is promised, from the moment at which the active sidecar is gone.
const TAKE_OVER: Duration = Duration::from_secs(2);

/// A database with its policy.
struct Left {
    folder: TempDir,
    store: Store,
    policy: Arc<Policy>,
}

/// Another sidecar on a database, on a machine with a clock of its own.
fn another(
    (store, policy): (&Store, &Arc<Policy>),
    clock: Clock,
) -> impl Future<Output = Writer> + use<> {
    let post = Post {
        policy: policy.clone(),
        clock,
        log_key: log_key(),
        checkpoint_dir: None,
        contents_key: None,
        reserve_bytes: 0,
    };
    let store = store.clone();
    async move {
        let writer = Writer::stand_by(store, post, "http://b.example:8080".to_owned());
        writer.await.unwrap()
    }
}

async fn taken_over(at: i64) {
    if !on_postgres() {
        return;
    }
    let world = World::new().await;
    let skewed = UnixMillis(START.0.saturating_add_signed(at));
    let (clock, _hand) = Clock::moved(skewed);
    let waiting = tokio::spawn(another((&world.store, &world.policy), clock.clone()));

    let mut worker = world.worker(1);
    let answer = worker.lease(&[("sales-tokens", 9_998_000)]).await;
    let call = worker.call(1, "sales");
    let admit = call.admit(&answer.leases);
    worker.entries(vec![admit.clone()]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished(), "two write at the same time");

    let World {
        store,
        writer,
        link,
        hub,
        folder,
        ..
    } = world;
    drop((worker, link, writer));
    let writer = tokio::time::timeout(TAKE_OVER, waiting)
        .await
        .unwrap()
        .unwrap();
    let api = active::api(&store).await.unwrap();
    assert_eq!(api.as_deref(), Some("http://b.example:8080"));

    // Others have to do without what the former holder has, until its worker speaks again.
    let link = Link::new(writer.clone(), hub);
    let mut other = Worker::new(&link, 2, 2, Vec::new(), clock.clone());
    let answer = other.lease(&[("sales-tokens", 2_001)]).await;
    assert!(answer.exhausted.is_some());
    let mut again = Worker::new(&link, 1, 3, vec![[1; 16]], clock.clone());
    again
        .entries(vec![admit, call.complete(usage_of(1000, 500))])
        .await;
    let answer = again.lease(&[("sales-tokens", 9_998_501)]).await;
    assert_eq!(answer.exhausted.unwrap().remaining, 9_998_500);
    let answer = again.lease(&[("sales-tokens", 9_998_500)]).await;
    assert!(answer.exhausted.is_none());

    let rows = sqlx::query("SELECT COUNT(*) AS n FROM audit_entries");
    let row = rows.fetch_one(store.pool()).await.unwrap();
    assert_eq!(row.try_get::<i64, _>("n").unwrap(), 2, "each record once");
    drop(folder);
}

#[tokio::test]
async fn the_next_sidecar_goes_on_where_the_one_before_was() {
    taken_over(0).await;
}

#[tokio::test]
async fn the_next_sidecar_goes_on_although_its_clock_is_five_minutes_slow() {
    taken_over(-300_000).await;
}

#[tokio::test]
async fn the_next_sidecar_goes_on_although_its_clock_is_five_minutes_fast() {
    taken_over(300_000).await;
}

/// A session that has the lock and the row that every transaction of a writer changes.
async fn session(left: &Left) -> AnyConnection {
    let mut session = AnyConnection::connect(&schema_url(left.folder.path()))
        .await
        .unwrap();
    let sql = "SELECT pg_advisory_lock(1936026473, hashtext(current_schema())); BEGIN; \
        UPDATE audit_tree SET size = size WHERE id = 1";
    sqlx::raw_sql(sql).execute(&mut session).await.unwrap();
    session
}

/// What is left of a world whose sidecar has ended, so that somebody else can play it.
async fn without_writer() -> Left {
    let world = World::new().await;
    let left = Left {
        folder: world.folder,
        store: world.store,
        policy: world.policy,
    };
    drop((world.link, world.writer));
    left
}

#[tokio::test]
async fn a_machine_that_vanished_in_the_middle_of_a_transaction_is_taken_over_in_time() {
    if !on_postgres() {
        return;
    }
    let left = without_writer().await;
    let mut vanished = session(&left).await;
    let (clock, _hand) = Clock::moved(START);
    let writer = tokio::time::timeout(TAKE_OVER, another((&left.store, &left.policy), clock)).await;
    assert!(writer.is_ok(), "nobody took over");
    let late = sqlx::raw_sql("COMMIT").execute(&mut vanished).await;
    assert!(late.is_err(), "the former sidecar could still commit");
}

#[tokio::test]
async fn a_sidecar_whose_server_is_at_work_is_not_taken_over() {
    if !on_postgres() {
        return;
    }
    let left = without_writer().await;
    let mut busy = session(&left).await;
    let (clock, _hand) = Clock::moved(START);
    let waiting = tokio::spawn(another((&left.store, &left.policy), clock));
    let slept = sqlx::raw_sql("SELECT pg_sleep(2.5); COMMIT").execute(&mut busy);
    assert!(slept.await.is_ok(), "a slow disk was taken for silence");
    assert!(!waiting.is_finished());
    drop(busy);
    assert!(tokio::time::timeout(TAKE_OVER, waiting).await.is_ok());
}

#[tokio::test]
async fn sidecars_that_start_together_on_an_empty_database_both_find_its_tables() {
    if !on_postgres() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    make_schema(folder.path()).await;
    let url = schema_url(folder.path());
    let opening = (0..4).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { Store::open(&url).await.map(|_| ()) })
    });
    for opened in opening.collect::<Vec<_>>() {
        opened.await.unwrap().unwrap();
    }
}
