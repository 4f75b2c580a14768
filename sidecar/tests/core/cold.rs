//! Records that are moved out of the database, and deleted when their time is over.

#[path = "cold/clouds.rs"]
mod clouds;
#[path = "cold/readers.rs"]
mod readers;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use sekisho::cold::{ColdError, Expired, Moved, Mover, Place, Retention, expire};
use sekisho::contents::read::{Unreadable, read};
use sekisho::events::Author;
use sekisho::ledger::Calendar;
use sekisho::log::archive::{Archive, ArchiveError};
use sekisho::log::origin_of;
use sekisho::log::prove::{ProveError, prove};
use sekisho::log::search::{End, Filter, search};
use sekisho::log::tree::leaf_hash;
use sekisho::log::verify::{Finding, What};
use sekisho::objects::Objects;
use sekisho::report::period::Length;
use sekisho::report::{Context, Period, Report, gather};
use sekisho_domain::{RecordId, RecordKind, UnixMillis};
use sekisho_link::v1;
use sekisho_link::v1::contents::Half;
use sqlx::{AssertSqlSafe, Row as _};
use url::Url;

use crate::world::{START, World, contents_key, log_key, usage_of};

const DAY: u64 = 24 * 60 * 60 * 1_000;
const PROMPT: &str = "what the prompt says";

/// Six days of the log, each with calls of two departments, a refusal, an event and a call with
/// kept contents; a call over midnight, and one that is open from the fifth day on. The call of
/// each day with contents.
async fn written() -> (World, Vec<RecordId>) {
    let world = World::new().await;
    let mut kept = Vec::new();
    let mut over_midnight = None;
    for day in 0..6u8 {
        let mut worker = world.worker(day + 1);
        if let Some(call) = over_midnight.take() {
            let call: crate::world::Call = call;
            worker.entries(vec![call.complete(usage_of(5, 5))]).await;
        }
        for n in 0..4 {
            let call = worker.call(u64::from(day) * 100 + n, "sales");
            let entries = vec![call.admit(&[]), call.complete(usage_of(10 + n, 10))];
            worker.entries(entries).await;
            world.hand.advance(1_000);
        }
        let refused = worker.call(u64::from(day) * 100 + 50, "hr");
        worker.entries(vec![refused.refuse()]).await;
        let call = worker.call(u64::from(day) * 100 + 60, "hr");
        let up = v1::Up {
            entries: vec![call.admit(&[]), call.complete_kept(None)],
            contents: vec![call.piece(Half::Request, 0, PROMPT)],
            ..v1::Up::default()
        };
        worker.send(up).await.unwrap();
        kept.push(call.id);
        let mut author = author(&world);
        let told = author.tell("backup.done", &format!("day {day}"));
        world.writer.record(told).await.unwrap();
        if day == 1 {
            let call = worker.call(900, "sales");
            worker.entries(vec![call.admit(&[])]).await;
            over_midnight = Some(call);
        }
        if day == 4 {
            let call = worker.call(901, "sales");
            worker.entries(vec![call.admit(&[])]).await;
        }
        world.writer.tick().await.unwrap();
        if day < 5 {
            world.hand.advance(DAY - 4_000);
        }
    }
    (world, kept)
}

/// Each with events of ids of their own.
fn author(world: &World) -> Author {
    static AUTHORS: AtomicU8 = AtomicU8::new(0);
    let nth = AUTHORS.fetch_add(1, Ordering::Relaxed);
    Author::program("test", world.clock.now(), [nth; 32])
}

fn retention(database_days: u32) -> Retention {
    Retention {
        database_days,
        days: None,
        to: None,
    }
}

fn place(folder: &Path) -> String {
    Url::from_directory_path(folder.join("cold"))
        .unwrap()
        .into()
}

/// Moves to a folder beside the database, in small files.
async fn mover(world: &World, database_days: u32) -> Mover {
    let place = place(world.folder.path());
    let objects = Objects::open(&place, Vec::new()).unwrap();
    mover_to(world, database_days, &place, objects).await
}

async fn mover_to(world: &World, database_days: u32, place: &str, objects: Objects) -> Mover {
    let retention = retention(database_days);
    let mover = Mover::start(
        world.store.clone(),
        Calendar::new("Asia/Tokyo").unwrap(),
        (
            origin_of(&world.store).await.unwrap(),
            log_key().verifying_key(),
        ),
        (place, objects),
        &retention,
    );
    mover.await.unwrap().in_files_of(5)
}

fn files(world: &World) -> Vec<PathBuf> {
    fn inside(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                inside(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    inside(&world.folder.path().join("cold"), &mut found);
    found.sort();
    found
}

async fn count(world: &World, sql: &str) -> i64 {
    let row = sqlx::query(AssertSqlSafe(sql.to_owned()));
    let row = row.fetch_one(world.store.pool()).await.unwrap();
    row.try_get(0).unwrap()
}

async fn run(world: &World, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(world.store.pool())
        .await
        .unwrap();
}

type Line = (u64, Vec<u8>, Option<u64>);

async fn paged(world: &World, filter: &Filter, limit: u32) -> Vec<Line> {
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = search(&world.store, filter, cursor, limit).await.unwrap();
        let lines = page.records.into_iter();
        found.extend(lines.map(|record| (record.seq, record.body, record.cost_micros)));
        assert_ne!((page.next, cursor.is_some()), (cursor, true), "no way on");
        cursor = page.next;
        if cursor.is_none() {
            return found;
        }
    }
}

fn filters(some: RecordId) -> Vec<Filter> {
    let of = |set: fn(&mut Filter)| {
        let mut filter = Filter::default();
        set(&mut filter);
        filter
    };
    vec![
        Filter::default(),
        of(|f| f.user = Some("E001".into())),
        of(|f| f.department = Some("hr".into())),
        of(|f| f.kind = Some(RecordKind::Refuse)),
        of(|f| f.kind = Some(RecordKind::Event)),
        of(|f| f.event = Some("backup.done".into())),
        of(|f| f.text = Some("day 3".into())),
        of(|f| f.end = Some(End::As("answered"))),
        of(|f| f.end = Some(End::Open)),
        of(|f| f.api = Some("azure".into())),
        of(|f| f.denial = Some("budget_exhausted".into())),
        of(|f| {
            f.user = Some("E001".into());
            f.from = Some(START.plus_millis(DAY));
            f.to = Some(START.plus_millis(4 * DAY));
        }),
        of(|f| f.to = Some(START.plus_millis(2_000))),
        of(|f| f.user = Some("nobody".into())),
        Filter {
            record_id: Some(some),
            ..Filter::default()
        },
    ]
}

async fn all_found(world: &World, some: RecordId) -> Vec<Vec<Line>> {
    let mut found = Vec::new();
    for filter in filters(some) {
        let whole = paged(world, &filter, 1000).await;
        let limit = if filter.to.is_some() { 1 } else { 7 };
        assert_eq!(paged(world, &filter, limit).await, whole, "{filter:?}");
        found.push(whole);
    }
    found
}

/// What happened in the month.
async fn report(world: &World) -> Report {
    let calendar = Calendar::new("Asia/Tokyo").unwrap();
    let context = Context {
        store: &world.store,
        policy: &world.policy,
        calendar: &calendar,
        now: world.clock.now(),
    };
    let today = calendar.day(context.now);
    let period = Period::asked(Some(Length::Month), Some("2026-11"), today).unwrap();
    gather(context, period, 10).await.unwrap()
}

async fn whats(world: &World) -> Vec<What> {
    let findings = world.verify().await.findings.into_iter();
    findings.map(|Finding { what, .. }| what).collect()
}

#[tokio::test]
async fn what_was_moved_is_found_proved_and_verified_as_before() {
    let (world, kept) = written().await;
    let before = all_found(&world, kept[0]).await;
    let reported = report(&world).await;
    assert!(reported.unknown_ends.count + reported.refusals.count + reported.changes.count > 10);
    let records = world.verify().await.records;
    let mover = mover(&world, 2).await;
    let moved = mover.round(world.clock.now()).await.unwrap();
    // Three days are more than two days over.
    let cold = world.verify().await;
    World::sound(&cold);
    assert_eq!(
        (cold.records, cold.cold, cold.expired),
        (records, moved.records, 0)
    );
    assert_eq!(moved.files, files(&world).len() as u64);
    assert!(moved.records > 36, "{moved:?}");
    let days: Vec<String> = files(&world)
        .iter()
        .map(|file| {
            file.parent()
                .unwrap()
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(days[0], "day=2026-11-23");
    assert_eq!(days.last().unwrap(), "day=2026-11-25");
    assert_eq!(all_found(&world, kept[0]).await, before);
    assert_eq!(report(&world).await, reported);
    // There is nothing left to do, also for another one.
    for _ in 0..2 {
        assert_eq!(
            mover.round(world.clock.now()).await.unwrap(),
            Moved::default()
        );
    }
    let key = log_key().verifying_key();
    for id in &kept {
        let proved = prove(&world.store, *id, &key).await.unwrap();
        assert_eq!(proved.records.len(), 3);
        for record in &proved.records {
            let leaf = leaf_hash(&record.body);
            record.proof.check(&leaf, &proved.origin, &key).unwrap();
        }
        let contents = read(&world.store, &contents_key(), *id).await.unwrap();
        assert_eq!(contents.request.unwrap().bytes, PROMPT.as_bytes());
    }
    // The whole log, wherever its records are.
    let origin = origin_of(&world.store).await.unwrap();
    let mut archive = Archive::open(world.archive_folder(), &origin, key).unwrap();
    assert_eq!(archive.advance(&world.store).await.unwrap(), records);
    World::sound(&world.verify().await);
    // Another sidecar goes on, and knows the records that were moved.
    let world = world.restarted().await;
    let mut worker = world.worker(40);
    let again = RecordId(kept[0].0);
    let call = crate::world::Call {
        id: again,
        ..worker.call(0, "hr")
    };
    worker
        .entries(vec![call.admit(&[]), call.complete(usage_of(1, 1))])
        .await;
    let new = worker.call(1_000, "sales");
    worker
        .entries(vec![new.admit(&[]), new.complete(usage_of(1, 1))])
        .await;
    world.writer.tick().await.unwrap();
    let report = world.verify().await;
    World::sound(&report);
    let seconds: u64 = 2;
    assert!(report.records >= records + seconds);
    let of_call = Filter {
        record_id: Some(again),
        ..Filter::default()
    };
    assert_eq!(paged(&world, &of_call, 10).await, before[14]);
}

#[tokio::test]
async fn all_that_is_old_is_moved_although_the_database_is_empty_then() {
    let world = World::new().await;
    let mut worker = world.worker(1);
    let call = worker.call(1, "sales");
    worker
        .entries(vec![call.admit(&[]), call.complete(usage_of(1, 1))])
        .await;
    drop(worker);
    world.writer.tick().await.unwrap();
    world.hand.advance(10 * DAY);
    mover(&world, 1)
        .await
        .round(world.clock.now())
        .await
        .unwrap();
    assert_eq!(count(&world, "SELECT COUNT(*) FROM audit_entries").await, 0);
    World::sound(&world.verify().await);
    let world = world.restarted().await;
    let mut worker = world.worker(2);
    let call = worker.call(2, "sales");
    worker
        .entries(vec![call.admit(&[]), call.complete(usage_of(1, 1))])
        .await;
    World::sound(&world.verify().await);
}

#[tokio::test]
async fn whoever_is_killed_while_moving_leaves_every_record_somewhere() {
    let (world, kept) = written().await;
    let before = all_found(&world, kept[1]).await;
    let mut kills = 0;
    // Dropped at whatever it waits for, a little later each time: transactions that are open then
    // come to nothing, as if the process had ended.
    for step in 0..400u64 {
        let mover = mover(&world, 1).await;
        let round = mover.round(world.clock.now());
        let left = Duration::from_micros(300 * (1 + step % 60));
        let Ok(done) = tokio::time::timeout(left, round).await else {
            kills += 1;
            if kills % 8 == 1 {
                World::sound(&world.verify().await);
                let all = paged(&world, &Filter::default(), 1000).await;
                assert_eq!(all, before[0], "after {kills}");
            }
            continue;
        };
        done.unwrap();
        if mover.round(world.clock.now()).await.unwrap() == Moved::default() {
            break;
        }
    }
    mover(&world, 1)
        .await
        .round(world.clock.now())
        .await
        .unwrap();
    assert!(kills > 0);
    World::sound(&world.verify().await);
    assert_eq!(all_found(&world, kept[1]).await, before);
    // A file that was written and not noted is taken for what it is.
    let (other, _) = written().await;
    let mut source = files(&world);
    source.truncate(1);
    let name = source[0].strip_prefix(world.folder.path()).unwrap();
    let target = other.folder.path().join(name);
    std::fs::create_dir_all(target.parent().unwrap()).unwrap();
    std::fs::write(&target, b"PAR1 of somebody else PAR1").unwrap();
    let error = mover(&other, 1).await.round(other.clock.now()).await;
    assert!(matches!(error, Err(ColdError::File { .. })), "{error:?}");
    World::sound(&other.verify().await);
    std::fs::remove_file(target).unwrap();
    mover(&other, 1)
        .await
        .round(other.clock.now())
        .await
        .unwrap();
    World::sound(&other.verify().await);
}

#[tokio::test]
async fn a_file_that_was_never_noted_is_taken_though_another_release_cut_it_otherwise() {
    let (world, kept) = written().await;
    let before = all_found(&world, kept[0]).await;
    run(
        &world,
        "INSERT INTO forward_cursors (name, next) VALUES ('siem/soc', 7)",
    )
    .await;
    run(
        &world,
        "CREATE TABLE away AS SELECT * FROM audit_entries WHERE seq < 7",
    )
    .await;
    let other = mover(&world, 1).await.behind(vec!["siem/soc".into()]);
    let moved = other.in_files_of(7).round(world.clock.now()).await.unwrap();
    assert_eq!((moved.files, moved.records), (1, 7));
    // As it was before the file was noted.
    run(
        &world,
        "INSERT INTO audit_entries SELECT * FROM away; DROP TABLE away; \
         DELETE FROM audit_cold; DELETE FROM cold_files",
    )
    .await;
    let [file] = &files(&world)[..] else {
        panic!("{:?}", files(&world));
    };
    let content = std::fs::read(file).unwrap();
    let part = file.with_file_name("000000000000-000000000006.parquet#1");
    std::fs::write(&part, &content[..9]).unwrap();
    let moved = mover(&world, 1).await.round(world.clock.now()).await;
    assert!(moved.unwrap().files > 5);
    assert_eq!(std::fs::read(file).unwrap(), content);
    assert_eq!(
        count(&world, "SELECT next FROM cold_files WHERE first = 0").await,
        7
    );
    let noted = count(&world, "SELECT COUNT(*) FROM cold_files").await;
    assert_eq!(files(&world).len() as u64, noted.unsigned_abs());
    World::sound(&world.verify().await);
    assert_eq!(all_found(&world, kept[0]).await, before);
}

#[tokio::test]
async fn two_that_move_and_delete_at_once_leave_one_file_for_each_record_and_tell_once() {
    let (world, kept) = written().await;
    let before = all_found(&world, kept[0]).await;
    let now = world.clock.now();
    let one = mover(&world, 1).await;
    let other = mover(&world, 1).await.in_files_of(7);
    loop {
        let rounds = tokio::join!(one.round(now), other.round(now));
        // One may be told by the database that the other was faster.
        if let (Ok(one), Ok(other)) = rounds
            && (one, other) == (Moved::default(), Moved::default())
        {
            break;
        }
    }
    let noted = count(&world, "SELECT COUNT(*) FROM cold_files").await;
    assert_eq!(files(&world).len() as u64, noted.unsigned_abs());
    World::sound(&world.verify().await);
    assert_eq!(all_found(&world, kept[0]).await, before);
    let (mut first, mut second) = (author(&world), author(&world));
    let expired = tokio::join!(expire(&one, 3, &mut first), expire(&other, 3, &mut second));
    assert!(expired.0.is_ok() || expired.1.is_ok(), "{expired:?}");
    world.writer.take_pending().await.unwrap();
    let told = "SELECT COUNT(*) FROM audit_entries WHERE event = 'audit.expire'";
    assert_eq!(count(&world, told).await, 1);
    let left = count(&world, "SELECT COUNT(*) FROM cold_files WHERE state < 2").await;
    assert_eq!(files(&world).len() as u64, left.unsigned_abs());
    World::sound(&world.verify().await);
}

#[tokio::test]
async fn nothing_is_moved_that_is_open_unread_or_not_what_was_signed() {
    let (world, _) = written().await;
    let mover = mover(&world, 1).await;
    // On the fifth day a call began that has not ended. Its gateway is silent since then, so the
    // writer would end it; until that it holds back what comes after.
    run(
        &world,
        "INSERT INTO forward_cursors (name, next) VALUES ('siem/soc', 7)",
    )
    .await;
    let behind = mover.clone().behind(vec!["siem/soc".into()]);
    let moved = behind.round(world.clock.now()).await.unwrap();
    assert_eq!(
        moved,
        Moved {
            files: 1,
            records: 5
        }
    );
    let unknown = mover.clone().behind(vec!["siem/other".into()]);
    let moved = unknown.round(world.clock.now()).await.unwrap();
    assert_eq!(moved, Moved::default());
    let first_open = count(
        &world,
        "SELECT COALESCE(MIN(seq), 1000000) FROM audit_entries JOIN ledger_calls \
         ON ledger_calls.record_id = audit_entries.record_id",
    );
    let first_open = first_open.await;
    mover.round(world.clock.now()).await.unwrap();
    let first = "SELECT MIN(seq) FROM audit_entries";
    assert!(count(&world, first).await <= first_open);
    World::sound(&world.verify().await);

    let (world, _) = written().await;
    let mover = self::mover(&world, 1).await;
    run(
        &world,
        "UPDATE audit_entries SET body = leaf_hash WHERE seq = 3",
    )
    .await;
    let refused = mover.round(world.clock.now()).await.unwrap_err();
    assert!(
        matches!(&refused, ColdError::Unsigned { from: 3, day } if day == "2026-11-23"),
        "{refused}"
    );
    let (world, _) = written().await;
    let mover = self::mover(&world, 1).await;
    run(
        &world,
        "UPDATE audit_entries SET leaf_hash = record_id WHERE seq = 3",
    )
    .await;
    let refused = mover.round(world.clock.now()).await.unwrap_err();
    assert!(matches!(refused, ColdError::Unsigned { .. }), "{refused}");
    assert_eq!(files(&world), Vec::<PathBuf>::new());
    assert_eq!(count(&world, "SELECT COUNT(*) FROM audit_cold").await, 0);
}

#[tokio::test]
async fn whatever_is_changed_about_older_records_is_found() {
    let (world, kept) = written().await;
    let mover = mover(&world, 1).await;
    mover.round(world.clock.now()).await.unwrap();
    World::sound(&world.verify().await);
    let all = files(&world);
    let changed = &all[2];
    let right = std::fs::read(changed).unwrap();
    for at in [10, right.len() / 2, right.len() - 10] {
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        std::fs::write(changed, &wrong).unwrap();
        let name = changed.file_name().unwrap().to_str().unwrap();
        let found = world.verify().await.findings;
        assert!(
            found
                .iter()
                .any(|finding| finding.what.to_string().contains(name)),
            "{found:?}"
        );
        let filter = Filter::default();
        let mut shown = Ok(());
        let mut cursor = None;
        while shown.is_ok() {
            match search(&world.store, &filter, cursor, 100).await {
                Ok(page) if page.next.is_none() => break,
                Ok(page) => cursor = page.next,
                Err(error) => shown = Err(error.to_string()),
            }
        }
        assert!(shown.unwrap_err().contains(name), "shown although changed");
    }
    // Another file in its place: each record is named.
    std::fs::copy(&all[1], changed).unwrap();
    let found = world.verify().await.findings;
    let named = found
        .iter()
        .filter(|f| matches!(f.what, What::ColdRecord(_)));
    assert_eq!(named.count(), 5, "{found:?}");
    std::fs::remove_file(changed).unwrap();
    let found = whats(&world).await;
    assert!(
        matches!(&found[0], What::Cold(why) if why.contains("missing")),
        "{found:?}"
    );
    std::fs::write(changed, &right).unwrap();
    World::sound(&world.verify().await);
    for (change, undo) in [
        (
            "UPDATE audit_cold SET leaf_hash = record_id WHERE seq = 11",
            "",
        ),
        ("DELETE FROM audit_cold WHERE seq = 12", ""),
        (
            "UPDATE cold_files SET state = 3 WHERE first = 0",
            "UPDATE cold_files SET state = 1 WHERE first = 0",
        ),
        (
            "UPDATE cold_files SET first = 1 WHERE first = 0",
            "UPDATE cold_files SET first = 0 WHERE first = 1",
        ),
        ("UPDATE cold_files SET sha256 = roots WHERE first = 5", ""),
        ("DELETE FROM cold_files WHERE first = 10", ""),
    ] {
        run(&world, change).await;
        let found = world.verify().await;
        assert!(!found.is_ok(), "{change}");
        let named = found.findings.iter().any(|one| one.seq == Some(11));
        assert!(named || !change.contains("= 11"), "{found:?}");
        if !undo.is_empty() {
            run(&world, undo).await;
        }
    }
    let key = log_key().verifying_key();
    let refused = prove(&world.store, kept[0], &key).await.unwrap_err();
    assert!(
        matches!(refused, ProveError::Changed(_) | ProveError::Older(_)),
        "{refused}"
    );
}

#[tokio::test]
async fn what_was_kept_long_enough_is_deleted_and_the_tree_still_verifies() {
    let (world, kept) = written().await;
    let mover = mover(&world, 1).await;
    let records = world.verify().await.records;
    // Nothing is deleted that was not moved.
    let none = expire(&mover, 2, &mut author(&world)).await.unwrap();
    assert_eq!(none, Expired::default());
    mover.round(world.clock.now()).await.unwrap();
    let all = paged(&world, &Filter::default(), 1000).await;
    let expired = expire(&mover, 3, &mut author(&world)).await.unwrap();
    assert!(expired.records > 20, "{expired:?}");
    let names = files(&world);
    assert!(
        !names
            .iter()
            .any(|file| file.to_str().unwrap().contains("day=2026-11-23"))
    );
    assert!(
        names[0].to_str().unwrap().contains("day=2026-11-25"),
        "{names:?}"
    );
    // The event is in the log only when the writer has taken it.
    for taken in [false, true] {
        if taken {
            world.writer.take_pending().await.unwrap();
            world.writer.tick().await.unwrap();
        }
        let report = world.verify().await;
        World::sound(&report);
        assert_eq!(report.expired, expired.records);
        assert_eq!(report.records, records + u64::from(taken));
    }
    // Nothing of them is shown, and the call over midnight does not end without having begun.
    let filter = Filter {
        to: Some(UnixMillis(START.0 + 6 * DAY - DAY)),
        ..Filter::default()
    };
    let left = paged(&world, &filter, 1000).await;
    let expected: Vec<Line> = all
        .into_iter()
        .filter(|(seq, ..)| *seq >= expired.records)
        .filter(|(_, body, _)| {
            let record: serde_json::Value = serde_json::from_slice(body).unwrap();
            record["at"].as_u64().unwrap() < filter.to.unwrap().0
        })
        .collect();
    assert_eq!(left, expected);
    let gone = read(&world.store, &contents_key(), kept[0])
        .await
        .unwrap_err();
    assert!(matches!(gone, Unreadable::Unknown), "{gone}");
    assert!(read(&world.store, &contents_key(), kept[3]).await.is_ok());
    let pieces = "SELECT COUNT(*) FROM audit_contents";
    assert_eq!(count(&world, pieces).await, 4);
    let key = log_key().verifying_key();
    let refused = prove(&world.store, kept[0], &key).await.unwrap_err();
    assert!(
        matches!(refused, ProveError::Older(ColdError::Expired(_))),
        "{refused}"
    );
    prove(&world.store, kept[2], &key).await.unwrap();
    let origin = origin_of(&world.store).await.unwrap();
    let mut archive = Archive::open(world.folder.path().join("late"), &origin, key).unwrap();
    let refused = archive.advance(&world.store).await.unwrap_err();
    assert!(
        matches!(refused, ArchiveError::Older(ColdError::Expired(_))),
        "{refused}"
    );
    // A sidecar that was killed between the event and the files.
    run(&world, "UPDATE cold_files SET state = 2 WHERE first = 0").await;
    let again = expire(&mover, 3, &mut author(&world)).await.unwrap();
    assert_eq!(again, Expired::default());
    assert_eq!(
        count(&world, "SELECT COUNT(*) FROM cold_files WHERE state = 2").await,
        0
    );
    // What is deleted without an event is found.
    let first = count(&world, "SELECT MIN(first) FROM cold_files WHERE state = 1").await;
    run(
        &world,
        &format!("UPDATE cold_files SET state = 3 WHERE first = {first}"),
    )
    .await;
    let found = whats(&world).await;
    assert!(
        found
            .iter()
            .any(|what| matches!(what, What::ExpiredUntold { .. })),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_place_without_the_files_that_were_moved_is_refused() {
    let (world, kept) = written().await;
    mover(&world, 1)
        .await
        .round(world.clock.now())
        .await
        .unwrap();
    let other = world.folder.path().join("other");
    let url: String = Url::from_directory_path(&other).unwrap().into();
    let objects = Objects::open(&url, Vec::new()).unwrap();
    let calendar = Calendar::new("Asia/Tokyo").unwrap();
    let log = (
        origin_of(&world.store).await.unwrap(),
        log_key().verifying_key(),
    );
    let retention = retention(1);
    let start = async || {
        let place = (url.as_str(), objects.clone());
        let store = world.store.clone();
        Mover::start(store, calendar.clone(), log.clone(), place, &retention).await
    };
    let refused = start().await.map(|_| ()).unwrap_err();
    assert!(matches!(refused, ColdError::Place(_)), "{refused}");
    World::sound(&world.verify().await);
    // Moved there as a whole, it is the place from now on; and whoever has a copy can say so.
    let cold = world.folder.path().join("cold");
    std::fs::rename(&cold, &other).unwrap();
    let copied = world.store.clone().with_cold(Place::at(&url).unwrap());
    prove(&copied, kept[0], &log_key().verifying_key())
        .await
        .unwrap();
    assert!(!world.verify().await.is_ok());
    start().await.unwrap();
    World::sound(&world.verify().await);
}
