//! Searches of the log, compared with looking through all of it.

use sekisho::events::Author;
use sekisho::log::search::{End, Filter, plan, search};
use sekisho_domain::{AuditRecord, EventOutcome, RecordKind, UnixMillis};
use serde_json::json;
use sqlx::Row as _;

use crate::world::{START, World, on_postgres, usage_of};

/// Calls of two departments, refusals, an open call, one that nobody knows, and events; several
/// of them at the same moment.
async fn written() -> World {
    let world = World::new().await;
    let mut silent = world.worker(9);
    let lost = silent.call(900, "hr");
    silent.entries(vec![lost.admit(&[])]).await;
    let mut worker = world.worker(1);
    for n in 0..12 {
        let call = worker.call(n, if n % 3 == 0 { "hr" } else { "sales" });
        let entries = match n % 4 {
            0 => vec![call.refuse()],
            1 => vec![call.admit(&[]), call.withdraw()],
            _ => vec![call.admit(&[]), call.complete(usage_of(10, 10))],
        };
        worker.entries(entries).await;
        if n % 2 == 0 {
            world.hand.advance(3_000);
        }
    }
    world.writer.tick().await.unwrap();
    let open = worker.call(901, "sales");
    worker.entries(vec![open.admit(&[])]).await;
    let mut author = Author::program("test", world.clock.now(), [4; 32]);
    let told = [
        author
            .tell("backup.done", "nas")
            .detail("50%_ of the 倉庫 \"east\""),
        author
            .tell("backup.done", "nas")
            .outcome(EventOutcome::Failure)
            .after(Some(json!({"why": ["no space\\left"]}))),
        author.tell("user.disable", "E001"),
    ];
    for told in told {
        world.writer.record(told).await.unwrap();
    }
    world
}

/// Every record, newest first, as a search must show it.
async fn all(world: &World) -> Vec<(u64, serde_json::Value)> {
    let page = search(&world.store, &Filter::default(), None, 1000).await;
    let page = page.unwrap();
    assert_eq!(page.next, None);
    let records = page.records.into_iter();
    records
        .map(|found| (found.seq, serde_json::from_slice(&found.body).unwrap()))
        .collect()
}

async fn paged(world: &World, filter: &Filter, limit: u32) -> Vec<u64> {
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = search(&world.store, filter, cursor, limit).await.unwrap();
        found.extend(page.records.iter().map(|record| record.seq));
        cursor = page.next;
        if cursor.is_none() {
            return found;
        }
    }
}

#[tokio::test]
async fn a_search_finds_what_looking_through_all_finds() {
    // Only a part of the records is sorted by person and department yet.
    let world = written().await;
    let sorted = sorted(&world).await;
    assert!(sorted.0 > 0 && sorted.0 < sorted.1, "{sorted:?}");
    compare(&world).await;
}

#[tokio::test]
async fn a_search_finds_records_sorted_or_not() {
    let world = written().await;
    world.writer.tick().await.unwrap();
    let (sorted, size) = sorted(&world).await;
    assert_eq!(sorted, size);
    compare(&world).await;
    // As if nothing had been sorted yet: what is found twice is shown once.
    for statement in [
        "UPDATE audit_tree SET sorted = 0",
        "DELETE FROM audit_by_user",
    ] {
        let done = sqlx::query(statement).execute(world.store.pool()).await;
        done.unwrap();
        compare(&world).await;
    }
}

/// Records that are sorted, and all.
async fn sorted(world: &World) -> (i64, i64) {
    let row = sqlx::query("SELECT sorted, size FROM audit_tree WHERE id = 1");
    let row = row.fetch_one(world.store.pool()).await.unwrap();
    (row.get("sorted"), row.get("size"))
}

async fn compare(world: &World) {
    let all = all(world).await;
    let ordered = all
        .iter()
        .map(|(seq, record)| (record["at"].as_u64(), *seq));
    assert!(ordered.is_sorted_by(|one, other| one > other));
    type Is = fn(&AuditRecord<'_>) -> bool;
    let of = |set: fn(&mut Filter)| {
        let mut filter = Filter::default();
        set(&mut filter);
        filter
    };
    let unknown = Some(End::As("unknown"));
    let cases: Vec<(Filter, Is)> = vec![
        (of(|f| f.user = Some("E001".into())), |r| {
            r.caller.user.is_some()
        }),
        (of(|f| f.department = Some("hr".into())), |r| {
            r.caller.department.as_deref() == Some("hr")
        }),
        (
            of(|f| {
                f.user = Some("E001".into());
                f.department = Some("sales".into());
                f.kind = Some(RecordKind::Complete);
            }),
            |r| r.caller.department.as_deref() == Some("sales") && r.kind == RecordKind::Complete,
        ),
        (of(|f| f.from = Some(START.plus_millis(6_000))), |r| {
            r.at >= START.plus_millis(6_000)
        }),
        (of(|f| f.to = Some(UnixMillis(START.0 + 6_000))), |r| {
            r.at < START.plus_millis(6_000)
        }),
        (of(|f| f.kind = Some(RecordKind::Refuse)), |r| {
            r.kind == RecordKind::Refuse
        }),
        (of(|f| f.denial = Some("record_unavailable".into())), |r| {
            r.denial
                .is_some_and(|code| code.as_str() == "record_unavailable")
        }),
        (of(|f| f.kind = Some(RecordKind::Event)), |r| {
            r.kind == RecordKind::Event
        }),
        (of(|f| f.event = Some("backup.done".into())), |r| {
            r.event
                .as_ref()
                .is_some_and(|event| event.name == "backup.done")
        }),
        (of(|f| f.end = Some(End::As("failure"))), |r| {
            r.event
                .as_ref()
                .is_some_and(|e| e.outcome == EventOutcome::Failure)
        }),
        (
            Filter {
                end: unknown,
                ..Filter::default()
            },
            |r| r.outcome == Some(sekisho_domain::Outcome::Unknown),
        ),
        (of(|f| f.api = Some("azure".into())), |r| {
            r.call.api.as_deref() == Some("azure")
        }),
    ];
    for (filter, is) in cases {
        let expected: Vec<u64> = all
            .iter()
            .filter(|(_, record)| {
                let bytes = serde_json::to_vec(record).unwrap();
                is(&serde_json::from_slice(&bytes).unwrap())
            })
            .map(|(seq, _)| *seq)
            .collect();
        let some = 1..all.len();
        assert!(
            some.contains(&expected.len()),
            "{filter:?}: {}",
            expected.len()
        );
        for limit in [1, 2, 1000] {
            assert_eq!(paged(world, &filter, limit).await, expected, "{filter:?}");
        }
    }
}

#[tokio::test]
async fn calls_that_never_ended_are_listed() {
    let world = written().await;
    let open = Filter {
        end: Some(End::Open),
        ..Filter::default()
    };
    let report = world.verify().await;
    World::sound(&report);
    let found = search(&world.store, &open, None, 10).await.unwrap();
    let ids: Vec<_> = found
        .records
        .iter()
        .map(|found| {
            let record: AuditRecord<'_> = serde_json::from_slice(&found.body).unwrap();
            assert_eq!(record.kind, RecordKind::Admit);
            record.record_id
        })
        .collect();
    assert_eq!(ids, report.open);
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn a_text_is_found_in_values_alone() {
    let world = written().await;
    for (text, count) in [
        ("NAS", 2),
        ("倉庫", 1),
        ("50%_", 1),
        ("50__", 0),
        ("\"east\"", 1),
        ("space\\left", 1),
        ("gpt-4O", 24),
        ("backup", 2),
        ("schema", 0),
        ("caller", 0),
    ] {
        let filter = Filter {
            text: Some(text.into()),
            ..Filter::default()
        };
        assert_eq!(paged(&world, &filter, 7).await.len(), count, "{text}");
    }
}

#[tokio::test]
async fn no_page_looks_through_the_whole_log() {
    let world = written().await;
    let person = Filter {
        user: Some("E001".into()),
        from: Some(START),
        ..Filter::default()
    };
    let department = Filter {
        department: Some("hr".into()),
        from: Some(START),
        ..Filter::default()
    };
    let unknown = Filter {
        end: Some(End::As("unknown")),
        ..Filter::default()
    };
    let refused = Filter {
        kind: Some(RecordKind::Refuse),
        from: Some(START),
        ..Filter::default()
    };
    let events = Filter {
        kind: Some(RecordKind::Event),
        ..Filter::default()
    };
    let day = Filter {
        from: Some(START),
        ..Filter::default()
    };
    if on_postgres() {
        // Of so few rows it would rather read all; `scripts/bench search` asks it about more.
        return;
    }
    for (filter, index) in [
        (person, "SEARCH audit_by_user USING PRIMARY KEY (whose=?"),
        (
            department,
            "SEARCH audit_by_department USING PRIMARY KEY (whose=?",
        ),
        (unknown, "audit_entries_unknown"),
        (refused, "audit_entries_denial"),
        (events, "audit_entries_event"),
        (day, "audit_entries_at"),
    ] {
        let plan = plan(&world.store, &filter).await.unwrap();
        assert!(plan.contains(index), "{filter:?}: {plan}");
        assert!(!plan.contains("USE TEMP B-TREE"), "{plan}");
    }
}
