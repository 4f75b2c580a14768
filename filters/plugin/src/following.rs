//! Answers that budgets of mode `stream_cut` follow: what is set aside for them grows as they
//! pass, and they are cut when there is no more.

use std::cell::RefCell;

use sekisho_domain::policy::Model;
use sekisho_domain::{BudgetId, Denial, DenialCode, Outcome, Tokens, UnixMillis};
use sekisho_hostcalls::{Action, Half};
use sekisho_link::Need;
use sekisho_providers::StreamWire;
use sekisho_quota::{Dry, Streamed};

use crate::call::{Call, Followed};
use crate::filter::Filter;
use crate::waiting::Held;
use crate::worker::Worker;
use crate::{host, pipeline, response};

/// How long the last bytes of an answer that was cut have to get away before it is reset.
const LAST_BYTES_MILLIS: u64 = 20;

/// How a call's answer would be followed, if any budget follows it. None: it does not stream, in
/// no form that we can end, or nobody knows what its model keeps to itself.
pub(crate) fn of(call: &Call, model: &Model) -> Option<Followed> {
    let operation = call.operation.filter(|_| call.passage.stream)?;
    let wire = StreamWire::of(operation, &call.raw_path)?;
    let hidden = Tokens(model.hidden_output_tokens?);
    let price = call.price.clone().filter(|_| call.counts_tokens())?;
    let streamed = Streamed::new(call.passage.worst, price, hidden, call.passage.choices);
    Some(Followed {
        wire,
        streamed,
        is_cut: false,
    })
}

/// The record of an answer that was cut is durable: its last bytes go on their way.
pub(crate) fn released(worker: &RefCell<Worker>, held: &Held, now: UnixMillis) {
    let call = held.call.borrow();
    if call
        .streamed
        .as_ref()
        .is_some_and(|followed| followed.is_cut)
    {
        worker.borrow_mut().cut.push((held.context, now));
    }
}

/// Resets answers that were cut: their providers stop.
pub(crate) fn reset_cut(worker: &RefCell<Worker>, now: UnixMillis) {
    let (over, root) = {
        let mut worker = worker.borrow_mut();
        let is_over = |(_, since): &mut (u32, UnixMillis)| now.since(*since) >= LAST_BYTES_MILLIS;
        let over: Vec<_> = worker.cut.extract_if(.., is_over).collect();
        (over, worker.root)
    };
    for (context, _) in over {
        host::in_context(context, root, || host::reset(Half::Response));
    }
}

impl Filter {
    /// Whether the answer was cut.
    pub(crate) fn is_cut(&self) -> bool {
        let call = self.call.borrow();
        call.streamed
            .as_ref()
            .is_some_and(|followed| followed.is_cut)
    }

    /// What comes of an answer after it was cut is passed on to nobody.
    pub(crate) fn leave_out(&mut self, size: usize) -> Action {
        let is_held = self.call.borrow().phase == crate::call::Phase::Ending;
        // What is held is all that the proxy has of it, the last bytes among it.
        let kept: &[u8] = if is_held { &self.response.last } else { &[] };
        if !host::replace_response_body(size, kept) && size > 0 {
            log::error!("the rest of an answer could not be left out");
        }
        if is_held {
            Action::Pause
        } else {
            Action::Continue
        }
    }

    /// Passes on what is covered of a piece of an answer. `Some`: the answer was cut.
    pub(crate) fn follow(&mut self, size: usize, is_last: bool) -> Option<Action> {
        let piece = host::response_body(0, size);
        let reader = &mut self.response;
        reader.bytes += size as u64;
        reader.note(&piece);
        let events = reader.events.as_mut()?;
        let now = host::now();
        let mut worker = self.worker.borrow_mut();
        let mut shared = self.call.borrow_mut();
        let call = &mut *shared;
        if call.keeping.is_some() {
            response::keep(call, &mut worker, &piece);
            worker.flush(self.context, now);
        }
        let followed = call.streamed.as_mut()?;
        let reservations = &mut call.reservations;
        let (mut has_grown, mut dry) = (false, None);
        let may_grow = worker.hears(now);
        let accounts = &mut worker.accounts;
        let mut passed = events.push(&piece, is_last, |tokens| {
            let covered =
                accounts.follow(reservations, &mut followed.streamed, tokens, may_grow, now);
            match covered {
                Ok(grown) => has_grown |= grown,
                Err(Dry(slot)) => dry = Some(slot),
            }
            covered.is_ok()
        });
        let denial = dry.map(|slot| exhausted(accounts.budget(slot)));
        if let Some(denial) = &denial
            && !passed.is_broken
        {
            let record_id = &call.passage.record_id;
            let last = events
                .closing()
                .bytes(call.passage.choices, denial, record_id);
            passed.bytes.extend_from_slice(&last);
        }
        if has_grown {
            let grown = reservations.iter().filter(|held| held.is_followed());
            let grown = grown.map(|held| pipeline::on_wire(held, 0));
            worker.extend(&call.passage.record_id, grown);
        }
        if let Some(sieve) = &mut reader.sieve
            && let Some(rest) = sieve.push(&passed.bytes, is_last || passed.is_cut)
        {
            passed.bytes = rest;
        }
        if passed.bytes != *piece && !host::replace_response_body(size, &passed.bytes) {
            log::error!("an answer could not be changed");
        }
        if passed.is_cut {
            followed.is_cut = true;
            reader.last = passed.bytes;
        }
        let renewals = worker.accounts.take_renewals();
        if !renewals.is_empty() {
            worker.ask_for_leases(renewals);
            worker.send(self.context, now, Need::Usual);
        }
        drop(shared);
        drop(worker);
        let denial = denial?;
        let action = self.end(Outcome::Aborted, Some(denial.message));
        if action == Action::Continue {
            self.worker.borrow_mut().cut.push((self.context, now));
        }
        Some(action)
    }
}

/// Why an answer ends before its provider ends it.
fn exhausted(counter: &str) -> Denial {
    let budget = BudgetId::from(counter);
    let text = format!(
        "cut: budget `{}` has nothing left for more of this answer",
        budget.plain()
    );
    Denial::with(DenialCode::BudgetExhausted, text)
}
