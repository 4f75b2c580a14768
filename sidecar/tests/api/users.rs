use axum::http::StatusCode;

use crate::service::{As, Service};

#[tokio::test]
async fn a_disabled_person_is_pushed_to_the_gateways_and_comes_back() {
    let service = Service::new().await;
    let mut changes = service.changes();
    let answer = service
        .put(As::Administrator, "/v1/users/003/disable")
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        (&answer.body["active"], &answer.body["disabled"]),
        (&false.into(), &true.into())
    );
    let pushed = changes.next().await;
    assert_eq!(
        (pushed.users[0].id.as_str(), pushed.users[0].active),
        ("003", false)
    );
    let answer = service.put(As::Administrator, "/v1/users/003/enable").await;
    assert_eq!(answer.body["active"], true);
    assert!(changes.next().await.users[0].active);
}

#[tokio::test]
async fn an_unknown_person_is_404() {
    let service = Service::new().await;
    for (method, path) in [
        ("PUT", "/v1/users/999/disable"),
        ("PUT", "/v1/users/999/enable"),
        ("POST", "/v1/users/999/sessions/revoke"),
    ] {
        let answer = service.call(As::Administrator, method, path, None).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn who_is_inactive_by_the_directory_cannot_be_enabled() {
    let service = Service::new().await;
    let answer = service.put(As::Administrator, "/v1/users/004/enable").await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn the_list_has_everybody_with_todays_state() {
    let service = Service::new().await;
    let answer = service.get(As::Auditor, "/v1/users").await;
    let users = answer.body["users"].as_array().unwrap();
    let states: Vec<_> = users
        .iter()
        .map(|user| {
            (
                user["id"].as_str().unwrap(),
                user["active"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        states,
        [("001", true), ("002", true), ("003", true), ("004", false)]
    );
    assert_eq!(users[3]["end_date"], "2023-06-30");
}

#[tokio::test]
async fn revoked_sessions_are_pushed_and_older_tokens_refused_here_too() {
    let service = Service::new().await;
    let mut changes = service.changes();
    let now = service.world.clock.now();
    let path = "/v1/users/001/sessions/revoke";
    let answer = service.call(As::Administrator, "POST", path, None).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.body["active"], true);
    let pushed = changes.next().await;
    assert_eq!(pushed.users[0].tokens_valid_from, now.0);
    // Whoever did it to himself needs a new token: one that was issued later.
    service.world.hand.advance(1_000);
    let again = service.call(As::Administrator, "POST", path, None).await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.body);
    let old = serde_json::json!({
        "iss": "https://login.example/t/v2.0", "tid": "t", "aud": "api://x", "scp": "all_apis",
        "oid": "00000000-0000-4000-8000-000000000001", "roles": ["Sekisho.Auditor"],
        "iat": now.seconds() - 1, "exp": now.seconds() + 600,
    });
    let old = crate::service::signed(&old);
    let answer = service
        .call_with(Some(&old), "GET", "/v1/users", None)
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.body["code"], "revoked_session");
}

#[tokio::test]
async fn the_list_comes_in_pages() {
    let service = Service::new().await;
    let first = service.get(As::Auditor, "/v1/users?limit=3").await;
    assert_eq!(first.body["users"].as_array().unwrap().len(), 3);
    assert_eq!(first.body["next"], "003");
    let last = service
        .get(As::Auditor, "/v1/users?limit=3&cursor=003")
        .await;
    assert_eq!(last.body["users"][0]["id"], "004");
    assert!(last.body.get("next").is_none());
}
