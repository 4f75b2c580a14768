use axum::http::StatusCode;

use serde_json::{Value, json};

use crate::service::{Answer, As, Service};
use crate::world::usage_of;

#[tokio::test]
async fn records_come_newest_first_page_by_page() {
    let service = Service::new().await;
    let mut worker = service.world.worker(1);
    for n in 0..3 {
        let call = worker.call(n, "hr");
        worker
            .entries(vec![call.admit(&[]), call.complete(usage_of(10, 10))])
            .await;
    }
    let mut seen = Vec::new();
    let mut path = "/v1/audit/logs/search?limit=4".to_owned();
    loop {
        let answer = service.get(As::Auditor, &path).await;
        assert_eq!(answer.status, StatusCode::OK);
        for record in answer.body["records"].as_array().unwrap() {
            assert_eq!(record["record"]["schema"], "sekisho.audit.v1");
            seen.push(record["seq"].as_u64().unwrap());
        }
        match answer.body["next"].as_str() {
            Some(next) => path = format!("/v1/audit/logs/search?limit=4&cursor={next}"),
            None => break,
        }
    }
    // The first four tell of the people who were imported.
    assert_eq!(seen, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
}

#[tokio::test]
async fn filters_narrow_the_search() {
    let service = Service::new().await;
    let mut worker = service.world.worker(1);
    for (n, department) in [(1, "hr"), (2, "sales")] {
        let call = worker.call(n, department);
        worker
            .entries(vec![call.admit(&[]), call.complete(usage_of(10, 10))])
            .await;
    }
    for (query, records) in [
        ("department=sales", 2),
        ("department=sales&decision=admit", 1),
        ("decision=refuse", 0),
        ("user=E001&api=azure&model=gpt-4o", 4),
        ("from=2026-11-23&to=2026-11-23", 8),
        ("to=2026-11-22", 0),
    ] {
        let answer = service
            .get(As::Auditor, &format!("/v1/audit/logs/search?{query}"))
            .await;
        assert_eq!(
            answer.body["records"].as_array().map(Vec::len),
            Some(records),
            "{query}: {}",
            answer.body
        );
    }
}

#[tokio::test]
async fn a_filter_that_is_none_is_a_problem() {
    let service = Service::new().await;
    for query in [
        "limit=0",
        "limit=1001",
        "cursor=x",
        "decision=maybe",
        "from=x",
        "record_id=7",
        "usr=001",
        "outcome=maybe",
        "text=",
        "format=xml",
        "format=csv&limit=0",
    ] {
        let answer = service
            .get(As::Auditor, &format!("/v1/audit/logs/search?{query}"))
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

async fn tell(service: &Service, caller: As, key: Option<&str>, event: Value) -> Answer {
    let headers: Vec<_> = key
        .map(|key| ("idempotency-key", key))
        .into_iter()
        .collect();
    service
        .call_headed(caller, "POST", "/v1/audit/logs", &headers, Some(event))
        .await
}

fn event() -> Value {
    json!({
        "source": "provisioning", "name": "account.created", "target": "=001",
        "occurred_at": "2026-11-23T08:59:00Z", "after": {"department": "hr"},
        "detail": "倉庫, \"east\"",
    })
}

#[tokio::test]
async fn what_another_system_tells_is_on_record_with_who_told_it() {
    let service = Service::new().await;
    let told = tell(&service, As::Recorder, None, event()).await;
    assert_eq!(told.status, StatusCode::CREATED, "{}", told.body);
    let id = told.body["record_id"].as_str().unwrap();
    let path = format!("/v1/audit/logs/search?record_id={id}");
    let found = service.get(As::Auditor, &path).await;
    let record = &found.body["records"][0]["record"];
    assert_eq!(record["kind"], "event");
    assert_eq!(record["caller"]["user"], "003");
    assert_eq!(
        record["event"],
        json!({
            "source": "provisioning", "name": "account.created", "target": "=001",
            "occurred_at": 1_795_424_340_000_u64, "after": {"department": "hr"},
            "outcome": "success", "detail": "倉庫, \"east\"",
        })
    );
    crate::world::World::sound(&service.world.verify().await);
}

#[tokio::test]
async fn an_event_that_is_told_again_is_on_record_once() {
    let service = Service::new().await;
    let first = tell(&service, As::Recorder, Some("a"), event()).await;
    service.world.hand.advance(3 * 86_400_000);
    let again = tell(&service, As::Recorder, Some("a"), event()).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.body);
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    let mut other = event();
    other["target"] = json!("002");
    let reused = tell(&service, As::Recorder, Some("a"), other).await;
    assert_eq!(reused.status, StatusCode::UNPROCESSABLE_ENTITY);
    // Somebody else's key is another one.
    let others = tell(&service, As::Administrator, Some("a"), event()).await;
    assert_ne!(others.body["record_id"], first.body["record_id"]);
    let path = "/v1/audit/logs/search?event=account.created";
    let found = service.get(As::Auditor, path).await;
    assert_eq!(found.body["records"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_no_event_is_refused_with_all_that_is_wrong() {
    let service = Service::new().await;
    let wrong = json!({
        "source": "sekisho", "name": "Account Created", "target": "a\nb", "detail": "",
        "before": {"x": "y".repeat(17_000)},
    });
    let answer = tell(&service, As::Recorder, None, wrong).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    for member in ["`source`", "`name`", "`target`", "`detail`", "`before`"] {
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(member), "{member}: {detail}");
    }
    for body in [
        json!({}),
        json!({"source": "a", "name": "b", "after": 7}),
        json!([]),
    ] {
        let answer = tell(&service, As::Recorder, None, body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let mut deep = json!({});
    for _ in 0..40 {
        deep = json!({"a": deep});
    }
    let deep = json!({"source": "a", "name": "b", "after": deep});
    let answer = tell(&service, As::Recorder, None, deep).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let large = json!({"source": "a", "name": "b", "detail": "x".repeat(70_000)});
    let answer = tell(&service, As::Recorder, None, large).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_recorder_reads_nothing() {
    let service = Service::new().await;
    for path in ["/v1/audit/logs/search", "/v1/users"] {
        let answer = service.get(As::Recorder, path).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn a_search_comes_as_csv_that_no_spreadsheet_computes() {
    let service = Service::new().await;
    tell(&service, As::Recorder, None, event()).await;
    let mut worker = service.world.worker(1);
    for n in 0..1100 {
        let call = worker.call(n, "hr");
        worker.entries(vec![call.refuse()]).await;
    }
    let csv = [("accept", "text/csv")];
    let path = "/v1/audit/logs/search";
    let answer = service
        .call_headed(As::Auditor, "GET", path, &csv, None)
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.headers["content-type"],
        "text/csv; charset=utf-8; header=present"
    );
    let lines: Vec<&str> = answer.text.split("\r\n").collect();
    assert!(lines[0].starts_with("seq,time,kind,record_id,"));
    // The head, the people who were imported, the event, the calls, and the end.
    assert_eq!(lines.len(), 1 + 4 + 1 + 1100 + 1);
    let told: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("account.created"))
        .collect();
    assert!(
        told[0].contains(",provisioning,account.created,'=001,\"倉庫, \"\"east\"\"\""),
        "{told:?}"
    );
    let path = "/v1/audit/logs/search?format=ndjson&limit=1050&decision=refuse";
    let answer = service.get(As::Auditor, path).await;
    assert_eq!(answer.headers["content-type"], "application/x-ndjson");
    let records = answer
        .text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let records: Vec<_> = records.collect();
    assert_eq!(records.len(), 1050);
    assert_eq!(records[0]["record"]["kind"], "refuse");
}
