//! Reports that are sent when a day or a month is over.

use std::path::Path;

use sekisho::ledger::Calendar;
use sekisho::mail::Mail;
use sekisho::policy_file;
use sekisho::report::schedule::{Schedule, Scheduler};
use serde_json::{Value, json};
use url::Url;

use crate::mail::{Secret, Server};
use crate::world::{World, policy_json, usage_of};

const HOUR: u64 = 3_600_000;

fn schedules(reports: Value) -> Vec<Schedule> {
    let mut file = policy_json();
    file["reports"] = reports;
    file["mail"] = json!({"server": "mail.example:587", "sender": "sekisho@example.com"});
    let file = policy_file::parse(&file.to_string()).unwrap();
    assert!(!String::from_utf8(file.json).unwrap().contains("reports"));
    file.sections.reports
}

/// Another each time, as after a restart.
fn scheduler(world: &World, mail: Option<&Mail>) -> Scheduler {
    Scheduler {
        store: world.store.clone(),
        policy: world.policy.clone(),
        calendar: Calendar::new("Asia/Tokyo").unwrap(),
        clock: world.clock.clone(),
        mail: mail.cloned(),
        schedules: Vec::new(),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

async fn letters(world: &World) -> i64 {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM mail_outbox";
    let count = sqlx::query_scalar(sql).fetch_one(world.store.pool());
    count.await.unwrap()
}

#[tokio::test]
async fn each_day_is_reported_once_by_mail_and_in_files() {
    let world = World::new().await;
    let secret = Secret::new("correct horse");
    let mut server = Server::start("starttls").await;
    let settings = server.settings(json!({"secret_file": secret.path()}));
    let mail = Mail::new(settings, "Example", &world.clock).unwrap();
    let folder = world.folder.path().join("reports");
    let into = Url::from_directory_path(&folder).unwrap().to_string();
    let schedules = schedules(json!([
        {"name": "daily", "every": "day", "at": "06:00", "to": ["a@example.com", "b@example.com"],
         "into": into, "formats": ["html", "csv", "json"], "language": "en"},
        {"name": "monthly", "every": "month", "into": into},
    ]));
    let [daily, monthly] = schedules.as_slice() else {
        panic!("{schedules:?}");
    };
    let round = async |schedule: &Schedule| {
        let sent = scheduler(&world, Some(&mail)).round(schedule).await;
        sent.unwrap()
    };
    let nothing: Vec<String> = Vec::new();
    // What was over before anybody wanted it is not sent. It is 18:00 in Tokyo.
    assert_eq!(round(daily).await, nothing);
    assert_eq!(round(monthly).await, nothing);
    let mut worker = world.worker(1);
    let call = worker.call(1, "sales");
    let entries = vec![call.admit(&[]), call.complete(usage_of(100, 50))];
    worker.entries(entries).await;
    assert_eq!(round(daily).await, nothing);
    world.hand.advance(11 * HOUR + HOUR / 2);
    assert_eq!(round(daily).await, nothing, "before six");
    world.hand.advance(HOUR);
    let [one, other] = [(); 2].map(|()| scheduler(&world, Some(&mail)));
    // Two at once, as when another sidecar takes over.
    let (one, other) = tokio::join!(one.round(daily), other.round(daily));
    assert_eq!((one.unwrap().len(), other.unwrap().len()), (1, 1));
    assert_eq!(letters(&world).await, 2);
    assert_eq!(round(daily).await, nothing);
    let files = names(&folder.join("daily"));
    assert_eq!(
        files,
        ["2026-11-23.csv", "2026-11-23.html", "2026-11-23.json"]
    );
    let json = std::fs::read(folder.join("daily/2026-11-23.json")).unwrap();
    let report: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(report["total"]["input_tokens"], 100);
    assert_eq!(report["period"]["is_over"], true);
    let running = mail.start(&world.store);
    for _ in 0..2 {
        let message = server.taken().await.message;
        assert!(
            message.contains("Subject: Example: API report of 2026-11-23"),
            "{message}"
        );
        assert!(message.contains("text/html"), "{message}");
        assert!(message.contains("Tokens in: 100"), "{message}");
    }
    running.abort();
    // Days on which nobody was there are made up for.
    world.hand.advance(72 * HOUR);
    assert_eq!(
        round(daily).await,
        ["2026-11-24", "2026-11-25", "2026-11-26"]
    );
    assert_eq!(letters(&world).await, 8);
    assert_eq!(round(monthly).await, nothing);
    world.hand.advance(5 * 24 * HOUR);
    assert_eq!(round(monthly).await, ["2026-11"]);
    assert_eq!(names(&folder.join("monthly")), ["2026-11.html"]);
    assert_eq!(round(monthly).await, nothing);
}

#[tokio::test]
async fn what_cannot_be_written_is_sent_later() {
    let world = World::new().await;
    let blocked = world.folder.path().join("blocked");
    let into = Url::from_directory_path(blocked.join("inside"))
        .unwrap()
        .to_string();
    let schedules = schedules(json!([
        {"name": "daily", "every": "day", "into": into, "formats": ["json"]},
    ]));
    let scheduler = scheduler(&world, None);
    assert_eq!(scheduler.round(&schedules[0]).await.unwrap().len(), 0);
    world.hand.advance(24 * HOUR);
    std::fs::write(&blocked, b"a file").unwrap();
    let error = scheduler.round(&schedules[0]).await.unwrap_err();
    assert!(error.to_string().contains("blocked"), "{error}");
    // That is told before anything is due.
    let error = scheduler.try_place(&schedules[0]).await.unwrap_err();
    assert!(error.to_string().contains("blocked"), "{error}");
    std::fs::remove_file(&blocked).unwrap();
    assert_eq!(
        scheduler.round(&schedules[0]).await.unwrap(),
        ["2026-11-23"]
    );
    scheduler.try_place(&schedules[0]).await.unwrap();
    assert_eq!(names(&blocked.join("inside/daily")), ["2026-11-23.json"]);
}
