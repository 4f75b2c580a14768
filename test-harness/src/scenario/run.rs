//! Running a scenario on a gateway.

mod records;
mod sockets;
mod world;

use std::path::Path;
use std::time::Duration;

use sekisho_domain::{Micros, UnixMillis};
use sekisho_link::directory::key_set;

use super::expect::UsageExpectation;
use super::judge;
use super::request::{Context, RequestSpec, UnusableRequest};
use super::step::{Action, Call};
use super::{PolicyError, Scenario, ScenarioPolicy, Step};
use crate::gateway::{Gateway, GatewayError, HostKind, ModuleSet, Place};
use crate::on_host::OnHost;
use crate::sidecar::{Setup, Sidecar, SidecarError};
use crate::tokens::{NoKey, Signer};
use records::named_record;
use world::{issued, object_id, published, registered, secret, start_envoy};

/// 2026-01-15T10:00:05+09:00: five seconds into a minute, an hour and a working day.
const STANDS_AT: UnixMillis = UnixMillis(1_768_438_805_000);
/// How often records and figures are looked for until they are there.
const TRIES: u32 = 150;

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
}
