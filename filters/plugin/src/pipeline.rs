//! The four decisions, in order, on what was gathered.

use std::rc::Rc;

use sekisho_audit::About;
use sekisho_domain::policy::{Api, AuditMode, Model};
use sekisho_domain::{
    BudgetId, ByteCount, Covered, Denial, DenialCode, Meter, Policy, Price, RecordKind, UnixMillis,
};
use sekisho_link::{Half, Need, Reserved};
use sekisho_providers::{Edit, ModelPlace, Operation, RequestBody};
use sekisho_quota::{LeaseId, Reservation};

use crate::call::{Call, Followed, Phase, SharedCall};
use crate::handover::{Handover, Used};
use crate::waiting::Held;
use crate::worker::{Compiled, Worker};
use crate::{following, host, limits, link, request};

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
        Ok(()) => reserve(worker, call, context, now, now),
        Err(denial) => denial.into(),
    }
}

/// The decisions that need nobody else.
fn look(worker: &Worker, compiled: &Compiled, call: &mut Call, body: usize) -> Result<(), Denial> {
    let (stages, policy) = (worker.stages, &compiled.policy);
    let Some(api) = policy.apis.get(call.api) else {
        return Err(DenialCode::UnknownEndpoint.into());
    };
    let operation = call.operation.ok_or(DenialCode::UnknownEndpoint)?;
    let model = match operation.model {
        ModelPlace::Nowhere => None,
        ModelPlace::Path | ModelPlace::Body | ModelPlace::Query(_) => {
            Some(sekisho_upstream::offered(api, &call.passage.model)?)
        }
    };
    if stages.scope {
        scope(policy, api, model, call)?;
    }
    if stages.quota {
        quota(policy, api, model, call, call.passage.received)?;
        // In a chain of modules this one sees no answer: it sets the most aside.
        call.streamed = model
            .filter(|_| !stages.is_part())
            .and_then(|model| following::of(call, model));
    }
    if stages.upstream {
        upstream(compiled, model, call)?;
    }
    edit(call, body)
}

/// May the caller call this? Who it is was established when the headers came.
fn scope(policy: &Policy, api: &Api, model: Option<&Model>, call: &mut Call) -> Result<(), Denial> {
    let Some(principal) = &call.principal else {
        return Err(DenialCode::MissingCredential.into());
    };
    let asked = sekisho_scope::Asked {
        api,
        scope: model.map_or(api.scope, |model| model.scope),
        address: call.address,
    };
    sekisho_scope::authorise(principal, policy, &asked)?;
    call.strict = api.audit == AuditMode::Strict;
    Ok(())
}

/// What can it use at most, at the price of that moment?
pub(crate) fn quota(
    policy: &Policy,
    api: &Api,
    model: Option<&Model>,
    call: &mut Call,
    received: UnixMillis,
) -> Result<(), Denial> {
    let per_token = || {
        let price = model.and_then(|model| policy.prices.price(&model.price, received));
        price.is_some_and(Price::is_per_token)
    };
    let counts_tokens = call
        .operation
        .is_some_and(|operation| operation.counts_tokens(per_token));
    let generates = call.operation.is_some_and(|operation| operation.generates);
    let is_socket = call.operation.is_some_and(|operation| operation.is_socket);
    let body_bytes = match model.filter(|_| is_socket) {
        // What was said before is not in this request.
        Some(model) => model.max_input_tokens.ok_or_else(|| {
            let text = "an administrator has to set `max_input_tokens` of this model";
            Denial::with(DenialCode::UnboundedCost, text)
        })?,
        None => call.passage.request_bytes,
    };
    let asked = sekisho_quota::Asked {
        body_bytes,
        output: call.passage.asked_output,
        choices: call.passage.choices,
        counts_tokens,
        generates: counts_tokens && generates,
    };
    let mut worst = match model {
        Some(model) => sekisho_quota::worst_case(policy, model, &asked, received)?,
        None => sekisho_quota::worst_case_without_model(policy, api, &asked, received)?,
    };
    let rules = api.rules.as_ref();
    let answer = rules.and_then(|rules| rules.response_body_bytes);
    worst.usage.bytes = if is_socket {
        ByteCount(crate::socket::most_bytes(rules.map(AsRef::as_ref)))
    } else if call.counts_bytes() {
        worst.usage.bytes + ByteCount(answer.unwrap_or(0))
    } else {
        ByteCount(0)
    };
    call.is_boundless = answer.is_none() && call.counts_bytes() && !is_socket;
    call.passage.worst = worst.usage;
    call.passage.worst_cost = worst.cost;
    call.passage.price_from.clone_from(&worst.price.from);
    call.price = Some(worst.price);
    Ok(())
}

/// Where does it go, and under which names?
fn upstream(compiled: &Compiled, model: Option<&Model>, call: &mut Call) -> Result<(), Denial> {
    let passage = &call.passage;
    let to = compiled.selection.select(&sekisho_upstream::Asked {
        api: call.api,
        operation: &passage.operation,
        model: Some(passage.model.as_str()).filter(|model| !model.is_empty()),
        department: &passage.department,
    })?;
    let offered = model.filter(|_| !call.written.is_empty());
    let name = to.rename.or(offered.map(|model| model.name.as_str()));
    if let Some(name) = name {
        rename(call, name)?;
        if name != call.passage.model {
            name.clone_into(&mut call.passage.sent_model);
        }
    }
    if let Some(ask) = &call.ask {
        call.edits.push(ask.clone());
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
fn rename(call: &mut Call, name: &str) -> Result<(), Denial> {
    let operation = call.operation.ok_or(DenialCode::UnknownEndpoint)?;
    if let Some((start, end)) = call.passage.model_span {
        call.edits.push(model_edit(operation, start..end, name)?);
        return Ok(());
    }
    let path = sekisho_providers::path_with_model(operation, &call.raw_path, name)
        .ok_or(DenialCode::NoUpstream)?;
    host::set_request_header(":path", Some(&path));
    Ok(())
}

/// Puts a model's name where the body names one.
pub(crate) fn model_edit(
    operation: &Operation,
    span: std::ops::Range<u64>,
    name: &str,
) -> Result<Edit, Denial> {
    let text = match operation.request {
        RequestBody::Form if name.bytes().all(|b| !b.is_ascii_control()) => name.into(),
        RequestBody::Form => return Err(DenialCode::NoUpstream.into()),
        RequestBody::Json | RequestBody::Opaque => {
            serde_json::to_vec(name).map_err(|_| DenialCode::NoUpstream)?
        }
    };
    Ok(Edit::new(span, text))
}

/// Makes the changes of the body, which has so many bytes. The proxy takes a body back whole
/// only: this is the one place where all of one is in the VM.
fn edit(call: &mut Call, body: usize) -> Result<(), Denial> {
    let edits = std::mem::take(&mut call.edits);
    if edits.is_empty() {
        return Ok(());
    }
    let mut new = Vec::with_capacity(body + 256);
    let mut at = 0;
    while at < body {
        let piece = host::request_body(at, request::PIECE.min(body - at));
        if piece.is_empty() {
            return Err(DenialCode::InvalidBody.into());
        }
        edits.copy(at as u64, &piece, &mut new);
        at += piece.len();
    }
    // Envoy would pass the old length on with the new body: a second request smuggled in.
    host::set_request_header("content-length", Some(new.len().to_string().as_bytes()));
    if !host::replace_request_body(body, &new) {
        return Err(DenialCode::NoUpstream.into());
    }
    // A module that comes later finds things where they are now.
    if let Some((start, end)) = &mut call.passage.model_span {
        (*start, *end) = (edits.moved(*start), edits.moved(*end));
    }
    if let Some(ask) = &mut call.ask {
        (ask.start, ask.end) = (edits.moved(ask.start), edits.moved(ask.end));
    }
    Ok(())
}

/// What decides by which budgets a call is covered.
fn covered(call: &Call) -> Covered<'_> {
    Covered {
        department: &call.passage.department,
        user: &call.passage.user,
        key: &call.passage.key,
        api: &call.passage.api,
        model: &call.passage.model,
        modality: call.operation.map(|operation| operation.modality),
    }
}

/// Sets the worst case aside in every budget that covers the call, or asks the sidecar for
/// what is missing. `since`: when it first did.
pub(crate) fn reserve(
    worker: &mut Worker,
    call: &SharedCall,
    context: u32,
    since: UnixMillis,
    now: UnixMillis,
) -> Next {
    let reserved = if worker.stages.quota {
        let call = &mut call.borrow_mut();
        // Looked up each time: budgets may have come or gone while the call waited.
        let passage = &call.passage;
        let (worst, worst_cost) = (&passage.worst, passage.worst_cost);
        let accounts = &mut worker.accounts;
        let streamed = call.streamed.as_ref().map(|followed| &followed.streamed);
        let demands = worker
            .budgets
            .demands(&covered(call), worst, worst_cost, streamed, accounts);
        let counts_bytes =
            |demand: &sekisho_quota::Demand| accounts.meter(demand.slot) == Some(Meter::Bytes);
        if call.is_boundless
            && let Some(demand) = demands.iter().find(|demand| counts_bytes(demand))
        {
            let budget = BudgetId::from(accounts.budget(demand.slot));
            return boundless(budget.plain(), &passage.api).into();
        }
        let reserved = accounts.reserve(&demands, now);
        reserved.map(|reservations| {
            let is_followed =
                |followed: &mut Followed| followed.streamed.is_followed_by(&reservations);
            call.streamed.take_if(|followed| !is_followed(followed));
            call.reservations = reservations;
        })
    } else {
        Ok(())
    };
    let Err(shortfall) = reserved else {
        let renewals = worker.accounts.take_renewals();
        if !renewals.is_empty() {
            worker.ask_for_leases(renewals);
            // Where records are made too, it goes with the next of them.
            if !worker.stages.audit {
                worker.send(context, now, Need::Usual);
            }
        }
        return admit(worker, call, context, now);
    };
    call.borrow_mut().phase = Phase::Held;
    let id = worker.ask_for_leases(shortfall.0);
    let call = Rc::clone(call);
    let held = Held {
        context,
        call,
        since,
    };
    worker.waiting.for_leases(id, held);
    worker.flush(context, now);
    Next::Wait
}

/// A budget counts bytes, and nothing says how long an answer may be.
fn boundless(budget: &str, api: &str) -> Denial {
    let text = format!(
        "budget `{budget}` counts bytes, and answers of `{api}` have no bound: an administrator sets \
         `rules.response_body_bytes` of this API"
    );
    Denial::with(DenialCode::UnboundedCost, text)
}

/// Puts the call on record; strict calls wait until that is durable.
fn admit(worker: &mut Worker, call: &SharedCall, context: u32, now: UnixMillis) -> Next {
    let stages = worker.stages;
    let mut shared = call.borrow_mut();
    let shared = &mut *shared;
    if stages.audit {
        if shared.strict
            && let Some(keeping) = &shared.keeping
            && (keeping.lacks() || !worker.room.takes_another(&worker.outbox))
        {
            return link::unavailable().into();
        }
        shared.about = About::new(&shared.passage);
        let record = sekisho_audit::admit(&shared.passage, &shared.about, now);
        let record_id = shared.passage.record_id;
        let reservations = shared.reservations.iter().map(|held| on_wire(held, 0));
        worker.record(RecordKind::Admit, &record_id, &record, reservations);
        if let Some(keeping) = &mut shared.keeping {
            // A request that was read is there whole: if the gateway dies, it is on record.
            keeping.hand_over(Half::Request, true, &record_id, &mut worker.outbox);
        }
        if shared.strict {
            shared.phase = Phase::Held;
            let held = Held {
                context,
                call: Rc::clone(call),
                since: now,
            };
            worker.waiting.for_admit(record_id, held);
        }
        worker.flush(context, now);
        if shared.strict {
            return Next::Wait;
        }
    }
    shared.phase = Phase::Admitted;
    shared.admitted = Some(now);
    if worker.hands_on {
        let handover = Handover {
            passage: shared.passage.clone(),
            reservations: shared.reservations.clone(),
            written: shared.written.clone(),
            ask: shared.ask.clone(),
        };
        handover.write();
    }
    Next::Go
}

/// Notes a refusal: gives back what was set aside and puts it on record. The answer itself
/// is the caller's to send.
pub(crate) fn refuse(worker: &mut Worker, call: &mut Call, denial: &Denial, now: UnixMillis) {
    for held in &call.reservations {
        worker.accounts.settle(held, 0, now);
    }
    worker.return_recalled();
    if worker.hands_on {
        Used(None).write();
    }
    if !worker.alone {
        let record_id = call.passage.record_id;
        let record = sekisho_audit::refuse(&call.passage, denial, now);
        worker.record(RecordKind::Refuse, &record_id, &record, std::iter::empty());
    }
    call.reservations.clear();
    call.phase = Phase::Done;
}

/// Names each header that tells the caller where its budgets stand, with its value.
pub(crate) fn standing(
    worker: &Worker,
    call: &Call,
    now: UnixMillis,
    header: impl FnMut(&'static str, &[u8]),
) {
    let accounts = &worker.accounts;
    if call.reservations.is_empty() {
        let mut standings = Vec::new();
        worker.budgets.covering(&covered(call), |slot| {
            standings.extend(accounts.standing(slot, now));
        });
        return limits::show(call.provider, standings, now, header);
    }
    // Of every budget that covers a call something is set aside for it.
    let reserved = call.reservations.iter();
    let standings = reserved.filter_map(|held| accounts.standing_of(held, now));
    limits::show(call.provider, standings, now, header);
}

/// A reservation as the sidecar reads it.
pub(crate) fn on_wire(held: &Reservation, used: u64) -> Reserved<'_> {
    let write = |id: &LeaseId| sekisho_link::lease(&id.holder, &id.budget, id.window_start.0);
    Reserved {
        lease: held.lease.written(write),
        reserved: held.amount,
        used,
    }
}
