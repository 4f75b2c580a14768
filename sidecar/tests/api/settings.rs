//! Settings over the API.

use axum::http::StatusCode;
use sekisho::settings::{Ground, LiveSettings};
use serde_json::{Value, json};

use crate::service::{Answer, As, Service};

const PATH: &str = "/v1/system/settings";

async fn set(service: &Service, tag: &str, values: Value) -> Answer {
    let headers = [("if-match", tag)];
    service
        .call_headed(As::Administrator, "PUT", PATH, &headers, Some(values))
        .await
}

fn unused(days: u16) -> Value {
    json!({"people": {"unused": {"days": days}}})
}

#[tokio::test]
async fn a_setting_is_in_force_at_once_and_tells_whence_it_is() {
    let service = Service::new().await;
    let before = service.get(As::Auditor, PATH).await;
    assert_eq!(before.status, StatusCode::OK, "{}", before.text);
    assert_eq!(before.headers["etag"], "\"0\"");
    assert_eq!(before.body["settings"], json!({}));
    assert_eq!(
        before.body["effective"]["people"]["exceptions"],
        json!(["004"])
    );
    assert_eq!(before.body["origins"]["people.exceptions"], "file");
    assert_eq!(before.body["locked"], json!(["alerts.rules.changes"]));
    assert!(before.body["changed_by"].is_null());

    let changed = set(&service, "\"0\"", unused(90)).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
    assert_eq!(changed.headers["etag"], "\"1\"");
    assert_eq!(changed.body["settings"], unused(90));
    assert_eq!(
        changed.body["effective"]["people"]["unused"]["then"],
        "report"
    );
    assert_eq!(changed.body["origins"]["people.unused.days"], "settings");
    assert_eq!(changed.body["origins"]["people.unused.then"], "default");
    let who = changed.body["changed_by"].as_str().unwrap();
    assert!(who.ends_with("000000000001"), "{who}");
    let unused_days = service.settings.now().people.unused.map(|(days, _)| days);
    assert_eq!(unused_days, Some(90));
    let read = service.get(As::Auditor, PATH).await;
    assert_eq!(read.body, changed.body);

    // What is left out is the file's again.
    let back = set(&service, "\"1\"", json!({})).await;
    assert_eq!(back.headers["etag"], "\"2\"");
    assert_eq!(service.settings.now().people.unused, None);
}

#[tokio::test]
async fn another_sidecar_of_the_database_takes_it_over() {
    let service = Service::new().await;
    let file = json!({"people": {"unused": {"days": 10, "then": "disable"}}});
    let other = LiveSettings::new(Ground::new(&file)).unwrap();
    let keeping = tokio::spawn(other.clone().keep_up(service.world.store.clone()));
    let mut changes = other.changes();
    set(&service, "\"0\"", unused(90)).await;
    let changed = tokio::time::timeout(std::time::Duration::from_secs(30), changes.changed());
    changed.await.unwrap().unwrap();
    let unused = other.now().people.unused.map(|(days, _)| days);
    assert_eq!((unused, other.now().version), (Some(90), 1));
    keeping.abort();
}

#[tokio::test]
async fn nobody_overwrites_what_somebody_else_has_changed() {
    let service = Service::new().await;
    let blind = service
        .call(As::Administrator, "PUT", PATH, Some(unused(1)))
        .await;
    assert_eq!(blind.status, StatusCode::PRECONDITION_REQUIRED);
    let (one, other) = tokio::join!(
        set(&service, "\"0\"", unused(1)),
        set(&service, "\"0\"", unused(2))
    );
    let mut answers = [one.status, other.status];
    answers.sort();
    assert_eq!(answers, [StatusCode::OK, StatusCode::PRECONDITION_FAILED]);
    let again = set(&service, "\"0\"", unused(3)).await;
    assert_eq!(again.status, StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn what_cannot_be_set_is_named_and_nothing_is_changed() {
    let service = Service::new().await;
    for (values, named) in [
        (unused(0), "`people.unused.days` must be"),
        (
            json!({"alerts": {"rules": {"changes": {"enabled": true}}}}),
            "`alerts.rules.changes.enabled` is locked",
        ),
        (
            json!({"mail": {"language": "en"}}),
            "`mail.language` cannot be set",
        ),
        (json!({"siem": []}), "unknown field `siem`"),
        (
            json!({"people": {"notices": {"password": "link"}}}),
            "`people.notices.link_url`",
        ),
    ] {
        let answer = set(&service, "*", values).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{named}");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(named), "{detail}");
    }
    let read = service.get(As::Auditor, PATH).await;
    assert_eq!(read.headers["etag"], "\"0\"");
}

#[tokio::test]
async fn every_change_is_in_the_history_and_on_record() {
    let service = Service::new().await;
    for (tag, days) in [("\"0\"", 30), ("\"1\"", 60), ("\"2\"", 60)] {
        service.world.hand.advance(10);
        let set = set(&service, tag, unused(days)).await;
        assert_eq!(set.status, StatusCode::OK);
    }
    let history = service
        .get(As::Auditor, "/v1/system/settings/history?limit=1")
        .await;
    let newest = &history.body["changes"][0];
    // The third changed nothing.
    assert_eq!(newest["version"], 2);
    assert_eq!(
        (&newest["former"], &newest["settings"]),
        (&unused(30), &unused(60))
    );
    let next = history.body["next"].as_str().unwrap();
    let path = format!("/v1/system/settings/history?cursor={next}");
    let history = service.get(As::Auditor, &path).await;
    assert_eq!(history.body["changes"].as_array().unwrap().len(), 1);
    let events = "/v1/audit/logs/search?decision=event&limit=3";
    let events = service.get(As::Auditor, events).await;
    let of_settings: Vec<_> = events.body["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| &found["record"]["event"])
        .filter(|event| event["name"] == "settings.change")
        .collect();
    assert_eq!(of_settings.len(), 2);
    assert_eq!(of_settings[0]["before"], unused(30));
    assert_eq!(of_settings[0]["after"], unused(60));
}
