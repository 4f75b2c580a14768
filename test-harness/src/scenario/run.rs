//! Running a scenario on a gateway.

use std::path::Path;
use std::time::Duration;

use sekisho_domain::policy::AuditMode;
use sekisho_domain::{IssuerKey, KeyMaterial, Micros, Policy};
use sekisho_link::directory::key_set;
use serde_json::Value;

use super::expect::UsageExpectation;
use super::judge::{self, header};
use super::policy::PROBER;
use super::probe;
use super::request::{Context, RequestSpec, UnusableRequest};
use super::step::{Action, Call};
use super::talk::{Conversation, Turn, close_reason};
use super::{PolicyError, Scenario, ScenarioPolicy, Step};
use crate::gateway::{
    Disturbance, Exchange, Gateway, GatewayError, HostKind, ModuleSet, Place, Side,
};
use crate::on_envoy::{OnEnvoy, Surroundings};
use crate::on_host::OnHost;
use crate::sidecar::{IssuedKey, LogRecord, Registered, Setup, Sidecar, SidecarError};
use crate::tokens::{self, NoKey, Signer};
use sekisho_domain::UnixMillis;

/// Where the record of a call is named.
const RECORD: &str = "x-sekisho-record";
/// 2026-01-15T10:00:05+09:00: five seconds into a minute, an hour and a working day.
const STANDS_AT: UnixMillis = UnixMillis(1_768_438_805_000);
/// How often records and figures are looked for until they are there.
const TRIES: u32 = 150;
/// How often it is looked whether something has passed through a WebSocket...
const SOCKET_TRIES: u32 = 30;
/// ...or has not.
const SILENT_TRIES: u32 = 5;
/// What makes a request one for a WebSocket; compression is offered, as clients do.
const HANDSHAKE: [(&str, &str); 5] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    (
        "sec-websocket-extensions",
        "permessage-deflate; client_max_window_bits",
    ),
];
/// On the real time no budget's window may end while a scenario runs.
const ROOM_IN_WINDOW: u64 = 20;

/// What came of a step.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The step: its place in the file, from 1, and its title.
    pub step: String,
    /// Everything that is not as it must be; empty: it passed.
    pub wrong: Vec<String>,
}

/// Why a scenario could not be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The policy has no issuer.
    #[error("the scenario's policy has no issuer")]
    NoIssuer,
    /// No signing key.
    #[error(transparent)]
    Key(#[from] NoKey),
    /// The gateway.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// Its sidecar.
    #[error(transparent)]
    Sidecar(#[from] SidecarError),
}

/// Runs a scenario file's steps, one after the other; says what came of each, and stops after
/// the first that failed.
///
/// # Errors
/// [`RunError`] if it cannot be run at all.
pub fn run(
    scenario: &Scenario,
    folder: &Path,
    host: HostKind,
    modules: ModuleSet,
    place: &Place,
    tell: &mut dyn FnMut(&Verdict),
) -> Result<bool, RunError> {
    let policy = ScenarioPolicy::load(&folder.join("policies").join(&scenario.policy))?;
    let mut runner = Runner::start(scenario, &policy, host, modules, place)?;
    let mut passed = true;
    for (at, step) in scenario.steps.iter().enumerate() {
        let wrong = runner.step(step)?;
        passed = wrong.is_empty();
        tell(&Verdict {
            step: format!("{:>3}. {}", at + 1, step.title()),
            wrong,
        });
        if !passed {
            break;
        }
    }
    if passed {
        let wrong = runner.finish()?;
        passed = wrong.is_empty();
        tell(&Verdict {
            step: "     every call is on record to its end, and the log verifies".to_owned(),
            wrong,
        });
    }
    if !passed {
        let log = runner.gateway.log();
        let from = log.len().saturating_sub(15);
        for line in log.get(from..).unwrap_or_default() {
            eprintln!("      {host}: {line}");
        }
    }
    Ok(passed)
}

struct Runner<'s> {
    scenario: &'s Scenario,
    gateway: Box<dyn Gateway>,
    issuer: String,
    tenant: String,
    audience: String,
    /// Calls whose answer named a record.
    named: Vec<String>,
}

impl<'s> Runner<'s> {
    fn start(
        scenario: &'s Scenario,
        policy: &ScenarioPolicy,
        host: HostKind,
        modules: ModuleSet,
        place: &Place,
    ) -> Result<Self, RunError> {
        let nowhere = policy.complete(&std::collections::BTreeMap::new())?;
        let trusted = nowhere.policy.issuers.first().ok_or(RunError::NoIssuer)?;
        let (issuer, tenant) = (trusted.issuer.clone(), trusted.tenant.clone());
        let audience = trusted.audiences.first().cloned().unwrap_or_default();
        let key = published(&issuer, Signer::Issuer)?;
        let setup = Setup {
            policy: nowhere,
            people: registered(scenario, &tenant),
            keys: issued(scenario),
            issuer_keys: key_set(&issuer, &[key]),
            stands_at: match host {
                HostKind::Wasm => Some(scenario.starts_at.map_or(STANDS_AT, |moment| moment.0)),
                HostKind::Envoy => None,
            },
        };
        let gateway: Box<dyn Gateway> = match host {
            HostKind::Wasm => {
                let sidecar = Sidecar::start(setup)?;
                Box::new(OnHost::start_with(
                    modules,
                    place,
                    sidecar,
                    scenario.workers,
                )?)
            }
            HostKind::Envoy => start_envoy(policy, setup, modules, place, scenario.workers)?,
        };
        Ok(Self {
            scenario,
            gateway,
            issuer,
            tenant,
            audience,
            named: Vec::new(),
        })
    }

    fn step(&mut self, step: &Step) -> Result<Vec<String>, RunError> {
        match &step.action {
            Action::Request(call) => return self.calls(call),
            Action::Socket(conversation) => return self.converse(conversation),
            Action::Advance(by) => self.gateway.advance(*by)?,
            Action::DisableUser(person) => {
                self.gateway.sidecar().suspend(person, true)?;
                self.gateway.let_arrive()?;
            }
            Action::EnableUser(person) => {
                self.gateway.sidecar().suspend(person, false)?;
                self.gateway.let_arrive()?;
            }
            Action::RevokeSessions(person) => {
                self.gateway.sidecar().revoke_sessions(person)?;
                self.gateway.let_arrive()?;
            }
            Action::RevokeKey(key) => {
                self.gateway.sidecar().revoke(key)?;
                self.gateway.let_arrive()?;
            }
            Action::RotateKey(rotation) => {
                let secret = secret(&rotation.name, rotation.secret);
                let overlap = rotation.overlap.0;
                let sidecar = self.gateway.sidecar();
                sidecar.rotate(&rotation.name, &secret, overlap)?;
                self.gateway.let_arrive()?;
            }
            Action::SetBudget(budget) => {
                if self.gateway.sidecar().set_budget(budget)? {
                    self.gateway.let_arrive()?;
                }
            }
            Action::RemoveBudget(budget) => {
                self.gateway.sidecar().remove_budget(budget)?;
                self.gateway.let_arrive()?;
            }
            Action::PublishKeys(signers) => {
                let keys = signers.iter().map(|key| published(&self.issuer, *key));
                let keys = keys.collect::<Result<Vec<_>, _>>()?;
                self.gateway.sidecar().publish(&keys);
            }
            Action::KeyFetches(times) => return Ok(self.key_fetches(*times)),
            Action::Sidecar(what) => self.gateway.disturb(*what)?,
            Action::Usage(expected) => return self.usage(expected),
            Action::Verify => {
                return match self.gateway.sidecar().verify() {
                    Ok(()) => Ok(Vec::new()),
                    Err(wrong @ SidecarError::Verify(_)) => Ok(vec![wrong.to_string()]),
                    Err(error) => Err(error.into()),
                };
            }
        }
        Ok(Vec::new())
    }

    /// How often the issuer's keys were fetched. That takes real time on every host.
    fn key_fetches(&self, expected: u64) -> Vec<String> {
        let sidecar = self.gateway.sidecar();
        for _ in 0..TRIES {
            if sidecar.key_fetches() >= expected {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // What was fetched is on its way to the filters.
        std::thread::sleep(Duration::from_millis(100));
        match sidecar.key_fetches() {
            fetched if fetched == expected => Vec::new(),
            fetched => vec![format!("keys were fetched {fetched} times, not {expected}")],
        }
    }

    /// A request, as often and in as many pieces as it is to be made.
    fn calls(&mut self, call: &Call) -> Result<Vec<String>, RunError> {
        let sizes: Vec<Option<usize>> = match call.piece_sizes.as_slice() {
            [] => vec![None],
            sizes => sizes.iter().copied().map(Some).collect(),
        };
        for size in sizes {
            for time in 1..=call.repeat {
                let mut wrong = self.call(call, size)?;
                if !wrong.is_empty() {
                    if call.repeat > 1 {
                        wrong.insert(0, format!("at time {time} of {}:", call.repeat));
                    }
                    if let Some(size) = size {
                        wrong.insert(0, format!("in pieces of {size} bytes:"));
                    }
                    return Ok(wrong);
                }
            }
        }
        Ok(Vec::new())
    }

    fn call(&mut self, call: &Call, pieces: Option<usize>) -> Result<Vec<String>, RunError> {
        let prepared = match self.prepare(&call.request, pieces) {
            Ok(prepared) => prepared,
            Err(error) => return Ok(vec![error.to_string()]),
        };
        let answer = match call.answer.prepare(pieces) {
            Ok(answer) => answer,
            Err(error) => return Ok(vec![error.to_string()]),
        };
        let before = self.gateway.sidecar().log_size()?;
        let exchange = self.gateway.call(&prepared.request, &answer)?;
        let left = prepared.request.leaves_after.is_some();
        let mut wrong = judge::exchange(&call.expect, &exchange, left);
        wrong.extend(judge::laws(&exchange, prepared.credential.as_deref()));
        let id = named_record(&exchange);
        if let Some(expected) = &call.expect.records {
            let mut differences = Vec::new();
            for _ in 0..TRIES {
                let records = self.records_of(id.as_deref(), before)?;
                differences = judge::records(expected, &records);
                if differences.is_empty() {
                    break;
                }
                self.gateway.wait();
            }
            wrong.extend(differences);
        }
        if let Some(expected) = &call.expect.kept {
            let id = id.as_deref().unwrap_or_default();
            wrong.extend(match self.gateway.sidecar().kept(id)? {
                Ok([request, response]) => judge::kept(expected, [&request, &response]),
                Err(why) => vec![format!("what was kept cannot be read: {why}")],
            });
        }
        wrong.extend(self.admitted_before(id.as_deref(), &exchange)?);
        self.named.extend(id);
        Ok(wrong)
    }

    /// A WebSocket, and what is said through it. Its records are all that came into the log
    /// meanwhile: each of its answers has its own.
    fn converse(&mut self, conversation: &Conversation) -> Result<Vec<String>, RunError> {
        let mut prepared = match self.prepare(&conversation.request, None) {
            Ok(prepared) => prepared,
            Err(error) => return Ok(vec![error.to_string()]),
        };
        for (name, value) in HANDSHAKE {
            let header = (name.to_owned(), value.as_bytes().to_vec());
            prepared.request.headers.push(header);
        }
        let before = self.gateway.sidecar().log_size()?;
        let exchange = self.gateway.open_socket(&prepared.request)?;
        let expect = &conversation.expect;
        let mut wrong = judge::exchange(expect, &exchange, false);
        wrong.extend(judge::laws(&exchange, prepared.credential.as_deref()));
        let id = named_record(&exchange);
        wrong.extend(self.admitted_before(id.as_deref(), &exchange)?);
        self.named.extend(id.clone());
        let opened = exchange
            .response
            .is_some_and(|response| response.status == 101);
        if opened && wrong.is_empty() {
            for (at, turn) in conversation.talk.iter().enumerate() {
                let odd = self.turn(turn)?;
                wrong.extend(odd.iter().map(|odd| format!("at turn {}: {odd}", at + 1)));
                if !wrong.is_empty() {
                    break;
                }
            }
        }
        self.gateway.hang_up(Side::Client);
        if let Some(expected) = &expect.records {
            let mut differences = Vec::new();
            for _ in 0..TRIES {
                let records = self.gateway.sidecar().records()?.into_iter();
                let records = records.filter(|record| record.place >= before);
                let mut records: Vec<Value> = records.map(|record| record.record).collect();
                // Another call may have ended in the meantime.
                let of = |record: &Value| record.pointer("/call/request_id").cloned();
                let named = records
                    .iter()
                    .find(|record| record_id(record) == id.as_deref());
                if let Some(request_id) = named.and_then(of) {
                    records.retain(|record| of(record).as_ref() == Some(&request_id));
                }
                differences = judge::records(expected, &records);
                if differences.is_empty() {
                    break;
                }
                self.gateway.wait();
            }
            wrong.extend(differences);
        }
        Ok(wrong)
    }

    fn turn(&mut self, turn: &Turn) -> Result<Vec<String>, RunError> {
        match turn {
            Turn::Then(step) => return self.step(step),
            Turn::HangsUp(side) => self.gateway.hang_up(*side),
            Turn::Says {
                side,
                frame,
                arrives,
            } => {
                let other = match side {
                    Side::Client => Side::Server,
                    Side::Server => Side::Client,
                };
                let before = self.gateway.heard(other).bytes.len();
                self.gateway.say(*side, frame);
                let mut heard = Vec::new();
                let tries = if *arrives { SOCKET_TRIES } else { SILENT_TRIES };
                for _ in 0..tries {
                    let now = self.gateway.heard(other).bytes;
                    heard = now.get(before..).unwrap_or_default().to_vec();
                    if *arrives && heard.len() >= frame.len() {
                        break;
                    }
                    self.gateway.wait();
                }
                // The gateway may add why it ends the session.
                if *arrives && !heard.starts_with(frame) {
                    let got = heard.len();
                    return Ok(vec![format!("{got} bytes arrived of {}", frame.len())]);
                }
                if !*arrives && !heard.is_empty() {
                    return Ok(vec!["it reached the other side".to_owned()]);
                }
            }
            Turn::Closed { reason } => {
                for _ in 0..SOCKET_TRIES {
                    if self.gateway.heard(Side::Client).over {
                        break;
                    }
                    self.gateway.wait();
                }
                let heard = self.gateway.heard(Side::Client);
                if !heard.over {
                    return Ok(vec!["the session is still open".to_owned()]);
                }
                let said = close_reason(&heard.bytes);
                if reason.is_some() && *reason != said {
                    return Ok(vec![format!("the session was closed with {said:?}")]);
                }
            }
        }
        Ok(Vec::new())
    }

    fn prepare(
        &self,
        request: &RequestSpec,
        pieces: Option<usize>,
    ) -> Result<super::request::Prepared, UnusableRequest> {
        let scenario = self.scenario;
        let person = |name: &str| {
            let scopes = scenario
                .people
                .get(name)
                .map(|person| person.scopes.clone());
            (scopes.unwrap_or_default(), object_id(name))
        };
        let key = |name: &str, number: u8| secret(name, number);
        let context = Context {
            now: self.gateway.now(),
            issuer: &self.issuer,
            tenant: &self.tenant,
            audience: &self.audience,
            person: &person,
            key: &key,
        };
        request.prepare(&context, pieces)
    }

    /// The records of one call: by the id that the answer named, or else those of the first
    /// call that came into the log since.
    fn records_of(&self, id: Option<&str>, before: u64) -> Result<Vec<Value>, SidecarError> {
        let records = self.gateway.sidecar().records()?;
        let of = |record: &LogRecord| record_id(&record.record).map(str::to_owned);
        let id = id.map(str::to_owned).or_else(|| {
            records
                .iter()
                .filter(|record| record.place >= before)
                .find_map(of)
        });
        let own = records.into_iter().filter(|record| of(record) == id);
        Ok(own.map(|record| record.record).collect())
    }

    /// The promise of strict audit: when the provider saw the call, its admit was durable.
    fn admitted_before(
        &self,
        id: Option<&str>,
        exchange: &Exchange,
    ) -> Result<Vec<String>, SidecarError> {
        let (Some(id), Some(seen)) = (id, exchange.seen.first()) else {
            return Ok(Vec::new());
        };
        let sidecar = self.gateway.sidecar();
        let records = sidecar.records()?;
        let admit = records.iter().find(|record| {
            record_id(&record.record) == Some(id)
                && record.record.get("kind").and_then(Value::as_str) == Some("admit")
        });
        let late = match admit {
            Some(admit) if !is_strict(sidecar.policy(), &admit.record) => false,
            Some(admit) => admit.place >= seen.log_size,
            None => false,
        };
        Ok(if late {
            vec!["the provider saw the call before its admit was durable".to_owned()]
        } else {
            Vec::new()
        })
    }

    fn usage(&self, expected: &UsageExpectation) -> Result<Vec<String>, RunError> {
        let mut wrong = Vec::new();
        // Nobody waits for the end of relaxed calls.
        for _ in 0..TRIES {
            wrong = self.usage_now(expected)?;
            if wrong.is_empty() || self.scenario.hosts == [HostKind::Wasm] {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(wrong)
    }

    fn usage_now(&self, expected: &UsageExpectation) -> Result<Vec<String>, SidecarError> {
        let figures = self.gateway.sidecar().usage(&expected.department)?;
        let mut wrong = Vec::new();
        for (what, expected, actual) in [
            ("requests", expected.requests, figures.requests),
            ("refused", expected.refused, figures.refused),
            (
                "input tokens",
                expected.input_tokens,
                figures.input_tokens.0,
            ),
            (
                "output tokens",
                expected.output_tokens,
                figures.output_tokens.0,
            ),
        ] {
            if let Some(expected) = expected
                && expected != actual
            {
                wrong.push(format!("{actual} {what}, expected {expected}"));
            }
        }
        if let Some(cost) = &expected.cost
            && Micros::parse(cost) != Ok(figures.cost_micros)
        {
            wrong.push(format!("cost is {}, expected {cost}", figures.cost_micros));
        }
        Ok(wrong)
    }

    /// What must hold when all is over: whatever was answered is on record, every admit has
    /// its end, and the log verifies.
    fn finish(&mut self) -> Result<Vec<String>, RunError> {
        self.gateway.disturb(Disturbance::Resume)?;
        let mut wrong = Vec::new();
        for _ in 0..TRIES {
            wrong = self.unfinished()?;
            if wrong.is_empty() {
                break;
            }
            self.gateway.wait();
        }
        match self.gateway.sidecar().verify() {
            Ok(()) => {}
            Err(error @ SidecarError::Verify(_)) => wrong.push(error.to_string()),
            Err(error) => return Err(error.into()),
        }
        wrong.extend(self.given_away()?);
        Ok(wrong)
    }

    /// Where a provider's secret stands that is no place for it.
    fn given_away(&self) -> Result<Vec<String>, SidecarError> {
        let mut exposed = self.gateway.exposed();
        let records = self.gateway.sidecar().records()?;
        let records = records.iter().map(|record| record.record.to_string());
        exposed.push(("the audit log", records.collect()));
        Ok(judge::given_away(&exposed))
    }

    fn unfinished(&self) -> Result<Vec<String>, SidecarError> {
        let records = self.gateway.sidecar().records()?;
        let has = |id: &str, kind: Option<&str>| {
            records.iter().any(|record| {
                record_id(&record.record) == Some(id)
                    && kind.is_none_or(|kind| {
                        record.record.get("kind").and_then(Value::as_str) == Some(kind)
                    })
            })
        };
        let mut wrong = Vec::new();
        for id in &self.named {
            if !has(id, None) {
                wrong.push(format!("call {id} was answered and is not in the log"));
            }
        }
        for record in &records {
            let kind = record.record.get("kind").and_then(Value::as_str);
            let (Some("admit"), Some(id)) = (kind, record_id(&record.record)) else {
                continue;
            };
            // An admit whose call was refused after all is taken back by the refusal.
            if !has(id, Some("complete")) && !has(id, Some("refuse")) {
                let call = record
                    .record
                    .get("call")
                    .map(Value::to_string)
                    .unwrap_or_default();
                wrong.push(format!(
                    "call {id} was admitted and has no end in the log: {call}"
                ));
            }
        }
        Ok(wrong)
    }
}

fn start_envoy(
    policy: &ScenarioPolicy,
    setup: Setup,
    modules: ModuleSet,
    place: &Place,
    workers: usize,
) -> Result<Box<dyn Gateway>, RunError> {
    // The stub asks the log, the sidecar's policy names the stub: the probe comes first.
    let probe = crate::sidecar::LogProbe::default();
    let surroundings = Surroundings::start(&policy.upstreams(), probe.clone())?;
    let surroundings = surroundings.with_workers(workers);
    let setup = Setup {
        policy: policy.complete(surroundings.addresses())?,
        ..setup
    };
    wait_for_room(&setup.policy.policy);
    let sidecar = Sidecar::start_with(setup, probe)?;
    let scopes = policy.scopes();
    let ready = probe::request(sidecar.policy(), &scopes, &object_id(PROBER), sidecar.now())?;
    let gateway = OnEnvoy::start(modules, place, surroundings, sidecar, ready)?;
    Ok(Box::new(gateway))
}

/// Waits for the next window where the current one would end soon.
fn wait_for_room(policy: &Policy) {
    if policy.budgets.is_empty() {
        return;
    }
    let now = sekisho::clock::Clock::system().now().seconds();
    // Every window ends with a minute; only budgets per minute meet most of them.
    let per_minute = policy
        .budgets
        .iter()
        .any(|budget| budget.window == Some(sekisho_domain::WindowUnit::Minute));
    let length = if per_minute { 60 } else { 3_600 };
    let left = length - now % length;
    if left < ROOM_IN_WINDOW {
        std::thread::sleep(Duration::from_secs(left + 1));
    }
}

fn registered(scenario: &Scenario, tenant: &str) -> Vec<Registered> {
    let people = scenario
        .people
        .iter()
        .filter(|(_, person)| person.registered);
    let registered = people.map(|(name, person)| Registered {
        id: name.clone(),
        tenant: tenant.to_owned(),
        object_id: object_id(name),
        department: person.department.clone(),
        active: person.active,
    });
    let prober = Registered {
        id: PROBER.to_owned(),
        tenant: tenant.to_owned(),
        object_id: object_id(PROBER),
        department: PROBER.to_owned(),
        active: true,
    };
    registered.chain([prober]).collect()
}

fn issued(scenario: &Scenario) -> Vec<IssuedKey> {
    let keys = scenario.keys.iter().map(|(name, key)| IssuedKey {
        id: name.clone(),
        secret: secret(name, 1),
        department: key.department.clone(),
        user: key.user.clone(),
        scopes: key.scopes.clone(),
        networks: key.networks.clone(),
        valid_millis: key.valid_millis(),
    });
    keys.collect()
}

/// The object id of a person, the same in every run.
fn object_id(person: &str) -> String {
    format!("oid-{}", person.to_lowercase())
}

/// What the issuer publishes of a signer's key.
fn published(issuer: &str, signer: Signer) -> Result<IssuerKey, NoKey> {
    let (n, e) = tokens::published_by(signer)?;
    Ok(IssuerKey {
        issuer: issuer.to_owned(),
        kid: tokens::key_id(signer).to_owned(),
        material: KeyMaterial::Rsa { n, e },
        algorithm: None,
    })
}

/// The subscription key of this name, the same in every run. `number`: which of its secrets.
fn secret(key: &str, number: u8) -> String {
    let mut random = [number.wrapping_add(0x59); 32];
    random
        .iter_mut()
        .zip(key.bytes())
        .for_each(|(to, from)| *to = from);
    sekisho_scope::new_key(random)
}

fn record_id(record: &Value) -> Option<&str> {
    record.get("record_id")?.as_str()
}

/// The record that the answer names.
fn named_record(exchange: &Exchange) -> Option<String> {
    let headers = &exchange.response.as_ref()?.headers;
    let value = header(headers, RECORD)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

fn is_strict(policy: &Policy, admit: &Value) -> bool {
    let api = admit.pointer("/call/api").and_then(Value::as_str);
    let api = policy
        .apis
        .iter()
        .find(|known| Some(known.id.as_str()) == api);
    api.is_none_or(|api| api.audit == AuditMode::Strict)
}
