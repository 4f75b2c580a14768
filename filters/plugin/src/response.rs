//! An answer's way back: what it used is read as it passes, and its end is put on record.

use sekisho_audit::{Digest, Pooled};
use sekisho_domain::{
    ByteCount, Denial, DenialCode, Micros, Outcome, RecordKind, UnixMillis, Usage, UsageSource,
};
use sekisho_hostcalls::Action;
use sekisho_link::Half;
use sekisho_providers::{AnswerEvents, UsageMeter, UsageSieve};
use sekisho_upstream::{ATTEMPTS_HEADER, UPSTREAM_HEADER};

use crate::call::{Call, Phase};
use crate::filter::Filter;
use crate::handover::Used;
use crate::keeping::ReadAs;
use crate::waiting::Held;
use crate::worker::Worker;
use crate::{host, pipeline, reply};

/// Reads an answer.
#[derive(Default)]
pub(crate) struct ResponseReader {
    pub(crate) meter: Option<UsageMeter>,
    /// Reads it event by event, where budgets follow it.
    pub(crate) events: Option<AnswerEvents>,
    /// What ends it that was cut.
    pub(crate) last: Vec<u8>,
    /// Leaves out of a stream what its client has not asked for.
    pub(crate) sieve: Option<UsageSieve>,
    status: Option<u16>,
    /// When its headers came.
    began: Option<UnixMillis>,
    pub(crate) bytes: u64,
    digest: Option<Digest>,
    ended: bool,
    /// Which upstream of a pool has answered.
    pooled: Option<Pooled>,
}

impl Filter {
    pub(crate) fn on_response_headers(&mut self, end_of_stream: bool) -> Action {
        if !self.is_upstreams() {
            return Action::Continue;
        }
        if self.socket.is_some() && self.opens_session() {
            return Action::Continue;
        }
        let stages = self.worker.borrow().stages;
        // Read once: the clock is the proxy's.
        let now = (stages.quota || stages.audit).then(host::now);
        if stages.quota
            && let Some(now) = now
        {
            self.show_budgets(now);
        }
        self.note_upstream();
        let sieves = stages.upstream && self.call.borrow().ask.is_some();
        if !stages.audit && !sieves {
            return Action::Continue;
        }
        let status = host::response_header(":status");
        self.response.status = status.and_then(|status| {
            std::str::from_utf8(&status)
                .ok()
                .and_then(|text| text.parse().ok())
        });
        if sieves && self.response.status == Some(200) {
            self.response.sieve = Some(UsageSieve::new());
            host::remove_response_header("content-length");
        }
        if !stages.audit {
            return Action::Continue;
        }
        self.response.began = now;
        let is_digested = !self.call.borrow().contents().is_none();
        self.response.digest = is_digested.then(Digest::default);
        let record_id = self.call.borrow().passage.record_id;
        host::set_response_header(reply::RECORD_HEADER, &record_id.hyphenated());
        if self.response.status.is_some_and(|status| status < 400) {
            let call = self.call.borrow();
            let counted = call.operation.filter(|_| call.counts_tokens());
            self.response.meter = counted.map(UsageMeter::new);
            let followed = call.streamed.as_ref();
            self.response.events = followed.map(|followed| AnswerEvents::new(followed.wire));
        }
        let mut call = self.call.borrow_mut();
        let read_as = match call.passage.stream {
            true => ReadAs::Stream,
            false => ReadAs::Unknown,
        };
        if let Some(keeping) = &mut call.keeping {
            let kind = host::response_header("content-type");
            let coding = host::response_header("content-encoding");
            keeping.begin(Half::Response, read_as, kind.as_deref(), coding.as_deref());
        }
        drop(call);
        if end_of_stream {
            return self.finish(Outcome::Answered);
        }
        if self.call.borrow().strict || self.response.events.is_some() {
            // A client that knows the length has the whole answer before its end, which is
            // what waits for the record.
            host::remove_response_header("content-length");
        }
        Action::Continue
    }

    pub(crate) fn on_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if self.socket.is_some() && self.is_in_session() {
            return self.server_speaks(size, end_of_stream);
        }
        if self.is_cut() {
            return self.leave_out(size);
        }
        let audits = self.worker.borrow().stages.audit;
        let is_read = audits || self.response.sieve.is_some();
        if !self.is_upstreams() || !is_read {
            // While the end is held, later callbacks of the same stream are held with it.
            let ending = self.call.borrow().phase == Phase::Ending;
            return if ending {
                Action::Pause
            } else {
                Action::Continue
            };
        }
        if self.response.events.is_some() {
            if let Some(action) = self.follow(size, end_of_stream) {
                return action;
            }
        } else {
            self.read_answer(size, end_of_stream);
        }
        if audits && let Some(why) = self.must_be_cut() {
            self.finish(Outcome::Aborted);
            // The answer has begun, so this cuts it.
            let cut = sekisho_hostcalls::reply(502, &[], b"");
            log::warn!("an answer {why}; cut: {}", cut.is_ok());
            return Action::Pause;
        }
        if audits && end_of_stream {
            self.finish(Outcome::Answered)
        } else {
            Action::Continue
        }
    }

    /// Reads what has come, and keeps it where that is wanted.
    fn read_answer(&mut self, size: usize, end_of_stream: bool) {
        let call = &mut *self.call.borrow_mut();
        if call.keeping.is_none() || size == 0 {
            self.response.read(size, end_of_stream, |_| {});
            return;
        }
        let mut worker = self.worker.borrow_mut();
        self.response.read(size, end_of_stream, |piece| {
            keep(call, &mut worker, piece);
        });
        worker.flush(self.context, host::now());
    }

    /// Why nothing more of the answer may pass.
    fn must_be_cut(&self) -> Option<&'static str> {
        let call = self.call.borrow();
        let most = call.answer_bound();
        if most.is_some_and(|most| self.response.bytes > most) {
            return Some("is longer than the rules let pass");
        }
        let keeping = call.keeping.as_ref().filter(|_| call.strict);
        let lacks = keeping.is_some_and(|keeping| keeping.lacks());
        lacks.then_some("must be kept, and there is no room for it")
    }

    pub(crate) fn on_response_trailers(&mut self) -> Action {
        if self.is_upstreams() && self.worker.borrow().stages.audit {
            return self.finish(Outcome::Answered);
        }
        if self.call.borrow().phase == Phase::Ending {
            Action::Pause
        } else {
            Action::Continue
        }
    }

    /// The stream is over, one way or another.
    pub(crate) fn ended(&mut self) {
        if self.socket.is_some() && self.is_in_session() {
            self.session_ended();
            return;
        }
        let stages = self.worker.borrow().stages;
        if stages.quota && !stages.audit {
            self.settle_by_word();
        }
        let (record_id, phase) = {
            let call = self.call.borrow();
            (call.passage.record_id, call.phase)
        };
        if stages.audit {
            match phase {
                Phase::Admitted if !self.response.ended => {
                    self.finish(Outcome::Aborted);
                }
                Phase::Asking | Phase::Held => self.withdraw(),
                _ => {}
            }
        }
        self.worker
            .borrow_mut()
            .waiting
            .forget(&record_id, self.context);
        self.call.borrow_mut().phase = Phase::Done;
    }

    /// Whether the answer at hand is the upstream's, not a refusal of ours.
    pub(crate) fn is_upstreams(&self) -> bool {
        self.call.borrow().phase == Phase::Admitted && !self.response.ended
    }

    /// Settles and records; strict answers wait with their last byte.
    fn finish(&mut self, outcome: Outcome) -> Action {
        self.end(outcome, None)
    }

    /// Settles and records; strict answers wait with their last byte, also those that the gateway
    /// itself ends, for the reason that `cut` says.
    pub(crate) fn end(&mut self, outcome: Outcome, cut: Option<String>) -> Action {
        let is_cut = cut.is_some();
        self.response.ended = true;
        let now = host::now();
        let passed = self.passed_digest();
        let mut worker = self.worker.borrow_mut();
        let mut call = self.call.borrow_mut();
        if let Some(digest) = passed {
            call.passage.request_sha256 = digest;
        }
        let record_id = call.passage.record_id;
        let kept = call.keeping.as_mut().map(|keeping| {
            for half in [Half::Request, Half::Response] {
                keeping.finish(half);
                keeping.hand_over(half, true, &record_id, &mut worker.outbox);
            }
            keeping.kept()
        });
        let meter = self.response.meter.as_ref();
        let became = match meter.is_some_and(UsageMeter::broke_off) {
            true => Outcome::Aborted,
            false => outcome,
        };
        let (usage, source, cost) = self.response.charge(&call, became);
        let ending = sekisho_audit::Ending {
            outcome: became,
            status: self.response.status,
            usage,
            source,
            cost,
            response_bytes: self.response.bytes,
            response_sha256: self.response.digest.take().and_then(Digest::finish),
            admitted: call.admitted,
            began: self.response.began,
            pooled: self.response.pooled.take(),
            detail: cut,
            kept,
        };
        for held in &call.reservations {
            let used = held.used(&usage, cost);
            worker.accounts.settle(held, used, now);
        }
        // Goes with the record, after it.
        worker.return_recalled();
        if worker.hands_on {
            Used(Some((usage, cost))).write();
        }
        let record = sekisho_audit::complete(&call.passage, &call.about, &ending, now);
        let settled = call.reservations.iter();
        let settled = settled.map(|held| pipeline::on_wire(held, held.used(&usage, cost)));
        worker.record(RecordKind::Complete, &record_id, &record, settled);
        let hold = call.strict && (outcome == Outcome::Answered || is_cut);
        call.phase = if hold { Phase::Ending } else { Phase::Done };
        if hold {
            let held = Held {
                context: self.context,
                call: self.call.clone(),
                since: now,
            };
            worker.waiting.for_completion(record_id, held);
        }
        worker.flush(self.context, now);
        if hold {
            Action::Pause
        } else {
            Action::Continue
        }
    }

    /// The client left while its request was held: it never goes upstream.
    fn withdraw(&self) {
        let now = host::now();
        let mut worker = self.worker.borrow_mut();
        let mut call = self.call.borrow_mut();
        let denial = Denial::with(
            DenialCode::RecordUnavailable,
            "the client left before the call was on record",
        );
        pipeline::refuse(&mut worker, &mut call, &denial, now);
        worker.flush(self.context, now);
    }

    /// Settles by what the audit module of the chain says; silence means the worst case.
    fn settle_by_word(&self) {
        let now = host::now();
        let mut worker = self.worker.borrow_mut();
        let mut call = self.call.borrow_mut();
        let word = Used::read();
        for held in std::mem::take(&mut call.reservations) {
            match word {
                Some(Used(Some((usage, cost)))) => {
                    let used = held.used(&usage, cost);
                    worker.accounts.settle(&held, used, now);
                }
                Some(Used(None)) => worker.accounts.settle(&held, 0, now),
                None => {}
            }
        }
        worker.give_back(self.context, now);
    }

    /// Reads from the proxy which upstream of a pool has answered; shows it, or which one was
    /// chosen, where the policy wants that.
    pub(crate) fn note_upstream(&mut self) {
        let call = self.call.borrow();
        let stages = self.worker.borrow().stages;
        let is_shown = call.compiled.as_ref().is_some_and(|compiled| {
            let api = compiled.policy.apis.get(call.api);
            api.is_some_and(|api| api.show_upstream)
        });
        if !call.passage.is_pooled {
            if stages.upstream && is_shown {
                host::set_response_header(UPSTREAM_HEADER, call.passage.upstream.as_bytes());
            }
            return;
        }
        let text = |name| {
            let value = host::response_header(name)?;
            std::str::from_utf8(&value).ok().map(str::to_owned)
        };
        if stages.audit {
            self.response.pooled = Some(Pooled {
                upstream: text(UPSTREAM_HEADER),
                attempts: text(ATTEMPTS_HEADER).and_then(|count| count.parse().ok()),
            });
        }
        // In a chain of modules the audit's is the first to see the answer, this one's the last.
        if stages.upstream {
            host::remove_response_header(ATTEMPTS_HEADER);
            if !is_shown {
                host::remove_response_header(UPSTREAM_HEADER);
            }
        }
    }

    /// Tells the client where its budgets stand.
    pub(crate) fn show_budgets(&self, now: UnixMillis) {
        let worker = self.worker.borrow();
        let call = self.call.borrow();
        pipeline::standing(&worker, &call, now, host::set_response_header);
    }
}

/// Keeps a piece of an answer as the provider sent it, where that is wanted.
pub(crate) fn keep(call: &mut Call, worker: &mut Worker, piece: &[u8]) {
    if let Some(keeping) = &mut call.keeping {
        let outbox = &mut worker.outbox;
        keeping.push(Half::Response, piece, outbox);
        keeping.hand_over(Half::Response, false, &call.passage.record_id, outbox);
    }
}

impl ResponseReader {
    /// Reads what has come, and leaves out of it what the client has not asked for.
    fn read(&mut self, size: usize, end_of_stream: bool, mut keep: impl FnMut(&[u8])) {
        self.bytes += size as u64;
        if size == 0 && self.sieve.is_none() {
            return;
        }
        // Whatever is kept has a digest, too.
        if self.meter.is_none() && self.sieve.is_none() && self.digest.is_none() {
            return;
        }
        let piece = host::response_body(0, size);
        self.note(&piece);
        keep(&piece);
        if let Some(sieve) = &mut self.sieve
            && let Some(rest) = sieve.push(&piece, end_of_stream)
            && !host::replace_response_body(size, &rest)
        {
            log::error!("an answer could not be changed");
        }
    }

    /// Takes note of a piece as the provider sent it, for usage and digest.
    pub(crate) fn note(&mut self, piece: &[u8]) {
        if let Some(digest) = &mut self.digest {
            digest.push(piece);
        }
        if let Some(meter) = &mut self.meter {
            meter.push(piece);
        }
    }

    /// What is charged: nothing for a provider's error, what the provider reported for a
    /// whole answer, else the worst case. A stream that was cut may have reported a part.
    fn charge(&self, call: &Call, outcome: Outcome) -> (Usage, UsageSource, Micros) {
        let failed = self.status.is_some_and(|status| status >= 400);
        let (mut usage, source) = match self.meter.as_ref().and_then(UsageMeter::usage) {
            _ if failed || !call.counts_tokens() => (Usage::default(), UsageSource::Reported),
            Some(usage) if outcome == Outcome::Answered => (usage, UsageSource::Reported),
            _ => {
                let followed = call.streamed.as_ref();
                let used = followed.map(|followed| {
                    let is_whole = outcome == Outcome::Answered;
                    followed.streamed.used(is_whole)
                });
                (used.unwrap_or(call.passage.worst), UsageSource::Estimated)
            }
        };
        usage.bytes = if call.counts_bytes() {
            // What is over the bound was not passed on.
            let bound = call.answer_bound().unwrap_or(u64::MAX);
            ByteCount(call.passage.request_bytes) + ByteCount(self.bytes.min(bound))
        } else {
            ByteCount(0)
        };
        let cost = match &call.price {
            _ if failed => Micros(0),
            Some(price) => price.charge(&usage, source),
            None => call.passage.worst_cost,
        };
        (usage, source, cost)
    }
}
