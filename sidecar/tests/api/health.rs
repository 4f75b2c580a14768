//! How what the sidecar depends on is shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use sekisho::alerts;
use sekisho::forward::Standings;
use sekisho::ledger::Calendar;
use sekisho::policy_file;
use sekisho::settings::LiveSettings;
use sekisho_demo_graph::Faults;
use serde_json::{Value, json};

use crate::service::{Answer, As, Service};
use crate::tenant::Tenant;
use crate::world::policy_json;

const PATH: &str = "/v1/system/health";

fn dependency(answer: &Answer, kind: &str) -> Value {
    let all = answer.body["details"]["dependencies"].as_array().unwrap();
    let mut found = all.iter().filter(|one| one["kind"] == kind);
    let one = found.next();
    assert!(one.is_some() && found.next().is_none(), "{kind}: {all:?}");
    one.unwrap().clone()
}

fn overall(answer: &Answer) -> &Value {
    &answer.body["details"]["health"]
}

async fn rename(service: &Service, from: &str, to: &str) {
    let sql = format!("ALTER TABLE {from} RENAME TO {to}");
    let pool = service.world.store.pool();
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(pool).await;
    done.unwrap();
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_told_in_detail_to_auditors_alone() {
    let service = Service::new().await;
    let well = service.get(As::Auditor, PATH).await;
    assert_eq!(overall(&well), "ok");
    let database = dependency(&well, "database");
    assert_eq!(
        (&database["status"], &database["vital"]),
        (&json!("ok"), &json!(true))
    );
    assert_eq!(dependency(&well, "disk")["status"], "idle");

    rename(&service, "directory_version", "gone").await;
    service.world.hand.advance(1000);
    let nobody = service.get(As::Nobody, PATH).await;
    assert_eq!(nobody.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(nobody.body["detail"], "the database does not answer");
    assert_eq!(nobody.body.get("details"), None);
    let failing = service.get(As::Auditor, PATH).await;
    assert_eq!(failing.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        (&failing.body["status"], overall(&failing)),
        (&json!("failing"), &json!("failing"))
    );
    let broken = dependency(&failing, "database");
    assert_eq!(broken["status"], "failing");
    assert_eq!(broken["last_success"], database["last_success"]);
    assert!(broken["since"].as_str() > database["since"].as_str());
    assert!(broken["why"].is_string());

    rename(&service, "gone", "directory_version").await;
    let back = service.get(As::Auditor, PATH).await;
    assert_eq!(
        (back.status, overall(&back)),
        (StatusCode::OK, &json!("ok"))
    );
    assert_eq!(dependency(&back, "database")["why"], Value::Null);
}

#[tokio::test]
async fn the_log_that_is_written_has_its_moment() {
    let service = Service::new().await;
    service.world.writer.tick().await.unwrap();
    let answer = service.get(As::Auditor, PATH).await;
    for kind in ["log", "checkpoints"] {
        let one = dependency(&answer, kind);
        assert_eq!(one["status"], "ok", "{kind}");
        assert!(one["last_success"].is_string(), "{kind}");
    }
    // Its second place is no folder any longer: nothing more is acknowledged.
    let checkpoints = service.world.exported();
    std::fs::remove_dir_all(&checkpoints).unwrap();
    std::fs::write(&checkpoints, "").unwrap();
    let event = json!({"source": "hr", "name": "a.b"});
    let _ = service
        .call(As::Administrator, "POST", "/v1/audit/logs", Some(event))
        .await;
    let _ = service.world.writer.tick().await;
    service.world.writer.poisoned().await;
    let answer = service.get(As::Auditor, PATH).await;
    assert_eq!(overall(&answer), "failing");
    for kind in ["log", "checkpoints"] {
        let one = dependency(&answer, kind);
        assert_eq!(one["status"], "failing", "{kind}");
        let why = one["why"].as_str().unwrap();
        assert!(why.contains("checkpoint"), "{why}");
    }
}

#[tokio::test]
async fn graph_is_known_from_the_calls_to_it() {
    let service = Service::new().await;
    let tenant = Tenant::start(&service).await;
    let groups = "/v1/azuread/groups";
    let idle = service.get(As::Auditor, PATH).await;
    assert_eq!(dependency(&idle, "graph")["status"], "idle");
    assert_eq!(
        service.get(As::Auditor, groups).await.status,
        StatusCode::OK
    );
    let asked = tenant.graph.journal().len();
    let well = service.get(As::Auditor, PATH).await;
    assert_eq!(dependency(&well, "graph")["status"], "ok");
    tenant.graph.misbehave(Faults {
        seed: 1,
        unavailable: 1000,
        ..Faults::default()
    });
    let refused = service.get(As::Auditor, groups).await;
    assert!(refused.status.is_server_error(), "{}", refused.text);
    let failing = service.get(As::Auditor, PATH).await;
    assert_eq!(overall(&failing), "degraded");
    let graph = dependency(&failing, "graph");
    assert_eq!(
        (&graph["status"], &graph["why"]),
        (&json!("failing"), &json!("it answers 503"))
    );
    assert_eq!(graph["vital"], false);
    tenant.graph.misbehave(Faults::default());
    let calls = tenant.graph.journal().len();
    assert!(calls > asked);
    assert_eq!(service.get(As::Auditor, PATH).await.status, StatusCode::OK);
    assert_eq!(tenant.graph.journal().len(), calls, "health asks nobody");
    assert_eq!(
        service.get(As::Auditor, groups).await.status,
        StatusCode::OK
    );
    let back = service.get(As::Auditor, PATH).await;
    assert_eq!(dependency(&back, "graph")["status"], "ok");
}

#[tokio::test]
async fn a_webhook_is_known_from_what_it_takes() {
    let service = Service::new().await;
    let status = Arc::new(AtomicU16::new(500));
    let answers = Arc::clone(&status);
    let receiver = Router::new().route(
        "/",
        post(async move || StatusCode::from_u16(answers.load(Ordering::SeqCst)).unwrap()),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, receiver).await });
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let mut file = policy_json();
    file["alerts"] = json!({"webhooks": [
        {"name": "soc", "webhook": {"url": url, "secret_file": secret.path()}},
    ]});
    let file = policy_file::parse(&file.to_string()).unwrap();
    let (world, standings) = (&service.world, Standings::default());
    let calendar = Calendar::new("Asia/Tokyo").unwrap();
    let settings = LiveSettings::fixed(Default::default());
    let told = (&file.sections.alerts, &settings, None);
    let (store, writer, clock) = (&world.store, &world.writer, &world.clock);
    let tasks = alerts::start(store, &calendar, told, writer, clock, &standings);
    let tasks = tasks.await.unwrap();
    service.api.forward_with(standings);
    let mut worker = world.worker(7);
    for n in 0..20 {
        let entry = worker.call(n, "sales").refuse();
        worker.entries(vec![entry]).await;
    }
    for (answers, wanted) in [(500, "failing"), (204, "ok")] {
        status.store(answers, Ordering::SeqCst);
        let became = async {
            loop {
                let answer = service.get(As::Auditor, PATH).await;
                let webhook = dependency(&answer, "webhook");
                if webhook["status"] == wanted {
                    break webhook;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let became = tokio::time::timeout(Duration::from_secs(60), became);
        let webhook = became.await.unwrap();
        assert_eq!(webhook["name"], "alerts/soc");
        assert_eq!(
            webhook["why"].as_str(),
            (answers == 500).then_some("it answers 500")
        );
    }
    let answer = service.get(As::Auditor, PATH).await;
    assert_eq!(dependency(&answer, "rules")["status"], "ok");
    for task in tasks {
        task.abort();
    }
}
