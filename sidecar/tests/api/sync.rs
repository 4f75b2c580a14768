use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::service::{Answer, As, Service};
use crate::tenant::{TARO, Tenant};

const START: &str = "/v1/azuread/sync/start";
const STATUS: &str = "/v1/azuread/sync/status";
const HANAKO: &str = "00000000-0000-4000-8000-000000000002";

async fn start(service: &Service, body: Option<Value>) -> Answer {
    service.call(As::Administrator, "POST", START, body).await
}

/// The status once nothing is under way.
async fn ended(service: &Service) -> Value {
    let waiting = async {
        loop {
            let status = service.get(As::Auditor, STATUS).await.body;
            if status["state"] != "running" {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    waited.unwrap()
}

/// Looks, and shows what differs.
async fn look(service: &Service) -> Value {
    let answer = start(service, None).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    ended(service).await
}

/// Corrects what was shown.
async fn correct(service: &Service, plan: &Value, direction: &str) -> Value {
    let body = json!({"apply": direction, "plan": plan["plan"]});
    let answer = start(service, Some(body)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    ended(service).await
}

/// Somebody has changed two accounts by hand and deleted a third.
fn by_hand(tenant: &Tenant) {
    let renamed = json!({"displayName": "太郎 𠮷田", "department": "People"});
    tenant.graph.set_user(TARO, renamed);
    tenant
        .graph
        .set_user(HANAKO, json!({"accountEnabled": false}));
    let ichiro = "/users/00000000-0000-4000-8000-000000000001";
    assert_eq!(tenant.graph.by_hand("DELETE", ichiro, &Value::Null), 204);
}

#[tokio::test]
async fn what_somebody_changed_by_hand_is_shown_and_nothing_is_corrected() {
    let service = Service::new().await;
    let tenant = Tenant::start(&service).await;
    assert_eq!(
        service.get(As::Auditor, STATUS).await.body["state"],
        "never"
    );
    assert_eq!(look(&service).await["differing"], 0);
    by_hand(&tenant);
    let status = look(&service).await;
    assert_eq!(
        status["drift"],
        json!([
            {"user": "001", "object_id": "00000000-0000-4000-8000-000000000001",
             "directory": {"name": "Ichiro", "department": "Sales", "enabled": true}},
            {"user": "002", "object_id": HANAKO,
             "directory": {"name": "Hanako", "department": "People", "enabled": true},
             "entra": {"name": "Hanako", "department": "People", "enabled": false}},
            {"user": "003", "object_id": TARO,
             "directory": {"name": "Taro", "department": "Sales", "enabled": true},
             "entra": {"name": "太郎 𠮷田", "department": "People", "enabled": true}},
        ])
    );
    assert_eq!(tenant.user(TARO)["displayName"], "太郎 𠮷田");
    assert_eq!(tenant.graph.violations(), []);
}

#[tokio::test]
async fn entra_is_made_as_the_directory_says() {
    let service = Service::new().await;
    let tenant = Tenant::start(&service).await;
    by_hand(&tenant);
    tenant.graph.set_user(
        "00000000-0000-4000-8000-000000000004",
        json!({"accountEnabled": true}),
    );
    let plan = look(&service).await;
    let status = correct(&service, &plan, "to_entra").await;
    assert_eq!(
        (&status["state"], &status["corrected"]),
        (&json!("done"), &json!(3))
    );
    assert_eq!(status["left"][0]["user"], "001", "{status}");
    let taro = tenant.user(TARO);
    assert_eq!(
        (&taro["displayName"], &taro["department"]),
        (&json!("Taro"), &json!("Sales"))
    );
    assert_eq!(tenant.user(HANAKO)["accountEnabled"], true);
    let yuko = tenant.user("00000000-0000-4000-8000-000000000004");
    assert_eq!(
        (&yuko["accountEnabled"], &yuko["sessionsRevoked"]),
        (&json!(false), &json!(1))
    );
    assert_eq!(
        look(&service).await["differing"],
        1,
        "the one without an account"
    );
    let events = service
        .get(
            As::Auditor,
            "/v1/audit/logs/search?decision=event&text=account.correct",
        )
        .await;
    assert_eq!(events.body["records"].as_array().unwrap().len(), 3);
    assert!(!events.text.contains("Taro") && !events.text.contains("太郎"));
    assert_eq!(tenant.graph.violations(), []);
}

#[tokio::test]
async fn the_directory_is_made_as_entra_says_but_lets_nobody_in_by_that() {
    let service = Service::new().await;
    let tenant = Tenant::start(&service).await;
    by_hand(&tenant);
    tenant.graph.set_user(
        "00000000-0000-4000-8000-000000000004",
        json!({"accountEnabled": true}),
    );
    let plan = look(&service).await;
    let status = correct(&service, &plan, "from_entra").await;
    assert_eq!(status["corrected"], 3, "{status}");
    assert_eq!(status["left"][0]["user"], "004");
    let users = service.get(As::Auditor, "/v1/users").await;
    let shown: Vec<Value> = users.body["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| json!([user["id"], user["name"], user["department"], user["active"]]))
        .collect();
    assert_eq!(
        shown,
        [
            json!(["001", "Ichiro", "sales", false]),
            json!(["002", "Hanako", "hr", false]),
            json!(["003", "太郎 𠮷田", "hr", true]),
            json!(["004", "Yuko", "hr", false]),
        ]
    );
}

#[tokio::test]
async fn what_has_changed_since_it_was_shown_is_left() {
    let service = Service::new().await;
    let tenant = Tenant::start(&service).await;
    tenant.graph.set_user(TARO, json!({"jobTitle": "部長"}));
    let plan = look(&service).await;
    tenant.graph.set_user(TARO, json!({"jobTitle": "課長"}));
    let status = correct(&service, &plan, "to_entra").await;
    assert_eq!(
        (&status["corrected"], &status["left"][0]["user"]),
        (&json!(0), &json!("003"))
    );
    assert_eq!(tenant.user(TARO)["jobTitle"], "課長");
    // A plan serves once.
    let body = json!({"apply": "to_entra", "plan": plan["plan"]});
    assert_eq!(
        start(&service, Some(body)).await.status,
        StatusCode::CONFLICT
    );
}

#[tokio::test]
async fn who_may_not_and_what_makes_no_sense_begins_nothing() {
    let service = Service::new().await;
    assert_eq!(
        service.get(As::Auditor, STATUS).await.status,
        StatusCode::CONFLICT
    );
    assert_eq!(start(&service, None).await.status, StatusCode::CONFLICT);
    let tenant = Tenant::start(&service).await;
    for (caller, body, status) in [
        (As::Auditor, json!({}), StatusCode::FORBIDDEN),
        (
            As::Administrator,
            json!({"apply": "to_entra"}),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            As::Administrator,
            json!({"plan": "x"}),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            As::Administrator,
            json!({"apply": "to_entra", "plan": "x"}),
            StatusCode::CONFLICT,
        ),
        (
            As::Administrator,
            json!({"apply": "both", "plan": "x"}),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        let answer = service.call(caller, "POST", START, Some(body)).await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    assert_eq!(tenant.graph.journal(), []);
}

#[tokio::test]
async fn a_tenant_that_throttles_is_asked_again_and_pages_are_followed() {
    let service = Service::new().await;
    let tenant = Tenant::start(&service).await;
    // More than a page.
    for at in 0..1_500 {
        let members =
            json!({"displayName": "x", "userPrincipalName": format!("g{at}@example.com")});
        let id = format!("aaaaaaaa-0000-4000-a000-{at:012}");
        tenant.graph.add_user(&id, members);
    }
    tenant.graph.set_user(TARO, json!({"jobTitle": "部長"}));
    tenant.graph.misbehave(sekisho_demo_graph::Faults {
        seed: 3,
        throttled: 400,
        ..Default::default()
    });
    let status = look(&service).await;
    assert_eq!(
        (&status["state"], &status["differing"]),
        (&json!("done"), &json!(1)),
        "{status}"
    );
    let pages = tenant.graph.journal();
    let pages = pages.iter().filter(|line| line.status == 200);
    assert_eq!(pages.count(), 2);
}
