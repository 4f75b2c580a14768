//! Every operation of the description as every role, by the one table.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use sekisho::api::roles::{Bound, Role, Rule, TABLE};
use sekisho::events::Author;
use sekisho::push::subscriptions::{self, Wanted};
use serde_json::{Value, json};

use crate::service::{Answer, As, Service};

/// Who calls, what the token makes of him or her, and which things are within that reach.
struct Asker {
    caller: As,
    roles: &'static [Role],
}

/// A person of the directory is a user beside every other role.
const ASKERS: [Asker; 6] = [
    Asker {
        caller: As::Administrator,
        roles: &[Role::Administrator, Role::User],
    },
    Asker {
        caller: As::Auditor,
        roles: &[Role::Auditor, Role::User],
    },
    Asker {
        caller: As::Manager,
        roles: &[Role::DepartmentManager, Role::User],
    },
    Asker {
        caller: As::NobodySpecial,
        roles: &[Role::User],
    },
    Asker {
        caller: As::RecordingApplication,
        roles: &[Role::Recorder],
    },
    Asker {
        caller: As::Stranger,
        roles: &[],
    },
];

/// Method and path of every operation of the description; the two that describe, besides.
fn operations() -> Vec<(String, String)> {
    let description: Value = serde_json::from_str(&sekisho::api::openapi_json()).unwrap();
    let mut operations = vec![
        ("GET".to_owned(), "/".to_owned()),
        ("GET".to_owned(), "/v1/openapi.json".to_owned()),
    ];
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            operations.push((method.to_uppercase(), path.clone()));
        }
    }
    operations
}

/// An operation without a row fails whoever asks for it here.
fn row(method: &str, path: &str) -> &'static Rule {
    let mut rows = TABLE.iter();
    let row = rows.find(|rule| rule.method == method && rule.path == path);
    row.unwrap_or_else(|| panic!("say in the table of roles who may call {method} {path}"))
}

fn bounds(rule: &Rule, asker: &Asker) -> Vec<Bound> {
    let held = rule.admitted.iter();
    let held = held.filter(|(role, _)| *role == Role::Anybody || asker.roles.contains(role));
    held.map(|(_, bound)| *bound).collect()
}

#[test]
fn every_operation_has_one_row_and_every_row_is_an_operation() {
    let mut described = operations();
    let row = |rule: &Rule| (rule.method.to_owned(), rule.path.to_owned());
    let mut rows: Vec<_> = TABLE.iter().map(row).collect();
    described.sort();
    rows.sort();
    assert_eq!(described, rows);
    let distinct: BTreeSet<_> = rows.iter().collect();
    assert_eq!(distinct.len(), rows.len(), "a row stands there twice");
}

/// Nothing in these paths exists, so that nothing comes of it.
#[tokio::test]
async fn each_role_reaches_the_operations_of_the_table_and_no_others() {
    let service = Service::new().await;
    for (method, path) in operations() {
        let rule = row(&method, &path);
        let target = path.replace(['{', '}'], "");
        for asker in &ASKERS {
            let answer = service.call(asker.caller, &method, &target, None).await;
            let what = format!("{method} {target} as {:?}: {}", asker.caller, answer.text);
            let bounds = bounds(rule, asker);
            // Whose reach ends somewhere is told so by the thing, not by the operation.
            if bounds.is_empty() || bounds.contains(&Bound::Everything) {
                let is_refused = answer.status == StatusCode::FORBIDDEN;
                assert_eq!(is_refused, bounds.is_empty(), "{what}");
            }
            assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{what}");
        }
        let answer = service.call(As::Nobody, &method, &target, None).await;
        let is_open = rule.admitted.iter().any(|(role, _)| *role == Role::Anybody);
        let is_refused = answer.status == StatusCode::UNAUTHORIZED;
        assert_eq!(is_refused, !is_open, "{method} {target} without a token");
    }
}

/// What is there of one department, and of one of its people.
struct Things {
    department: &'static str,
    person: &'static str,
    budget: &'static str,
    key: String,
    /// The id of its subscription.
    browser: String,
}

impl Things {
    async fn of(service: &Service, department: &'static str, person: &'static str) -> Self {
        let budget = match department {
            "hr" => "hr-calls",
            _ => "sales-yen",
        };
        let order = json!({
            "name": "k", "department": department, "user": person, "scopes": ["all_apis"],
        });
        let issued = service
            .call(As::Administrator, "POST", "/v1/apikeys", Some(order))
            .await;
        assert_eq!(issued.status, StatusCode::CREATED, "{}", issued.text);
        let browser = Wanted {
            person,
            endpoint: &format!("https://push.example/{person}"),
            public_key: &[4; 65],
            auth: &[7; 16],
            label: "",
            random: [person.as_bytes()[2]; 10],
        };
        let (store, now) = (&service.world.store, service.world.clock.now());
        let mut author = Author::program("test", now, [person.as_bytes()[2]; 32]);
        let registered = subscriptions::register(store, &browser, &mut author).await;
        Self {
            department,
            person,
            budget,
            key: issued.body["id"].as_str().unwrap().to_owned(),
            browser: registered.unwrap().0.id,
        }
    }

    fn named_in(&self, path: &str) -> String {
        path.replace("{departmentId}", self.department)
            .replace("{userId}", self.person)
            .replace("{budgetId}", self.budget)
            .replace("{apiKey}", &self.key)
            .replace("{subscriptionId}", &self.browser)
    }

    /// Whether an answer tells of any of them.
    fn are_in(&self, answer: &Answer) -> bool {
        let names = [
            self.department,
            self.person,
            self.budget,
            &self.key,
            &self.browser,
        ];
        let quoted = names.map(|name| format!("\"{name}\""));
        quoted.iter().any(|name| answer.text.contains(name))
    }
}

/// Hanako manages hr, Taro (003) of sales is nobody special. Each is asked for what is within
/// reach, and for what is not.
#[tokio::test]
async fn a_role_with_a_bound_reaches_to_it_and_no_further() {
    let cases = [
        (
            Bound::OwnDepartment,
            As::Manager,
            ("hr", "004"),
            ("sales", "001"),
        ),
        (
            Bound::Own,
            As::NobodySpecial,
            ("sales", "003"),
            ("hr", "002"),
        ),
        // Also a colleague of the same department is somebody else.
        (
            Bound::Own,
            As::NobodySpecial,
            ("sales", "003"),
            ("sales", "001"),
        ),
    ];
    let mut asked = 0;
    for (bound, caller, own, others) in cases {
        let asker = ASKERS.iter().find(|asker| asker.caller == caller).unwrap();
        for (method, path) in operations() {
            let rule = row(&method, &path);
            let admitted = bounds(rule, asker);
            if !admitted.contains(&bound) || rule.path == "/v1/system/health" {
                continue;
            }
            asked += 1;
            let service = Service::new().await;
            let own = Things::of(&service, own.0, own.1).await;
            let others = Things::of(&service, others.0, others.1).await;
            let body = || (method != "GET").then(|| json!({}));
            let within = service
                .call(caller, &method, &own.named_in(&path), body())
                .await;
            let what = format!("{method} {path} as {caller:?}");
            let is_refused =
                [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND].contains(&within.status);
            assert!(!is_refused, "{what}: {}", within.text);
            if method == "GET" {
                assert_eq!(within.status, StatusCode::OK, "{what}: {}", within.text);
            }
            if path.contains('{') {
                let beyond = others.named_in(&path);
                let beyond = service.call(caller, &method, &beyond, body()).await;
                let is_refused =
                    [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND].contains(&beyond.status);
                assert!(is_refused, "{what}: {}", beyond.text);
            } else if method == "GET" {
                let others = Things {
                    department: if own.department == others.department {
                        "-"
                    } else {
                        others.department
                    },
                    budget: "-",
                    ..others
                };
                assert!(own.are_in(&within), "{what}: {}", within.text);
                assert!(!others.are_in(&within), "{what}: {}", within.text);
            }
        }
    }
    assert!(asked > 20, "{asked}");
}

#[tokio::test]
async fn a_filter_does_not_widen_what_a_manager_or_a_person_sees() {
    let service = Service::new().await;
    for (caller, path, status) in [
        (
            As::Manager,
            "/v1/users?department=sales",
            StatusCode::FORBIDDEN,
        ),
        (As::Manager, "/v1/users?department=hr", StatusCode::OK),
        (
            As::Manager,
            "/v1/budgets?department=sales",
            StatusCode::FORBIDDEN,
        ),
        (
            As::Manager,
            "/v1/apikeys?department=sales",
            StatusCode::FORBIDDEN,
        ),
        (
            As::NobodySpecial,
            "/v1/apikeys?user=001",
            StatusCode::FORBIDDEN,
        ),
        (As::NobodySpecial, "/v1/apikeys?user=003", StatusCode::OK),
    ] {
        let answer = service.get(caller, path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_manager_issues_keys_that_the_own_department_pays_for_its_own_people() {
    let service = Service::new().await;
    for (department, user, status) in [
        ("hr", None, StatusCode::CREATED),
        ("People", Some("004"), StatusCode::CREATED),
        ("sales", None, StatusCode::FORBIDDEN),
        ("hr", Some("001"), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let mut order = json!({"name": "k", "department": department, "scopes": ["all_apis"]});
        if let Some(user) = user {
            order["user"] = user.into();
        }
        let answer = service
            .call(As::Manager, "POST", "/v1/apikeys", Some(order))
            .await;
        assert_eq!(
            answer.status, status,
            "{department} {user:?}: {}",
            answer.text
        );
    }
    let own = Things::of(&service, "hr", "004").await;
    let path = format!("/v1/apikeys/{}", own.key);
    let foreign = json!({"user": "001"});
    let answer = service
        .call(As::Manager, "PATCH", &path, Some(foreign))
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let others = Things::of(&service, "sales", "001").await;
    let path = format!("/v1/apikeys/{}", others.key);
    let named = json!({"name": "mine"});
    let answer = service.call(As::Manager, "PATCH", &path, Some(named)).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn somebody_reads_the_own_record_and_what_is_used_by_oneself() {
    let service = Service::new().await;
    let me = service.get(As::NobodySpecial, "/v1/users/me").await;
    assert_eq!(me.status, StatusCode::OK, "{}", me.text);
    assert_eq!(
        (&me.body["id"], &me.body["department"]),
        (&json!("003"), &json!("sales"))
    );
    let usage = service.get(As::NobodySpecial, "/v1/users/003/usage").await;
    assert_eq!(usage.status, StatusCode::OK, "{}", usage.text);
    assert_eq!(
        (&usage.body["id"], &usage.body["requests"]),
        (&json!("003"), &json!(0))
    );
}

/// Nobody of the directory, and a person without a department, is no manager of one.
#[tokio::test]
async fn who_manages_no_department_that_is_known_is_no_manager() {
    let service = Service::new().await;
    let now = service.world.clock.now().seconds();
    let token = crate::service::signed(&json!({
        "iss": "https://login.example/t/v2.0", "tid": "t", "aud": "api://x", "idtyp": "app",
        "oid": "00000000-0000-4000-8000-0000000000ee", "exp": now + 60,
        "roles": ["Sekisho.DepartmentManager"],
    }));
    let answer = service
        .call_with(Some(&token), "GET", "/v1/users", None)
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text);
}

#[tokio::test]
async fn health_tells_everybody_whether_it_works_and_auditors_how() {
    let service = Service::new().await;
    for (caller, tells) in [
        (As::Nobody, false),
        (As::NobodySpecial, false),
        (As::Manager, false),
        (As::Auditor, true),
        (As::Administrator, true),
    ] {
        let answer = service.get(caller, "/v1/system/health").await;
        assert_eq!(answer.status, StatusCode::OK, "{caller:?}");
        assert_eq!(answer.body.get("details").is_some(), tells, "{caller:?}");
    }
}

#[tokio::test]
async fn head_goes_by_get_and_other_methods_are_nobodys() {
    let service = Service::new().await;
    for (caller, status) in [
        (As::Nobody, StatusCode::UNAUTHORIZED),
        (As::Stranger, StatusCode::FORBIDDEN),
        (As::Auditor, StatusCode::OK),
    ] {
        let answer = service.call(caller, "HEAD", "/v1/users", None).await;
        assert_eq!(answer.status, status, "{caller:?}");
    }
    let answer = service
        .call(As::Administrator, "PUT", "/v1/users", None)
        .await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    let allowed = answer.headers["allow"].to_str().unwrap();
    assert!(
        allowed.contains("GET") && allowed.contains("POST"),
        "{allowed}"
    );
}
