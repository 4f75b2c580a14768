use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::departments::and_no_kinds;
use crate::service::{Answer, As, Service};
use crate::world::{Call, usage_of};

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
    let mut changes = service.changes();
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
    let mut changes = service.changes();
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

/// The key's path, and its tag.
fn place(answer: &Answer) -> (String, String) {
    let id = answer.body["id"].as_str().unwrap();
    let tag = answer.headers["etag"].to_str().unwrap();
    (format!("/v1/apikeys/{id}"), tag.to_owned())
}

#[tokio::test]
async fn a_rotated_key_keeps_its_id_and_its_former_secret_for_a_while() {
    let service = Service::new().await;
    let issued = issue(&service, order()).await;
    let (path, _) = place(&issued);
    let mut changes = service.changes();
    let rotate = format!("{path}/rotate");
    let body = json!({"overlap_seconds": 60});
    let rotated = service
        .call(As::Administrator, "POST", &rotate, Some(body))
        .await;
    assert_eq!(rotated.status, StatusCode::OK, "{}", rotated.body);
    assert_eq!(rotated.headers["cache-control"], "no-store");
    assert_eq!(rotated.body["id"], issued.body["id"]);
    assert_ne!(rotated.body["key"], issued.body["key"]);
    let pushed = changes.next().await;
    let hash = |answer: &Answer| {
        let secret = answer.body["key"].as_str().unwrap();
        sekisho_scope::hash_key(b"pepper", secret.as_bytes())
    };
    assert_eq!(pushed.keys[0].hash.as_ref(), hash(&rotated));
    assert_eq!(pushed.keys[0].former_hash.as_ref(), hash(&issued));
    let until = service.world.clock.now().0 + 60_000;
    assert_eq!(pushed.keys[0].former_until, until);
    let shown = service.get(As::Auditor, &path).await;
    assert!(shown.body.get("key").is_none());
    assert!(shown.body.get("former_secret_until").is_some());
    service.world.hand.advance(60_000);
    let shown = service.get(As::Auditor, &path).await;
    assert!(shown.body.get("former_secret_until").is_none());
}

#[tokio::test]
async fn a_rotation_without_a_body_overlaps_by_a_day_and_one_of_a_year_is_refused() {
    let service = Service::new().await;
    let (path, _) = place(&issue(&service, order()).await);
    let rotate = format!("{path}/rotate");
    let mut changes = service.changes();
    let rotated = service.call(As::Administrator, "POST", &rotate, None).await;
    assert_eq!(rotated.status, StatusCode::OK, "{}", rotated.body);
    let until = service.world.clock.now().0 + 86_400_000;
    assert_eq!(changes.next().await.keys[0].former_until, until);
    let year = json!({"overlap_seconds": 365 * 86_400});
    let refused = service
        .call(As::Administrator, "POST", &rotate, Some(year))
        .await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_revoked_key_comes_back_by_no_way() {
    let service = Service::new().await;
    let (path, _) = place(&issue(&service, order()).await);
    service
        .put(As::Administrator, &format!("{path}/revoke"))
        .await;
    let rotated = service
        .call(As::Administrator, "POST", &format!("{path}/rotate"), None)
        .await;
    assert_eq!(rotated.status, StatusCode::CONFLICT);
    let extended = json!({"expires_at": null});
    let changed = service
        .call(As::Administrator, "PATCH", &path, Some(extended))
        .await;
    assert_eq!(changed.status, StatusCode::CONFLICT);
    let shown = service.get(As::Auditor, &path).await;
    assert_eq!(shown.body["status"], "revoked");
}

#[tokio::test]
async fn the_same_order_under_the_same_name_gives_the_same_key_once() {
    let service = Service::new().await;
    let order_once = |order: Value, name: &'static str| {
        let service = &service;
        let headers = [("idempotency-key", name)];
        async move {
            let path = "/v1/apikeys";
            service
                .call_headed(As::Administrator, "POST", path, &headers, Some(order))
                .await
        }
    };
    let first = order_once(order(), "order-1").await;
    let again = order_once(order(), "order-1").await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    let other = order_once(order(), "order-2").await;
    assert_ne!(other.body["id"], first.body["id"]);
    assert_ne!(other.body["key"], first.body["key"]);
    let mut changed = order();
    changed["name"] = json!("another");
    let reused = order_once(changed, "order-1").await;
    assert_eq!(reused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let all = service.get(As::Auditor, "/v1/apikeys").await;
    assert_eq!(all.body["keys"].as_array().unwrap().len(), 2);
    // After a day the name is free again.
    service.world.hand.advance(24 * 3_600_000 + 1);
    let new = order_once(order(), "order-1").await;
    assert_ne!(new.body["id"], first.body["id"]);
    assert_ne!(new.body["key"], first.body["key"]);
}

#[tokio::test]
async fn the_same_rotation_is_carried_out_once_and_not_told_after_the_next() {
    let service = Service::new().await;
    let (path, _) = place(&issue(&service, order()).await);
    let rotate = format!("{path}/rotate");
    let headers = |name| [("idempotency-key", name)];
    let rotated = |name| {
        let (service, rotate) = (&service, &rotate);
        async move {
            service
                .call_headed(As::Administrator, "POST", rotate, &headers(name), None)
                .await
        }
    };
    let first = rotated("r-1").await;
    let again = rotated("r-1").await;
    assert_eq!((first.status, &first.body), (StatusCode::OK, &again.body));
    let next = rotated("r-2").await;
    assert_ne!(next.body["key"], first.body["key"]);
    let late = rotated("r-1").await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(late.body.get("key").is_none());
}

#[tokio::test]
async fn whoever_changes_what_somebody_else_has_changed_is_told() {
    let service = Service::new().await;
    let (path, tag) = place(&issue(&service, order()).await);
    let change = |tag: String, body: Value| {
        let (service, path) = (&service, &path);
        async move {
            let headers = [("if-match", tag.as_str())];
            service
                .call_headed(As::Administrator, "PATCH", path, &headers, Some(body))
                .await
        }
    };
    let first = change(tag.clone(), json!({"name": "one"})).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.body);
    let late = change(tag.clone(), json!({"name": "other"})).await;
    assert_eq!(late.status, StatusCode::PRECONDITION_FAILED);
    let headers = [("if-match", tag.as_str())];
    let rotate = format!("{path}/rotate");
    let late = service
        .call_headed(As::Administrator, "POST", &rotate, &headers, None)
        .await;
    assert_eq!(late.status, StatusCode::PRECONDITION_FAILED);
    let (_, tag) = place(&first);
    let second = change(tag, json!({"name": "other"})).await;
    assert_eq!(second.body["name"], "other");
}

#[tokio::test]
async fn a_key_is_bound_to_a_person_networks_and_scopes_and_freed_again() {
    let service = Service::new().await;
    let mut order = order();
    order["user"] = json!("003");
    order["networks"] = json!(["192.0.2.0/24", "2001:db8::/32"]);
    let issued = issue(&service, order).await;
    assert_eq!(issued.status, StatusCode::CREATED, "{}", issued.body);
    let (path, _) = place(&issued);
    let mut changes = service.changes();
    let free = json!({"user": null, "networks": null, "expires_at": "2030-01-01"});
    let freed = service
        .call(As::Administrator, "PATCH", &path, Some(free))
        .await;
    assert_eq!(freed.status, StatusCode::OK, "{}", freed.body);
    assert!(freed.body.get("user").is_none());
    assert_eq!(freed.body["networks"], json!([]));
    assert_eq!(freed.body["scopes"], json!(["all_apis"]));
    let pushed = changes.next().await;
    assert_eq!(pushed.keys[0].user, "");
    assert!(pushed.keys[0].networks.is_empty());
    let bound = service.get(As::Auditor, "/v1/apikeys?user=003").await;
    assert_eq!(bound.body["keys"], json!([]));
    for (wrong, said) in [
        (json!({"networks": ["192.0.2.1/24"]}), "`networks[0]`"),
        (json!({"user": "999"}), "`user`"),
        (json!({"scopes": ["video"]}), "`scopes[0]`"),
        (json!({"department": "hr"}), "department"),
    ] {
        let answer = service
            .call(As::Administrator, "PATCH", &path, Some(wrong))
            .await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.body["detail"].as_str().unwrap().contains(said));
    }
}

#[tokio::test]
async fn keys_are_listed_page_by_page_without_secrets() {
    let service = Service::new().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let issued = issue(&service, order()).await;
        ids.push(issued.body["id"].as_str().unwrap().to_owned());
    }
    ids.sort();
    let mut found = Vec::new();
    let mut path = "/v1/apikeys?limit=2".to_owned();
    loop {
        let page = service.get(As::Auditor, &path).await;
        for key in page.body["keys"].as_array().unwrap() {
            assert!(key.get("key").is_none() && key.get("hash").is_none());
            found.push(key["id"].as_str().unwrap().to_owned());
        }
        match page.body.get("next").and_then(Value::as_str) {
            Some(next) => path = format!("/v1/apikeys?limit=2&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, ids);
    let none = service.get(As::Auditor, "/v1/apikeys?department=hr").await;
    assert_eq!(none.body["keys"], json!([]));
    let wrong = service.get(As::Auditor, "/v1/apikeys?limit=0").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_secret_of_a_key_is_not_repeated_where_its_id_belongs() {
    let service = Service::new().await;
    let issued = issue(&service, order()).await;
    let secret = issued.body["key"].as_str().unwrap();
    for path in ["", "/usage"] {
        let path = format!("/v1/apikeys/{secret}{path}");
        let answer = service.get(As::Auditor, &path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert!(!answer.body.to_string().contains(secret));
    }
}

fn with_key(call: Call, key: &str) -> Call {
    Call {
        key: Some(key.to_owned().leak()),
        ..call
    }
}

#[tokio::test]
async fn usage_of_a_key_is_told_by_day_and_is_what_the_log_says() {
    let service = Service::new().await;
    let issued = issue(&service, order()).await;
    let (path, _) = place(&issued);
    let id = issued.body["id"].as_str().unwrap();
    let mut worker = service.world.worker(1);
    for (number, day) in [(1, 0), (2, 0), (3, 1)] {
        let answer = worker
            .lease(&[("sales-tokens", 2000), ("sales-yen", 1_875_000)])
            .await;
        let call = with_key(worker.call(number, "sales"), id);
        worker.entries(vec![call.admit(&answer.leases)]).await;
        if day == 1 {
            // It counts for the day on which it began.
            service.world.hand.advance(86_400_000);
        }
        let done = call.complete(usage_of(1000, 100));
        worker.entries(vec![done]).await;
    }
    let refused = with_key(worker.call(4, "sales"), id);
    worker.entries(vec![refused.refuse()]).await;
    let others = worker.call(5, "sales");
    worker.entries(vec![others.refuse()]).await;
    let usage = service.get(As::Auditor, &format!("{path}/usage")).await;
    assert_eq!(usage.status, StatusCode::OK, "{}", usage.body);
    let money = |amount: &str| json!({"amount": amount, "currency": "JPY"});
    let first = json!({"day": "2026-11-23", "requests": 3, "refused": 0, "input_tokens": 3000,
        "output_tokens": 300, "cost": money("1.575")});
    let second = json!({"day": "2026-11-24", "requests": 0, "refused": 1, "input_tokens": 0,
        "output_tokens": 0, "cost": money("0")});
    let whole = json!({"id": id, "from": "2026-11-01", "to": "2026-11-24", "requests": 3,
        "refused": 1, "input_tokens": 3000, "output_tokens": 300, "cost": money("1.575"),
        "days": [and_no_kinds(first), and_no_kinds(second)]});
    assert_eq!(usage.body, and_no_kinds(whole));
    let again = service.get(As::Auditor, &format!("{path}/usage")).await;
    assert_eq!(again.body, usage.body);
}
