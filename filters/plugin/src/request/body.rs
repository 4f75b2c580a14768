//! What a request's body says, read as it comes.

use sekisho_audit::Digest;
use sekisho_domain::policy::{Model, OverLimit, Rules};
use sekisho_domain::{Denial, DenialCode, Modality};
use sekisho_link::Half;
use sekisho_providers::{Edit, ModelPlace, Operation, RequestBody, RequestFacts};

use super::PIECE;
use crate::call::{Call, Phase};
use crate::filter::Filter;
use crate::host::Headers;
use crate::keeping::{Keeping, ReadAs};
use crate::worker::Compiled;
use crate::{host, pipeline};

impl Filter {
    /// Takes what has come of a body that nobody scans into its digest, and keeps it where that is
    /// wanted. `is_held`: the proxy still has what came before.
    pub(super) fn digest_passing(&self, size: usize, is_held: bool) {
        let request = &mut *self.request.borrow_mut();
        let mut call = self.call.borrow_mut();
        if request.scan.is_some() || (request.digest.is_none() && call.keeping.is_none()) {
            return;
        }
        let (phase, record_id) = (call.phase, call.passage.record_id);
        let mut worker = self.worker.borrow_mut();
        let mut at = if is_held { request.digested } else { 0 };
        while at < size {
            let piece = host::request_body(at, PIECE.min(size - at));
            if piece.is_empty() {
                break;
            }
            if let Some(digest) = &mut request.digest {
                digest.push(&piece);
            }
            if let Some(keeping) = &mut call.keeping {
                keeping.push(Half::Request, &piece, &worker.outbox);
            }
            at += piece.len();
        }
        request.digested = if is_held { at } else { 0 };
        let Call { keeping, .. } = &mut *call;
        if let (Phase::Admitted, Some(keeping)) = (phase, keeping) {
            keeping.hand_over(Half::Request, false, &record_id, &mut worker.outbox);
            worker.flush(self.context, host::now());
        }
    }

    /// The digest of a body that passed while the call was under way.
    pub(crate) fn passed_digest(&self) -> Option<String> {
        let digest = self.request.borrow_mut().digest.take();
        digest.and_then(Digest::finish)
    }

    /// A body that is scanned is digested on the way, any other by whoever puts it on record.
    pub(super) fn begin_digest(&self) {
        let mut request = self.request.borrow_mut();
        let is_mine = request.scan.is_some() || self.worker.borrow().stages.audit;
        if is_mine && !self.call.borrow().contents().is_none() {
            request.digest = Some(Digest::default());
        }
    }

    /// Bodies are kept by whoever puts the call on record; of a chain of modules that is the last,
    /// which sees a request as it goes upstream.
    pub(super) fn begin_keeping(&self, compiled: &Compiled, headers: &Headers) {
        let mut call = self.call.borrow_mut();
        let contents = call.contents();
        let worker = self.worker.borrow();
        if !contents.keeps_bodies() || !worker.stages.audit {
            return;
        }
        let is_json = call
            .operation
            .is_some_and(|operation| operation.request == RequestBody::Json);
        let (most, redaction) = (compiled.policy.keeping.most_bytes, &compiled.redaction);
        let mut keeping = Keeping::new(contents, redaction.as_ref(), most, worker.room.clone());
        let (kind, coding) = ("content-type", "content-encoding");
        keeping.begin(
            Half::Request,
            if is_json {
                ReadAs::Json
            } else {
                ReadAs::Unknown
            },
            headers.get(kind),
            headers.get(coding),
        );
        call.keeping = Some(Box::new(keeping));
    }

    /// Scans what has come of the body since the last time.
    pub(super) fn scan_to(&mut self, size: usize) -> Result<(), DenialCode> {
        let call = &mut *self.call.borrow_mut();
        let compiled = call.compiled.as_ref();
        let limit = compiled.map(|compiled| compiled.request_body_bytes(call.api));
        if limit.is_some_and(|limit| size as u64 > limit) {
            return Err(DenialCode::BodyTooLarge);
        }
        let request = &mut *self.request.borrow_mut();
        let Some(scan) = &mut request.scan else {
            return Ok(());
        };
        while request.seen < size {
            let piece = host::request_body(request.seen, PIECE.min(size - request.seen));
            if piece.is_empty() {
                return Err(DenialCode::InvalidBody);
            }
            request.seen += piece.len();
            if let Some(digest) = &mut request.digest {
                digest.push(&piece);
            }
            if let Some(keeping) = &mut call.keeping {
                keeping.push(Half::Request, &piece, &self.worker.borrow().outbox);
            }
            scan.push(&piece)?;
        }
        Ok(())
    }

    /// Takes in what the body says, and what the API's rules make of that.
    pub(super) fn take_in(&self, facts: Option<RequestFacts>) -> Result<(), Denial> {
        let call = &mut *self.call.borrow_mut();
        let Some((compiled, operation)) = call.compiled.clone().zip(call.operation) else {
            return Ok(());
        };
        let Some(api) = compiled.policy.apis.get(call.api) else {
            return Ok(());
        };
        let passage = &mut call.passage;
        let (mut facts, said) = match facts {
            Some(mut facts) => {
                let said = facts.model.take();
                (Some(facts), said)
            }
            None => (None, None),
        };
        let path_decides = !passage.model.is_empty();
        if let (false, Some(said)) = (path_decides, &said) {
            passage.model.clone_from(said);
        }
        let offered = api.offered(&passage.model);
        if offered != passage.model {
            let offered = offered.to_owned();
            call.written = std::mem::replace(&mut passage.model, offered);
            passage.asked_model.clone_from(&call.written);
        }
        let Some(facts) = &mut facts else {
            return Ok(());
        };
        if let Some(span) = facts.model_span.take() {
            if !path_decides {
                passage.model_span = Some((span.start, span.end));
            } else if said.as_ref() != Some(&passage.model) {
                let edit = pipeline::model_edit(operation, span, &passage.model)?;
                call.edits.push(edit);
            }
        }
        let model = api.models.get(&passage.model);
        if let Some((rules, model)) = api.rules.as_ref().zip(model) {
            for edit in limit_output(rules, model, operation, facts)? {
                call.edits.push(edit);
            }
        }
        let asks = api.rules.as_ref().is_none_or(|rules| rules.ask_usage);
        call.ask = facts.ask_for_usage(operation).filter(|_| asks);
        passage.stream |= facts.stream;
        passage.asked_output = facts.max_output_tokens;
        passage.choices = facts.choices;
        passage.request_bytes = facts.bytes;
        Ok(())
    }

    pub(super) fn lacks_model(&self) -> bool {
        let call = self.call.borrow();
        let names_one = call
            .operation
            .is_none_or(|operation| operation.model != ModelPlace::Nowhere);
        names_one && call.passage.model.is_empty()
    }
}

/// Holds a request's output to the rules of its API.
fn limit_output(
    rules: &Rules,
    model: &Model,
    operation: &Operation,
    facts: &mut RequestFacts,
) -> Result<Vec<Edit>, Denial> {
    let writes = operation.generates && operation.modality == Modality::Text;
    let Some(most) = rules.output_ceiling(model).filter(|_| writes) else {
        return Ok(Vec::new());
    };
    let is_over = facts.max_output_tokens.is_some_and(|asked| asked > most);
    if is_over && rules.over_limit == OverLimit::Refuse {
        let text = format!("at most {most} output tokens can be asked for");
        return Err(Denial::with(DenialCode::RequestOverLimit, text));
    }
    facts.limit_output(operation, most).ok_or_else(|| {
        let text = "this operation needs a limit of its output tokens";
        Denial::with(DenialCode::RequestOverLimit, text)
    })
}
