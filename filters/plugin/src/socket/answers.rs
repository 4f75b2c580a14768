//! The answers of a session, each a call with its records.

use std::cell::RefCell;
use std::rc::Rc;

use sekisho_domain::{
    ByteCount, Denial, DenialCode, Micros, Outcome, RecordId, RecordKind, UnixMillis, Usage,
    UsageSource,
};

use super::{MOST_AT_ONCE, Session, State};
use crate::call::{Call, Phase, SharedCall};
use crate::pipeline::{self, Next};
use crate::worker::Worker;

/// The status of a session's beginning (RFC 9110, section 15.2.2).
const SWITCHING_PROTOCOLS: u16 = 101;

impl Session {
    /// Puts as many answers on record as may begin. Runs in the stream's name.
    pub(super) fn ask_ahead(
        &mut self,
        worker: &mut Worker,
        context: u32,
        now: UnixMillis,
    ) -> Result<(), Denial> {
        if self.open.len() + self.awaited > MOST_AT_ONCE {
            let text = format!("a session can have at most {MOST_AT_ONCE} answers under way");
            return Err(Denial::with(DenialCode::SessionOverLimit, text));
        }
        while self.spare.len() + self.asked.len() <= self.awaited {
            let call = Rc::new(RefCell::new(self.next_answer(worker, now)?));
            match pipeline::reserve(worker, &call, context, now, now) {
                Next::Go => self.spare.push_back(call),
                Next::Wait => self.asked.push(call),
                Next::Refuse(denial) => {
                    pipeline::refuse(worker, &mut call.borrow_mut(), &denial, now);
                    return Err(denial);
                }
            }
        }
        Ok(())
    }

    /// A call like the one that opened the session, for one answer more.
    fn next_answer(&self, worker: &mut Worker, now: UnixMillis) -> Result<Call, Denial> {
        let first = self.first.borrow();
        let mut passage = first.passage.clone();
        passage.record_id = RecordId::v7(now, worker.random.take());
        passage.request_bytes = 0;
        let compiled = self.compiled.clone().ok_or(DenialCode::PolicyUnavailable)?;
        let mut call = Call {
            passage,
            compiled: Some(Rc::clone(&compiled)),
            known: first.known,
            address: first.address,
            principal: first.principal.clone(),
            api: first.api,
            provider: first.provider,
            operation: first.operation,
            strict: first.strict,
            ..Call::default()
        };
        let policy = &compiled.policy;
        let api = policy
            .apis
            .get(call.api)
            .ok_or(DenialCode::UnknownEndpoint)?;
        let model = sekisho_upstream::offered(api, &call.passage.model)?;
        pipeline::quota(policy, api, Some(model), &mut call, now)?;
        Ok(call)
    }

    /// An answer has begun. One that nothing was set aside for is on record all the same.
    pub(super) fn answer_begins(
        &mut self,
        worker: &mut Worker,
        now: UnixMillis,
    ) -> Result<(), Denial> {
        self.awaited = self.awaited.saturating_sub(1);
        if let Some(call) = self.spare.pop_front() {
            self.open.push_back(call);
            return Ok(());
        }
        let call = self.next_answer(worker, now)?;
        self.open.push_back(Rc::new(RefCell::new(call)));
        let text = "an answer began before it was on record";
        Err(Denial::with(DenialCode::RecordUnavailable, text))
    }

    /// An answer has ended. `None`: what it used was not said.
    pub(super) fn answer_ends(
        &mut self,
        worker: &mut Worker,
        usage: Option<Usage>,
        now: UnixMillis,
    ) -> Option<SharedCall> {
        // An answer whose beginning was not announced is one that was to come.
        let call = self.open.pop_front().or_else(|| self.spare.pop_front())?;
        settle(self, worker, &call, usage, Outcome::Answered, None, now);
        Some(call)
    }
}

/// Puts the end of all answers on record: those under way at their worst case, because the
/// provider may go on; those that the client has asked for, too; the others have not begun.
/// The last to be settled says why.
pub(super) fn settle_all(
    session: &mut Session,
    worker: &mut Worker,
    detail: Option<String>,
    now: UnixMillis,
) -> Option<SharedCall> {
    if !session.asked.is_empty() {
        worker.waiting.forget_context(session.context);
    }
    for call in std::mem::take(&mut session.asked) {
        let text = "the session ended before its next answer was on record";
        let denial = Denial::with(DenialCode::RecordUnavailable, text);
        pipeline::refuse(worker, &mut call.borrow_mut(), &denial, now);
    }
    let begun = session.open.len() + session.awaited.min(session.spare.len());
    let mut calls = std::mem::take(&mut session.open);
    calls.append(&mut session.spare);
    let last = calls.len().checked_sub(1);
    let mut ended = None;
    for (at, call) in calls.into_iter().enumerate() {
        let (usage, outcome) = match at < begun {
            true => (None, Outcome::Aborted),
            false if detail.is_some() => (Some(Usage::default()), Outcome::Aborted),
            false => (Some(Usage::default()), Outcome::Answered),
        };
        let why = detail.clone().filter(|_| Some(at) == last);
        settle(session, worker, &call, usage, outcome, why, now);
        ended = Some(call);
    }
    if session.state == State::Open {
        session.state = State::Over;
    }
    ended
}

fn settle(
    session: &mut Session,
    worker: &mut Worker,
    shared: &SharedCall,
    usage: Option<Usage>,
    outcome: Outcome,
    detail: Option<String>,
    now: UnixMillis,
) {
    let call = &mut *shared.borrow_mut();
    let has_tokens = call.counts_tokens();
    let (mut usage, source) = match usage {
        Some(usage) => (usage, UsageSource::Reported),
        None => (call.passage.worst, UsageSource::Estimated),
    };
    if !has_tokens {
        usage = Usage::default();
    }
    let (up, down) = (
        session.up - session.recorded.0,
        session.down - session.recorded.1,
    );
    session.recorded = (session.up, session.down);
    usage.bytes = if call.counts_bytes() {
        ByteCount(up.saturating_add(down))
    } else {
        ByteCount(0)
    };
    let is_unused = source == UsageSource::Reported && usage.total().0 == 0;
    let cost = match &call.price {
        // An answer that never began costs nothing; the session itself did.
        _ if is_unused && !Rc::ptr_eq(shared, &session.first) => Micros(0),
        Some(price) => price.charge(&usage, source),
        None => call.passage.worst_cost,
    };
    call.passage.request_bytes = up;
    let ending = sekisho_audit::Ending {
        outcome,
        status: Some(SWITCHING_PROTOCOLS),
        usage,
        source,
        cost,
        response_bytes: down,
        response_sha256: None,
        admitted: call.admitted,
        began: None,
        pooled: None,
        detail,
        // A session has no one body.
        kept: None,
    };
    for held in &call.reservations {
        let used = held.used(&usage, cost);
        worker.accounts.settle(held, used, now);
    }
    worker.return_recalled();
    let about = sekisho_audit::About::new(&call.passage);
    let record = sekisho_audit::complete(&call.passage, &about, &ending, now);
    let record_id = call.passage.record_id;
    let settled = call.reservations.iter();
    let settled = settled.map(|held| pipeline::on_wire(held, held.used(&usage, cost)));
    worker.record(RecordKind::Complete, &record_id, &record, settled);
    call.phase = Phase::Done;
}
