//! Departments and titles over the API, and what comes of them at the gateways.

use axum::http::StatusCode;
use sekisho::events::Author;
use sekisho::people::csv;
use sekisho::snapshot::Subscription;
use sekisho::store::units::{Units, seed};
use sekisho_domain::{DenialCode, Policy, ScopeSet, UnixMillis};
use sekisho_scope::{Asked, Principal, authorise};
use serde_json::{Value, json};

use crate::service::{Answer, As, Service};

async fn change(service: &Service, method: &str, path: &str, body: Value) -> Answer {
    let body = Some(body).filter(|body| !body.is_null());
    service.call(As::Administrator, method, path, body).await
}

/// The policy that gateways were sent last.
fn sent(changes: &mut Subscription) -> Option<Policy> {
    let mut policy = None;
    while let Some(change) = changes.poll_next() {
        if !change.policy.is_empty() {
            policy = Some(Policy::parse(serde_json::from_slice(&change.policy).unwrap()).unwrap());
        }
    }
    policy
}

/// What a gateway says to somebody of this department and title who holds every scope.
fn says(policy: &Policy, department: &str, title: Option<&str>) -> Result<(), DenialCode> {
    let principal = Principal {
        tenant: "t".into(),
        object_id: "o".into(),
        user: None,
        department: Some(department.into()),
        title: title.map(Into::into),
        application: None,
        key: None,
        networks: Vec::new(),
        granted: ScopeSet::ALL,
        roles: Vec::new(),
        assurance: sekisho_scope::Assurance::None,
    };
    let api = &policy.apis[0];
    let asked = Asked {
        api,
        scope: api.scope,
        address: None,
    };
    authorise(&principal, policy, &asked).map_err(|denial| denial.code)
}

#[tokio::test]
async fn a_department_is_added_changed_and_removed_and_gateways_keep_to_it() {
    let service = Service::new().await;
    let mut changes = service.changes();
    let legal = json!({"id": "legal", "name": "法務部", "networks": ["192.0.2.0/24"]});
    let added = change(&service, "POST", "/v1/departments", legal.clone()).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
    assert_eq!(added.headers["location"], "/v1/departments/legal");
    assert_eq!(
        (&added.body["origin"], &added.body["people"]),
        (&json!("api"), &json!(0))
    );
    let policy = sent(&mut changes).expect("gateways are sent the policy anew");
    assert_eq!(
        says(&policy, "legal", None),
        Err(DenialCode::NetworkNotAllowed)
    );
    assert_eq!(says(&policy, "sales", None), Ok(()));

    let again = change(&service, "POST", "/v1/departments", legal).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let narrowed = json!({"name": "法務部", "entitlements": []});
    let etag = added.headers["etag"].to_str().unwrap().to_owned();
    let path = "/v1/departments/legal";
    let put = |tag: String| {
        let narrowed = narrowed.clone();
        let service = &service;
        async move {
            let headers = [("if-match", tag.as_str())];
            service
                .call_headed(As::Administrator, "PUT", path, &headers, Some(narrowed))
                .await
        }
    };
    let done = put(etag.clone()).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    assert_eq!(done.body["entitlements"], json!([]));
    let policy = sent(&mut changes).expect("gateways are sent the policy anew");
    assert_eq!(says(&policy, "legal", None), Err(DenialCode::NotEntitled));
    assert_eq!(put(etag).await.status, StatusCode::PRECONDITION_FAILED);
    let same = put("*".to_owned()).await;
    assert_eq!(same.status, StatusCode::OK);
    assert!(sent(&mut changes).is_none(), "nothing was different");

    let gone = change(&service, "DELETE", path, Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text);
    let policy = sent(&mut changes).expect("gateways are sent the policy anew");
    assert_eq!(says(&policy, "legal", None), Err(DenialCode::NoDepartment));
    assert_eq!(
        service.get(As::Auditor, path).await.status,
        StatusCode::NOT_FOUND
    );

    let history = service
        .get(As::Auditor, "/v1/departments/legal/history")
        .await;
    let actions: Vec<_> = history.body["changes"].as_array().unwrap().iter().collect();
    let actions: Vec<_> = actions
        .into_iter()
        .map(|change| &change["action"])
        .collect();
    assert_eq!(actions, ["removed", "changed", "created"]);
    assert_eq!(
        history.body["changes"][1]["former"]["networks"],
        json!(["192.0.2.0/24"])
    );
}

#[tokio::test]
async fn a_department_that_anybody_needs_stays() {
    let service = Service::new().await;
    let answer = change(&service, "DELETE", "/v1/departments/hr", Value::Null).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(
        detail.contains("2 people") && detail.contains("1 budgets"),
        "{detail}"
    );
    for id in ["002", "004"] {
        let path = format!("/v1/departments/sales/members/{id}");
        let moved = change(&service, "PUT", &path, Value::Null).await;
        assert_eq!(moved.status, StatusCode::OK, "{}", moved.text);
        assert_eq!(moved.body["department"], "sales");
    }
    let answer = change(&service, "DELETE", "/v1/departments/hr", Value::Null).await;
    assert_eq!(
        answer.status,
        StatusCode::CONFLICT,
        "the budget is still there"
    );
    change(&service, "DELETE", "/v1/budgets/hr-calls", Value::Null).await;
    let answer = change(&service, "DELETE", "/v1/departments/hr", Value::Null).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text);
    let members = service
        .get(As::Auditor, "/v1/departments/sales/members")
        .await;
    assert_eq!(members.body["users"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn whatever_is_wrong_with_a_department_is_said_at_once() {
    let service = Service::new().await;
    let mut changes = service.changes();
    let wrong =
        json!({"id": "le gal", "name": "Sales", "entitlements": ["video"], "networks": ["10"]});
    let answer = change(&service, "POST", "/v1/departments", wrong).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let detail = answer.body["detail"].as_str().unwrap();
    for said in ["].id", "].name", "].entitlements[0]", "].networks[0]"] {
        assert!(detail.contains(said), "{said}: {detail}");
    }
    assert!(sent(&mut changes).is_none());
    let unknown = json!({"id": "x", "name": "X", "colour": "red"});
    let answer = change(&service, "POST", "/v1/departments", unknown).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_title_narrows_whoever_has_it_and_keeps_its_name_meanwhile() {
    let service = Service::new().await;
    let mut changes = service.changes();
    let trainee = json!({"id": "trainee", "name": "見習い", "entitlements": []});
    let added = change(&service, "POST", "/v1/titles", trainee).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
    let policy = sent(&mut changes).expect("gateways are sent the policy anew");
    assert_eq!(
        says(&policy, "sales", Some("trainee")),
        Err(DenialCode::NotEntitled)
    );
    assert_eq!(says(&policy, "sales", None), Ok(()));
    let given = change(
        &service,
        "PUT",
        "/v1/titles/trainee/members/003",
        Value::Null,
    )
    .await;
    assert_eq!(given.status, StatusCode::OK, "{}", given.text);
    let titles = service.get(As::Auditor, "/v1/titles").await;
    assert_eq!(titles.body["titles"][0]["people"], 1, "{}", titles.text);
    let members = service.get(As::Auditor, "/v1/titles/trainee/members").await;
    assert_eq!(members.body["users"][0]["id"], "003");
    for (method, body) in [
        ("PUT", json!({"name": "新人", "entitlements": []})),
        ("DELETE", Value::Null),
    ] {
        let answer = change(&service, method, "/v1/titles/trainee", body).await;
        assert_eq!(
            answer.status,
            StatusCode::CONFLICT,
            "{method}: {}",
            answer.text
        );
    }
    let widened = json!({"name": "見習い", "entitlements": ["all_apis"]});
    let answer = change(&service, "PUT", "/v1/titles/trainee", widened).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let taken = change(
        &service,
        "DELETE",
        "/v1/titles/trainee/members/003",
        Value::Null,
    )
    .await;
    assert_eq!(taken.status, StatusCode::OK, "{}", taken.text);
    let gone = change(&service, "DELETE", "/v1/titles/trainee", Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text);
}

#[tokio::test]
async fn files_of_people_know_departments_and_titles_that_were_added() {
    let service = Service::new().await;
    let file = "user_id,name,email,department,job_title,phone,start_date,end_date,status,object_id\n\
        009,Mei,mei@example.com,法務部,見習い,,2023/04/01,,active,00000000-0000-4000-8000-000000000009\n";
    let rules = csv::Rules {
        known_titles: true,
        ..csv::Rules::default()
    };
    let read = || csv::read(file.as_bytes(), &service.world.hub.policy(), &rules).whole();
    assert_eq!(read().unwrap_err().len(), 2);
    let legal = json!({"id": "legal", "name": "法務部"});
    change(&service, "POST", "/v1/departments", legal).await;
    let trainee = json!({"id": "trainee", "name": "見習い", "entitlements": []});
    change(&service, "POST", "/v1/titles", trainee).await;
    assert_eq!(read().unwrap()[0].department.as_str(), "legal");
}

/// What was set over the API is the API's; everything else is the file's, at each start.
#[tokio::test]
async fn the_file_and_the_api_each_have_the_last_word_about_what_is_theirs() {
    let service = Service::new().await;
    let sales = json!({"name": "Sales", "entitlements": []});
    change(&service, "PUT", "/v1/departments/sales", sales).await;
    let legal = json!({"id": "legal", "name": "Legal"});
    change(&service, "POST", "/v1/departments", legal).await;
    // The next start, with another file: sales differs, hr is renamed, it is new.
    let file = [
        json!({"id": "sales", "name": "Sales and more"}),
        json!({"id": "hr", "name": "Human resources"}),
        json!({"id": "it", "name": "IT"}),
    ];
    let start = async |file: &[Value], at| {
        let mut author = Author::program("sekisho serve", UnixMillis(at), [at as u8; 32]);
        let (store, hub) = (&service.world.store, &service.world.hub);
        let check = |units: &Units| hub.replace_units(units);
        seed(store, file, &[], &mut author, check).await.unwrap()
    };
    start(&file, 1).await.unwrap();
    let shown = service.get(As::Auditor, "/v1/departments").await;
    let shown: Vec<_> = shown.body["departments"].as_array().unwrap().clone();
    let told: Vec<_> = shown
        .iter()
        .map(|unit| format!("{} {} {}", unit["id"], unit["name"], unit["origin"]).replace('"', ""))
        .collect();
    assert_eq!(
        told,
        [
            "hr Human resources file",
            "it IT file",
            "legal Legal api",
            "sales Sales api"
        ]
    );
    assert_eq!(shown[3]["entitlements"], json!([]));
    // What the file does not name any longer is gone; what is the API's stays.
    start(&file[1..2], 2).await.unwrap();
    let shown = service.get(As::Auditor, "/v1/departments").await;
    let ids = shown.body["departments"].as_array().unwrap().iter();
    let ids: Vec<_> = ids.map(|unit| unit["id"].clone()).collect();
    assert_eq!(ids, ["hr", "legal", "sales"]);
    // Two of one name cannot be: the sidecar does not start, and says whose they are.
    let clash = [json!({"id": "x", "name": "Legal"})];
    let problems = start(&clash, 3).await.unwrap_err();
    assert!(
        problems
            .iter()
            .any(|problem| problem.path.contains("[legal].name")
                || problem.path.contains("[x].name")),
        "{problems:?}"
    );
}
