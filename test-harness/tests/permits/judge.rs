//! Whether what came of the calls is what the cases say.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sekisho_scope_cases::Case;
use sekisho_test_harness::gateway::{Exchange, Response};
use serde_json::Value;

use crate::start::Running;

/// Records reach the log in batches.
const TRIES: u32 = 100;

/// This case's challenge is one that Microsoft's libraries are known to read: a test of the
/// demo's identity provider shows it to them.
const CHALLENGED: &str = "a client that understands challenges is sent for the context";
const CHALLENGE: &str = include_str!("../../../filters/scope/cases/cases/challenge.txt");

/// Collects outcomes; the log is looked at once, at the end.
#[derive(Default)]
pub(crate) struct Judge {
    wrong: Vec<String>,
    /// Calls and what their records must say: name, record, expected code, who.
    named: Vec<(String, String, String, BTreeMap<String, Value>)>,
}

impl Judge {
    pub(crate) fn note(&mut self, case: &Case, outcome: Option<Exchange>) {
        let expected = case.expected();
        let Some(exchange) = outcome else {
            if expected == "ok" {
                self.wrong.push(format!("{}: cannot be sent", case.name));
            }
            return;
        };
        let response = exchange.response.unwrap_or_default();
        let actual = match response.status {
            200 => "ok".to_owned(),
            _ => {
                header(&response, "x-sekisho-denial").unwrap_or_else(|| response.status.to_string())
            }
        };
        if actual != expected {
            self.wrong
                .push(format!("{}: {actual}, not {expected}", case.name));
            return;
        }
        if (expected == "ok") == exchange.seen.is_empty() {
            self.wrong
                .push(format!("{}: the provider's view differs", case.name));
        }
        let mut problems = Vec::new();
        if expected != "ok" {
            problems.extend(refusal(case, &response));
        }
        if let Some(record) = header(&response, "x-sekisho-record") {
            let who = case.who.clone().into_iter().collect();
            self.named
                .push((case.name.clone(), record, expected.to_owned(), who));
        } else {
            problems.push("the answer names no record".to_owned());
        }
        let problems = problems.iter().map(|what| format!("{}: {what}", case.name));
        self.wrong.extend(problems);
    }

    pub(crate) fn verdict(mut self, running: &Running) -> Vec<String> {
        let mut missing = Vec::new();
        for _ in 0..TRIES {
            let records = records(running);
            missing = self.compare(&records);
            if missing.is_empty() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        self.wrong.extend(missing);
        self.wrong
    }

    /// The log says the same as the answer, and who it was.
    fn compare(&self, records: &BTreeMap<String, Value>) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, record, expected, who) in &self.named {
            let Some(record) = records.get(record) else {
                wrong.push(format!("{name}: has no record"));
                continue;
            };
            let denial = record["denial"]
                .as_str()
                .filter(|denial| !denial.is_empty());
            if denial.unwrap_or("ok") != expected {
                wrong.push(format!("{name}: the record says {denial:?}"));
            }
            for member in [
                "tenant",
                "object_id",
                "user",
                "department",
                "application",
                "key",
            ] {
                let Some(said) = who.get(member) else {
                    continue;
                };
                let said = said.as_str().unwrap_or_default();
                let recorded = record["caller"][member].as_str().unwrap_or_default();
                if recorded != said {
                    wrong.push(format!(
                        "{name}: the record has {member} {recorded}, not {said}"
                    ));
                }
            }
        }
        wrong
    }
}

fn records(running: &Running) -> BTreeMap<String, Value> {
    let records = running.gateway().sidecar().records().unwrap();
    let first = records
        .into_iter()
        .filter(|record| record.record["kind"] != "complete");
    first
        .map(|record| {
            let id = record.record["record_id"].as_str().unwrap().to_owned();
            (id, record.record)
        })
        .collect()
}

fn refusal(case: &Case, response: &Response) -> Vec<String> {
    let mut wrong = Vec::new();
    let body = String::from_utf8_lossy(&response.body);
    let said = case.says.as_deref().unwrap_or("");
    if !body.contains(said) {
        wrong.push(format!("{body} does not say {said}"));
    }
    let challenge = header(response, "www-authenticate");
    if challenge.is_some() != (response.status == 401) {
        wrong.push(format!(
            "status {} with challenge {challenge:?}",
            response.status
        ));
    }
    if case.name == CHALLENGED && challenge.as_deref() != Some(CHALLENGE.trim()) {
        wrong.push(format!("the challenge is {challenge:?}"));
    }
    let claims = challenge.as_deref().and_then(|challenge| {
        let (_, claims) = challenge.split_once("claims=\"")?;
        let json = STANDARD.decode(claims.strip_suffix('"')?).ok()?;
        serde_json::from_slice::<Value>(&json).ok()
    });
    if claims != case.challenge {
        wrong.push(format!("the challenge is {challenge:?}"));
    }
    wrong
}

fn header(response: &Response, name: &str) -> Option<String> {
    let mut headers = response.headers.iter();
    let (_, value) = headers.find(|(given, _)| given == name)?;
    Some(String::from_utf8_lossy(value).into_owned())
}
