use axum::http::StatusCode;
use serde_json::json;

use crate::service::{As, Service};

#[tokio::test]
async fn health_says_no_more_than_ok_to_strangers() {
    let service = Service::new().await;
    let answer = service.get(As::Nobody, "/v1/system/health").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, json!({"status": "ok"}));
}

#[tokio::test]
async fn auditors_see_what_gateways_decide_by() {
    let service = Service::new().await;
    let answer = service.get(As::Auditor, "/v1/system/health").await;
    let details = &answer.body["details"];
    assert_eq!(details["people"], 4);
    assert_eq!(details["issuers"][0]["signing_keys"], 1);
}

#[tokio::test]
async fn a_wrong_token_is_refused_even_where_none_is_needed() {
    let service = Service::new().await;
    let answer = service
        .call_with(Some("a.b.c"), "GET", "/v1/system/health", None)
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let service = Service::new().await;
    let answer = service.get(As::Nobody, "/v2").await;
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (StatusCode::NOT_FOUND, &json!(404))
    );
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let answer = service.put(As::Nobody, "/v1/apikeys").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.body["title"], "Method Not Allowed");
}
