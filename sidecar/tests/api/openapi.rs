use axum::http::StatusCode;

use crate::service::{As, Service};

#[tokio::test]
async fn the_committed_description_is_the_one_that_is_served() {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let committed = std::fs::read_to_string(committed).unwrap_or_default();
    let how = "run `cargo run -p sekisho -- openapi > sidecar/openapi.json`";
    assert_eq!(committed, sekisho::api::openapi_json(), "{how}");
    let service = Service::new().await;
    let served = service.get(As::Nobody, "/v1/openapi.json").await;
    let committed: serde_json::Value = serde_json::from_str(&committed).unwrap();
    assert_eq!((served.status, served.body), (StatusCode::OK, committed));
}

#[tokio::test]
async fn the_root_leads_to_the_description() {
    let service = Service::new().await;
    let answer = service.get(As::Nobody, "/").await;
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(answer.headers["location"], "/v1/openapi.json");
}

#[tokio::test]
async fn every_described_endpoint_answers() {
    let service = Service::new().await;
    let description: serde_json::Value =
        serde_json::from_str(&sekisho::api::openapi_json()).unwrap();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let path = path.replace(['{', '}'], "");
            let answer = service
                .call(As::Nobody, &method.to_uppercase(), &path, None)
                .await;
            // Gone: a link that nobody made.
            let reached = [StatusCode::OK, StatusCode::UNAUTHORIZED, StatusCode::GONE];
            let reached = reached.contains(&answer.status);
            assert!(reached, "{method} {path}: {}", answer.status);
        }
    }
}

/// The table of what was asked for says of every operation where it is, and of none that it is
/// missing when it is not.
#[test]
fn the_table_of_what_was_asked_for_fits_the_description() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let description: serde_json::Value =
        serde_json::from_str(&sekisho::api::openapi_json()).unwrap();
    let exists = |operation: &str| {
        let (method, path) = operation.split_once(' ').unwrap();
        !description["paths"][path][method.to_lowercase()].is_null()
    };
    let (_, asked) = docs.split_once("## What was asked for").unwrap();
    let (asked, components) = asked.split_once("## By component").unwrap();
    let rows = asked.lines().filter(|line| line.starts_with("| `"));
    let rows: Vec<_> = rows.collect();
    assert_eq!(rows.len(), 24, "the requirements name as many");
    for row in rows {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let wanted = cells.next().unwrap().trim_matches('`');
        let (method, path) = wanted.split_once(' ').unwrap();
        let here = cells.next().unwrap();
        let expected = format!("{method} /v1{path}");
        if exists(&expected) {
            assert_eq!(here, format!("`{expected}`"), "{row}");
        } else {
            assert_eq!(here, "not there", "{row}");
        }
    }
    let operations = components.split('`').filter(|text| text.contains(" /v1/"));
    for operation in operations {
        assert!(
            exists(operation),
            "docs/api.md names `{operation}`, which is not there"
        );
    }
}
