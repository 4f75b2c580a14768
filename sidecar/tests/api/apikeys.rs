use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::service::{Answer, As, Service};

fn order() -> Value {
    json!({"name": "batch", "department": "sales", "scopes": ["all_apis"]})
}

async fn issue(service: &Service, order: Value) -> Answer {
    service
        .call(As::Administrator, "POST", "/v1/apikeys", Some(order))
        .await
}

#[tokio::test]
async fn a_key_is_shown_once_and_pushed_as_a_hash() {
    let service = Service::new().await;
    let mut changes = service.world.changes();
    let mut order = order();
    order["expires_at"] = json!("2030-01-01T00:00:00Z");
    let answer = issue(&service, order).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.body["expires_at"], "2030-01-01T00:00:00Z");
    let secret = answer.body["key"].as_str().unwrap();
    let pushed = changes.next().await;
    assert_eq!(pushed.keys[0].id, answer.body["id"].as_str().unwrap());
    assert_eq!(pushed.keys[0].expires, 1_893_456_000_000);
    assert_eq!(
        pushed.keys[0].hash.as_ref(),
        sekisho_scope::hash_key(b"pepper", secret.as_bytes())
    );
}

#[tokio::test]
async fn a_revoked_key_is_pushed_and_stays_revoked() {
    let service = Service::new().await;
    let issued = issue(&service, order()).await;
    let path = format!("/v1/apikeys/{}/revoke", issued.body["id"].as_str().unwrap());
    let mut changes = service.world.changes();
    let first = service.put(As::Administrator, &path).await;
    assert_eq!(first.status, StatusCode::OK);
    assert!(first.body.get("key").is_none());
    assert!(changes.next().await.keys[0].revoked);
    service.world.hand.advance(60_000);
    let second = service.put(As::Administrator, &path).await;
    assert_eq!(second.body["revoked_at"], first.body["revoked_at"]);
}

#[tokio::test]
async fn an_unknown_key_is_404() {
    let service = Service::new().await;
    let answer = service
        .put(As::Administrator, "/v1/apikeys/key-ffffffffffffffff/revoke")
        .await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_makes_no_sense_is_a_problem_that_says_why() {
    let service = Service::new().await;
    for (member, value, status, said) in [
        ("department", json!("legal"), 422, "`department`"),
        ("scopes", json!(["all_apis", "video"]), 422, "`scopes[1]`"),
        ("scopes", json!([]), 422, "`scopes`"),
        ("name", json!(""), 422, "`name`"),
        ("expires_at", json!("2020-01-01"), 422, "`expires_at`"),
        ("expires_at", json!("soon"), 400, "`expires_at`"),
        ("color", json!("red"), 422, "color"),
    ] {
        let mut order = order();
        order[member] = value;
        let answer = issue(&service, order).await;
        assert_eq!(answer.status.as_u16(), status, "{member}: {}", answer.body);
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(said), "{detail}");
    }
}
