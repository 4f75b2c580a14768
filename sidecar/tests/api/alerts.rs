//! Alerts over REST.

use std::time::Duration;

use axum::http::StatusCode;
use sekisho::alerts;
use sekisho::forward::Standings;
use sekisho::ledger::Calendar;
use sekisho::policy_file;
use sekisho::settings::{Ground, LiveSettings};
use serde_json::{Value, json};

use crate::service::{As, Service};
use crate::world::policy_json;

/// Lets the rules look at so many refusals of `E001`, and ends when there are so many alerts.
async fn raised(service: &Service, refusals: std::ops::Range<u64>, wanted: usize) -> Vec<Value> {
    let world = &service.world;
    let mut file = policy_json();
    file["alerts"] = json!({"rules": {"refusal_burst": {"user": 3, "denial": 4}}});
    let file = policy_file::parse(&file.to_string()).unwrap();
    let calendar = Calendar::new(&world.policy.time_zone).unwrap();
    let standings = Standings::default();
    let whole = serde_json::from_str(&file.whole).unwrap();
    let settings = LiveSettings::new(Ground::new(&whole)).unwrap();
    let tasks = alerts::start(
        &world.store,
        &calendar,
        (&file.sections.alerts, &settings, None),
        &world.writer,
        &world.clock,
        &standings,
    );
    let tasks = tasks.await.unwrap();
    let mut worker = world.worker(7);
    for n in refusals {
        let entry = worker.call(n, "sales").refuse();
        worker.entries(vec![entry]).await;
    }
    let mut rounds = 0..1000;
    loop {
        assert!(rounds.next().is_some(), "no alert");
        let page = service.get(As::Auditor, "/v1/alerts").await;
        let found = page.body["alerts"].as_array().unwrap().clone();
        if found.len() >= wanted {
            world.writer.take_pending().await.unwrap();
            for task in tasks {
                task.abort();
            }
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The id of an alert.
pub(crate) async fn one_alert(service: &Service) -> String {
    let found = raised(service, 0..3, 1).await;
    found[0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn alerts_are_listed_newest_first_and_filtered() {
    let service = Service::new().await;
    let found = raised(&service, 0..6, 2).await;
    let about: Vec<_> = found
        .iter()
        .map(|one| one["subject"]["kind"].clone())
        .collect();
    assert_eq!(about, ["denial", "user"]);
    for (query, ids) in [
        ("", vec![0, 1]),
        ("rule=refusal_burst", vec![0, 1]),
        ("rule=off_hours", vec![]),
        ("subject=E001", vec![1]),
        ("department=sales", vec![1]),
        ("severity=medium", vec![0, 1]),
        ("severity=high", vec![]),
        ("acknowledged=true", vec![]),
        ("from=2026-11-23&to=2026-11-23", vec![0, 1]),
        ("to=2026-11-22", vec![]),
        ("limit=1", vec![0]),
    ] {
        let page = service
            .get(As::Auditor, &format!("/v1/alerts?{query}"))
            .await;
        assert_eq!(page.status, StatusCode::OK, "{query}");
        let wanted: Vec<_> = ids.into_iter().map(|at: usize| found[at].clone()).collect();
        assert_eq!(page.body["alerts"], json!(wanted), "{query}");
    }
    let first = service.get(As::Auditor, "/v1/alerts?limit=1").await;
    let cursor = first.body["next"].as_str().unwrap();
    let path = format!("/v1/alerts?limit=1&cursor={cursor}");
    let second = service.get(As::Auditor, &path).await;
    assert_eq!(second.body["alerts"], json!([found[1]]));
    assert!(second.body.get("next").is_none());
    for query in [
        "rule=x",
        "severity=x",
        "cursor=x",
        "limit=0",
        "acknowledged=maybe",
        "x=y",
    ] {
        let answer = service
            .get(As::Auditor, &format!("/v1/alerts?{query}"))
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn an_alert_says_what_was_found_in_the_readers_language() {
    let service = Service::new().await;
    let id = one_alert(&service).await;
    let path = format!("/v1/alerts/{id}");
    for (language, part) in [
        ("en", "calls of user E001 were refused"),
        ("ja", "拒否されました"),
    ] {
        let headers = [("accept-language", language)];
        let answer = service
            .call_headed(As::Auditor, "GET", &path, &headers, None)
            .await;
        let text = answer.body["text"].as_str().unwrap();
        assert!(text.contains(part), "{text}");
    }
    let answer = service.get(As::Auditor, "/v1/alerts/alert_00").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_administrator_takes_note_of_an_alert_once() {
    let service = Service::new().await;
    let id = one_alert(&service).await;
    let path = format!("/v1/alerts/{id}/acknowledge");
    let put = |caller, body| service.call(caller, "PUT", &path, body);
    let refused = put(As::Auditor, None).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let long = json!({"note": "x".repeat(1001)});
    let refused = put(As::Administrator, Some(long)).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let first = put(As::Administrator, Some(json!({"note": "a test"}))).await;
    assert_eq!(first.status, StatusCode::OK);
    let noted = &first.body["acknowledged"];
    assert_eq!(noted["note"], "a test");
    assert_eq!(noted["by"], "t/00000000-0000-4000-8000-000000000001");
    service.world.hand.advance(5_000);
    let again = put(As::Administrator, None).await;
    assert_eq!(again.body, first.body);
    let path = "/v1/audit/logs/search?event=alert.acknowledge";
    let events = service.get(As::Auditor, path).await;
    assert_eq!(events.body["records"].as_array().unwrap().len(), 1);
    let page = service
        .get(As::Auditor, "/v1/alerts?acknowledged=true")
        .await;
    assert_eq!(page.body["alerts"][0]["id"], id);
}

#[tokio::test]
async fn a_report_tells_of_unusual_behaviour() {
    let service = Service::new().await;
    let found = raised(&service, 0..6, 2).await;
    let report = service
        .get(As::Auditor, "/v1/audit/logs/report?date=2026-11")
        .await;
    let alerts = &report.body["alerts"];
    assert_eq!(alerts["count"], 2);
    assert_eq!(
        alerts["rules"],
        json!([{"rule": "refusal_burst", "severity": "medium", "count": 2}])
    );
    assert_eq!(alerts["shown"][0]["id"], found[0]["id"]);
    assert_eq!(alerts["shown"][0]["text"], found[0]["text"]);
}

#[tokio::test]
async fn alerts_are_for_auditors_and_administrators() {
    let service = Service::new().await;
    for (caller, status) in [
        (As::Nobody, StatusCode::UNAUTHORIZED),
        (As::NobodySpecial, StatusCode::FORBIDDEN),
        (As::Recorder, StatusCode::FORBIDDEN),
        (As::Auditor, StatusCode::OK),
    ] {
        assert_eq!(service.get(caller, "/v1/alerts").await.status, status);
    }
}
