use axum::http::StatusCode;

use crate::service::{As, Service};

#[tokio::test]
async fn the_committed_description_is_the_one_that_is_served() {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let committed = std::fs::read_to_string(committed).unwrap_or_default();
    let how = "run `cargo run -p sekisho -- openapi > sidecar/openapi.json`";
    assert_eq!(committed, sekisho::api::openapi_json(), "{how}");
    let service = Service::new().await;
    let served = service.get(As::Nobody, "/v1/openapi.json").await;
    let committed: serde_json::Value = serde_json::from_str(&committed).unwrap();
    assert_eq!((served.status, served.body), (StatusCode::OK, committed));
}

#[tokio::test]
async fn the_root_leads_to_the_description() {
    let service = Service::new().await;
    let answer = service.get(As::Nobody, "/").await;
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(answer.headers["location"], "/v1/openapi.json");
}

#[tokio::test]
async fn every_described_endpoint_answers() {
    let service = Service::new().await;
    let description: serde_json::Value =
        serde_json::from_str(&sekisho::api::openapi_json()).unwrap();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let path = path.replace(['{', '}'], "");
            let answer = service
                .call(As::Nobody, &method.to_uppercase(), &path, None)
                .await;
            // Gone: a link that nobody made.
            let reached = [StatusCode::OK, StatusCode::UNAUTHORIZED, StatusCode::GONE];
            let reached = reached.contains(&answer.status);
            assert!(reached, "{method} {path}: {}", answer.status);
        }
    }
}
