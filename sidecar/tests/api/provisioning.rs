//! Files of people and single people over the API, with the embedded directory.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use sekisho::events::Author;
use sekisho::ledger::Calendar;
use sekisho::people::sealed::Opener;
use sekisho::provisioning::{Desk, Embedded, PeopleSettings, Runner, config};
use sekisho::push::subscriptions::{self, Wanted};
use serde_json::{Value, json};

use crate::service::{Answer, As, Service};

const TENANT: &str = "8f3a1c52-6b7e-4d0f-9a21-5e6c7d8091ab";
const FILE: &str = "\
user_id,name,email,department,job_title,phone,start_date,end_date,status
006,伊藤 美咲,misaki@example.com,sales,,,2023/04/01,,active
007,\"O’Brien, Zoë\",zoe@example.com,hr,,+81-3-1234,2023/04/01,,active
";

fn settings(plain: bool) -> PeopleSettings {
    let section = json!({"tenant": TENANT, "plain_csv": plain,
                         "departments": {"sales": {"app_roles": ["all_apis"]}}});
    config::read(Some(section), &mut Vec::new())
}

/// Accounts are made while the test goes on.
async fn service(plain: bool) -> (Service, Opener) {
    service_with(settings(plain)).await
}

async fn service_with(settings: PeopleSettings) -> (Service, Opener) {
    let service = Service::new().await;
    let world = &service.world;
    let opener = Opener::generate();
    let settings = Arc::new(settings);
    let desk = Desk::new(
        world.store.clone(),
        world.hub.clone(),
        Arc::clone(&settings),
        Some(opener.clone()),
        "embedded",
        false,
    );
    let runner = Runner::new(
        world.store.clone(),
        world.hub.clone(),
        Calendar::new("Asia/Tokyo").unwrap(),
        world.clock.clone(),
        settings,
        Arc::new(Embedded::new(
            world.store.clone(),
            TENANT,
            world.clock.clone(),
        )),
        None,
    );
    tokio::spawn(runner.run(desk.wake()));
    service.api.provision_with(desk);
    (service, opener)
}

async fn upload(service: &Service, query: &str, file: &[u8]) -> Answer {
    let path = format!("/v1/users/csv/upload{query}");
    service
        .send_file(As::Administrator, &path, file.to_vec())
        .await
}

async fn done(service: &Service, job: &str) -> Value {
    for _ in 0..600 {
        let job = service
            .get(As::Auditor, &format!("/v1/provisioning/jobs/{job}"))
            .await;
        if job.body["state"] == "done" {
            return job.body;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the job does not end");
}

#[tokio::test]
async fn a_file_is_planned_confirmed_and_carried_out() {
    let (service, _) = service(true).await;
    let planned = upload(&service, "", FILE.as_bytes()).await;
    assert_eq!(planned.status, StatusCode::CREATED, "{}", planned.text);
    assert_eq!(
        (&planned.body["state"], &planned.body["plan"]["create"]),
        (&json!("planned"), &json!(2))
    );
    assert_eq!(
        service.get(As::Auditor, "/v1/users/006").await.status,
        StatusCode::NOT_FOUND
    );
    let id = planned.body["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/provisioning/jobs/{id}/apply");
    let confirmed = service.call(As::Administrator, "POST", &path, None).await;
    assert_eq!(confirmed.status, StatusCode::OK, "{}", confirmed.text);
    let job = done(&service, &id).await;
    assert_eq!(job["progress"]["done"], 2);
    let person = service.get(As::Auditor, "/v1/users/006").await;
    assert_eq!(person.body["name"], "伊藤 美咲");
    assert_eq!(person.body["active"], true);
    assert_eq!(person.body["account"]["user_name"], "misaki@example.com");
    assert_eq!(person.body["account"]["app_roles"], json!(["all_apis"]));
    let again = service.call(As::Administrator, "POST", &path, None).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    // The file that is given back changes nothing.
    let download = service
        .get(As::Administrator, "/v1/users/csv/download")
        .await;
    assert!(download.text.contains(",'+81-3-1234,"), "{}", download.text);
    let same = upload(&service, "?apply=true", FILE.as_bytes()).await;
    assert_eq!(same.body["plan"]["unchanged"], 2, "{}", same.text);
    let status = service.get(As::Auditor, "/v1/users/sync/status").await;
    assert_eq!(
        (&status.body["state"], &status.body["accounts"]),
        (&json!("ok"), &json!(2))
    );
    let result = format!("/v1/provisioning/jobs/{id}/tasks");
    let result = service
        .call_headed(As::Auditor, "GET", &result, &[("accept", "text/csv")], None)
        .await;
    assert!(
        result.text.starts_with("row,user_id,action"),
        "{}",
        result.text
    );
    assert!(
        result.text.contains("\n2,006,create,,done,"),
        "{}",
        result.text
    );
}

#[tokio::test]
async fn departments_and_titles_that_a_file_names_are_created_with_its_job_if_the_policy_says_so() {
    let section = json!({"tenant": TENANT, "plain_csv": true,
                         "unknown_departments": "create", "unknown_titles": "create"});
    let settings = config::read(Some(section), &mut Vec::new());
    let (service, _) = service_with(settings).await;
    let file = format!(
        "{FILE}008,A,a@example.com,法務部,部長,,2023/04/01,,active\n009,B,b@example.com,法務部,lead,,2023/04/01,,active\n"
    );
    let planned = upload(&service, "", file.as_bytes()).await;
    assert_eq!(planned.status, StatusCode::CREATED, "{}", planned.text);
    let creates = planned.body["creates"].as_array().unwrap();
    let names: Vec<_> = creates
        .iter()
        .map(|unit| (&unit["kind"], &unit["name"]))
        .collect();
    let wanted = [
        (&json!("department"), &json!("法務部")),
        (&json!("title"), &json!("部長")),
        (&json!("title"), &json!("lead")),
    ];
    assert_eq!(names, wanted);
    let legal = creates[0]["id"].as_str().unwrap();
    let path = format!("/v1/departments/{legal}");
    assert_eq!(
        service.get(As::Auditor, &path).await.status,
        StatusCode::NOT_FOUND
    );
    let id = planned.body["id"].as_str().unwrap().to_owned();
    let tasks = format!("/v1/provisioning/jobs/{id}/tasks");
    let tasks = service.get(As::Auditor, &tasks).await;
    assert_eq!(tasks.body["tasks"][2]["creates"][0]["name"], "法務部");
    let apply = format!("/v1/provisioning/jobs/{id}/apply");
    let confirmed = service.call(As::Administrator, "POST", &apply, None).await;
    assert_eq!(confirmed.status, StatusCode::OK, "{}", confirmed.text);
    done(&service, &id).await;
    let department = service.get(As::Auditor, &path).await;
    assert_eq!(department.status, StatusCode::OK, "{}", department.text);
    // Nobody has said what its people may call: nothing.
    assert_eq!(
        (&department.body["entitlements"], &department.body["people"]),
        (&json!([]), &json!(2))
    );
    let title = service.get(As::Auditor, "/v1/titles/lead").await;
    assert_eq!(title.body["entitlements"], json!([]), "{}", title.text);
    let person = service.get(As::Auditor, "/v1/users/008").await;
    assert_eq!(person.body["department"], legal);
    are_on_record(&service, &["department.create", "title.create"]).await;
    // Now they are known.
    let same = upload(&service, "?apply=true", file.as_bytes()).await;
    assert_eq!(
        (&same.body["creates"], &same.body["plan"]["unchanged"]),
        (&json!([]), &json!(4))
    );
    let more = format!("{FILE}010,C,c@example.com,qa,,,2023/04/01,,active\n");
    let more = upload(&service, "?apply=true", more.as_bytes()).await;
    assert_eq!(
        more.body["creates"],
        json!([{"kind": "department", "id": "qa", "name": "qa"}])
    );
    let qa = service.get(As::Auditor, "/v1/departments/qa").await;
    assert_eq!(qa.status, StatusCode::OK, "{}", qa.text);
}

#[tokio::test]
async fn a_plan_that_would_do_something_else_by_now_is_not_carried_out() {
    let (service, _) = service(true).await;
    let planned = upload(&service, "", FILE.as_bytes()).await;
    let id = planned.body["id"].as_str().unwrap().to_owned();
    let first = upload(&service, "?apply=true", FILE.as_bytes()).await;
    done(&service, first.body["id"].as_str().unwrap()).await;
    let path = format!("/v1/provisioning/jobs/{id}/apply");
    let late = service.call(As::Administrator, "POST", &path, None).await;
    assert_eq!(late.status, StatusCode::CONFLICT, "{}", late.text);
    let path = format!("/v1/provisioning/jobs/{id}/cancel");
    let cancelled = service.call(As::Administrator, "POST", &path, None).await;
    assert_eq!(cancelled.body["state"], "cancelled");
    are_on_record(
        &service,
        &[
            "provisioning.plan",
            "provisioning.apply",
            "provisioning.cancel",
        ],
    )
    .await;
}

#[tokio::test]
async fn nothing_is_done_while_a_row_is_wrong_but_on_request_the_others_are() {
    let (service, _) = service(true).await;
    let file = format!("{FILE}008,Ken,not an address,sales,,,2023/04/01,,active\n");
    let refused = upload(&service, "?apply=true", file.as_bytes()).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let error = &refused.body["errors"][0];
    assert_eq!(
        (&error["row"], &error["column"], &error["value"]),
        (&json!(4), &json!("email"), &json!("n***"))
    );
    assert!(!refused.text.contains("not an address"));
    assert_eq!(
        service.get(As::Auditor, "/v1/provisioning/jobs").await.body["jobs"],
        json!([])
    );
    let partial = upload(&service, "?apply=true&partial=true", file.as_bytes()).await;
    assert_eq!(
        (&partial.body["rows"], &partial.body["plan"]["create"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(partial.body["errors"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_plain_file_is_refused_unless_the_policy_takes_it_and_a_damaged_one_always() {
    let (service, _) = service(false).await;
    let plain = upload(&service, "", FILE.as_bytes()).await;
    assert_eq!(plain.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let damaged = upload(&service, "", b"age-encryption.org/v1\n-> X25519 x\n").await;
    assert_eq!(
        damaged.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        damaged.text
    );
}

#[tokio::test]
async fn one_person_is_added_changed_disabled_enabled_and_deleted() {
    let (service, _) = service(true).await;
    let person = |name: &str, start: &str| json!({"name": name, "email": "ken@example.com", "department": "sales", "start_date": start});
    let mut new = person("Ken", "2023-04-01");
    new["id"] = json!("008");
    let created = service
        .call(As::Administrator, "POST", "/v1/users", Some(new.clone()))
        .await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text);
    let again = service
        .call(As::Administrator, "POST", "/v1/users", Some(new))
        .await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let path = "/v1/users/008";
    let wrong = service
        .call(As::Administrator, "PUT", path, Some(person("", "soon")))
        .await;
    assert_eq!(
        wrong.body["errors"].as_array().unwrap().len(),
        2,
        "{}",
        wrong.text
    );
    let tag = service.get(As::Auditor, path).await.headers["etag"]
        .to_str()
        .unwrap()
        .to_owned();
    let mut changes = service.changes();
    let matches = [("if-match", tag.as_str())];
    let changed = service
        .call_headed(
            As::Administrator,
            "PUT",
            path,
            &matches,
            Some(person("健", "2099-01-01")),
        )
        .await;
    assert_eq!(
        (changed.status, &changed.body["active"]),
        (StatusCode::OK, &json!(false)),
        "{}",
        changed.text
    );
    assert!(!changes.next().await.users[0].active);
    let stale = service
        .call_headed(
            As::Administrator,
            "PUT",
            path,
            &matches,
            Some(person("K", "2023-04-01")),
        )
        .await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
    service
        .call(
            As::Administrator,
            "PUT",
            path,
            Some(person("健", "2023-04-01")),
        )
        .await;
    for (verb, active) in [("disable", false), ("enable", true)] {
        let answer = service
            .put(As::Administrator, &format!("{path}/{verb}"))
            .await;
        assert_eq!(answer.body["active"], active, "{}", answer.text);
    }
    let reset = service
        .call(
            As::Administrator,
            "POST",
            "/v1/users/008/password/reset",
            None,
        )
        .await;
    assert_eq!(reset.status, StatusCode::CONFLICT, "there is no mail");
    let unlocked = service
        .call(As::Administrator, "POST", "/v1/users/008/unlock", None)
        .await;
    assert_eq!(unlocked.status, StatusCode::NO_CONTENT, "{}", unlocked.text);
    let browser = Wanted {
        person: "008",
        endpoint: "https://push.example/8",
        public_key: &[4; 65],
        auth: &[7; 16],
        label: "",
        random: [8; 10],
    };
    let store = &service.world.store;
    let mut author = Author::program("test", service.world.clock.now(), [8; 32]);
    subscriptions::register(store, &browser, &mut author)
        .await
        .unwrap();
    let deleted = service.call(As::Administrator, "DELETE", path, None).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.text);
    assert_eq!(subscriptions::of(store, "008").await.unwrap(), []);
    assert_eq!(
        service.get(As::Auditor, path).await.status,
        StatusCode::NOT_FOUND
    );
    let wanted = [
        "user.create",
        "user.update",
        "account.disable",
        "account.enable",
        "user.unlock",
        "user.delete",
        "account.delete",
    ];
    let text = are_on_record(&service, &wanted).await;
    assert!(!text.contains("ken@example.com"));
}

/// Looks for events of these names; the page of the log that was looked at.
pub(crate) async fn are_on_record(service: &Service, wanted: &[&str]) -> String {
    let path = "/v1/audit/logs/search?decision=event&limit=100";
    let events = service.get(As::Auditor, path).await;
    for event in wanted {
        let name = format!("\"{event}\"");
        assert!(events.text.contains(&name), "{event}: {}", events.text);
    }
    events.text
}
