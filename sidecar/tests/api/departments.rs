use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::service::{As, Service};
use crate::world::usage_of;

/// One call of sales: 1000 tokens in, 100 out at 375 and 1500 yen per million.
async fn one_call(service: &Service) {
    let mut worker = service.world.worker(1);
    let answer = worker
        .lease(&[("sales-tokens", 2000), ("sales-yen", 1_875_000)])
        .await;
    let call = worker.call(1, "sales");
    worker.entries(vec![call.admit(&answer.leases)]).await;
    worker
        .entries(vec![call.complete(usage_of(1000, 100))])
        .await;
}

/// An object of the API with what was used of each kind in it: nothing.
pub(crate) fn and_no_kinds(mut sums: Value) -> Value {
    for kind in [
        "cached_input_tokens",
        "cache_write_input_tokens",
        "audio_input_tokens",
        "image_input_tokens",
        "reasoning_output_tokens",
        "audio_output_tokens",
        "image_output_tokens",
        "bytes",
        "estimated",
    ] {
        sums[kind] = 0.into();
    }
    sums
}

#[tokio::test]
async fn the_summary_has_every_department_and_its_models() {
    let service = Service::new().await;
    one_call(&service).await;
    let answer = service
        .get(As::Auditor, "/v1/departments/usage/summary")
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        (&answer.body["from"], &answer.body["to"]),
        (&json!("2026-11-01"), &json!("2026-11-23"))
    );
    let cost = json!({"amount": "0.525", "currency": "JPY"});
    let nothing = json!({"amount": "0", "currency": "JPY"});
    let hr = json!({"department": {"id": "hr", "name": "People"}, "requests": 0, "refused": 0,
        "input_tokens": 0, "output_tokens": 0, "cost": nothing, "models": []});
    let model = json!({"api": "azure", "model": "gpt-4o", "requests": 1, "input_tokens": 1000,
        "output_tokens": 100, "cost": cost});
    let sales = json!({"department": {"id": "sales", "name": "Sales"}, "requests": 1,
        "refused": 0, "input_tokens": 1000, "output_tokens": 100, "cost": cost,
        "models": [and_no_kinds(model)]});
    assert_eq!(
        answer.body["departments"],
        json!([and_no_kinds(hr), and_no_kinds(sales)])
    );
}

#[tokio::test]
async fn days_outside_the_period_do_not_count() {
    let service = Service::new().await;
    one_call(&service).await;
    let path = "/v1/departments/usage/summary?from=2026-10-01&to=2026-11-22";
    let answer = service.get(As::Auditor, path).await;
    assert_eq!(answer.body["departments"][1]["requests"], 0);
    let path = "/v1/departments/usage/summary?from=2026-13-01";
    assert_eq!(
        service.get(As::Auditor, path).await.status,
        StatusCode::BAD_REQUEST
    );
    let path = "/v1/departments/usage/summary?form=2026-10-01";
    assert_eq!(
        service.get(As::Auditor, path).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn a_department_shows_where_its_budgets_stand() {
    let service = Service::new().await;
    one_call(&service).await;
    let answer = service
        .get(As::Auditor, "/v1/departments/sales/usage")
        .await;
    assert_eq!(answer.body["requests"], 1);
    let budgets = answer.body["budgets"].as_array().unwrap();
    let yen = budgets
        .iter()
        .find(|budget| budget["id"] == "sales-yen")
        .unwrap();
    assert_eq!(
        (&yen["meter"], &yen["limit"], &yen["settled"]),
        (&json!("cost"), &json!("1000000"), &json!("0.525"))
    );
    assert_eq!(yen["window_end"], "2026-11-30T15:00:00Z");
    let tokens = budgets
        .iter()
        .find(|budget| budget["id"] == "sales-tokens")
        .unwrap();
    assert_eq!(
        (&tokens["limit"], &tokens["settled"]),
        (&json!("10000000"), &json!("1100"))
    );
}

#[tokio::test]
async fn an_unknown_department_is_404() {
    let service = Service::new().await;
    let answer = service
        .get(As::Auditor, "/v1/departments/legal/usage")
        .await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}
