use axum::http::StatusCode;
use sekisho_link::v1;
use serde_json::{Value, json};

use crate::service::{Answer, As, Service};
use crate::world::{Worker, World, usage_of};

/// Of the department `hr`, three calls a minute by the policy file.
const CALLS: &str = "/v1/budgets/hr-calls";

fn calls(limit: u64) -> Value {
    json!({"department": "hr", "meter": "requests", "window": "minute", "limit": limit})
}

async fn set(service: &Service, path: &str, budget: Value) -> Answer {
    service
        .call(As::Administrator, "PUT", path, Some(budget))
        .await
}

async fn remove(service: &Service, path: &str) -> StatusCode {
    let answer = service.call(As::Administrator, "DELETE", path, None).await;
    answer.status
}

fn names(answer: &Answer) -> Vec<&str> {
    let budgets = answer.body["budgets"].as_array().unwrap();
    let names = budgets.iter().map(|budget| budget["id"].as_str().unwrap());
    names.collect()
}

/// What a worker is told that asks for so many calls.
async fn ask(worker: &mut Worker, budget: &str, amount: u64) -> v1::LeaseAnswer {
    worker.lease(&[(budget, amount)]).await
}

#[tokio::test]
async fn budgets_are_listed_with_where_they_stand() {
    let service = Service::new().await;
    let mut worker = service.world.worker(1);
    let leases = ask(&mut worker, "hr-calls", 2).await.leases;
    let call = worker.call(1, "hr");
    worker.entries(vec![call.admit(&leases)]).await;
    let all = service.get(As::Auditor, "/v1/budgets").await;
    assert_eq!(names(&all), ["hr-calls", "sales-tokens", "sales-yen"]);
    let one = service.get(As::Auditor, CALLS).await;
    assert_eq!(one.status, StatusCode::OK);
    let expected = json!({
        "id": "hr-calls", "department": "hr", "meter": "requests", "window": "minute",
        "limit": "3", "mode": "strict", "overshoot": "0",
        "settled": "0", "reserved": "1", "leased": "2",
        "window_start": "2026-11-23T09:00:00Z", "window_end": "2026-11-23T09:01:00Z",
    });
    assert_eq!(one.body, expected);
    worker.entries(vec![call.complete(usage_of(1, 1))]).await;
    let one = service.get(As::Auditor, CALLS).await.body;
    assert_eq!(
        (&one["settled"], &one["reserved"]),
        (&json!("1"), &json!("0"))
    );
}

#[tokio::test]
async fn pages_follow_each_other_and_a_department_can_be_asked_for() {
    let service = Service::new().await;
    let first = service.get(As::Auditor, "/v1/budgets?limit=2").await;
    assert_eq!(names(&first), ["hr-calls", "sales-tokens"]);
    let next = first.body["next"].as_str().unwrap();
    let path = format!("/v1/budgets?limit=2&cursor={next}");
    let rest = service.get(As::Auditor, &path).await;
    assert_eq!(names(&rest), ["sales-yen"]);
    assert!(rest.body.get("next").is_none());
    let of_hr = service.get(As::Auditor, "/v1/budgets?department=hr").await;
    assert_eq!(names(&of_hr), ["hr-calls"]);
}

#[tokio::test]
async fn a_raised_limit_counts_at_once_and_what_was_used_stays_used() {
    let service = Service::new().await;
    let mut worker = service.world.worker(1);
    let leases = ask(&mut worker, "hr-calls", 3).await.leases;
    let call = worker.call(1, "hr");
    let entries = vec![call.admit(&leases), call.complete(usage_of(1, 1))];
    worker.entries(entries).await;
    assert!(ask(&mut worker, "hr-calls", 1).await.exhausted.is_some());
    let raised = set(&service, CALLS, calls(10)).await;
    assert_eq!(raised.status, StatusCode::OK);
    assert_eq!(
        (&raised.body["limit"], &raised.body["settled"]),
        (&json!("10"), &json!("1"))
    );
    let answer = ask(&mut worker, "hr-calls", 7).await;
    assert_eq!((answer.leases[0].amount, answer.leases[0].limit), (7, 10));
    World::sound(&service.world.verify().await);
}

fn levels(answer: &Answer) -> Vec<(u64, bool, &str)> {
    let events = answer.body["events"].as_array().unwrap();
    let level = |event: &Value| event["level"].as_u64().unwrap();
    let refused = |event: &Value| event["refused"].as_bool().unwrap();
    events
        .iter()
        .map(|event| {
            (
                level(event),
                refused(event),
                event["limit"].as_str().unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_budget_that_is_used_up_says_so_once_at_each_level() {
    let service = Service::new().await;
    let mut worker = service.world.worker(1);
    let leases = ask(&mut worker, "hr-calls", 3).await.leases;
    for number in 1..=2 {
        let call = worker.call(number, "hr");
        let entries = vec![call.admit(&leases), call.complete(usage_of(1, 1))];
        worker.entries(entries).await;
    }
    for _ in 0..2 {
        assert!(ask(&mut worker, "hr-calls", 2).await.exhausted.is_some());
    }
    let all = service.get(As::Auditor, "/v1/budget-events").await;
    assert_eq!(all.status, StatusCode::OK);
    assert_eq!(levels(&all), [(50, false, "3"), (100, true, "3")]);
    let expected = json!({
        "id": "1", "at": "2026-11-23T09:00:00Z", "budget": "hr-calls", "level": 50,
        "refused": false, "meter": "requests", "limit": "3", "settled": "2",
        "window_start": "2026-11-23T09:00:00Z", "window_end": "2026-11-23T09:01:00Z",
    });
    assert_eq!(all.body["events"][0], expected);
    // Another limit has levels of its own.
    set(&service, CALLS, calls(4)).await;
    let call = worker.call(3, "hr");
    let entries = vec![call.admit(&leases), call.complete(usage_of(1, 1))];
    worker.entries(entries).await;
    let after = service
        .get(As::Auditor, "/v1/budget-events?budget=hr-calls&cursor=2")
        .await;
    assert_eq!(levels(&after), [(50, false, "4")]);
    let page = service.get(As::Auditor, "/v1/budget-events?limit=2").await;
    assert_eq!((levels(&page).len(), &page.body["next"]), (2, &json!("2")));
    let others = "/v1/budget-events?budget=sales-yen";
    assert_eq!(levels(&service.get(As::Auditor, others).await), []);
    let wrong = service.get(As::Auditor, "/v1/budget-events?cursor=x").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    let nobody = service.get(As::Nobody, "/v1/budget-events").await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_lowered_limit_calls_idle_leases_back_and_lets_nothing_more_pass() {
    let service = Service::new().await;
    let mut worker = service.world.worker(1);
    let lease = ask(&mut worker, "hr-calls", 3).await.leases.remove(0);
    let call = worker.call(1, "hr");
    worker
        .entries(vec![call.admit(std::slice::from_ref(&lease))])
        .await;
    let lowered = set(&service, CALLS, calls(1)).await;
    // More is out than the limit allows; it says so.
    assert_eq!(
        (&lowered.body["limit"], &lowered.body["leased"]),
        (&json!("1"), &json!("3"))
    );
    let recall = loop {
        let mut down = worker.session.recv().await.unwrap();
        if !down.recalls.is_empty() {
            break down.recalls.remove(0);
        }
    };
    assert_eq!(
        (recall.budget.as_str(), recall.window_start),
        ("hr-calls", lease.window_start)
    );
    let back = v1::LeaseReturn {
        budget: recall.budget,
        window_start: recall.window_start,
        amount: 2,
    };
    let up = v1::Up {
        lease_returns: vec![back],
        ..v1::Up::default()
    };
    worker.send(up).await.unwrap();
    let now = service.get(As::Auditor, CALLS).await.body;
    assert_eq!(
        (&now["leased"], &now["reserved"]),
        (&json!("1"), &json!("1"))
    );
    assert!(ask(&mut worker, "hr-calls", 1).await.exhausted.is_some());
}

#[tokio::test]
async fn a_new_budget_binds_at_once_and_every_gateway_hears_of_it() {
    let service = Service::new().await;
    let mut changes = service.changes();
    let path = "/v1/budgets/everybody";
    let budget = json!({"organisation": true, "meter": "concurrency", "limit": 0});
    let made = set(&service, path, budget.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert!(made.body.get("window_start").is_none());
    let pushed = changes.next().await;
    assert_eq!(
        (
            pushed.budgets[0].counter.as_str(),
            pushed.budgets[0].removed
        ),
        ("everybody", false)
    );
    let mut worker = service.world.worker(1);
    assert!(ask(&mut worker, "everybody", 1).await.exhausted.is_some());
    // The same again changes nothing.
    assert_eq!(set(&service, path, budget).await.status, StatusCode::OK);
    assert_eq!(remove(&service, path).await, StatusCode::NO_CONTENT);
    assert!(changes.next().await.budgets[0].removed);
    assert!(changes.poll_next().is_none());
    assert_eq!(
        service.get(As::Auditor, path).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(remove(&service, path).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_budget_that_is_to_count_something_else_counts_anew() {
    let service = Service::new().await;
    let mut worker = service.world.worker(1);
    let leases = ask(&mut worker, "hr-calls", 3).await.leases;
    let call = worker.call(1, "hr");
    worker.entries(vec![call.admit(&leases)]).await;
    let mut changes = service.changes();
    let tokens = json!({"department": "hr", "meter": "tokens", "window": "minute", "limit": 500});
    let changed = set(&service, CALLS, tokens).await;
    assert_eq!(
        (&changed.body["meter"], &changed.body["leased"]),
        (&json!("tokens"), &json!("0"))
    );
    let counters: Vec<(String, bool)> = changes
        .next()
        .await
        .budgets
        .iter()
        .map(|budget| (budget.counter.clone(), budget.removed))
        .collect();
    assert_eq!(
        counters,
        [
            ("hr-calls".to_owned(), true),
            ("hr-calls#2".to_owned(), false)
        ]
    );
    assert_eq!(
        ask(&mut worker, "hr-calls", 1)
            .await
            .exhausted
            .unwrap()
            .limit,
        0
    );
    assert_eq!(ask(&mut worker, "hr-calls#2", 500).await.leases.len(), 1);
    // The call under way ends as it began: calls and tokens are never added up.
    worker
        .entries(vec![call.complete(usage_of(100, 100))])
        .await;
    assert_eq!(service.get(As::Auditor, CALLS).await.body["settled"], "0");
    World::sound(&service.world.verify().await);
}

#[tokio::test]
async fn a_budget_can_follow_answers_and_goes_on_counting_when_it_does() {
    let service = Service::new().await;
    let mut worker = service.world.worker(1);
    let path = "/v1/budgets/sales-tokens";
    let before = service.get(As::Auditor, path).await.body;
    let leases = ask(&mut worker, "sales-tokens", 100).await.leases;
    let call = worker.call(1, "sales");
    let entries = vec![call.admit(&leases), call.complete(usage_of(30, 1))];
    worker.entries(entries).await;
    let followed = json!({
        "department": "sales", "meter": "tokens", "window": before["window"],
        "limit": 1000, "mode": "stream_cut", "estimate_tokens": 50, "ahead_tokens": 2,
    });
    let set = set(&service, path, followed).await;
    assert_eq!(set.status, StatusCode::OK, "{:?}", set.body);
    let members = ["mode", "estimate_tokens", "ahead_tokens", "settled"];
    let shown: Vec<&Value> = members.iter().map(|name| &set.body[name]).collect();
    let expected = [&json!("stream_cut"), &json!(50), &json!(2), &json!("31")];
    assert_eq!(shown, expected);
    // It follows no model until somebody says what each keeps to itself.
    assert_eq!(set.body["overshoot"], "0");
    let history = service.get(As::Auditor, &format!("{path}/history")).await;
    assert_eq!(history.body["changes"][0]["budget"]["mode"], "stream_cut");
}

/// What was set aside for an answer under way, and grew, is given to nobody else.
#[tokio::test]
async fn what_is_set_aside_for_an_answer_grows_and_is_shown() {
    let service = Service::new().await;
    let mut worker = service.world.worker(1);
    let leases = ask(&mut worker, "sales-tokens", 60).await.leases;
    let granted = leases[0].amount;
    let call = worker.call(1, "sales");
    let admit = call.admit(&leases);
    let extension = v1::Entry {
        kind: v1::entry::Kind::Extend.into(),
        record_id: admit.record_id.clone(),
        record: Vec::new().into(),
        reservations: admit
            .reservations
            .iter()
            .map(|held| v1::Reservation {
                reserved: 3000,
                ..held.clone()
            })
            .collect(),
    };
    worker.entries(vec![admit]).await;
    let standing = |body: &Value| (body["reserved"].clone(), body["leased"].clone());
    let path = "/v1/budgets/sales-tokens";
    for _ in 0..2 {
        worker.entries(vec![extension.clone()]).await;
        let shown = service.get(As::Auditor, path).await.body;
        assert_eq!(
            standing(&shown),
            (json!("3000"), granted.to_string().into())
        );
    }
    worker.entries(vec![call.complete(usage_of(30, 20))]).await;
    let shown = service.get(As::Auditor, path).await.body;
    assert_eq!(
        (&shown["settled"], &shown["reserved"]),
        (&json!("50"), &json!("0"))
    );
    World::sound(&service.world.verify().await);
}

#[tokio::test]
async fn nobody_overwrites_what_somebody_else_changed_meanwhile() {
    let service = Service::new().await;
    let seen = service.get(As::Auditor, CALLS).await.headers["etag"].clone();
    let with = async |tag: &str, path: &str, limit| {
        let headers = [("if-match", tag)];
        let put = service.call_headed(As::Administrator, "PUT", path, &headers, Some(calls(limit)));
        put.await.status
    };
    let seen = seen.to_str().unwrap();
    assert_eq!(with(seen, CALLS, 5).await, StatusCode::OK);
    assert_eq!(with(seen, CALLS, 6).await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(service.get(As::Auditor, CALLS).await.body["limit"], "5");
    assert_eq!(
        with("*", "/v1/budgets/new", 6).await,
        StatusCode::PRECONDITION_FAILED
    );
}

#[tokio::test]
async fn the_history_says_who_changed_what_and_when() {
    let service = Service::new().await;
    service.world.hand.advance(1_000);
    set(&service, CALLS, calls(10)).await;
    remove(&service, CALLS).await;
    let path = format!("{CALLS}/history");
    let history = service.get(As::Auditor, &path).await.body;
    let changes = history["changes"].as_array().unwrap();
    let of =
        |member: &str| -> Vec<&Value> { changes.iter().map(|change| &change[member]).collect() };
    assert_eq!(of("action"), ["removed", "changed", "created"]);
    let by = "t/00000000-0000-4000-8000-000000000001";
    assert_eq!(of("by"), [by, by, "policy file"]);
    assert_eq!(
        of("at")[..2],
        ["2026-11-23T09:00:01Z", "2026-11-23T09:00:01Z"]
    );
    let limits: Vec<(&Value, &Value)> = changes
        .iter()
        .map(|change| (&change["former"]["limit"], &change["budget"]["limit"]))
        .collect();
    let (three, ten, none) = (json!(3), json!(10), Value::Null);
    assert_eq!(limits, [(&ten, &none), (&three, &ten), (&none, &three)]);
    let first = service
        .get(As::Auditor, &format!("{path}?limit=1"))
        .await
        .body;
    let next = first["next"].as_str().unwrap();
    let rest = format!("{path}?cursor={next}");
    let rest = service.get(As::Auditor, &rest).await.body;
    assert_eq!(rest["changes"].as_array().unwrap().len(), 2);
    let nobodys = service.get(As::Auditor, "/v1/budgets/none/history").await;
    assert_eq!(nobodys.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_no_budget_is_refused_with_all_that_is_wrong() {
    let service = Service::new().await;
    let cases = [
        (json!([]), "a budget is a JSON object"),
        (json!({"meter": "requests"}), "exactly one of"),
        (
            json!({"department": "hr", "meter": "joules", "limit": 1}),
            "joules",
        ),
        (json!({"id": "other", "meter": "requests"}), "`id`"),
        (
            json!({"department": "hr", "meter": "requests", "window": "day", "limit": "unlimited"}),
            "leave the budget out",
        ),
        (
            json!({"department": "hr", "meter": "requests", "window": "day", "limit": null}),
            "not null",
        ),
        (
            json!({"department": "hr", "meter": "requests", "window": "day"}),
            "not missing",
        ),
    ];
    for (budget, text) in cases {
        let answer = set(&service, CALLS, budget.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{budget}");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(text), "{budget}: {detail}");
    }
    let many = json!({"department": "h", "api": "x", "meter": "requests", "limit": -1});
    let answer = set(&service, "/v1/budgets/a%20b", many).await;
    let detail = answer.body["detail"].as_str().unwrap();
    for member in ["`id`", "`department`", "`api`", "`window`", "`limit`"] {
        assert!(detail.contains(member), "{member}: {detail}");
    }
    assert_eq!(service.get(As::Auditor, CALLS).await.body["limit"], "3");
}

#[tokio::test]
async fn only_administrators_change_budgets() {
    let service = Service::new().await;
    for (caller, status) in [
        (As::Nobody, StatusCode::UNAUTHORIZED),
        (As::NobodySpecial, StatusCode::FORBIDDEN),
        (As::Auditor, StatusCode::FORBIDDEN),
    ] {
        let put = service.call(caller, "PUT", CALLS, Some(calls(9))).await;
        assert_eq!(put.status, status);
        let delete = service.call(caller, "DELETE", CALLS, None).await;
        assert_eq!(delete.status, status);
    }
    let path = format!("{CALLS}/history");
    for path in ["/v1/budgets", CALLS, path.as_str()] {
        let answer = service.get(As::NobodySpecial, path).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(service.get(As::Auditor, CALLS).await.body["limit"], "3");
}
