use axum::http::StatusCode;
use serde_json::json;

use crate::service::{As, Service, signed};

const READ: [&str; 5] = [
    "/v1/departments/usage/summary",
    "/v1/departments/sales/usage",
    "/v1/audit/logs/search",
    "/v1/users",
    "/v1/apikeys",
];
const CHANGE: [(&str, &str); 8] = [
    ("POST", "/v1/audit/logs"),
    ("PUT", "/v1/users/003/disable"),
    ("PUT", "/v1/users/003/enable"),
    ("POST", "/v1/users/003/sessions/revoke"),
    ("POST", "/v1/apikeys"),
    ("PATCH", "/v1/apikeys/key-0000000000000001"),
    ("POST", "/v1/apikeys/key-0000000000000001/rotate"),
    ("PUT", "/v1/apikeys/key-0000000000000001/revoke"),
];

#[tokio::test]
async fn nothing_but_health_answers_without_a_token() {
    let service = Service::new().await;
    let reading = READ.map(|path| ("GET", path));
    for (method, path) in reading.into_iter().chain(CHANGE) {
        let answer = service.call(As::Nobody, method, path, None).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        assert_eq!(answer.body["code"], "missing_credential");
    }
}

#[tokio::test]
async fn an_application_with_the_role_may_read() {
    let service = Service::new().await;
    let now = service.world.clock.now().seconds();
    let token = signed(&json!({
        "iss": "https://login.example/t/v2.0", "tid": "t", "aud": "api://x", "idtyp": "app",
        "oid": "00000000-0000-4000-8000-0000000000ff", "roles": ["Sekisho.Auditor"], "exp": now + 60,
    }));
    let answer = service.call_with(Some(&token), "GET", READ[0], None).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}

#[tokio::test]
async fn tokens_for_others_and_expired_ones_are_refused() {
    let service = Service::new().await;
    let now = service.world.clock.now().seconds();
    let token = |audience: &str, expires: u64| {
        signed(&json!({
            "iss": "https://login.example/t/v2.0", "tid": "t", "aud": audience,
            "oid": "00000000-0000-4000-8000-000000000002", "roles": ["Sekisho.Auditor"], "exp": expires,
            "scp": "all_apis",
        }))
    };
    for (token, code) in [
        (token("api://other", now + 60), "wrong_audience"),
        (token("api://x", now - 61), "expired_token"),
    ] {
        let answer = service.call_with(Some(&token), "GET", READ[0], None).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.body["code"], code);
        assert_eq!(
            answer.headers["www-authenticate"],
            "Bearer error=\"invalid_token\""
        );
    }
}

#[tokio::test]
async fn a_disabled_administrator_is_out_at_once() {
    let service = Service::new().await;
    let done = service
        .put(As::Administrator, "/v1/users/001/disable")
        .await;
    assert_eq!(done.status, StatusCode::OK);
    let answer = service.put(As::Administrator, "/v1/users/001/enable").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.body["code"], "inactive_user");
}
