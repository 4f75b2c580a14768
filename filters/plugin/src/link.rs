//! What the sidecar says, and what follows from it for the calls that wait.

use std::cell::RefCell;

use prost::Message as _;
use sekisho_domain::{BudgetId, Denial, DenialCode, Meter, RecordKind, UnixMillis};
use sekisho_hostcalls::Half;
use sekisho_link::v1;
use sekisho_quota::{Grant, Standing};

use crate::adoption::adopt;
use crate::call::{Call, Phase};
use crate::pipeline::{self, Next};
use crate::waiting::{Held, HeldForKey};
use crate::worker::Worker;
use crate::{following, host, limits, reply, socket};

/// How long an answer's last byte waits for its record before the stream is reset. Long
/// enough for a sidecar to be restarted.
const ANSWER_WAIT_MILLIS: u64 = 10_000;

/// How long a call waits for the signing key that its token names.
const KEY_WAIT_MILLIS: u64 = 1_000;

/// Takes one message in.
pub(crate) fn received(worker: &RefCell<Worker>, bytes: &[u8], now: UnixMillis) {
    let Ok(mut down) = v1::Down::decode(bytes) else {
        log::error!("a message of the sidecar could not be read; release mismatch?");
        return;
    };
    if down.lease_ttl_millis > 0 {
        worker.borrow_mut().lease_ttl_millis = down.lease_ttl_millis;
    }
    if let Some(snapshot) = &down.snapshot {
        adopt(&mut worker.borrow_mut(), snapshot);
    }
    for answer in &down.key_set_answers {
        key_set_answer(worker, answer, now);
    }
    acknowledge(worker, &down, now);
    let theirs = UnixMillis(down.now);
    for answer in &mut down.lease_answers {
        by_our_clock(answer, theirs, now);
        lease_answer(worker, answer, now);
    }
    let mut worker = worker.borrow_mut();
    let root = worker.root;
    for recall in &down.recalls {
        let start = UnixMillis(recall.window_start);
        worker.accounts.recall(&recall.budget, start, now);
    }
    worker.give_back(root, now);
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
        worker.incoming = None;
        worker.waiting.take_requests()
    };
    for held in held {
        refuse(worker, &held, &unavailable(), now);
    }
}

/// Refuses what has waited for too long.
pub(crate) fn expire(worker: &RefCell<Worker>, now: UnixMillis) {
    let (requests, for_keys, answers) = {
        let mut worker = worker.borrow_mut();
        let patience = worker.ack_timeout_millis();
        let waiting = &mut worker.waiting;
        (
            waiting.take_late_requests(now, patience),
            waiting.take_late_for_keys(now, KEY_WAIT_MILLIS),
            waiting.take_late_answers(now, ANSWER_WAIT_MILLIS),
        )
    };
    for held in requests {
        refuse(worker, &held, &unavailable(), now);
    }
    for held in for_keys {
        let denial = DenialCode::UnknownSigningKey.into();
        refuse(worker, &held, &denial, now);
    }
    let root = worker.borrow().root;
    for held in answers {
        held.call.borrow_mut().phase = Phase::Done;
        host::in_context(held.context, root, || host::reset(Half::Response));
    }
}

/// Gives back what nobody uses.
pub(crate) fn return_idle(worker: &mut Worker, now: UnixMillis) {
    let idle = worker.accounts.take_idle(now);
    worker.return_leases(idle);
}

/// What a caller hears when nothing can be put on record.
pub(crate) fn unavailable() -> Denial {
    Denial::new(DenialCode::RecordUnavailable).retry_after(1_000)
}

fn acknowledge(worker: &RefCell<Worker>, down: &v1::Down, now: UnixMillis) {
    let durable = worker.borrow_mut().outbox.acknowledged(down);
    if !worker.borrow().waiting.is_anybody() {
        return;
    }
    for record in durable {
        let held = {
            let waiting = &mut worker.borrow_mut().waiting;
            waiting.durable(record.kind, &record.record_id)
        };
        let Some(held) = held else { continue };
        match record.kind {
            RecordKind::Admit if record.refused => refuse(worker, &held, &lease_gone(), now),
            RecordKind::Admit => resume_request(worker, &held, now),
            _ => resume_response(worker, &held),
        }
    }
}

/// The lease was given to others in the meantime; a retry asks for a new one.
fn lease_gone() -> Denial {
    let text = "the budget's lease ended before the call was on record";
    Denial::with(DenialCode::RecordUnavailable, text).retry_after(1_000)
}

fn resume_request(worker: &RefCell<Worker>, held: &Held, now: UnixMillis) {
    held.call.borrow_mut().admitted = Some(now);
    if socket::granted(worker, held) {
        return;
    }
    held.call.borrow_mut().phase = Phase::Admitted;
    let root = worker.borrow().root;
    host::in_context(held.context, root, || host::resume(Half::Request));
}

fn resume_response(worker: &RefCell<Worker>, held: &Held) {
    held.call.borrow_mut().phase = Phase::Done;
    socket::released(worker, held);
    following::released(worker, held, host::now());
    let root = worker.borrow().root;
    host::in_context(held.context, root, || host::resume(Half::Response));
}

fn refuse(worker: &RefCell<Worker>, held: &Held, denial: &Denial, now: UnixMillis) {
    refuse_with(worker, held, denial, &[], now);
}

fn refuse_with(
    worker: &RefCell<Worker>,
    held: &Held,
    denial: &Denial,
    headers: &[limits::Header],
    now: UnixMillis,
) {
    if socket::not_granted(worker, held, denial, now) {
        return;
    }
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

/// The refusal for a budget that cannot give what a call needs, and where that stands, as
/// headers for the caller.
fn exhausted(
    worker: &Worker,
    call: &Call,
    exhausted: &v1::Exhausted,
    now: UnixMillis,
) -> (Denial, Vec<limits::Header>) {
    let slot = worker.accounts.find(&exhausted.budget);
    let meter = slot.and_then(|slot| worker.accounts.meter(slot));
    let (true, Some(meter)) = (exhausted.window_end > 0, meter) else {
        // It was there a moment ago: the news of its end is on the way.
        let denial = Denial::with(DenialCode::PolicyUnavailable, "a budget has just changed");
        return (denial.retry_after(1_000), Vec::new());
    };
    let budget = BudgetId::from(exhausted.budget.as_str());
    let (name, limit) = (budget.plain(), meter.shown(exhausted.limit));
    if meter == Meter::Concurrency {
        let text = format!("budget `{name}` allows {limit} calls at the same time");
        let denial = Denial::with(DenialCode::ConcurrencyExhausted, text);
        return (denial.retry_after(1_000), Vec::new());
    }
    let left = meter.shown(exhausted.remaining);
    let text = format!("budget `{name}` has {left} of {limit} left, less than this call can use");
    let window_end = UnixMillis(exhausted.window_end);
    let denial = Denial::with(DenialCode::BudgetExhausted, text).retry_at(window_end, now);
    let standing = Standing {
        meter,
        limit: exhausted.limit,
        remaining: exhausted.remaining,
        window_end,
    };
    (denial, limits::headers(call.provider, [standing], now))
}

fn lease_answer(worker: &RefCell<Worker>, answer: &v1::LeaseAnswer, now: UnixMillis) {
    let held = {
        let mut worker = worker.borrow_mut();
        for lease in &answer.leases {
            worker.accounts.add(&grant(lease), now);
        }
        worker.waiting.leased(answer.id)
    };
    let Some(held) = held else { return };
    if let Some(news) = &answer.exhausted {
        let (denial, headers) = exhausted(&worker.borrow(), &held.call.borrow(), news, now);
        refuse_with(worker, &held, &denial, &headers, now);
        return;
    }
    let root = worker.borrow().root;
    let next = host::in_context(held.context, root, || {
        let (call, since) = (&held.call, held.since);
        pipeline::reserve(&mut worker.borrow_mut(), call, held.context, since, now)
    });
    match next {
        Some(Next::Go) => resume_request(worker, &held, now),
        Some(Next::Refuse(denial)) => refuse(worker, &held, &denial, now),
        Some(Next::Wait) | None => {}
    }
}

/// An issuer has been looked at: whoever waited for the key is told apart once more.
fn key_set_answer(worker: &RefCell<Worker>, answer: &v1::KeySetAnswer, now: UnixMillis) {
    let (held, root) = {
        let mut worker = worker.borrow_mut();
        let quiet_until = now.plus_millis(answer.quiet_millis);
        let keys = &mut worker.waiting.keys;
        let held = keys.answered(&answer.issuer, &answer.kid, quiet_until);
        (held, worker.root)
    };
    for HeldForKey { mut filter, .. } in held {
        let context = filter.context;
        host::in_context(context, root, || filter.go_on());
    }
}

/// Puts the ends of windows into this machine's time: they are as far away as they were for
/// the sidecar, whose clock may be minutes off.
fn by_our_clock(answer: &mut v1::LeaseAnswer, theirs: UnixMillis, now: UnixMillis) {
    let ends = answer.leases.iter_mut().map(|lease| &mut lease.window_end);
    let exhausted = answer.exhausted.iter_mut();
    for end in ends.chain(exhausted.map(|exhausted| &mut exhausted.window_end)) {
        // 0 is no time, and a sidecar that does not tell its time goes by ours.
        if *end > 0 && theirs.0 > 0 {
            *end = now.plus_millis(UnixMillis(*end).since(theirs)).0;
        }
    }
}

fn grant(lease: &v1::Lease) -> Grant<'_> {
    Grant {
        budget: &lease.budget,
        window_start: UnixMillis(lease.window_start),
        window_end: UnixMillis(lease.window_end),
        amount: lease.amount,
        limit: lease.limit,
        remaining: lease.remaining,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(window_end: u64) -> v1::LeaseAnswer {
        v1::LeaseAnswer {
            leases: vec![v1::Lease {
                window_start: 60_000,
                window_end,
                ..v1::Lease::default()
            }],
            exhausted: Some(v1::Exhausted {
                window_end,
                ..v1::Exhausted::default()
            }),
            ..v1::LeaseAnswer::default()
        }
    }

    #[test]
    fn a_window_ends_as_far_from_now_as_the_sidecar_says_whatever_our_clock_says() {
        for ours in [100_000, 400_000] {
            let mut answer = answer(120_000);
            by_our_clock(&mut answer, UnixMillis(100_000), UnixMillis(ours));
            let lease = &answer.leases[0];
            assert_eq!(lease.window_end, ours + 20_000);
            assert_eq!(answer.exhausted.unwrap().window_end, ours + 20_000);
            assert_eq!(
                lease.window_start, 60_000,
                "the name of a window is no time"
            );
        }
    }

    #[test]
    fn no_end_stays_none_and_an_end_without_a_clock_is_taken_as_it_is() {
        for (end, theirs) in [(0, 100_000), (120_000, 0)] {
            let mut answer = answer(end);
            by_our_clock(&mut answer, UnixMillis(theirs), UnixMillis(400_000));
            assert_eq!(answer.leases[0].window_end, end);
        }
    }
}
