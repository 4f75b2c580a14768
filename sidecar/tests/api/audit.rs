use axum::http::StatusCode;

use crate::service::{As, Service};
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
    ] {
        let answer = service
            .get(As::Auditor, &format!("/v1/audit/logs/search?{query}"))
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
    }
}
