//! Whatever is changed in the database behind the log's back is found.

use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sekisho::events::Author;
use sekisho::log::tree::{Tree, leaf_hash};
use sekisho::log::verify::{Copies, Report, What, verify};
use sekisho::store::Store;
use sqlx::{AssertSqlSafe, Row as _};
use tempfile::TempDir;

use crate::world::{World, log_key, policy, sqlite, usage_of};

/// Calls in the log; each has two records.
const CALLS: u64 = 12;
/// Changes that are tried, if `SEKISHO_MUTATIONS` does not say another number.
const CHANGES: u32 = 48;
/// A copy of the database, from before the last calls.
const EARLIER: &str = "earlier.db";

/// Admits, completions, a refusal, a withdrawal, an open call; checkpoints in between.
async fn written() -> (TempDir, usize) {
    let world = World::on_sqlite().await;
    let mut worker = world.worker(1);
    for n in 0..CALLS {
        let demands = [("sales-tokens", 2000), ("sales-yen", 1_875_000)];
        let leases = worker.lease(&demands).await.leases;
        let call = worker.call(n, "sales");
        let end = if n == 3 {
            call.withdraw()
        } else {
            call.complete(usage_of(100 + n, 50))
        };
        worker.entries(vec![call.admit(&leases), end]).await;
        if n % 4 == 3 {
            world.writer.tick().await.unwrap();
        }
        if n == 7 {
            into_one_file(&world.store).await;
            let folder = world.folder.path();
            std::fs::copy(folder.join("sekisho.db"), folder.join(EARLIER)).unwrap();
        }
        world.hand.advance(7);
    }
    let (refused, open) = (worker.call(100, "hr"), worker.call(101, "sales"));
    worker
        .entries(vec![refused.refuse(), open.admit(&[])])
        .await;
    let mut author = Author::program("test", world.clock.now(), [3; 32]);
    let told = author.tell("policy.serve", "policy");
    world.writer.record(told).await.unwrap();
    world.writer.tick().await.unwrap();
    let report = world.verify().await;
    World::sound(&report);
    // The writer makes one of its own where this takes longer than a second.
    assert!(report.checkpoints >= 4, "{}", report.checkpoints);
    assert_eq!(report.checkpoints, report.exported);
    let records = usize::try_from(report.records).unwrap();
    into_one_file(&world.store).await;
    (world.folder, records)
}

/// Carries the write-ahead log over into the database, which can be copied alone then.
async fn into_one_file(store: &Store) {
    sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        .execute(store.pool())
        .await
        .unwrap();
}

async fn check(folder: &Path) -> Report {
    let store = Store::open(&sqlite(folder)).await.unwrap();
    let report = check_open(&store, folder).await;
    store.pool().close().await;
    report
}

async fn check_open(store: &Store, folder: &Path) -> Report {
    let (policy, key) = (policy(), log_key().verifying_key());
    let exported = folder.join("checkpoints");
    let copies = Copies {
        checkpoints: Some(&exported),
        archive: None,
    };
    verify(store, &policy, &key, copies).await.unwrap()
}

/// Makes hashes and tree fit the bodies, as somebody would who covers up.
async fn cover_up(store: &Store) {
    let rows = sqlx::query("SELECT seq, body FROM audit_entries ORDER BY seq");
    let mut tree = Tree::default();
    let mut script = String::new();
    for (at, row) in (0i64..).zip(rows.fetch_all(store.pool()).await.unwrap()) {
        let (seq, body): (i64, Vec<u8>) = (row.get("seq"), row.get("body"));
        let leaf = leaf_hash(&body);
        tree.push(leaf);
        script += &format!(
            "UPDATE audit_entries SET leaf_hash = {}, seq = {at} WHERE seq = {seq};",
            blob(&leaf)
        );
    }
    let roots = blob(&tree.stored_roots());
    let size = tree.size();
    script += &format!("UPDATE audit_tree SET size = {size}, roots = {roots}");
    sql(store, &format!("BEGIN; {script}; COMMIT")).await;
}

/// Bytes as SQLite reads them in a statement.
fn blob(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    format!("x'{}'", digits.collect::<String>())
}

async fn sql(store: &Store, statements: &str) {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
        .execute(store.pool())
        .await
        .unwrap();
}

fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for file in ["sekisho.db", EARLIER] {
        if from.join(file).exists() {
            std::fs::copy(from.join(file), to.path().join(file)).unwrap();
        }
    }
    std::fs::create_dir(to.path().join("checkpoints")).unwrap();
    for file in std::fs::read_dir(from.join("checkpoints")).unwrap() {
        let file = file.unwrap();
        let to = to.path().join("checkpoints").join(file.file_name());
        std::fs::copy(file.path(), to).unwrap();
    }
    to
}

#[derive(Clone, Debug)]
enum Change {
    /// Turns a bit of a bytes column.
    Bit {
        column: &'static str,
        seq: usize,
        byte: usize,
        bit: u8,
    },
    /// Adds to a number column.
    Number {
        column: &'static str,
        seq: usize,
        by: i64,
    },
    /// Sets a text column.
    Text {
        column: &'static str,
        seq: usize,
    },
    Delete {
        seq: usize,
    },
    Swap {
        one: usize,
        other: usize,
    },
    /// Removes the end of the log.
    Truncate {
        from: usize,
    },
    Figure {
        column: &'static str,
    },
    Settled,
    ForgetCall,
    /// Changes one of the sorted records, by which searches find those of the log.
    Sorted {
        table: &'static str,
        change: &'static str,
        nth: usize,
    },
    /// Says that so many more records are sorted.
    SortedTo {
        more: i64,
    },
    /// Changes a stored checkpoint.
    Note {
        byte: usize,
    },
    TreeRoots {
        byte: usize,
    },
    /// Puts an earlier copy of the database in its place.
    Rollback,
}

fn change(records: usize) -> impl Strategy<Value = (Change, bool)> {
    let seq = 0..records;
    let bytes = prop::sample::select(vec!["record_id", "leaf_hash", "body"]);
    let texts = vec![
        "tenant",
        "object_id",
        "user_id",
        "department",
        "api",
        "model",
        "denial",
        "event",
        "outcome",
        "charges",
    ];
    let figures = vec![
        "requests",
        "refused",
        "input_tokens",
        "output_tokens",
        "cached_input_tokens",
        "image_output_tokens",
        "bytes",
        "estimated",
        "cost_micros",
    ];
    // One less may change nothing: the last records may be nobody's.
    let all = i64::try_from(records).unwrap();
    let tables = vec!["audit_by_user", "audit_by_department"];
    let changes = vec![
        "DELETE FROM {}",
        "UPDATE {} SET whose = whose || 'x'",
        "UPDATE {} SET moment = moment - 1",
        "UPDATE {} SET place = place + 1000",
    ];
    let change = prop_oneof![
        6 => (bytes, seq.clone(), any::<prop::sample::Index>(), 0u8..8).prop_map(
            |(column, seq, byte, bit)| Change::Bit { column, seq, byte: byte.index(16), bit }),
        2 => (prop::sample::select(vec!["at", "kind", "cost_micros"]), seq.clone(), 3i64..6)
            .prop_map(|(column, seq, by)| Change::Number { column, seq, by }),
        3 => (prop::sample::select(texts), seq.clone())
            .prop_map(|(column, seq)| Change::Text { column, seq }),
        2 => seq.clone().prop_map(|seq| Change::Delete { seq }),
        2 => (seq.clone(), 1..records).prop_map(move |(one, by)| Change::Swap {
            one, other: (one + by) % records,
        }),
        2 => seq.clone().prop_map(|from| Change::Truncate { from }),
        1 => prop::sample::select(figures).prop_map(|column| Change::Figure { column }),
        1 => Just(Change::Settled),
        1 => Just(Change::ForgetCall),
        2 => (prop::sample::select(tables), prop::sample::select(changes), seq)
            .prop_map(|(table, change, nth)| Change::Sorted { table, change, nth }),
        1 => prop::sample::select(vec![-all, 1, 100])
            .prop_map(|more| Change::SortedTo { more }),
        1 => (0usize..100).prop_map(|byte| Change::Note { byte }),
        1 => (0usize..32).prop_map(|byte| Change::TreeRoots { byte }),
        1 => Just(Change::Rollback),
    ];
    (change, any::<bool>())
}

async fn apply(store: &Store, change: &Change) {
    let statements = match change {
        Change::Bit {
            column,
            seq,
            byte,
            bit,
        } => {
            return turn_bit(store, column, *seq, *byte, *bit).await;
        }
        Change::Number { column, seq, by } => format!(
            "UPDATE audit_entries SET {column} = COALESCE({column}, 0) + {by} WHERE seq = {seq}"
        ),
        Change::Text { column, seq } => format!(
            "UPDATE audit_entries SET {column} = COALESCE({column}, '') || 'x' WHERE seq = {seq}"
        ),
        Change::Delete { seq } => format!("DELETE FROM audit_entries WHERE seq = {seq}"),
        Change::Swap { one, other } => format!(
            "UPDATE audit_entries SET seq = -1 WHERE seq = {one}; \
             UPDATE audit_entries SET seq = {one} WHERE seq = {other}; \
             UPDATE audit_entries SET seq = {other} WHERE seq = -1"
        ),
        Change::Truncate { from } => format!(
            "DELETE FROM audit_entries WHERE seq >= {from}; \
             DELETE FROM audit_checkpoints WHERE size > {from}"
        ),
        Change::Figure { column } => format!("UPDATE usage_rollups SET {column} = {column} + 1"),
        Change::Settled => "UPDATE ledger_windows SET settled = settled - 1".to_owned(),
        Change::ForgetCall => "DELETE FROM ledger_calls".to_owned(),
        Change::Sorted { table, change, nth } => {
            let change = change.replace("{}", table);
            format!(
                "{change} WHERE (whose, moment, place) = (SELECT whose, moment, place FROM {table} \
                 LIMIT 1 OFFSET {nth} % (SELECT COUNT(*) FROM {table}))"
            )
        }
        Change::SortedTo { more } => format!("UPDATE audit_tree SET sorted = sorted + {more}"),
        Change::Note { byte } => format!(
            "UPDATE audit_checkpoints SET note = \
             substr(note, 1, {byte}) || '!' || substr(note, {byte} + 2)"
        ),
        // Before the database was opened.
        Change::Rollback => return,
        Change::TreeRoots { byte } => {
            format!("UPDATE audit_tree SET roots = CAST(substr(roots, 1, {byte}) || '!!' AS BLOB)")
        }
    };
    sql(store, &statements).await;
}

async fn turn_bit(store: &Store, column: &str, seq: usize, byte: usize, bit: u8) {
    let seq = i64::try_from(seq).unwrap();
    let select = format!("SELECT {column} AS bytes FROM audit_entries WHERE seq = $1");
    let row = sqlx::query(AssertSqlSafe(select)).bind(seq);
    let mut bytes: Vec<u8> = row.fetch_one(store.pool()).await.unwrap().get("bytes");
    let at = byte * bytes.len() / 16;
    bytes[at] ^= 1 << bit;
    let update = format!("UPDATE audit_entries SET {column} = $1 WHERE seq = $2");
    let update = sqlx::query(AssertSqlSafe(update)).bind(bytes).bind(seq);
    update.execute(store.pool()).await.unwrap();
}

/// The record that the finding must name; `None`: the change is not in one record.
fn place(change: &Change) -> Option<i64> {
    let seq = match change {
        Change::Bit { seq, .. } | Change::Number { seq, .. } | Change::Text { seq, .. } => seq,
        _ => return None,
    };
    i64::try_from(*seq).ok()
}

#[test]
fn every_change_is_found_whether_or_not_it_is_covered_up() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (folder, records) = runtime.block_on(written());
    let changes = std::env::var("SEKISHO_MUTATIONS").ok();
    let changes = changes.map_or(CHANGES, |number| number.parse().unwrap());
    let mut config = Config::with_cases(changes);
    config.failure_persistence = None;
    let mut runner = TestRunner::new(config);
    let tried = runner.run(&change(records), |(change, covered)| {
        let copy = copy(folder.path());
        if matches!(change, Change::Rollback) {
            let path = copy.path();
            std::fs::rename(path.join(EARLIER), path.join("sekisho.db")).unwrap();
        }
        let report = runtime.block_on(async {
            let store = Store::open(&sqlite(copy.path())).await.unwrap();
            apply(&store, &change).await;
            if covered
                && !matches!(
                    change,
                    Change::Bit {
                        column: "leaf_hash",
                        ..
                    } | Change::TreeRoots { .. }
                )
            {
                cover_up(&store).await;
            }
            let report = check_open(&store, copy.path()).await;
            store.pool().close().await;
            report
        });
        prop_assert!(!report.is_ok(), "not found: {change:?}");
        if let Some(seq) = place(&change).filter(|_| !covered) {
            let named = report
                .findings
                .iter()
                .any(|finding| finding.seq == Some(seq));
            prop_assert!(named, "{:?}", report.findings);
        }
        Ok(())
    });
    tried.unwrap();
    println!("{changes} changes, all found");
}

#[tokio::test]
async fn a_rollback_to_an_earlier_copy_contradicts_the_second_place() {
    let world = World::on_sqlite().await;
    let mut worker = world.worker(1);
    worker.entries(vec![worker.call(1, "hr").refuse()]).await;
    world.writer.tick().await.unwrap();
    into_one_file(&world.store).await;
    let earlier = copy(world.folder.path());
    worker.entries(vec![worker.call(2, "hr").refuse()]).await;
    world.writer.tick().await.unwrap();
    World::sound(&check(earlier.path()).await);
    for file in std::fs::read_dir(world.exported()).unwrap() {
        let file = file.unwrap();
        let to = earlier.path().join("checkpoints").join(file.file_name());
        std::fs::copy(file.path(), to).unwrap();
    }
    let report = check(earlier.path()).await;
    assert!(
        matches!(
            report.findings[0].what,
            What::RolledBack {
                size: 2,
                records: 1,
                ..
            }
        ),
        "{:?}",
        report.findings
    );
}

#[tokio::test]
async fn another_key_or_another_price_book_does_not_fit() {
    let (folder, _) = written().await;
    let checkpoints = check(folder.path()).await.checkpoints;
    let store = Store::open(&sqlite(folder.path())).await.unwrap();
    let other = ed25519_dalek::SigningKey::from_bytes(&[8; 32]).verifying_key();
    let report = verify(&store, &policy(), &other, Copies::default())
        .await
        .unwrap();
    assert_eq!((report.found, report.signed), (checkpoints, 0));
    let mut dearer = crate::world::policy_json();
    dearer["prices"][0]["input_per_million"] = 376.into();
    let dearer = sekisho_domain::Policy::parse(dearer).unwrap();
    let key = log_key().verifying_key();
    let report = verify(&store, &dearer, &key, Copies::default())
        .await
        .unwrap();
    assert!(
        report
            .findings
            .iter()
            .any(|f| matches!(f.what, What::Cost { .. }))
    );
}
