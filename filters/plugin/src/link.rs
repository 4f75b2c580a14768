//! What the sidecar says, and what follows from it for the calls that wait.

use std::cell::RefCell;

use prost::Message as _;
use proxy_wasm::hostcalls;
use sekisho_domain::{
    ApiKey, Denial, DenialCode, IssuerKey, KeyMaterial, Policy, RecordKind, UnixMillis, User,
};
use sekisho_link::v1;
use sekisho_quota::{Grant, Standing};

use crate::call::Phase;
use crate::pipeline::{self, Next};
use crate::waiting::Held;
use crate::worker::{Compiled, Worker};
use crate::{host, limits, reply};

/// How long an answer's last byte waits for its record before the stream is reset. Long
/// enough for a sidecar to be restarted.
const ANSWER_WAIT_MILLIS: u64 = 10_000;

/// Takes one message in.
pub(crate) fn received(worker: &RefCell<Worker>, bytes: &[u8], now: UnixMillis) {
    let Ok(down) = v1::Down::decode(bytes) else {
        log::error!("a message of the sidecar could not be read; release mismatch?");
        return;
    };
    if down.lease_ttl_millis > 0 {
        worker.borrow_mut().lease_ttl_millis = down.lease_ttl_millis;
    }
    if let Some(snapshot) = &down.snapshot {
        adopt(&mut worker.borrow_mut(), snapshot);
    }
    acknowledge(worker, &down, now);
    for answer in &down.lease_answers {
        lease_answer(worker, answer, now);
    }
    let mut worker = worker.borrow_mut();
    let root = worker.root;
    worker.flush(root, now);
}

/// The stream is gone: what waits for leave to go upstream is refused, what has gone stays
/// and its record is sent again.
pub(crate) fn lost(worker: &RefCell<Worker>, now: UnixMillis) {
    let held = {
        let mut worker = worker.borrow_mut();
        worker.stream = None;
        worker.outbox.disconnected();
        worker.accounts.restart([0; 16]);
        worker.waiting.take_requests()
    };
    for held in held {
        refuse(worker, &held, &unavailable(), now);
    }
}

/// Refuses what has waited for too long.
pub(crate) fn expire(worker: &RefCell<Worker>, now: UnixMillis) {
    let (requests, answers) = {
        let mut worker = worker.borrow_mut();
        let patience = worker.ack_timeout_millis();
        let requests = worker.waiting.take_late_requests(now, patience);
        (
            requests,
            worker.waiting.take_late_answers(now, ANSWER_WAIT_MILLIS),
        )
    };
    for held in requests {
        refuse(worker, &held, &unavailable(), now);
    }
    let root = worker.borrow().root;
    for held in answers {
        held.call.borrow_mut().phase = Phase::Done;
        host::in_context(held.context, root, hostcalls::reset_http_response);
    }
}

/// Gives back what nobody uses.
pub(crate) fn return_idle(worker: &mut Worker, now: UnixMillis) {
    for idle in worker.accounts.take_idle(now) {
        worker.outbox.return_lease(v1::LeaseReturn {
            budget: idle.budget.0,
            window_start: idle.window_start.0,
            amount: idle.amount,
        });
    }
}

/// What a caller hears when nothing can be put on record.
pub(crate) fn unavailable() -> Denial {
    Denial::new(DenialCode::RecordUnavailable).retry_after(1_000)
}

fn acknowledge(worker: &RefCell<Worker>, down: &v1::Down, now: UnixMillis) {
    let durable = worker.borrow_mut().outbox.acknowledged(down);
    for record in durable {
        let held = {
            let waiting = &mut worker.borrow_mut().waiting;
            match record.kind {
                RecordKind::Admit => waiting.admits.remove(&record.record_id),
                RecordKind::Complete => waiting.completions.remove(&record.record_id),
                RecordKind::Refuse => None,
            }
        };
        let Some(held) = held else { continue };
        match record.kind {
            RecordKind::Admit if record.refused => refuse(worker, &held, &lease_gone(), now),
            RecordKind::Admit => resume_request(worker, &held),
            _ => resume_response(worker, &held),
        }
    }
}

/// The lease was given to others in the meantime; a retry asks for a new one.
fn lease_gone() -> Denial {
    let text = "the budget's lease ended before the call was on record";
    Denial::with(DenialCode::RecordUnavailable, text).retry_after(1_000)
}

fn resume_request(worker: &RefCell<Worker>, held: &Held) {
    held.call.borrow_mut().phase = Phase::Admitted;
    let root = worker.borrow().root;
    host::in_context(held.context, root, hostcalls::resume_http_request);
}

fn resume_response(worker: &RefCell<Worker>, held: &Held) {
    held.call.borrow_mut().phase = Phase::Done;
    let root = worker.borrow().root;
    host::in_context(held.context, root, hostcalls::resume_http_response);
}

fn refuse(worker: &RefCell<Worker>, held: &Held, denial: &Denial, now: UnixMillis) {
    refuse_with(worker, held, denial, &[], now);
}

fn refuse_with(
    worker: &RefCell<Worker>,
    held: &Held,
    denial: &Denial,
    headers: &[(&'static str, String)],
    now: UnixMillis,
) {
    let root = worker.borrow().root;
    host::in_context(held.context, root, || {
        pipeline::refuse(
            &mut worker.borrow_mut(),
            &mut held.call.borrow_mut(),
            denial,
            now,
        );
        let call = held.call.borrow();
        reply::send(denial, call.provider, &call.passage.record_id, headers);
    });
}

/// The budget that said no, as headers for the caller.
fn exhausted_headers(
    worker: &RefCell<Worker>,
    exhausted: &v1::Exhausted,
    now: UnixMillis,
) -> Vec<(&'static str, String)> {
    let worker = worker.borrow();
    let budgets = worker
        .compiled
        .as_ref()
        .map(|compiled| compiled.policy.budgets.as_slice());
    let budget = budgets
        .into_iter()
        .flatten()
        .find(|b| b.id.as_str() == exhausted.budget);
    let standing = Standing {
        limit: exhausted.limit,
        remaining: exhausted.remaining,
        window_end: UnixMillis(exhausted.window_end),
    };
    limits::headers(budget.map(|budget| (budget.meter, standing)), now)
}

fn lease_answer(worker: &RefCell<Worker>, answer: &v1::LeaseAnswer, now: UnixMillis) {
    let held = {
        let mut worker = worker.borrow_mut();
        for lease in &answer.leases {
            worker.accounts.add(grant(lease), now);
        }
        worker.waiting.leases.remove(&answer.id)
    };
    let Some(held) = held else { return };
    if let Some(exhausted) = &answer.exhausted {
        let headers = exhausted_headers(worker, exhausted, now);
        refuse_with(
            worker,
            &held,
            &pipeline::exhausted(exhausted, now),
            &headers,
            now,
        );
        return;
    }
    let root = worker.borrow().root;
    let next = host::in_context(held.context, root, || {
        pipeline::reserve(&mut worker.borrow_mut(), &held.call, held.context, now)
    });
    match next {
        Some(Next::Go) => resume_request(worker, &held),
        Some(Next::Refuse(denial)) => refuse(worker, &held, &denial, now),
        Some(Next::Wait) | None => {}
    }
}

fn grant(lease: &v1::Lease) -> Grant {
    Grant {
        budget: lease.budget.as_str().into(),
        window_start: UnixMillis(lease.window_start),
        window_end: UnixMillis(lease.window_end),
        amount: lease.amount,
        limit: lease.limit,
        remaining: lease.remaining,
    }
}

fn adopt(worker: &mut Worker, snapshot: &v1::Snapshot) {
    if !snapshot.policy.is_empty() {
        match policy(&snapshot.policy) {
            Ok(compiled) => worker.adopt(compiled),
            Err(problems) => {
                // Better no policy than half a policy: everything is refused.
                worker.compiled = None;
                worker.authenticator = None;
                log::error!("the sidecar's policy cannot be used: {problems}");
                return;
            }
        }
    }
    let (Some(compiled), Some(authenticator)) = (&worker.compiled, &mut worker.authenticator)
    else {
        return;
    };
    if snapshot.full {
        authenticator.clear_directory();
    }
    if !snapshot.key_pepper.is_empty() {
        authenticator.set_pepper(&snapshot.key_pepper);
    }
    for user in &snapshot.users {
        authenticator.upsert_user(User {
            tenant: user.tenant.clone(),
            object_id: user.object_id.clone(),
            id: user.id.as_str().into(),
            department: user.department.as_str().into(),
            title: None,
            active: user.active,
            tokens_valid_from: UnixMillis(0),
        });
    }
    for key in &snapshot.keys {
        let Ok(hash) = key.hash.as_ref().try_into() else {
            log::error!("subscription key `{}` has no usable hash", key.id);
            continue;
        };
        authenticator.upsert_key(ApiKey {
            id: key.id.as_str().into(),
            hash,
            former: None,
            department: key.department.as_str().into(),
            user: None,
            networks: Vec::new(),
            scopes: compiled
                .policy
                .scopes
                .granted_by_all(key.scopes.iter().map(String::as_str)),
            expires: (key.expires > 0).then_some(UnixMillis(key.expires)),
            revoked: key.revoked,
        });
    }
    for set in &snapshot.issuer_keys {
        let keys = set.keys.iter().map(|key| IssuerKey {
            issuer: set.issuer.clone(),
            kid: key.kid.clone(),
            material: KeyMaterial::Rsa {
                n: key.n.to_vec(),
                e: key.e.to_vec(),
            },
            algorithm: None,
        });
        for unusable in authenticator.set_issuer_keys(&set.issuer, keys.collect()) {
            log::error!("a signing key of `{}` is not used: {unusable}", set.issuer);
        }
    }
    worker.snapshot_version = snapshot.version;
}

fn policy(json: &[u8]) -> Result<Compiled, String> {
    let value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let policy = Policy::parse(value).map_err(|problems| {
        problems
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    })?;
    Compiled::new(policy)
}
