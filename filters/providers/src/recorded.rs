//! Runs recorded exchanges of real SDKs through the whole crate. They are no part of
//! the repository: `SEKISHO_RECORDED` names their folder, and without it this is skipped.

use std::path::{Path, PathBuf};

use sekisho_domain::Tokens;
use serde_json::Value;

use crate::catalogue::tests::open_policy;
use crate::{Catalogue, RequestScan, UsageMeter};

#[test]
fn a_policy_that_opens_everything_has_a_catalogue() {
    assert!(Catalogue::new(&open_policy()).is_ok());
}

#[test]
fn recorded_exchanges_are_found_scanned_and_metered() {
    let Some(folder) = std::env::var_os("SEKISHO_RECORDED") else {
        eprintln!("skipped: SEKISHO_RECORDED names no folder of recorded exchanges");
        return;
    };
    let catalogue = Catalogue::new(&open_policy()).unwrap();
    let mut files = Vec::new();
    collect(Path::new(&folder), &mut files);
    let mut checked = 0;
    for file in &files {
        let exchange: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let (request, response) = (&exchange["request"], &exchange["response"]);
        let (Some(method), Some(path)) = (request["method"].as_str(), request["path"].as_str())
        else {
            continue;
        };
        if path.contains("/projects/") {
            continue; // of another project than the policy's
        }
        let at = file.display();
        let target = format!("{path}?{}", request["query"].as_str().unwrap_or_default());
        let found = catalogue.find(method.as_bytes(), target.as_bytes(), |_| false);
        let operation = found
            .unwrap_or_else(|code| panic!("{at}: {code:?}"))
            .operation;
        let body = match &request["body"] {
            Value::String(text) => text.clone().into_bytes(),
            body => serde_json::to_vec(body).unwrap(),
        };
        let mut scan = RequestScan::new(operation, None, None);
        scan.push(&body).unwrap();
        let facts = scan.finish().unwrap();
        if operation.model == crate::ModelPlace::Body {
            assert_eq!(
                facts.model.as_deref(),
                request["body"]["model"].as_str(),
                "{at}"
            );
        }
        let Some(answer) = response["body_text"].as_str() else {
            continue;
        };
        let mut meter = UsageMeter::new(operation);
        meter.push(answer.as_bytes());
        let reports = answer.contains("\"usage\"") || answer.contains("\"usageMetadata\"");
        assert_eq!(meter.usage().is_some(), reports, "{at}");
        if let Some(usage) = meter.usage() {
            assert!(usage.input >= Tokens(5), "{at}: {usage:?}");
            eprintln!("{at}: {usage:?}");
        }
        checked += 1;
    }
    assert!(checked > 0, "{} files, none of use", files.len());
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "json") {
            files.push(path);
        }
    }
}
