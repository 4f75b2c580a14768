//! Bodies that are kept: encrypted, covered by the log's tree, and destroyed by destroying keys.

use std::path::Path;

use sekisho::contents::destroy::{Reason, destroy, look};
use sekisho::contents::expiry::expire;
use sekisho::contents::read::{Unreadable, read};
use sekisho::contents::{Destroyed, Extent, MasterKey};
use sekisho::events::Author;
use sekisho::ledger::Calendar;
use sekisho::log::verify::{Report, What};
use sekisho::log::{Filter, search};
use sekisho_domain::{AuditRecord, Cut, RecordId, RecordKind};
use sekisho_link::v1;
use sekisho_link::v1::contents::Half;
use sqlx::AssertSqlSafe;

use crate::world::{Call, Worker, World, contents_key, on_postgres};

const DAY_MILLIS: u64 = 24 * 60 * 60 * 1_000;
const PROMPT: &str = "what the prompt says";
const ANSWER: &str = "what the answer says";

fn up(entries: Vec<v1::Entry>, contents: Vec<v1::Contents>) -> v1::Up {
    v1::Up {
        entries,
        contents,
        ..v1::Up::default()
    }
}

/// A whole call, its end in a batch of its own.
async fn kept(worker: &mut Worker, n: u64, department: &'static str) -> Call {
    let call = worker.call(n, department);
    let request = call.piece(Half::Request, 0, PROMPT);
    let began = up(vec![call.admit(&[])], vec![request]);
    worker.send(began).await.unwrap();
    let answer = vec![
        call.piece(Half::Response, 0, ANSWER),
        call.piece(Half::Response, 1, "."),
    ];
    let ended = up(vec![call.complete_kept(None)], answer);
    worker.send(ended).await.unwrap();
    call
}

async fn bodies(world: &World, id: RecordId) -> Result<[Option<String>; 2], Unreadable> {
    let kept = read(&world.store, &contents_key(), id).await?;
    let text = |body: Option<sekisho::contents::read::Body>| {
        body.map(|body| String::from_utf8(body.bytes).unwrap())
    };
    Ok([text(kept.request), text(kept.response)])
}

fn whole() -> [Option<String>; 2] {
    [Some(PROMPT.to_owned()), Some(format!("{ANSWER}."))]
}

async fn kinds(world: &World, id: RecordId) -> Vec<RecordKind> {
    let filter = Filter {
        record_id: Some(id),
        ..Filter::default()
    };
    let page = search(&world.store, &filter, None, 10).await.unwrap();
    let mut found = page.records;
    found.sort_by_key(|found| found.seq);
    let kind = |body: &[u8]| {
        serde_json::from_slice::<AuditRecord<'_>>(body)
            .unwrap()
            .kind
    };
    found.iter().map(|found| kind(&found.body)).collect()
}

fn author(world: &World) -> Author {
    Author::program("test", world.clock.now(), [9; 32])
}

fn sales(before: Option<&str>) -> Extent {
    Extent {
        department: Some("sales".to_owned()),
        before: before.map(|day| day.parse().unwrap()),
    }
}

/// Whether any file of the folder has these bytes.
fn is_anywhere(folder: &Path, wanted: &[u8]) -> bool {
    let mut files = std::fs::read_dir(folder).unwrap();
    files.any(|file| {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(wanted.len()).any(|part| part == wanted)
    })
}

async fn run(world: &World, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(world.store.pool())
        .await
        .unwrap();
}

fn whats(report: Report) -> Vec<What> {
    report
        .findings
        .into_iter()
        .map(|found| found.what)
        .collect()
}

#[tokio::test]
async fn bodies_are_read_as_they_were_and_stand_nowhere_in_clear() {
    let world = World::new().await;
    let mut worker = world.worker(1);
    let call = kept(&mut worker, 1, "sales").await;
    assert_eq!(bodies(&world, call.id).await.unwrap(), whole());
    let told = [
        RecordKind::Admit,
        RecordKind::Complete,
        RecordKind::Contents,
    ];
    assert_eq!(kinds(&world, call.id).await, told);
    world.writer.tick().await.unwrap();
    let report = world.verify().await;
    assert_eq!((report.contents, report.destroyed), (1, 0));
    World::sound(&report);
    if !on_postgres() {
        for text in [PROMPT, ANSWER] {
            assert!(!is_anywhere(world.folder.path(), text.as_bytes()));
        }
        assert!(is_anywhere(world.folder.path(), b"sales"));
    }
    // Whoever has the database has not the key.
    let other = read(&world.store, &MasterKey::new([6; 32]), call.id).await;
    assert!(matches!(other, Err(Unreadable::Lost)));
}

#[tokio::test]
async fn why_there_is_nothing_to_read_is_told() {
    let world = World::new().await;
    let mut worker = world.worker(1);
    let unknown = bodies(&world, worker.call(9, "sales").id).await;
    assert!(matches!(unknown, Err(Unreadable::Unknown)));
    let open = worker.call(1, "sales");
    let piece = open.piece(Half::Request, 0, PROMPT);
    worker
        .send(up(vec![open.admit(&[])], vec![piece]))
        .await
        .unwrap();
    assert!(matches!(
        bodies(&world, open.id).await,
        Err(Unreadable::Open)
    ));
    // What is stored of it is sound although the log does not sum it up yet.
    World::sound(&world.verify().await);
    let without = worker.call(2, "sales");
    let entries = vec![without.admit(&[]), without.complete_kept(None)];
    worker.entries(entries).await;
    let nothing = bodies(&world, without.id).await;
    assert!(matches!(nothing, Err(Unreadable::NothingKept)));
}

#[tokio::test]
async fn pieces_that_come_again_or_of_calls_that_are_not_open_are_dropped() {
    let world = World::new().await;
    let mut worker = world.worker(1);
    let call = worker.call(1, "sales");
    let request = || call.piece(Half::Request, 0, PROMPT);
    let answer = |number, text| call.piece(Half::Response, number, text);
    worker
        .send(up(
            vec![call.admit(&[])],
            vec![request(), answer(0, ANSWER)],
        ))
        .await
        .unwrap();
    // A new writer and a new stream: nobody knows what was acknowledged.
    drop(worker);
    let world = world.restarted().await;
    let mut worker = Worker::new(&world.link, 1, 2, vec![[1; 16]], world.clock.clone());
    let again = vec![request(), answer(0, ANSWER), answer(1, ".")];
    let entries = vec![call.admit(&[]), call.complete_kept(Some(Cut::Limit))];
    worker.send(up(entries, again)).await.unwrap();
    assert_eq!(bodies(&world, call.id).await.unwrap(), whole());
    let kept = read(&world.store, &contents_key(), call.id).await.unwrap();
    assert_eq!(kept.response.unwrap().cut, Some(Cut::Limit));
    // Its end is known: nothing is added.
    let late = up(vec![call.complete_kept(None)], vec![answer(2, "late")]);
    worker.send(late).await.unwrap();
    let never = worker.call(7, "sales");
    let stray = vec![never.piece(Half::Request, 0, "stray")];
    worker.send(up(Vec::new(), stray)).await.unwrap();
    assert_eq!(bodies(&world, call.id).await.unwrap(), whole());
    let report = world.verify().await;
    assert_eq!(report.contents, 1);
    World::sound(&report);
}

#[tokio::test]
async fn what_came_of_a_call_that_was_lost_or_taken_back_is_covered_too() {
    let world = World::new().await;
    let mut worker = world.worker(1);
    let (lost, withdrawn) = (worker.call(1, "sales"), worker.call(2, "sales"));
    for call in [lost, withdrawn] {
        let piece = call.piece(Half::Request, 0, PROMPT);
        worker
            .send(up(vec![call.admit(&[])], vec![piece]))
            .await
            .unwrap();
    }
    worker.entries(vec![withdrawn.refuse()]).await;
    world.hand.advance(60_000);
    world.writer.tick().await.unwrap();
    for call in [lost, withdrawn] {
        let [request, response] = bodies(&world, call.id).await.unwrap();
        assert_eq!((request.as_deref(), response), (Some(PROMPT), None));
    }
    let report = world.verify().await;
    assert_eq!(report.contents, 2);
    World::sound(&report);
}

#[tokio::test]
async fn what_is_shredded_is_unreadable_on_record_and_the_log_stays_sound() {
    let world = World::new().await;
    let mut worker = world.worker(1);
    let old = kept(&mut worker, 1, "sales").await;
    let other = kept(&mut worker, 2, "hr").await;
    world.hand.advance(DAY_MILLIS);
    let mut worker = world.worker(2);
    let new = kept(&mut worker, 3, "sales").await;
    let row = sqlx::query_as::<_, (Vec<u8>,)>(
        "SELECT wrapped FROM contents_keys WHERE department = 'sales' ORDER BY id LIMIT 1",
    );
    let (wrapped,) = row.fetch_one(world.store.pool()).await.unwrap();
    let before = sales(Some("2026-11-24"));
    let one = Destroyed {
        keys: 1,
        records: 1,
    };
    assert_eq!(look(&world.store, &before).await.unwrap(), one);
    let mut author = author(&world);
    let destroyed = destroy(&world.store, &before, Reason::Shredded, &mut author).await;
    assert_eq!(destroyed.unwrap(), one);
    // Sound at once, while its event waits for the writer, and afterwards.
    let report = world.verify().await;
    assert_eq!((report.events_waiting, report.destroyed), (1, 1));
    World::sound(&report);
    world.writer.take_pending().await.unwrap();
    world.writer.tick().await.unwrap();
    World::sound(&world.verify().await);
    assert!(matches!(
        bodies(&world, old.id).await,
        Err(Unreadable::Shredded)
    ));
    assert_eq!(bodies(&world, other.id).await.unwrap(), whole());
    assert_eq!(bodies(&world, new.id).await.unwrap(), whole());
    if !on_postgres() {
        assert!(!is_anywhere(world.folder.path(), &wrapped[24..]));
    }
    // All of it, also of today; what comes after that gets a new key.
    let destroyed = destroy(&world.store, &sales(None), Reason::Shredded, &mut author).await;
    assert_eq!(destroyed.unwrap(), one);
    let newer = kept(&mut worker, 4, "sales").await;
    assert!(matches!(
        bodies(&world, new.id).await,
        Err(Unreadable::Shredded)
    ));
    assert_eq!(bodies(&world, newer.id).await.unwrap(), whole());
    assert_eq!(look(&world.store, &sales(None)).await.unwrap(), one);
    world.writer.take_pending().await.unwrap();
    let report = world.verify().await;
    assert_eq!((report.contents, report.destroyed), (4, 2));
    World::sound(&report);
    let filter = Filter {
        event: Some("contents.shred".to_owned()),
        ..Filter::default()
    };
    let page = search(&world.store, &filter, None, 10).await.unwrap();
    let record: AuditRecord<'_> = serde_json::from_slice(&page.records[1].body).unwrap();
    let event = record.event.unwrap();
    assert_eq!(event.target.as_deref(), Some("sales"));
    let after = event.after.unwrap();
    assert_eq!(
        (&after["records"], &after["before"]),
        (&1.into(), &"2026-11-24".into())
    );
}

#[tokio::test]
async fn what_has_been_kept_long_enough_expires() {
    let world = World::new().await;
    let mut worker = world.worker(1);
    let old = kept(&mut worker, 1, "sales").await;
    let calendar = Calendar::new("Asia/Tokyo").unwrap();
    world.hand.advance(3 * DAY_MILLIS);
    let mut early = author(&world);
    let gone = expire(&world.store, &calendar, 3, &mut early).await;
    assert_eq!(gone.unwrap(), Destroyed::default());
    world.hand.advance(DAY_MILLIS);
    let mut author = author(&world);
    let gone = expire(&world.store, &calendar, 3, &mut author)
        .await
        .unwrap();
    assert_eq!(
        gone,
        Destroyed {
            keys: 1,
            records: 1
        }
    );
    assert!(matches!(
        bodies(&world, old.id).await,
        Err(Unreadable::Expired)
    ));
    world.writer.take_pending().await.unwrap();
    World::sound(&world.verify().await);
}

#[tokio::test]
async fn whatever_is_changed_or_taken_away_is_found() {
    let changes = [
        (
            "UPDATE audit_contents SET sealed = (SELECT sealed FROM audit_contents WHERE half = 2 AND number = 1) WHERE half = 1",
            vec![What::ContentsChanged],
        ),
        (
            "DELETE FROM audit_contents WHERE half = 2 AND number = 0",
            vec![What::ContentsChanged],
        ),
        (
            "DELETE FROM audit_contents WHERE half = 2 AND number = 1",
            vec![What::ContentsChanged],
        ),
        ("DELETE FROM audit_contents", vec![What::ContentsLost]),
        (
            "UPDATE audit_contents SET key_id = 7",
            vec![What::ContentsChanged],
        ),
        (
            "UPDATE audit_contents SET half = 9 WHERE half = 1",
            vec![What::ContentsChanged],
        ),
        (
            "INSERT INTO audit_contents SELECT record_id, half, 2, key_id, sealed FROM audit_contents WHERE half = 2 AND number = 1",
            vec![What::ContentsChanged],
        ),
        (
            "INSERT INTO audit_contents SELECT leaf_hash, 1, 0, 1, body FROM audit_entries WHERE seq = 0",
            vec![What::ContentsUnknown],
        ),
        ("DELETE FROM contents_keys", vec![What::ContentsKey(1)]),
        (
            "UPDATE contents_keys SET wrapped = NULL",
            vec![What::ContentsKey(1)],
        ),
        // As if it had been destroyed, which is not on record.
        (
            "UPDATE contents_keys SET wrapped = NULL, destroyed_by = 'shredded'",
            vec![What::ContentsKey(1)],
        ),
        (
            "UPDATE contents_keys SET wrapped = (SELECT sealed FROM audit_contents WHERE half = 1)",
            vec![What::ContentsKey(1)],
        ),
    ];
    for (sql, expected) in changes {
        let world = World::on_sqlite().await;
        let call = kept(&mut world.worker(1), 1, "sales").await;
        world.writer.tick().await.unwrap();
        World::sound(&world.verify().await);
        run(&world, sql).await;
        assert_eq!(whats(world.verify().await), expected, "{sql}");
        if expected != [What::ContentsUnknown] && !sql.contains("'shredded'") {
            let read = bodies(&world, call.id).await;
            assert!(matches!(read, Err(Unreadable::Lost)), "{sql}: {read:?}");
        }
    }
}

#[tokio::test]
async fn a_key_of_another_day_is_not_excused_by_what_was_shredded() {
    let world = World::on_sqlite().await;
    kept(&mut world.worker(1), 1, "sales").await;
    world.hand.advance(DAY_MILLIS);
    kept(&mut world.worker(2), 2, "sales").await;
    let mut author = author(&world);
    destroy(
        &world.store,
        &sales(Some("2026-11-24")),
        Reason::Shredded,
        &mut author,
    )
    .await
    .unwrap();
    world.writer.take_pending().await.unwrap();
    World::sound(&world.verify().await);
    run(
        &world,
        "UPDATE contents_keys SET wrapped = NULL, destroyed_by = 'shredded' WHERE id = 2",
    )
    .await;
    assert_eq!(whats(world.verify().await), [What::ContentsKey(2)]);
}

#[tokio::test]
async fn a_piece_that_is_none_ends_the_stream() {
    let world = World::new().await;
    let mut worker = world.worker(1);
    let call = worker.call(1, "sales");
    let large = "x".repeat(64 * 1024 + 1);
    let wrong = vec![call.piece(Half::Request, 0, &large)];
    let refused = worker.send(up(vec![call.admit(&[])], wrong)).await;
    let text = refused.unwrap_err().to_string();
    assert!(
        text.contains("has a piece of a body that is none"),
        "{text}"
    );
}
