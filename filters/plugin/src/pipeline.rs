//! The four decisions, in order, on what was gathered.

use std::rc::Rc;

use sekisho_audit::About;
use sekisho_domain::policy::{Api, AuditMode, Model};
use sekisho_domain::{Denial, DenialCode, Policy, UnixMillis};
use sekisho_link::v1;
use sekisho_quota::Reservation;

use crate::call::{Call, Phase, SharedCall};
use crate::handover::{Handover, Used};
use crate::waiting::Held;
use crate::worker::{Compiled, Worker};
use crate::{host, limits};

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Next {
    /// It goes on.
    Go,
    /// It waits for the sidecar.
    Wait,
    /// It is refused.
    Refuse(Denial),
}

impl From<Denial> for Next {
    fn from(denial: Denial) -> Self {
        Self::Refuse(denial)
    }
}

/// Takes this module's decisions on a request that has been read. Header changes are
/// made here, while the headers are still held back.
pub(crate) fn decide(
    worker: &mut Worker,
    call: &SharedCall,
    body: usize,
    context: u32,
    now: UnixMillis,
) -> Next {
    let Some(compiled) = worker.compiled.clone() else {
        return Denial::new(DenialCode::PolicyUnavailable)
            .retry_after(1_000)
            .into();
    };
    let looked = look(worker, &compiled, &mut call.borrow_mut(), body);
    match looked {
        Ok(()) => reserve(worker, call, context, now),
        Err(denial) => denial.into(),
    }
}

/// The decisions that need nobody else.
fn look(worker: &Worker, compiled: &Compiled, call: &mut Call, body: usize) -> Result<(), Denial> {
    let (stages, policy) = (worker.stages, &compiled.policy);
    let Some(api) = policy.apis.get(call.api) else {
        return Err(DenialCode::UnknownEndpoint.into());
    };
    let model = sekisho_upstream::offered(api, &call.passage.model)?;
    if stages.scope {
        scope(policy, api, model, call)?;
    }
    if stages.quota {
        quota(policy, model, call)?;
    }
    if stages.upstream {
        upstream(compiled, call, body)?;
    }
    Ok(())
}

/// May the caller call this? Who it is was established when the headers came.
fn scope(policy: &Policy, api: &Api, model: &Model, call: &mut Call) -> Result<(), Denial> {
    let Some(principal) = &call.principal else {
        return Err(DenialCode::MissingCredential.into());
    };
    let asked = sekisho_scope::Asked {
        api,
        scope: model.scope,
        address: call.address,
    };
    sekisho_scope::authorise(principal, policy, &asked)?;
    call.strict = api.audit == AuditMode::Strict;
    Ok(())
}

/// What can it use at most, and which budgets must hold that?
fn quota(policy: &Policy, model: &Model, call: &mut Call) -> Result<(), Denial> {
    let asked = sekisho_quota::Asked {
        body_bytes: call.passage.request_bytes,
        output: call.passage.asked_output,
        choices: call.passage.choices,
        counts_tokens: call
            .operation
            .is_some_and(|operation| operation.counts_tokens()),
        generates: call.operation.is_some_and(|operation| operation.generates),
    };
    let worst = sekisho_quota::worst_case(policy, model, &asked, call.passage.received)?;
    let department = call.passage.department.as_str().into();
    call.demands = sekisho_quota::demands(policy, &department, &worst);
    call.passage.worst = worst.usage;
    call.passage.worst_cost = worst.cost;
    call.passage.price_from.clone_from(&worst.price.from);
    call.price = Some(worst.price);
    Ok(())
}

/// Where does it go, and under which names?
fn upstream(compiled: &Compiled, call: &mut Call, body: usize) -> Result<(), Denial> {
    let passage = &call.passage;
    let to = compiled.selection.select(&sekisho_upstream::Asked {
        api: call.api,
        operation: &passage.operation,
        model: Some(passage.model.as_str()).filter(|model| !model.is_empty()),
        department: &passage.department,
    })?;
    if let Some(name) = to.rename {
        rename(call, name, body)?;
    }
    for header in &call.unwanted {
        host::set_request_header(header, None);
    }
    host::set_request_header(
        sekisho_upstream::CLUSTER_HEADER,
        Some(to.cluster.as_bytes()),
    );
    to.cluster.clone_into(&mut call.passage.upstream);
    call.passage.is_pooled = to.is_pool;
    Ok(())
}

/// Writes the upstream's name of the model where the client wrote its own.
fn rename(call: &Call, name: &str, body: usize) -> Result<(), Denial> {
    if let Some(span) = call.passage.model_span {
        return write_model(span, name, body).map(|_| ());
    }
    let operation = call.operation.ok_or(DenialCode::UnknownEndpoint)?;
    let path = sekisho_providers::path_with_model(operation, &call.raw_path, name)
        .ok_or(DenialCode::NoUpstream)?;
    host::set_request_header(":path", Some(&path));
    Ok(())
}

/// Writes a model's name where the body of so many bytes names one. Returns its new size.
pub(crate) fn write_model(span: (u64, u64), name: &str, body: usize) -> Result<usize, Denial> {
    let (start, end) = span;
    let span = usize::try_from(start).unwrap_or(usize::MAX)..usize::try_from(end).unwrap_or(0);
    let old = host::request_body(0, body);
    let new = sekisho_upstream::body_with_model(&old, span, name).ok_or(DenialCode::InvalidBody)?;
    // Envoy would pass the old length on with the new body: a second request smuggled in.
    host::set_request_header("content-length", Some(new.len().to_string().as_bytes()));
    if !host::replace_request_body(body, &new) {
        return Err(DenialCode::NoUpstream.into());
    }
    Ok(new.len())
}

/// Sets the worst case aside, or asks the sidecar for what is missing.
pub(crate) fn reserve(
    worker: &mut Worker,
    call: &SharedCall,
    context: u32,
    now: UnixMillis,
) -> Next {
    let reserved = {
        let call = &mut call.borrow_mut();
        let demands = std::mem::take(&mut call.demands);
        let reserved = worker.accounts.reserve(&demands, now);
        match reserved {
            Ok(mut reservations) => {
                call.reservations.append(&mut reservations);
                Ok(())
            }
            Err(shortfall) => {
                call.demands = demands;
                call.phase = Phase::Held;
                Err(shortfall)
            }
        }
    };
    let Err(shortfall) = reserved else {
        let renewals = worker.accounts.take_renewals();
        if !renewals.is_empty() {
            worker.ask_for_leases(renewals);
            // Where records are made too, it goes with the next of them.
            if !worker.stages.audit {
                worker.send(context, now, false);
            }
        }
        return admit(worker, call, context, now);
    };
    let id = worker.ask_for_leases(shortfall.0);
    worker.waiting.leases.insert(
        id,
        Held {
            context,
            call: Rc::clone(call),
            since: now,
        },
    );
    worker.flush(context, now);
    Next::Wait
}

/// Puts the call on record; strict calls wait until that is durable.
fn admit(worker: &mut Worker, call: &SharedCall, context: u32, now: UnixMillis) -> Next {
    let stages = worker.stages;
    let mut shared = call.borrow_mut();
    if stages.audit {
        shared.about = About::new(&shared.passage);
        let record = sekisho_audit::admit(&shared.passage, &shared.about, now);
        let reservations = shared
            .reservations
            .iter()
            .map(|held| on_wire(held, 0))
            .collect();
        let record_id = shared.passage.record_id;
        worker.record(v1::entry::Kind::Admit, &record_id, record, reservations);
        if shared.strict {
            shared.phase = Phase::Held;
            let held = Held {
                context,
                call: Rc::clone(call),
                since: now,
            };
            worker.waiting.admits.insert(record_id, held);
        }
        worker.flush(context, now);
        if shared.strict {
            return Next::Wait;
        }
    }
    shared.phase = Phase::Admitted;
    if stages.is_part() {
        let handover = Handover {
            passage: shared.passage.clone(),
            reservations: shared.reservations.clone(),
        };
        handover.write();
    }
    Next::Go
}

/// Notes a refusal: gives back what was set aside and puts it on record. The answer itself
/// is the caller's to send.
pub(crate) fn refuse(worker: &mut Worker, call: &mut Call, denial: &Denial, now: UnixMillis) {
    for held in &call.reservations {
        worker.accounts.settle(held, 0);
    }
    if worker.stages.is_part() {
        Used(None).write();
    }
    let record_id = call.passage.record_id;
    let record = sekisho_audit::refuse(&call.passage, denial, now);
    worker.record(v1::entry::Kind::Refuse, &record_id, record, Vec::new());
    call.reservations.clear();
    call.phase = Phase::Done;
}

/// The refusal for a budget that cannot give what a call needs.
pub(crate) fn exhausted(exhausted: &v1::Exhausted, now: UnixMillis) -> Denial {
    let text = format!(
        "budget `{}` has {} of {} left, less than this call can use",
        exhausted.budget, exhausted.remaining, exhausted.limit
    );
    Denial::with(DenialCode::BudgetExhausted, text).retry_at(UnixMillis(exhausted.window_end), now)
}

/// Where the caller's budgets stand, as headers.
pub(crate) fn standing(
    worker: &Worker,
    call: &Call,
    now: UnixMillis,
) -> Vec<(&'static str, String)> {
    let Some(compiled) = &worker.compiled else {
        return Vec::new();
    };
    let department = call.passage.department.as_str().into();
    let budgets = compiled.policy.budgets_of(&department);
    let standings = budgets.filter_map(|budget| {
        let standing = worker.accounts.standing(&budget.id, now)?;
        Some((budget.meter, standing))
    });
    limits::headers(standings, now)
}

/// A reservation as the sidecar reads it.
pub(crate) fn on_wire(held: &Reservation, used: u64) -> v1::Reservation {
    v1::Reservation {
        holder: prost::bytes::Bytes::copy_from_slice(&held.holder),
        budget: held.budget.0.clone(),
        window_start: held.window_start.0,
        reserved: held.amount,
        used,
    }
}
