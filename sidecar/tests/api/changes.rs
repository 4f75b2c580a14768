//! Whatever the API changes is on record.

use axum::http::Method;
use serde_json::{Value, json};

use crate::service::{Answer, As, Service};
use crate::tenant::{CHOIR, Tenant};

/// An operation that changes something, and what it leaves in the log.
struct Change {
    method: &'static str,
    /// As in the description.
    path: &'static str,
    body: Option<fn() -> Value>,
    event: &'static str,
    source: &'static str,
    /// What is there before and after, beside the event's name.
    states: (bool, bool),
}

const CHANGES: &[Change] = &[
    Change {
        method: "post",
        path: "/v1/audit/logs",
        body: Some(
            || json!({"source": "hr", "name": "contract.renewed", "after": {"until": "2030-03-31"}}),
        ),
        event: "contract.renewed",
        source: "hr",
        states: (false, true),
    },
    Change {
        method: "post",
        path: "/v1/apikeys",
        body: Some(key),
        event: "apikey.issue",
        source: "sekisho",
        states: (false, true),
    },
    Change {
        method: "patch",
        path: "/v1/apikeys/{apiKey}",
        body: Some(|| json!({"name": "another"})),
        event: "apikey.change",
        source: "sekisho",
        states: (true, true),
    },
    Change {
        method: "post",
        path: "/v1/apikeys/{apiKey}/rotate",
        body: None,
        event: "apikey.rotate",
        source: "sekisho",
        states: (true, true),
    },
    Change {
        method: "put",
        path: "/v1/apikeys/{apiKey}/revoke",
        body: None,
        event: "apikey.revoke",
        source: "sekisho",
        states: (true, true),
    },
    Change {
        method: "put",
        path: "/v1/users/{userId}/disable",
        body: None,
        event: "user.disable",
        source: "sekisho",
        states: (true, true),
    },
    Change {
        method: "put",
        path: "/v1/users/{userId}/enable",
        body: None,
        event: "user.enable",
        source: "sekisho",
        states: (true, true),
    },
    Change {
        method: "post",
        path: "/v1/users/{userId}/sessions/revoke",
        body: None,
        event: "user.revoke_sessions",
        source: "sekisho",
        states: (true, true),
    },
    Change {
        method: "post",
        path: "/v1/azuread/sync/start",
        body: None,
        event: "directory.compare",
        source: "sekisho",
        states: (false, false),
    },
    Change {
        method: "post",
        path: "/v1/azuread/groups/{groupId}/members",
        body: Some(|| json!({"user": "003"})),
        event: "group.add_member",
        source: "sekisho",
        states: (false, true),
    },
    Change {
        method: "delete",
        path: "/v1/azuread/groups/{groupId}/members/{userId}",
        body: None,
        event: "group.remove_member",
        source: "sekisho",
        states: (true, false),
    },
    Change {
        method: "put",
        path: "/v1/alerts/{alertId}/acknowledge",
        body: Some(|| json!({"note": "a test"})),
        event: "alert.acknowledge",
        source: "sekisho",
        states: (true, true),
    },
    Change {
        method: "put",
        path: "/v1/budgets/{budgetId}",
        body: Some(budget),
        event: "budget.change",
        source: "sekisho",
        states: (true, true),
    },
    Change {
        method: "delete",
        path: "/v1/budgets/{budgetId}",
        body: None,
        event: "budget.remove",
        source: "sekisho",
        states: (true, false),
    },
    Change {
        method: "post",
        path: "/v1/departments",
        body: Some(|| json!({"id": "legal", "name": "Legal"})),
        event: "department.create",
        source: "sekisho",
        states: (false, true),
    },
    Change {
        method: "put",
        path: "/v1/departments/{departmentId}",
        body: Some(|| json!({"name": "Law", "entitlements": []})),
        event: "department.change",
        source: "sekisho",
        states: (true, true),
    },
    Change {
        method: "put",
        path: "/v1/departments/{departmentId}/members/{userId}",
        body: None,
        event: "user.update",
        source: "sekisho",
        states: (true, true),
    },
    Change {
        method: "delete",
        path: "/v1/departments/{departmentId}",
        body: None,
        event: "department.remove",
        source: "sekisho",
        states: (true, false),
    },
    Change {
        method: "post",
        path: "/v1/titles",
        body: Some(|| json!({"id": "trainee", "name": "Trainee", "entitlements": []})),
        event: "title.create",
        source: "sekisho",
        states: (false, true),
    },
    Change {
        method: "put",
        path: "/v1/titles/{titleId}",
        body: Some(|| json!({"name": "Trainee", "entitlements": ["all_apis"]})),
        event: "title.change",
        source: "sekisho",
        states: (true, true),
    },
    Change {
        method: "put",
        path: "/v1/titles/{titleId}/members/{userId}",
        body: None,
        event: "user.update",
        source: "sekisho",
        states: (true, true),
    },
    Change {
        method: "delete",
        path: "/v1/titles/{titleId}/members/{userId}",
        body: None,
        event: "user.update",
        source: "sekisho",
        states: (true, true),
    },
    Change {
        method: "delete",
        path: "/v1/titles/{titleId}",
        body: None,
        event: "title.remove",
        source: "sekisho",
        states: (true, false),
    },
];

fn key() -> Value {
    json!({"name": "batch", "department": "sales", "scopes": ["all_apis"]})
}

/// Operations on people, their jobs and mails, whose events tests of their own look for: each needs
/// what the one before it has left, or more than this service.
const PROVISIONING: &[(&str, &str)] = &[
    ("post", "/v1/users/csv/upload"),
    ("post", "/v1/provisioning/jobs/{jobId}/apply"),
    ("post", "/v1/provisioning/jobs/{jobId}/cancel"),
    ("post", "/v1/provisioning/jobs/{jobId}/retry"),
    ("post", "/v1/users"),
    ("put", "/v1/users/{userId}"),
    ("delete", "/v1/users/{userId}"),
    ("post", "/v1/users/{userId}/password/reset"),
    ("post", "/v1/users/{userId}/unlock"),
    // The tests of settings: it wants an `If-Match`.
    ("put", "/v1/system/settings"),
    ("post", "/v1/notifications/email"),
    ("post", "/v1/notifications/email/{mailId}/retry"),
    // The tests of push: they need its section of the policy.
    ("post", "/v1/notifications/push"),
    ("post", "/v1/notifications/push/{pushId}/retry"),
    ("post", "/v1/users/me/push-subscriptions"),
    ("delete", "/v1/users/me/push-subscriptions/{subscriptionId}"),
    // The tests of notices: nobody signs in for it.
    ("post", "/v1/notices/{noticeId}"),
];

fn budget() -> Value {
    json!({"department": "hr", "meter": "requests", "window": "minute", "limit": 7})
}

/// The record of the newest event.
async fn newest(service: &Service) -> Value {
    let path = "/v1/audit/logs/search?decision=event&limit=1";
    let page = service.get(As::Auditor, path).await;
    page.body["records"][0].clone()
}

fn secret(answer: &Answer) -> Option<String> {
    answer.body["key"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn every_operation_that_changes_something_leaves_an_event() {
    let description: Value = serde_json::from_str(&sekisho::api::openapi_json()).unwrap();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let reads = Method::from_bytes(method.to_uppercase().as_bytes())
                .unwrap()
                .is_safe();
            let known = CHANGES
                .iter()
                .any(|change| change.method == method && change.path == path);
            let provisions = PROVISIONING.contains(&(method, path));
            assert!(
                reads || known || provisions,
                "{method} {path}: say in CHANGES which event it leaves"
            );
        }
    }
}

#[tokio::test]
async fn the_event_says_who_did_what_and_how_it_was_before() {
    let service = Service::new().await;
    let _tenant = Tenant::start(&service).await;
    let alert = crate::alerts::one_alert(&service).await;
    for change in CHANGES {
        let issued = service
            .call(As::Administrator, "POST", "/v1/apikeys", Some(key()))
            .await;
        let id = issued.body["id"].as_str().unwrap();
        let path = change.path.replace("{apiKey}", id);
        let path = path.replace("{userId}", "003");
        let path = path.replace("{alertId}", &alert);
        let path = path.replace("{budgetId}", "hr-calls");
        let path = path.replace("{groupId}", CHOIR);
        let path = path.replace("{departmentId}/members", "hr/members");
        let path = path.replace("{departmentId}", "legal");
        let path = path.replace("{titleId}", "trainee");
        let former = newest(&service).await;
        service.world.hand.advance(10);
        let body = change.body.map(|body| body());
        let method = change.method.to_uppercase();
        let answer = service.call(As::Administrator, &method, &path, body).await;
        let what = format!("{method} {path}: {} {}", answer.status, answer.body);
        assert!(answer.status.is_success(), "{what}");
        let found = newest(&service).await;
        assert!(found["seq"].as_u64() > former["seq"].as_u64(), "{what}");
        let record = &found["record"];
        let event = &record["event"];
        assert_eq!(event["name"], change.event, "{what}");
        assert_eq!(
            (&event["source"], &event["outcome"]),
            (&json!(change.source), &json!("success"))
        );
        assert_eq!(
            (event.get("before").is_some(), event.get("after").is_some()),
            change.states,
            "{what}: {event}"
        );
        if change.states != (false, false) {
            assert_ne!(event.get("before"), event.get("after"), "{what}");
        }
        assert_eq!(record["caller"]["user"], "001", "{what}");
        assert_eq!(
            record["caller"]["object_id"],
            "00000000-0000-4000-8000-000000000001"
        );
        let told = record.to_string();
        for secret in [secret(&issued), secret(&answer)].into_iter().flatten() {
            assert!(!told.contains(&secret), "{what}: {told}");
        }
        assert!(!told.contains("hash"), "{told}");
    }
    crate::world::World::sound(&service.world.verify().await);
}

#[tokio::test]
async fn what_was_refused_leaves_no_event() {
    let service = Service::new().await;
    let former = newest(&service).await;
    for (caller, method, path) in [
        (As::Auditor, "PUT", "/v1/users/003/disable"),
        (As::Administrator, "PUT", "/v1/users/999/disable"),
        (As::Administrator, "DELETE", "/v1/budgets/none"),
    ] {
        let answer = service.call(caller, method, path, None).await;
        assert!(!answer.status.is_success());
    }
    assert_eq!(newest(&service).await, former);
}
