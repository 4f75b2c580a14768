//! One thing that happens in a scenario.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::answer::AnswerSpec;
use super::expect::{Expectation, UsageExpectation};
use super::format::Span;
use super::request::RequestSpec;
use super::talk::{Conversation, Turn};
use crate::gateway::Disturbance;
use crate::tokens::Signer;

/// A step: a name, if it has one, and what happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawStep")]
pub struct Step {
    name: Option<String>,
    pub(super) action: Action,
}

/// What happens.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// A request is made.
    Request(Box<Call>),
    /// A WebSocket is opened.
    Socket(Box<Conversation>),
    /// Time passes.
    Advance(Duration),
    /// A person's account is disabled.
    DisableUser(String),
    /// It is enabled again.
    EnableUser(String),
    /// A person's sessions are revoked.
    RevokeSessions(String),
    /// A subscription key is revoked.
    RevokeKey(String),
    /// A subscription key gets its next secret.
    RotateKey(Rotation),
    /// A budget is set, members as in the policy.
    SetBudget(Value),
    /// A budget is removed.
    RemoveBudget(String),
    /// The issuer publishes the keys of these signers, and no others.
    PublishKeys(Vec<Signer>),
    /// The issuer's keys must have been fetched so often.
    KeyFetches(u64),
    /// Something happens to the sidecar.
    Sidecar(Disturbance),
    /// A department's figures are looked at.
    Usage(UsageExpectation),
    /// The log is verified.
    Verify,
}

/// A request with its answer and what must come of it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) request: RequestSpec,
    pub(super) answer: AnswerSpec,
    pub(super) expect: Expectation,
    /// How often it is made.
    pub(super) repeat: usize,
    /// Sizes of pieces with which it is made, once each; empty: as the bodies say.
    pub(super) piece_sizes: Vec<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    name: Option<String>,
    request: Option<RequestSpec>,
    upstream: Option<AnswerSpec>,
    expect: Option<Expectation>,
    repeat: Option<usize>,
    piece_sizes: Option<Vec<usize>>,
    socket: Option<RequestSpec>,
    #[serde(default)]
    talk: Vec<Turn>,
    advance: Option<Span>,
    disable_user: Option<String>,
    enable_user: Option<String>,
    revoke_sessions: Option<String>,
    revoke_key: Option<String>,
    rotate_key: Option<Rotation>,
    set_budget: Option<Value>,
    remove_budget: Option<String>,
    publish_keys: Option<Vec<Signer>>,
    key_fetches: Option<u64>,
    sidecar: Option<Disturbance>,
    usage: Option<UsageExpectation>,
    verify: Option<VerifyResult>,
}

/// How a subscription key is rotated.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    /// Its name.
    pub(super) name: String,
    /// How long the former secret stays valid.
    pub(super) overlap: Span,
    /// The number of the new secret; the first is 1.
    pub(super) secret: u8,
}

/// What a verification must find.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum VerifyResult {
    /// Nothing wrong.
    Ok,
}

impl TryFrom<RawStep> for Step {
    type Error = String;

    fn try_from(raw: RawStep) -> Result<Self, String> {
        let mut actions = Vec::new();
        let around = raw.upstream.is_some() || raw.expect.is_some() || raw.repeat.is_some();
        let is_socket = raw.socket.is_some();
        if !is_socket && !raw.talk.is_empty() {
            return Err("`talk` needs a `socket`".to_owned());
        }
        if let Some(request) = raw.socket {
            if raw.upstream.is_some() || raw.repeat.is_some() || raw.piece_sizes.is_some() {
                return Err("`socket` goes with `talk` and `expect`".to_owned());
            }
            actions.push(Action::Socket(Box::new(Conversation {
                request,
                talk: raw.talk,
                expect: raw.expect.clone().unwrap_or_default(),
            })));
        }
        if let Some(request) = raw.request {
            let call = Call {
                request,
                answer: raw.upstream.unwrap_or_default(),
                expect: raw.expect.unwrap_or_default(),
                repeat: raw.repeat.unwrap_or(1),
                piece_sizes: raw.piece_sizes.unwrap_or_default(),
            };
            if call.repeat == 0 || call.piece_sizes.contains(&0) {
                return Err("`repeat` and `piece_sizes` begin at 1".to_owned());
            }
            actions.push(Action::Request(Box::new(call)));
        } else if (around && !is_socket) || raw.piece_sizes.is_some() {
            return Err(
                "`upstream`, `expect`, `repeat` and `piece_sizes` need a `request`".to_owned(),
            );
        }
        actions.extend(raw.advance.map(|span| Action::Advance(span.0)));
        actions.extend(raw.disable_user.map(Action::DisableUser));
        actions.extend(raw.enable_user.map(Action::EnableUser));
        actions.extend(raw.revoke_sessions.map(Action::RevokeSessions));
        actions.extend(raw.revoke_key.map(Action::RevokeKey));
        actions.extend(raw.rotate_key.map(Action::RotateKey));
        actions.extend(raw.set_budget.map(Action::SetBudget));
        actions.extend(raw.remove_budget.map(Action::RemoveBudget));
        actions.extend(raw.publish_keys.map(Action::PublishKeys));
        actions.extend(raw.key_fetches.map(Action::KeyFetches));
        actions.extend(raw.sidecar.map(Action::Sidecar));
        actions.extend(raw.usage.map(Action::Usage));
        actions.extend(raw.verify.map(|VerifyResult::Ok| Action::Verify));
        match (actions.pop(), actions.is_empty()) {
            (Some(action), true) => Ok(Self {
                name: raw.name,
                action,
            }),
            _ => Err(
                "a step does exactly one thing: `request`, `socket`, `advance`, `disable_user`, \
                      `enable_user`, `revoke_sessions`, `revoke_key`, `rotate_key`, \
                      `set_budget`, `remove_budget`, `publish_keys`, `key_fetches`, `sidecar`, `usage` or `verify`"
                    .to_owned(),
            ),
        }
    }
}

impl Step {
    /// Its name, or what it does.
    #[must_use]
    pub fn title(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        match &self.action {
            Action::Request(call) => call.request.title(),
            Action::Socket(talk) => format!("a WebSocket: {}", talk.request.title()),
            Action::Advance(by) => format!("{} s pass", by.as_secs_f64()),
            Action::DisableUser(person) => format!("{person} is disabled"),
            Action::EnableUser(person) => format!("{person} is enabled"),
            Action::RevokeSessions(person) => format!("{person}'s sessions are revoked"),
            Action::RevokeKey(key) => format!("key {key} is revoked"),
            Action::RotateKey(rotation) => format!("key {} is rotated", rotation.name),
            Action::SetBudget(budget) => format!("budget {} is set", budget["id"]),
            Action::RemoveBudget(budget) => format!("budget {budget} is removed"),
            Action::PublishKeys(signers) => format!("the issuer publishes {signers:?}"),
            Action::KeyFetches(times) => format!("keys were fetched {times} times"),
            Action::Sidecar(Disturbance::Stall) => "the sidecar stalls".to_owned(),
            Action::Sidecar(Disturbance::Cut) => "the sidecar is cut off".to_owned(),
            Action::Sidecar(Disturbance::Resume) => "the sidecar is there again".to_owned(),
            Action::Sidecar(Disturbance::Restart) => "the sidecar is restarted".to_owned(),
            Action::Usage(usage) => format!("usage of {}", usage.department),
            Action::Verify => "the log verifies".to_owned(),
        }
    }

    /// The person whom it names.
    pub(super) fn person(&self) -> Option<&str> {
        match &self.action {
            Action::Request(call) => call.request.person(),
            Action::Socket(talk) => talk.request.person(),
            Action::DisableUser(person)
            | Action::EnableUser(person)
            | Action::RevokeSessions(person) => Some(person),
            _ => None,
        }
    }

    /// The subscription key that it names.
    pub(super) fn key(&self) -> Option<&str> {
        match &self.action {
            Action::Request(call) => call.request.key(),
            Action::Socket(talk) => talk.request.key(),
            Action::RevokeKey(key) => Some(key),
            Action::RotateKey(rotation) => Some(&rotation.name),
            _ => None,
        }
    }

    pub(super) const fn moves_the_clock(&self) -> bool {
        matches!(self.action, Action::Advance(_))
    }
}
