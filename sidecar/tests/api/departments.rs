use axum::http::StatusCode;
use serde_json::json;

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
    assert_eq!(
        answer.body["departments"],
        json!([
            {"department": {"id": "hr", "name": "People"}, "requests": 0, "refused": 0,
             "input_tokens": 0, "output_tokens": 0, "cost": nothing, "models": []},
            {"department": {"id": "sales", "name": "Sales"}, "requests": 1, "refused": 0,
             "input_tokens": 1000, "output_tokens": 100, "cost": cost,
             "models": [{"api": "azure", "model": "gpt-4o", "requests": 1, "input_tokens": 1000,
                         "output_tokens": 100, "cost": cost}]},
        ])
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
