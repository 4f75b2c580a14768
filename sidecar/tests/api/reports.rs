//! Reports in each of their forms.

use axum::http::StatusCode;
use sekisho::events::Author;

use crate::service::{As, Service};
use crate::world::usage_of;

const MONTH: &str = "/v1/audit/logs/report?date=2026-11";

/// Calls, refusals, a call whose end nobody knows, and an event that would harm whoever shows
/// it as it is.
async fn written() -> Service {
    let service = Service::new().await;
    let world = &service.world;
    let mut silent = world.worker(9);
    let lost = silent.call(900, "hr");
    silent.entries(vec![lost.admit(&[])]).await;
    let mut worker = world.worker(1);
    for n in 0..8 {
        let call = worker.call(n, if n % 3 == 0 { "hr" } else { "sales" });
        let entries = match n % 4 {
            0 => vec![call.refuse()],
            _ => vec![call.admit(&[]), call.complete(usage_of(1000 * n, 100))],
        };
        worker.entries(entries).await;
    }
    let mut author = Author::program("test", world.clock.now(), [5; 32]);
    let told = author.tell("backup.done", "=nas <script>alert(1)</script>");
    world.writer.record(told).await.unwrap();
    world.hand.advance(3_600_000);
    world.writer.tick().await.unwrap();
    service
}

fn committed(name: &str, fresh: &str) {
    let path = format!("{}/tests/api/reports/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("SEKISHO_UPDATE").is_some() {
        std::fs::write(&path, fresh).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == fresh,
        "{name} differs; if that is right, run with SEKISHO_UPDATE=1: {fresh}"
    );
}

/// `SEKISHO_UPDATE=1 cargo test -p sekisho --test api` writes them anew.
#[tokio::test]
async fn a_report_reads_as_it_did() {
    let service = written().await;
    for (name, accept, language) in [
        ("month.json", "application/json", "en"),
        ("month.csv", "text/csv", "en"),
        ("month.en.html", "text/html", "en-GB"),
        ("month.ja.html", "text/html", "ja,en;q=0.5"),
    ] {
        let headers = [("accept", accept), ("accept-language", language)];
        let answer = service
            .call_headed(As::Auditor, "GET", MONTH, &headers, None)
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(answer.headers["cache-control"], "no-store");
        let kind = answer.headers["content-type"].to_str().unwrap();
        assert!(kind.starts_with(accept), "{kind}");
        let text = match name.ends_with("json") {
            true => format!("{:#}\n", answer.body),
            false => answer.text,
        };
        committed(name, &text);
    }
}

#[tokio::test]
async fn what_others_wrote_is_shown_and_never_run() {
    let service = written().await;
    let html = service
        .get(As::Auditor, &format!("{MONTH}&format=html"))
        .await;
    assert!(html.text.contains("&lt;script&gt;alert"), "{}", html.text);
    assert!(!html.text.contains("<script"));
    assert_eq!(html.headers["x-content-type-options"], "nosniff");
    let policy = html.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let csv = service
        .get(As::Auditor, &format!("{MONTH}&format=csv"))
        .await;
    assert!(csv.text.contains(",'=nas <script>"), "{}", csv.text);
}

#[tokio::test]
async fn the_figures_of_a_report_are_those_of_the_bill() {
    let service = written().await;
    let report = service.get(As::Administrator, MONTH).await.body;
    let bill = service
        .get(As::Auditor, "/v1/departments/usage/summary?from=2026-11-01")
        .await
        .body;
    for department in bill["departments"].as_array().unwrap() {
        let lines = report["departments"].as_array().unwrap();
        let line = lines
            .iter()
            .find(|line| line["department"] == department["department"]["id"])
            .unwrap();
        assert!(line["requests"].as_u64() > Some(0));
        assert_eq!(line["cost"], department["cost"]["amount"]);
        for figure in ["requests", "refused", "input_tokens", "output_tokens"] {
            assert_eq!(line[figure], department[figure], "{figure}");
        }
    }
    let page = service
        .get(As::Auditor, "/v1/audit/logs/search?format=csv")
        .await;
    let mut lines = csv::Reader::from_reader(page.text.as_bytes());
    let heads = lines.headers().unwrap().clone();
    let cost = heads.iter().position(|head| head == "cost").unwrap();
    let costs = lines.records().map(|line| {
        let line = line.unwrap();
        sekisho_domain::Micros::parse(&line[cost]).unwrap_or_default()
    });
    let sum = costs.fold(sekisho_domain::Micros(0), |sum, cost| sum + cost);
    assert_eq!(report["total"]["cost"], sum.to_string());
}

#[tokio::test]
async fn only_auditors_and_administrators_read_reports() {
    let service = Service::new().await;
    for (caller, status) in [
        (As::Nobody, StatusCode::UNAUTHORIZED),
        (As::NobodySpecial, StatusCode::FORBIDDEN),
        (As::Recorder, StatusCode::FORBIDDEN),
        (As::Auditor, StatusCode::OK),
        (As::Administrator, StatusCode::OK),
    ] {
        assert_eq!(service.get(caller, MONTH).await.status, status);
    }
}

#[tokio::test]
async fn a_period_that_is_none_is_a_problem() {
    let service = Service::new().await;
    for query in [
        "date=2026-13",
        "date=2026-11-31",
        "period=week",
        "period=day&date=2026-11",
        "period=month&date=2026-11-01",
        "date=2026-12",
        "people=1001",
        "format=pdf",
        "language=fr",
        "month=2026-11",
    ] {
        let path = format!("/v1/audit/logs/report?{query}");
        let answer = service.get(As::Auditor, &path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(answer.body["detail"].is_string(), "{query}");
    }
    let answer = service.get(As::Auditor, "/v1/audit/logs/report").await;
    assert_eq!(answer.body["period"]["from"], "2026-11-23");
    let path = "/v1/audit/logs/report?period=month&people=0";
    let answer = service.get(As::Auditor, path).await;
    assert_eq!(answer.body["period"]["from"], "2026-11-01");
    assert!(
        answer.body["people"]["shown"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}
