//! Reports, compared with the records that they are about.

use sekisho::events::Author;
use sekisho::ledger::Calendar;
use sekisho::log::search::{Filter, search};
use sekisho::report::{Context, Period, Report, gather};
use sekisho_domain::{AuditRecord, Micros, Outcome, RecordKind};

use crate::world::{World, usage_of};

const HOUR: u64 = 3_600_000;

/// From 2026-11-23T18:00 in Tokyo on: calls of two departments on two days, refusals, one that
/// was withdrawn, one whose end nobody knows, and events.
pub(crate) async fn written() -> World {
    let world = World::new().await;
    let mut silent = world.worker(9);
    let lost = silent.call(900, "hr");
    silent.entries(vec![lost.admit(&[])]).await;
    for day in 0..2u64 {
        let mut worker = world.worker(1 + u8::try_from(day).unwrap());
        for n in 0..10 {
            let call = worker.call(day * 100 + n, if n % 3 == 0 { "hr" } else { "sales" });
            let entries = match n % 5 {
                0 => vec![call.refuse()],
                1 => vec![call.admit(&[]), call.withdraw()],
                _ => vec![call.admit(&[]), call.complete(usage_of(1000 + n, 100))],
            };
            worker.entries(entries).await;
        }
        let mut author = Author::program("test", world.clock.now(), [5; 32]);
        let told = author.tell("backup.done", "=nas <b>").detail("50%");
        world.writer.record(told).await.unwrap();
        world.hand.advance(12_000);
        world.writer.tick().await.unwrap();
        world.hand.advance(12 * HOUR);
    }
    world
}

async fn report(world: &World, date: &str) -> Report {
    let calendar = Calendar::new(&world.policy.time_zone).unwrap();
    let now = world.clock.now();
    let period = Period::asked(None, Some(date), calendar.day(now)).unwrap();
    let context = Context {
        store: &world.store,
        policy: &world.policy,
        calendar: &calendar,
        now,
    };
    gather(context, period, 20).await.unwrap()
}

#[tokio::test]
async fn a_report_says_what_the_records_and_the_bill_say() {
    let world = written().await;
    let month = report(&world, "2026-11").await;
    let page = search(&world.store, &Filter::default(), None, 1000).await;
    let page = page.unwrap();
    let (mut ended, mut refused, mut unknown, mut events) = (0, 0, 0, 0);
    let (mut input, mut cost) = (0, 0);
    for found in &page.records {
        let record: AuditRecord<'_> = serde_json::from_slice(&found.body).unwrap();
        match record.kind {
            RecordKind::Complete if record.denial.is_none() => {
                ended += 1;
                input += record.usage.unwrap().input.0;
                cost += found.cost_micros.unwrap();
            }
            RecordKind::Refuse | RecordKind::Complete => refused += 1,
            RecordKind::Event => events += 1,
            RecordKind::Admit | RecordKind::Contents => {}
        }
        unknown += u64::from(record.outcome == Some(Outcome::Unknown));
    }
    assert!(ended > 10 && refused > 5 && unknown == 1 && events > 1);
    let total = &month.total;
    assert_eq!((total.requests, total.refused), (ended, refused));
    assert_eq!(total.input_tokens, input);
    assert_eq!(total.cost, Micros(cost).to_string());
    let bill = world.summary().await.total;
    assert_eq!(total.cost, bill.cost_micros.to_string());
    assert_eq!(month.refusals.count, refused);
    assert_eq!(month.unknown_ends.count, unknown);
    assert_eq!(month.unknown_ends.cost, "1.875");
    assert_eq!(month.unknown_ends.shown.len(), 1);
    assert_eq!(month.changes.count, events);
    World::sound(&world.verify().await);
}

#[tokio::test]
async fn the_parts_of_a_report_add_up_to_the_whole() {
    let world = written().await;
    let month = report(&world, "2026-11").await;
    let requests = month.total.requests;
    let of = |parts: Vec<u64>| parts.into_iter().sum::<u64>();
    let days = month.days.iter().map(|line| line.sums.requests);
    assert_eq!(of(days.collect()), requests);
    let departments = month.departments.iter().map(|line| line.sums.requests);
    assert_eq!(of(departments.collect()), requests);
    let models = month.models.iter().map(|line| line.sums.requests);
    assert_eq!(of(models.collect()), requests);
    let people = month.people.shown.iter().map(|line| line.sums.requests);
    let others = month.people.others.requests;
    assert_eq!(of(people.collect()) + others, requests);
    assert_eq!((month.people.count, others), (1, 0));
    assert_eq!(month.models[0].prices, ["2024-10-01"]);
    let days = ["2026-11-23", "2026-11-24"];
    let mut sum = 0;
    for day in days {
        let report = report(&world, day).await;
        assert_eq!(report.days.len(), 1);
        sum += report.total.requests;
    }
    assert_eq!(sum, requests);
    let before = report(&world, "2026-10").await;
    assert_eq!((before.total.requests, before.changes.count), (0, 0));
    assert!(before.period.is_over && !month.period.is_over);
}
