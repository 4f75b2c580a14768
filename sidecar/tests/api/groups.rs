use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::service::{As, Service};
use crate::tenant::{CHOIR, RULED, TARO, Tenant};

#[tokio::test]
async fn groups_come_in_pages_and_a_cursor_leads_nowhere_else() {
    let service = Service::new().await;
    let tenant = Tenant::start(&service).await;
    let mut path = "/v1/azuread/groups?limit=1".to_owned();
    let mut groups = Vec::new();
    loop {
        let answer = service.get(As::Auditor, &path).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(answer.body["directory"], "entra");
        groups.extend(answer.body["groups"].as_array().unwrap().clone());
        let Some(next) = answer.body["next"].as_str() else {
            break;
        };
        path = format!("/v1/azuread/groups?limit=1&cursor={next}");
    }
    assert_eq!(
        groups,
        [
            json!({"id": CHOIR, "name": "合唱団", "changeable": true}),
            json!({"id": RULED, "name": "全社員", "changeable": false}),
        ]
    );
    // Base64url of `/users?$top=5`.
    let elsewhere = "/v1/azuread/groups?cursor=L3VzZXJzPyR0b3A9NQ";
    let answer = service.get(As::Auditor, elsewhere).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(tenant.graph.violations(), []);
}

#[tokio::test]
async fn whoever_is_locked_out_of_a_tenant_needs_a_new_password_and_nothing_else_is_ordered() {
    let service = Service::new().await;
    let tenant = Tenant::start(&service).await;
    let unlock = async |id: &str| {
        let path = format!("/v1/users/{id}/unlock");
        service.call(As::Administrator, "POST", &path, None).await
    };
    let refused = unlock("003").await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("/password/reset"), "{detail}");
    assert_eq!(unlock("nobody").await.status, StatusCode::NOT_FOUND);
    let jobs = service.get(As::Auditor, "/v1/provisioning/jobs").await;
    assert_eq!(jobs.body["jobs"], json!([]));
    assert_eq!(tenant.graph.violations(), []);
}

#[tokio::test]
async fn a_person_joins_and_leaves_a_group_and_both_are_on_record() {
    let service = Service::new().await;
    let tenant = Tenant::start(&service).await;
    let members = format!("/v1/azuread/groups/{CHOIR}/members");
    let taro = Some(json!({"user": "003"}));
    for _ in 0..2 {
        let answer = service
            .call(As::Administrator, "POST", &members, taro.clone())
            .await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text);
    }
    assert_eq!(tenant.user(TARO)["groups"], json!([CHOIR]));
    let member = format!("{members}/003");
    let answer = service
        .call(As::Administrator, "DELETE", &member, None)
        .await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text);
    assert_eq!(tenant.user(TARO)["groups"], json!([]));
    let answer = service
        .call(As::Administrator, "DELETE", &member, None)
        .await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(
        events(&service).await,
        [
            ("group.add_member", "success"),
            ("group.add_member", "success"),
            ("group.remove_member", "success"),
            ("group.remove_member", "success"),
            ("group.remove_member", "failure"),
        ]
        .map(|(name, outcome)| json!([name, CHOIR, outcome]))
    );
    assert_eq!(tenant.graph.violations(), []);
}

#[tokio::test]
async fn who_may_not_and_what_is_not_there_changes_nothing() {
    let service = Service::new().await;
    let tenant = Tenant::start(&service).await;
    let members = |group: &str| format!("/v1/azuread/groups/{group}/members");
    let nowhere = "99999999-9999-4999-a999-999999999999";
    for (caller, group, user, status) in [
        (As::Auditor, CHOIR, "003", StatusCode::FORBIDDEN),
        (As::Nobody, CHOIR, "003", StatusCode::UNAUTHORIZED),
        (As::Administrator, CHOIR, "999", StatusCode::NOT_FOUND),
        (As::Administrator, nowhere, "003", StatusCode::NOT_FOUND),
        (
            As::Administrator,
            "..%2Fusers",
            "003",
            StatusCode::NOT_FOUND,
        ),
        (As::Administrator, RULED, "003", StatusCode::CONFLICT),
    ] {
        let body = Some(json!({"user": user}));
        let answer = service.call(caller, "POST", &members(group), body).await;
        assert_eq!(answer.status, status, "{group} {user}: {}", answer.text);
    }
    assert_eq!(tenant.user(TARO)["groups"], json!([]));
    tenant.graph.misbehave(sekisho_demo_graph::Faults {
        throttled: 1000,
        retry_after: 30,
        ..Default::default()
    });
    let body = Some(json!({"user": "003"}));
    let answer = service
        .call(As::Administrator, "POST", &members(CHOIR), body)
        .await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.ends_with("wants no calls for 30 s"), "{detail}");
}

#[tokio::test]
async fn the_embedded_directory_has_departments_for_groups() {
    let service = Service::new().await;
    let answer = service.get(As::Auditor, "/v1/azuread/groups").await;
    assert_eq!(
        answer.body,
        json!({"directory": "embedded", "groups": [
            {"id": "hr", "name": "People", "changeable": false},
            {"id": "sales", "name": "Sales", "changeable": false},
        ]})
    );
    let body = Some(json!({"user": "003"}));
    let members = "/v1/azuread/groups/hr/members";
    let answer = service.call(As::Administrator, "POST", members, body).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
}

/// Name, target and outcome of each event about groups.
async fn events(service: &Service) -> Vec<Value> {
    let found = service
        .get(
            As::Auditor,
            "/v1/audit/logs/search?decision=event&limit=100",
        )
        .await;
    let records = found.body["records"]
        .as_array()
        .unwrap_or_else(|| panic!("{}", found.text));
    let events = records.iter().map(|found| &found["record"]["event"]);
    let events = events.filter(|event| event["name"].as_str().unwrap().starts_with("group."));
    let mut events: Vec<Value> = events
        .map(|event| json!([event["name"], event["target"], event["outcome"]]))
        .collect();
    // The newest comes first.
    events.reverse();
    events
}
