//! What one worker's VM knows: the policy, who is who, its leases, and what it still has
//! to tell the sidecar.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use sekisho_audit::{Passage, Redaction};
use sekisho_domain::policy::{AuditMode, Contents, Model};
use sekisho_domain::{Policy, Price, RecordId, RecordKind, UnixMillis};
use sekisho_link::{Need, Outbox, Reserved, v1};
use sekisho_providers::Catalogue;
use sekisho_quota::{Accounts, Budgets};
use sekisho_scope::Authenticator;
use sekisho_upstream::Selection;

use crate::adoption::Incoming;
use crate::keeping::Room;
use crate::random::RandomBytes;
use crate::socket::SharedSession;
use crate::waiting::Waiting;
use crate::{Stages, host};

/// Records that nobody waits for are sent when so many have gathered: a message of its own
/// would cost the proxy and the sidecar more than the call itself.
const WORTH_A_MESSAGE: usize = 64;

/// So many bytes of bodies are sent at once, too: there is no room for all of them.
const MUCH: usize = 256 * 1024;

/// A policy made ready for decisions.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) policy: Policy,
    pub(crate) catalogue: Catalogue,
    pub(crate) selection: Selection,
    /// The JSON that it was read from, as the sidecar sent it.
    pub(crate) json: Vec<u8>,
    /// What is taken out of bodies, where any are kept that way.
    pub(crate) redaction: Option<Arc<Redaction>>,
}

impl Compiled {
    /// Prepares a policy; on failure every problem, a line each.
    pub(crate) fn new(policy: Policy, json: &[u8]) -> Result<Self, String> {
        match Catalogue::new(&policy) {
            Ok(catalogue) => Ok(Self {
                selection: Selection::new(&policy),
                redaction: redaction(&policy),
                policy,
                catalogue,
                json: json.to_vec(),
            }),
            Err(problems) => {
                let lines = problems.iter().map(|problem| format!("policy.{problem}"));
                Err(lines.collect::<Vec<_>>().join("\n"))
            }
        }
    }
}

impl Compiled {
    /// The model of an API that a call names.
    pub(crate) fn model(&self, api: usize, name: &str) -> Option<&Model> {
        self.policy.apis.get(api)?.models.get(name)
    }

    /// The largest request body that an API takes.
    pub(crate) fn request_body_bytes(&self, api: usize) -> u64 {
        let rules = self.policy.apis.get(api).and_then(|api| api.rules.as_ref());
        let own = rules.and_then(|rules| rules.request_body_bytes);
        let most = self.policy.request_body_bytes;
        own.map_or(most, |own| own.min(most))
    }

    /// The largest answer of an API that is passed on whole.
    pub(crate) fn response_body_bytes(&self, api: usize) -> Option<u64> {
        let rules = self.policy.apis.get(api)?.rules.as_ref()?;
        rules.response_body_bytes
    }

    /// The price that applied when the call arrived.
    pub(crate) fn price_at(&self, api: usize, passage: &Passage) -> Option<Price> {
        let api = self.policy.apis.get(api)?;
        let price = self.policy.price(api, &passage.model, passage.received);
        price.cloned()
    }

    /// Whether an upstream calls the model by another name.
    pub(crate) fn renames(&self, api: usize, model: &str) -> bool {
        self.model(api, model)
            .is_some_and(|model| model.upstreams.iter().any(|place| place.model.is_some()))
    }
}

/// What is taken out of bodies, if an API keeps them that way.
fn redaction(policy: &Policy) -> Option<Arc<Redaction>> {
    let mut apis = policy.apis.iter();
    let is_any = apis.any(|api| api.contents == Contents::Redacted);
    is_any.then(|| Arc::new(Redaction::new(policy.keeping.patterns.clone())))
}

/// State of one VM.
pub(crate) struct Worker {
    /// The root context: streams to the sidecar belong to it.
    pub(crate) root: u32,
    pub(crate) stages: Stages,
    /// Whether this module works from its configuration alone.
    pub(crate) alone: bool,
    /// Whether other modules of the chain go on from where this one leaves a call.
    pub(crate) hands_on: bool,
    pub(crate) compiled: Option<Rc<Compiled>>,
    pub(crate) authenticator: Option<Authenticator>,
    /// A whole snapshot that is to replace both.
    pub(crate) incoming: Option<Incoming>,
    pub(crate) snapshot_version: u64,
    pub(crate) accounts: Accounts,
    /// Where this module decides by them.
    pub(crate) budgets: Budgets,
    pub(crate) outbox: Outbox,
    /// For bodies that are kept.
    pub(crate) room: Room,
    pub(crate) waiting: Waiting,
    /// Answers that were cut and whose last bytes have been passed on, by their contexts: since
    /// when. They are reset when those have had time to get away.
    pub(crate) cut: Vec<(u32, UnixMillis)>,
    /// WebSockets that are open, by their contexts.
    pub(crate) sessions: HashMap<u32, SharedSession>,
    last_lease_request: u64,
    pub(crate) random: RandomBytes,
    /// The next batch tells of refusals.
    has_refusals: bool,
    /// The next batch gives back what others wait for.
    has_returns: bool,
    /// The open stream's token.
    pub(crate) stream: Option<u32>,
    /// How long leases live after the last acknowledged batch was sent.
    pub(crate) lease_ttl_millis: u64,
}

impl Worker {
    pub(crate) fn new(root: u32, stages: Stages) -> Self {
        Self {
            root,
            stages,
            alone: false,
            hands_on: stages.is_part(),
            compiled: None,
            authenticator: None,
            incoming: None,
            snapshot_version: 0,
            accounts: Accounts::default(),
            budgets: Budgets::default(),
            outbox: Outbox::default(),
            room: Room::default(),
            waiting: Waiting::default(),
            cut: Vec::new(),
            sessions: HashMap::new(),
            last_lease_request: 0,
            random: RandomBytes::default(),
            has_refusals: false,
            has_returns: false,
            stream: None,
            lease_ttl_millis: 0,
        }
    }

    /// Puts a policy into force.
    pub(crate) fn adopt(&mut self, compiled: Compiled) {
        self.authenticator = Some(Authenticator::new(&compiled.policy));
        self.compiled = Some(Rc::new(compiled));
    }

    /// Whether the sidecar hears us: only then may calls pass, and leases be spent.
    pub(crate) fn hears(&self, now: UnixMillis) -> bool {
        self.alone
            || (self.outbox.is_connected()
                && self.lease_ttl_millis > 0
                && now.since(self.outbox.durable_at()) < self.lease_ttl_millis / 2)
    }

    /// Whether anybody will read what is noted about a call: later modules or the log.
    pub(crate) fn has_readers(&self) -> bool {
        !self.alone || self.hands_on
    }

    /// Asks the sidecar for leases; returns the request's id.
    pub(crate) fn ask_for_leases(&mut self, demands: Vec<sekisho_quota::Demand>) -> u64 {
        self.last_lease_request += 1;
        let id = self.last_lease_request;
        let demands = demands.into_iter().map(|demand| v1::Demand {
            budget: self.accounts.budget(demand.slot).to_owned(),
            amount: demand.amount,
        });
        self.outbox.request_leases(v1::LeaseRequest {
            id,
            demands: demands.collect(),
        });
        id
    }

    /// Sends what was recalled and has become free, if there is any: somebody waits for it.
    pub(crate) fn give_back(&mut self, context: u32, now: UnixMillis) {
        if self.return_recalled() {
            self.send(context, now, Need::Awaited);
        }
    }

    /// Adds what was recalled and has become free to what the sidecar is told. Whether there
    /// was any.
    pub(crate) fn return_recalled(&mut self) -> bool {
        let returns = self.accounts.take_returns();
        let is_any = !returns.is_empty();
        self.has_returns |= is_any;
        self.return_leases(returns);
        is_any
    }

    /// Adds leases that go back to what the sidecar is told.
    pub(crate) fn return_leases(&mut self, returns: Vec<sekisho_quota::Return>) {
        for back in returns {
            self.outbox.return_lease(v1::LeaseReturn {
                budget: (*back.budget).to_owned(),
                window_start: back.window_start.0,
                amount: back.amount,
            });
        }
    }

    /// Adds a record to what the sidecar is told.
    pub(crate) fn record<'a>(
        &mut self,
        kind: RecordKind,
        record_id: &RecordId,
        record: &[u8],
        reservations: impl Iterator<Item = Reserved<'a>> + Clone,
    ) {
        if self.alone {
            return;
        }
        self.has_refusals |= kind == RecordKind::Refuse;
        self.outbox.record(kind, record_id, record, reservations);
    }

    /// Adds how much is set aside by now for a call whose answer goes on.
    pub(crate) fn extend<'a>(
        &mut self,
        record_id: &RecordId,
        reservations: impl Iterator<Item = Reserved<'a>> + Clone,
    ) {
        self.outbox.extend(record_id, reservations);
    }

    /// Sends the next batch if somebody waits for it, behind another one that is under way, too;
    /// if it tells of a refusal, or if enough has gathered to be worth a message. What is left
    /// goes with the next tick. `context`: in whose name the proxy is running.
    pub(crate) fn flush(&mut self, context: u32, now: UnixMillis) {
        let is_awaited = self.waiting.is_new() || self.has_returns || self.outbox.has_questions();
        let is_worth_it = self.has_refusals
            || self.outbox.gathered() >= WORTH_A_MESSAGE
            || self.outbox.held_contents() >= MUCH;
        if is_awaited {
            self.send(context, now, Need::Awaited);
        } else if is_worth_it || self.waiting.is_anybody() {
            self.send(context, now, Need::Usual);
        }
    }

    /// Sends the next batch, if there is anything to say and it need not wait.
    pub(crate) fn send(&mut self, context: u32, now: UnixMillis, need: Need) {
        let Some(stream) = self.stream else { return };
        let version = self.snapshot_version;
        let Some(batch) = self.outbox.next_batch(now, need, version) else {
            return;
        };
        self.waiting.sent();
        self.has_refusals = false;
        self.has_returns = false;
        let send = || sekisho_hostcalls::send_message(stream, batch).is_ok();
        let sent = if context == self.root {
            Some(send())
        } else {
            host::in_context(self.root, context, send)
        };
        if sent != Some(true) {
            // The proxy will report the stream's end; the batch is still in the outbox.
            log::warn!("a batch could not be sent to the sidecar");
        }
    }

    /// Whether calls to this API wait for their records.
    pub(crate) fn is_strict(&self, api: usize) -> bool {
        let mode = self
            .compiled
            .as_ref()
            .and_then(|c| c.policy.apis.get(api))
            .map(|api| api.audit);
        mode != Some(AuditMode::Relaxed)
    }

    /// How long a request may wait for the sidecar.
    pub(crate) fn ack_timeout_millis(&self) -> u64 {
        self.compiled
            .as_ref()
            .map_or(200, |compiled| compiled.policy.ack_timeout_millis)
    }
}
