//! A gateway on Envoy with operations of every provider open, and what it let through.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sekisho::clock::Clock;
use sekisho_domain::UnixMillis;
use sekisho_link::v1;
use sekisho_providers::Operation;
use sekisho_test_harness::gateway::{Answer, Gateway as _, ModuleSet, Place, Request, Seen};
use sekisho_test_harness::on_envoy::{OnEnvoy, Surroundings};
use sekisho_test_harness::scenario::ScenarioPolicy;
use sekisho_test_harness::sidecar::{IssuedKey, LogProbe, Registered, Setup, Sidecar};
use sekisho_test_harness::tokens::{self, Algorithm, KEY_ID, Signer, Subject};
use serde_json::Value;

use crate::case::{Case, Outcome, Passed, TAG, Wire, header};
use crate::{http1, http2};

const DEPARTMENT: &str = "systems";
const OBJECT_ID: &str = "oid-edge";
/// The person whose token it is.
pub(crate) const PERSON: &str = "edge";
/// The key that is revoked.
pub(crate) const PASSING: &str = "passing";
/// Clients that call at the same time. Many wait: Envoy keeps what it refuses open for a second.
const CLIENTS: usize = 12;
/// Completions reach the log in batches.
const TRIES: u32 = 100;
const BETWEEN: Duration = Duration::from_millis(20);

/// A gateway and everything around it.
pub(crate) struct World {
    gateway: OnEnvoy,
    /// A key that may do everything, until it is revoked.
    pub(crate) passing_key: String,
    /// A key that may do everything.
    pub(crate) key: String,
    /// A key that may call only what needs `other_text_apis`.
    pub(crate) narrow_key: String,
    /// A person's token that may do everything.
    pub(crate) token: String,
    /// What passed: to be compared with the log.
    passed: Vec<(String, Passed, Seen)>,
    /// What was refused by the filters: name, record, code.
    refused: Vec<(String, String, String)>,
    /// What Envoy refused by itself: how many of each status.
    refused_by_proxy: BTreeMap<u16, usize>,
}

impl World {
    pub(crate) fn start(modules: ModuleSet, place: &Place) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/policies/edges.yaml");
        let policy = ScenarioPolicy::load(&file).unwrap();
        let probe = LogProbe::default();
        let surroundings = Surroundings::start(&policy.upstreams(), probe.clone()).unwrap();
        let policy = policy.complete(surroundings.addresses()).unwrap();
        let trusted = policy.policy.issuers.first().unwrap().clone();
        let (n, e) = tokens::published().unwrap();
        let now = Clock::system().now();
        let (key, narrow_key, passing_key) = (secret(1), secret(2), secret(3));
        let setup = Setup {
            policy,
            people: vec![person(&trusted.tenant)],
            keys: vec![
                issued("wide", &key, "all_apis"),
                issued("narrow", &narrow_key, "other_text_apis"),
                issued(PASSING, &passing_key, "all_apis"),
            ],
            issuer_keys: v1::IssuerKeySet {
                issuer: trusted.issuer.clone(),
                keys: vec![v1::SigningKey {
                    kid: KEY_ID.to_owned(),
                    material: Some(v1::signing_key::Material::Rsa(v1::RsaKey {
                        n: n.into(),
                        e: e.into(),
                    })),
                    alg: "RS256".to_owned(),
                }],
            },
            stands_at: None,
        };
        let token = token(&trusted.issuer, &trusted.tenant, &trusted.audiences[0], now);
        let sidecar = Sidecar::start_with(setup, probe).unwrap();
        let ready = Request {
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            headers: vec![("api-key".to_owned(), key.clone().into_bytes())],
            body: vec![br#"{"model":"gpt-4o","max_tokens":1}"#.to_vec()],
            ..Request::default()
        };
        let gateway = OnEnvoy::start(modules, place, surroundings, sidecar, Some(ready)).unwrap();
        gateway.prepare(&answer());
        Self {
            gateway,
            passing_key,
            key,
            narrow_key,
            token,
            passed: Vec::new(),
            refused: Vec::new(),
            refused_by_proxy: BTreeMap::new(),
        }
    }

    /// Whether the policy opens an operation.
    pub(crate) fn opens(&self, operation: &Operation) -> bool {
        let apis = &self.gateway.sidecar().policy().apis;
        apis.iter().any(|api| {
            api.provider == operation.provider
                && api.operations.iter().any(|open| open == operation.name)
        })
    }

    /// Sends all cases, some at a time, and says what of their outcomes is not as it must be.
    pub(crate) fn attempt(&mut self, cases: &[Case]) -> Vec<String> {
        let outcomes = send_all(self.gateway.address(), cases);
        let mut seen: BTreeMap<usize, Vec<Seen>> = BTreeMap::new();
        let mut wrong = Vec::new();
        for call in self.gateway.seen() {
            let tag = header(&call.headers, TAG).and_then(|tag| tag.parse().ok());
            match tag {
                Some(tag) => seen.entry(tag).or_default().push(call),
                None => wrong.push(format!("out of nowhere: {} {}", call.method, call.path)),
            }
        }
        for (tag, (case, outcome)) in cases.iter().zip(outcomes).enumerate() {
            let seen = seen.remove(&tag).unwrap_or_default();
            let mut found = case.judge(&outcome, &seen);
            found.extend(self.leaks(&outcome, &seen));
            found.extend(self.remember(case, &outcome, seen));
            wrong.extend(found.iter().map(|what| format!("{}: {what}", case.name)));
        }
        wrong
    }

    /// How many requests Envoy refused before a filter saw them.
    pub(crate) fn refused_by_proxy(&self) -> usize {
        self.refused_by_proxy.values().sum()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.address()
    }

    pub(crate) fn sidecar(&self) -> &Sidecar {
        self.gateway.sidecar()
    }

    /// How many calls providers have seen since they were last asked.
    pub(crate) fn calls(&self) -> usize {
        let calls = self.gateway.seen().len();
        self.gateway.prepare(&answer());
        calls
    }

    /// Keeps what the log must say of a call.
    fn remember(&mut self, case: &Case, outcome: &Outcome, seen: Vec<Seen>) -> Option<String> {
        let record = header(&outcome.headers, "x-sekisho-record");
        let denial = header(&outcome.headers, "x-sekisho-denial");
        match (record, denial) {
            (Some(record), Some(denial)) => {
                self.refused.push((case.name.clone(), record, denial));
            }
            (Some(record), None) => {
                for seen in seen {
                    let passed = Passed {
                        record: record.clone(),
                        model: case.model.clone(),
                    };
                    self.passed.push((case.name.clone(), passed, seen));
                }
            }
            (None, _) if !seen.is_empty() => {
                return Some("a provider was asked, and the answer names no record".to_owned());
            }
            (None, _) if outcome.status.is_some_and(|status| status >= 400) => {
                let status = outcome.status.unwrap_or_default();
                *self.refused_by_proxy.entry(status).or_default() += 1;
            }
            (None, _) => {}
        }
        None
    }

    /// What must neither reach a provider nor come back to the client.
    fn leaks(&self, outcome: &Outcome, seen: &[Seen]) -> Vec<String> {
        let mut wrong = Vec::new();
        let secrets = [&self.key, &self.narrow_key, &self.token];
        let has_secret = |bytes: &[u8]| {
            secrets
                .iter()
                .any(|secret| contains(bytes, secret.as_bytes()))
        };
        for seen in seen {
            for (name, value) in &seen.headers {
                if name.starts_with("x-sekisho-") || name.starts_with("x-envoy-") {
                    wrong.push(format!("the provider saw the internal header `{name}`"));
                }
                if has_secret(value) {
                    wrong.push(format!("the provider saw a credential in `{name}`"));
                }
            }
            if has_secret(seen.path.as_bytes()) {
                wrong.push("the provider saw a credential in its path".to_owned());
            }
        }
        if has_secret(&outcome.body) {
            wrong.push("the answer repeats a credential".to_owned());
        }
        wrong
    }

    /// What must hold when all is over: the log says of every call what the provider saw, no
    /// VM has failed, no credential stands in any log.
    pub(crate) fn finish(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut records = BTreeMap::new();
        for _ in 0..TRIES {
            records = self.records();
            if self.unrecorded(&records).is_empty() {
                break;
            }
            std::thread::sleep(BETWEEN);
        }
        wrong.extend(self.unrecorded(&records));
        for (name, passed, seen) in &self.passed {
            let Some(admit) = find(&records, &passed.record, "admit") else {
                continue;
            };
            let found = passed.disagreements(admit, seen);
            wrong.extend(found.into_iter().map(|what| format!("{name}: {what}")));
        }
        let recorded = self.gateway.sidecar().records().unwrap();
        let recorded: Vec<String> = recorded.iter().map(|r| r.record.to_string()).collect();
        let logs = [
            ("a record", recorded.join("\n")),
            ("Envoy's log", self.gateway.log().join("\n")),
            ("Envoy's access log", self.gateway.access_log()),
        ];
        for (what, text) in &logs {
            for secret in [&self.key, &self.narrow_key, &self.token] {
                if text.contains(secret.as_str()) {
                    wrong.push(format!("{what} holds a credential"));
                }
            }
        }
        if logs[2].1.contains("wasm_fail_stream") {
            wrong.push("a VM has failed: its streams were cut".to_owned());
        }
        wrong.extend(self.failed_vms());
        wrong
    }

    fn failed_vms(&self) -> Vec<String> {
        let page = self.gateway.admin("/stats?filter=vm_reload").unwrap();
        let text = String::from_utf8(page).unwrap();
        assert!(
            text.contains("vm_reload_failure"),
            "no such figures: {text}"
        );
        text.lines()
            .filter(|line| !line.ends_with(": 0"))
            .map(|line| format!("a VM has failed: {line}"))
            .collect()
    }

    fn unrecorded(&self, records: &BTreeMap<String, Vec<Value>>) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, passed, _) in &self.passed {
            if find(records, &passed.record, "complete").is_none() {
                wrong.push(format!("{name}: the call has no end in the log"));
            }
        }
        for (name, record, denial) in &self.refused {
            let refusal = find(records, record, "refuse");
            if refusal.and_then(|refusal| refusal["denial"].as_str()) != Some(denial) {
                wrong.push(format!("{name}: the refusal `{denial}` is not in the log"));
            }
        }
        let by_proxy = records.values().flatten();
        let mut recorded: BTreeMap<u16, usize> = BTreeMap::new();
        for record in by_proxy.filter(|record| record["denial"] == "refused_by_proxy") {
            let status = record["status"].as_u64().and_then(|s| s.try_into().ok());
            *recorded.entry(status.unwrap_or(0)).or_default() += 1;
        }
        if recorded != self.refused_by_proxy {
            let expected = &self.refused_by_proxy;
            wrong.push(format!(
                "Envoy refused {expected:?} (status: how many), the log has {recorded:?}"
            ));
        }
        wrong
    }

    fn records(&self) -> BTreeMap<String, Vec<Value>> {
        let mut by_call: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for record in self.gateway.sidecar().records().unwrap() {
            let id = record.record["record_id"].as_str().unwrap().to_owned();
            by_call.entry(id).or_default().push(record.record);
        }
        by_call
    }
}

fn answer() -> Answer {
    Answer {
        status: 200,
        headers: vec![
            ("content-type".to_owned(), b"application/json".to_vec()),
            // A provider that speaks in the gateway's name.
            ("x-sekisho-denial".to_owned(), b"unknown_model".to_vec()),
            ("x-sekisho-record".to_owned(), b"forged".to_vec()),
        ],
        body: vec![b"{}".to_vec()],
        ..Answer::default()
    }
}

/// Sends every case on a connection of its own.
fn send_all(to: SocketAddr, cases: &[Case]) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut outcomes = Vec::new();
        loop {
            let tag = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(tag) else {
                return outcomes;
            };
            let outcome = match &case.wire {
                Wire::One(message) => http1::send(to, message, &tag.to_string()),
                Wire::Two(stream) => http2::send(to, stream, &tag.to_string()),
            };
            outcomes.push((tag, outcome.unwrap_or_default()));
        }
    };
    let mut outcomes: Vec<(usize, Outcome)> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(work)).collect();
        let outcomes = clients
            .into_iter()
            .flat_map(|client| client.join().unwrap());
        outcomes.collect()
    });
    outcomes.sort_by_key(|(tag, _)| *tag);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

fn find<'r>(records: &'r BTreeMap<String, Vec<Value>>, id: &str, kind: &str) -> Option<&'r Value> {
    let records = records.get(id)?;
    records.iter().find(|record| record["kind"] == kind)
}

pub(crate) fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn person(tenant: &str) -> Registered {
    Registered {
        id: PERSON.to_owned(),
        tenant: tenant.to_owned(),
        object_id: OBJECT_ID.to_owned(),
        department: DEPARTMENT.to_owned(),
        active: true,
    }
}

fn issued(id: &str, secret: &str, scope: &str) -> IssuedKey {
    IssuedKey {
        id: id.to_owned(),
        secret: secret.to_owned(),
        department: DEPARTMENT.to_owned(),
        scopes: vec![scope.to_owned()],
        ..IssuedKey::default()
    }
}

fn secret(seed: u8) -> String {
    sekisho_scope::new_key([seed; 32])
}

fn token(issuer: &str, tenant: &str, audience: &str, now: UnixMillis) -> String {
    let scopes = ["all_apis".to_owned()];
    let subject = Subject {
        issuer,
        tenant,
        audience,
        object_id: OBJECT_ID,
        scopes: &scopes,
    };
    let claims = tokens::claims(&subject, now);
    tokens::sign(&claims, Signer::Issuer, Algorithm::RS256, KEY_ID).unwrap()
}
