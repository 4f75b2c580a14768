//! What the sidecar itself puts on record.

use sekisho::events::{Author, Telling};
use sekisho::log::prove::prove;
use sekisho::log::{Filter, search};
use sekisho::people::csv;
use sekisho::people::import::import;
use sekisho::store::people;
use sekisho::writer::Recording;
use sekisho_domain::{AuditRecord, RecordId, RecordKind, UnixMillis};
use serde_json::json;

use crate::world::{World, log_key, usage_of};

const PEOPLE: &str = "\
user_id,name,email,department,job_title,phone,start_date,end_date,status,object_id
003,Taro,taro@example.com,sales,,0312345678,2023/04/01,,active,00000000-0000-4000-8000-000000000003
";

fn author(world: &World, seed: u8) -> Author {
    Author::program("test", world.clock.now(), [seed; 32])
}

async fn registered(world: &World) {
    let rows = csv::read(PEOPLE.as_bytes(), &world.policy, &csv::Rules::default())
        .whole()
        .unwrap();
    let imported = import(&world.store, "t", rows, &mut author(world, 1)).await;
    imported.unwrap().unwrap();
}

/// Events in the log, oldest first: their names, and the records.
async fn events(world: &World) -> Vec<(String, serde_json::Value)> {
    let filter = Filter {
        kind: Some(RecordKind::Event),
        ..Filter::default()
    };
    let page = search(&world.store, &filter, None, 1000).await.unwrap();
    let found = page.records.into_iter().rev().map(|found| {
        let record: AuditRecord<'_> = serde_json::from_slice(&found.body).unwrap();
        let name = record.event.unwrap().name.into_owned();
        (name, serde_json::from_slice(&found.body).unwrap())
    });
    found.collect()
}

async fn names(world: &World) -> Vec<String> {
    let events = events(world).await.into_iter();
    events.map(|(name, _)| name).collect()
}

fn told(world: &World, id: RecordId) -> Telling {
    author(world, 9).tell("backup.done", "nas").under(id)
}

#[tokio::test]
async fn a_change_that_nobody_has_put_into_the_log_yet_gets_there_after_a_crash() {
    let world = World::new().await;
    registered(&world).await;
    world.writer.take_pending().await.unwrap();
    let changed = people::suspend(&world.store, "003", true, &mut author(&world, 2), None).await;
    assert!(changed.unwrap().unwrap().suspended);
    // A sidecar that dies now has neither answered nor recorded anything.
    let world = world.restarted().await;
    world.writer.tick().await.unwrap();
    let report = world.verify().await;
    World::sound(&report);
    assert_eq!(report.events_waiting, 0);
    assert_eq!(names(&world).await, ["user.create", "user.disable"]);
    let world = world.restarted().await;
    world.writer.tick().await.unwrap();
    assert_eq!(names(&world).await.len(), 2, "once, not once per start");
}

#[tokio::test]
async fn whoever_waits_for_a_thousand_events_hears_when_all_are_in_the_log() {
    let world = World::new().await;
    let mut people = PEOPLE.to_owned();
    for number in 1_000..2_000 {
        people.push_str(&format!(
            "{number},Person,p{number}@example.com,sales,,,2023/04/01,,active,00000000-0000-4000-8000-00000000{number}\n"
        ));
    }
    let rows = csv::read(people.as_bytes(), &world.policy, &csv::Rules::default())
        .whole()
        .unwrap();
    let imported = import(&world.store, "t", rows, &mut author(&world, 1)).await;
    imported.unwrap().unwrap();
    world.writer.take_pending().await.unwrap();
    let report = world.verify().await;
    World::sound(&report);
    assert_eq!((report.records, report.events_waiting), (1_001, 0));
}

#[tokio::test]
async fn a_change_and_its_event_are_one_transaction() {
    let world = World::on_sqlite().await;
    registered(&world).await;
    world.writer.take_pending().await.unwrap();
    sqlx::raw_sql("DROP TABLE pending_events; CREATE TABLE pending_events (x)")
        .execute(world.store.pool())
        .await
        .unwrap();
    let refused = people::suspend(&world.store, "003", true, &mut author(&world, 2), None).await;
    assert!(refused.is_err());
    let person = people::find(&world.store, "003").await.unwrap().unwrap();
    assert!(!person.suspended, "changed without an event");
}

#[tokio::test]
async fn what_changed_is_on_record_and_what_is_personal_is_not() {
    let world = World::new().await;
    registered(&world).await;
    let moved = PEOPLE
        .replace("sales", "hr")
        .replace("0312345678", "0387654321");
    let rows = csv::read(moved.as_bytes(), &world.policy, &csv::Rules::default())
        .whole()
        .unwrap();
    let imported = import(&world.store, "t", rows, &mut author(&world, 2)).await;
    imported.unwrap().unwrap();
    world.writer.take_pending().await.unwrap();
    let events = events(&world).await;
    let (name, record) = events.last().unwrap();
    let event = &record["event"];
    assert_eq!(
        (name.as_str(), &event["target"]),
        ("user.update", &json!("003"))
    );
    assert_eq!(event["before"]["department"], "sales");
    assert_eq!(event["after"]["department"], "hr");
    assert_eq!(event["detail"], "changed as well: phone");
    assert_eq!(record["caller"]["application"], "test");
    let text = record.to_string();
    assert!(
        !text.contains("Taro") && !text.contains("example.com"),
        "{text}"
    );
}

#[tokio::test]
async fn an_event_is_recorded_once_however_often_it_is_told() {
    let world = World::new().await;
    let (random, derived) = (
        RecordId::v7(world.clock.now(), [5; 10]),
        RecordId::v7(UnixMillis(0), [6; 10]),
    );
    for id in [random, derived] {
        let first = world.writer.record(told(&world, id)).await.unwrap();
        let second = world.writer.record(told(&world, id)).await.unwrap();
        assert_eq!((first, second), (Recording::New, Recording::Known));
    }
    let world = world.restarted().await;
    world.hand.advance(600_000);
    for id in [random, derived] {
        let again = world.writer.record(told(&world, id)).await.unwrap();
        assert_eq!(again, Recording::Known);
    }
    assert_eq!(names(&world).await.len(), 2);
    World::sound(&world.verify().await);
}

#[tokio::test]
async fn an_event_is_a_leaf_like_any_other() {
    let world = World::new().await;
    let mut worker = world.worker(1);
    let call = worker.call(1, "hr");
    worker.entries(vec![call.admit(&[])]).await;
    let id = RecordId::v7(world.clock.now(), [7; 10]);
    world.writer.record(told(&world, id)).await.unwrap();
    worker.entries(vec![call.complete(usage_of(1, 1))]).await;
    world.writer.tick().await.unwrap();
    World::sound(&world.verify().await);
    let proved = prove(&world.store, id, &log_key().verifying_key()).await;
    let proved = proved.unwrap();
    assert_eq!(proved.records.len(), 1);
    assert_eq!(proved.records[0].kind, RecordKind::Event);
}

#[tokio::test]
async fn more_events_than_one_transaction_takes_all_get_into_the_log() {
    let world = World::new().await;
    let people: Vec<String> = (0..600)
        .map(|n| format!("{n},P,p{n}@example.com,sales,,,2023/04/01,,active,"))
        .collect();
    let header = PEOPLE.lines().next().unwrap();
    let file = format!("{header}\n{}\n", people.join("\n"));
    let rows = csv::read(file.as_bytes(), &world.policy, &csv::Rules::default())
        .whole()
        .unwrap();
    let tenant = "8f3a1c52-6b7e-4d0f-9a21-5e6c7d8091ab";
    let imported = import(&world.store, tenant, rows, &mut author(&world, 1)).await;
    imported.unwrap().unwrap();
    world.writer.take_pending().await.unwrap();
    assert_eq!(names(&world).await.len(), 600);
    World::sound(&world.verify().await);
}
