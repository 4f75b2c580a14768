//! A request's way in: what is gathered for the decisions.

use std::borrow::Cow;
use std::rc::Rc;

use sekisho_audit::{Digest, Passage};
use sekisho_domain::policy::{Model, OverLimit, Rules};
use sekisho_domain::{Denial, DenialCode, Modality, RecordId, UnixMillis};
use sekisho_hostcalls::{self as hostcalls, Action};
use sekisho_link::{Half, v1};
use sekisho_providers::{
    Edit, ModelPlace, Operation, RequestBody, RequestFacts, RequestScan, check_content, check_query,
};
use sekisho_scope::Identity;

use crate::call::{Call, Phase};
use crate::filter::Filter;
use crate::handover::Handover;
use crate::host::Headers;
use crate::keeping::{Keeping, ReadAs};
use crate::key_waits::Wait;
use crate::pipeline::{self, Next};
use crate::waiting::HeldForKey;
use crate::worker::Compiled;
use crate::{edges, host, limits, link, reply, socket};

/// The peer's address, or that which so many trusted hops before it tell; Envoy sets it.
const PEER_HEADER: &[u8] = b"x-envoy-external-address";

/// Most of a body that is in the VM at a time.
pub(crate) const PIECE: usize = 64 * 1024;

/// Most of a body that is held while nobody has vouched for its caller.
const MOST_UNVOUCHED: usize = 1024 * 1024;

/// How long what was found out about a caller holds, if nothing new was heard.
const PERMIT_MILLIS: u64 = 1_000;

/// Reads a request.
#[derive(Default)]
pub(crate) struct RequestReader {
    scan: Option<RequestScan>,
    /// The decisions need the body: its headers are held back until it is whole.
    wants_body: bool,
    /// Bytes of the body that were scanned.
    seen: usize,
    /// Bytes of the body that the proxy holds.
    body_size: usize,
    /// The request's end has come while it was held.
    ended: bool,
    /// Where its digest is wanted: of a body that is scanned until then, of any other as it
    /// passes.
    digest: Option<Digest>,
    /// How much of what the proxy holds of a body that is not scanned is in `digest`.
    digested: usize,
}

impl Filter {
    pub(crate) fn on_request_headers(&mut self, end_of_stream: bool) -> Action {
        let now = host::now();
        let headers = host::request_headers();
        self.note(&headers, now);
        self.request.borrow_mut().ended = end_of_stream;
        match self.gather(&headers, now) {
            Err(denial) if self.waits_for_key(&headers, &denial, now) => Action::Pause,
            Err(denial) => self.refuse(&denial),
            Ok(()) if self.awaits_body() => Action::Pause,
            Ok(()) => self.decide(0, now),
        }
    }

    /// Whether the decisions need what is still to come.
    fn awaits_body(&self) -> bool {
        let request = self.request.borrow();
        request.wants_body && !request.ended
    }

    /// Whether the call is worth holding back, because its issuer may have a new key. Asks
    /// the sidecar for it, unless it has been asked.
    fn waits_for_key(&self, headers: &Headers, denial: &Denial, now: UnixMillis) -> bool {
        let mut worker = self.worker.borrow_mut();
        if denial.code != DenialCode::UnknownSigningKey || !worker.hears(now) || worker.alone {
            return false;
        }
        let Some(missing) = credential(headers)
            .ok()
            .zip(worker.authenticator.as_ref())
            .and_then(|(credential, authenticator)| authenticator.missing_key(&credential))
        else {
            return false;
        };
        let outlook = worker.waiting.keys.outlook(&missing, now);
        match outlook {
            Wait::InVain => return false,
            Wait::Join => {}
            Wait::Ask => worker.outbox.request_key_set(v1::KeySetRequest {
                issuer: missing.issuer.clone(),
                kid: missing.kid.clone(),
            }),
        }
        self.call.borrow_mut().phase = Phase::Asking;
        let (filter, since) = (self.on_hold(), now);
        worker
            .waiting
            .keys
            .wait(missing, HeldForKey { filter, since });
        worker.flush(self.context, now);
        true
    }

    /// The sidecar has looked at the token's issuer: the caller is told apart once more. Runs
    /// outside the stream's callbacks, but in its name.
    pub(crate) fn go_on(&mut self) {
        if self.call.borrow().phase != Phase::Asking {
            return; // refused in the meantime
        }
        let now = host::now();
        let headers = host::request_headers();
        self.call.borrow_mut().phase = Phase::Reading;
        let known = self
            .authenticate(&headers, now)
            .and_then(|()| self.check_edges(&headers))
            .and_then(|()| self.heard(now));
        if let Err(denial) = known {
            self.refuse(&denial);
            return;
        }
        if self.awaits_body() {
            // The body's next piece goes on.
            return;
        }
        let size = self.request.borrow().body_size;
        if let Err(code) = self.scan_to(size) {
            self.refuse(&code.into());
        } else if self.decide(size, now) == Action::Continue {
            host::resume(hostcalls::Half::Request);
        }
    }

    pub(crate) fn on_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if self.socket.is_some() {
            return self.client_speaks(size);
        }
        let phase = self.call.borrow().phase;
        if matches!(phase, Phase::Asking | Phase::Reading) {
            let mut request = self.request.borrow_mut();
            request.body_size = size;
            request.ended = end_of_stream;
        }
        match phase {
            Phase::Asking if size > MOST_UNVOUCHED => {
                let record_id = self.call.borrow().passage.record_id;
                let mut worker = self.worker.borrow_mut();
                worker.waiting.forget(&record_id, self.context);
                drop(worker);
                return self.refuse(&DenialCode::UnknownSigningKey.into());
            }
            Phase::Asking | Phase::Held => {
                // All that is held: later callbacks have what comes after it.
                self.digest_passing(size, true);
                return Action::Pause;
            }
            Phase::Reading => {}
            Phase::Admitted => {
                self.digest_passing(size, false);
                return Action::Continue;
            }
            Phase::Ending | Phase::Done => return Action::Continue,
        }
        if let Err(code) = self.scan_to(size) {
            return self.refuse(&code.into());
        }
        if end_of_stream {
            self.decide(size, host::now())
        } else {
            Action::Pause
        }
    }

    pub(crate) fn on_request_trailers(&mut self) -> Action {
        let phase = self.call.borrow().phase;
        let size = {
            let mut request = self.request.borrow_mut();
            request.ended = true;
            request.body_size
        };
        match phase {
            Phase::Asking | Phase::Held => Action::Pause,
            // HTTP/2 trailers end the body too, and no body callback says so.
            Phase::Reading => self.decide(size, host::now()),
            Phase::Admitted | Phase::Ending | Phase::Done => Action::Continue,
        }
    }

    /// Takes what has come of a body that nobody scans into its digest, and keeps it where that is
    /// wanted. `is_held`: the proxy still has what came before.
    fn digest_passing(&self, size: usize, is_held: bool) {
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

    /// What every record says, whatever becomes of the call.
    fn note(&mut self, headers: &Headers, now: UnixMillis) {
        let mut worker = self.worker.borrow_mut();
        let record_id = RecordId::v7(now, worker.random.take());
        let compiled = worker.compiled.as_ref();
        let trusted_hops = compiled.map_or(0, |compiled| compiled.policy.trusted_hops);
        let (has_readers, routes) = (worker.has_readers(), worker.stages.upstream);
        drop(worker);
        let mut call = self.call.borrow_mut();
        let call = &mut *call;
        let passage = &mut call.passage;
        passage.received = now;
        passage.record_id = record_id;
        passage.choices = 1;
        let (mut peer, mut forwarded_for) = (None, Vec::new());
        for (name, raw) in headers {
            match name {
                PEER_HEADER => peer = Some(raw),
                b"x-forwarded-for" => forwarded_for.push(raw),
                b":method" if has_readers => passage.method = text(raw).into_owned(),
                b":path" if has_readers => {
                    let path = text(raw);
                    let path = path.split(['?', '#']).next().unwrap_or_default();
                    path.clone_into(&mut passage.path);
                }
                b"x-request-id" if has_readers => passage.request_id = text(raw).into_owned(),
                b"traceparent" if has_readers => {
                    passage.trace_id = sekisho_audit::trace_id(raw).unwrap_or_default().to_owned();
                }
                _ if routes => call.unwanted.extend(edges::withheld(name)),
                _ => {}
            }
        }
        let address = edges::client_address(forwarded_for.into_iter(), trusted_hops, peer);
        if has_readers {
            passage.address = address.map_or_else(String::new, |address| address.to_string());
        }
        call.address = address;
    }

    /// Finds out what is called and by whom.
    fn gather(&mut self, headers: &Headers, now: UnixMillis) -> Result<(), Denial> {
        let (compiled, stages) = {
            let worker = self.worker.borrow();
            (worker.compiled.clone(), worker.stages)
        };
        let compiled = compiled
            .ok_or_else(|| Denial::new(DenialCode::PolicyUnavailable).retry_after(1_000))?;
        self.call.borrow_mut().compiled = Some(Rc::clone(&compiled));
        if !stages.scope && self.take_over(&compiled, headers) {
            // Of any other body the first module has the digest: this one may see it changed.
            let operation = self.call.borrow().operation;
            if operation.is_some_and(|operation| operation.request == RequestBody::Opaque) {
                self.begin_digest();
            }
            self.begin_keeping(&compiled, headers);
            return self.heard(now);
        }
        for (name, _) in headers {
            if name.starts_with(sekisho_upstream::INTERNAL_PREFIX.as_bytes()) {
                // The proxy lets nothing but ASCII through as a name.
                let name = std::str::from_utf8(name).map_err(|_| DenialCode::UnknownEndpoint)?;
                host::set_request_header(name, None);
            }
        }
        self.find_endpoint(&compiled, headers)?;
        self.begin_digest();
        self.begin_keeping(&compiled, headers);
        if stages.scope {
            self.authenticate(headers, now)?;
        } else if stages.quota || stages.audit {
            return Err(DenialCode::NoPermit.into());
        }
        self.check_edges(headers)?;
        self.heard(now)
    }

    /// A body that is scanned is digested on the way, any other by whoever puts it on record.
    fn begin_digest(&self) {
        let mut request = self.request.borrow_mut();
        let is_mine = request.scan.is_some() || self.worker.borrow().stages.audit;
        if is_mine && !self.call.borrow().contents().is_none() {
            request.digest = Some(Digest::default());
        }
    }

    /// Bodies are kept by whoever puts the call on record; of a chain of modules that is the last,
    /// which sees a request as it goes upstream.
    fn begin_keeping(&self, compiled: &Compiled, headers: &Headers) {
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

    /// Refuses what the provider might read as another call.
    fn check_edges(&self, headers: &Headers) -> Result<(), Denial> {
        let call = self.call.borrow();
        let Some(operation) = call.operation else {
            return Err(DenialCode::UnknownEndpoint.into());
        };
        check_query(operation, &call.raw_path)?;
        let content_type = headers.get("content-type");
        check_content(operation, content_type, headers.get("content-encoding"))?;
        if content_type.is_none() && operation.request == RequestBody::Json {
            // Nobody is left to guess.
            host::set_request_header("content-type", Some(b"application/json"));
        }
        Ok(())
    }

    /// A body may take its time to come: what was found out about the caller when the headers
    /// came has to be true still.
    fn still_permitted(&self, now: UnixMillis) -> Result<(), Denial> {
        let is_news = {
            let (worker, call) = (self.worker.borrow(), self.call.borrow());
            let found = call.compiled.as_ref().zip(worker.compiled.as_ref());
            if !found.is_some_and(|(then, today)| Rc::ptr_eq(then, today)) {
                let text = "the policy has changed while the request was read";
                return Err(Denial::with(DenialCode::PolicyUnavailable, text).retry_after(1_000));
            }
            worker.stages.scope
                && (call.known != worker.snapshot_version
                    || now.since(call.passage.received) > PERMIT_MILLIS)
        };
        if is_news {
            self.authenticate(&host::request_headers(), now)?;
        }
        self.heard(now)
    }

    fn heard(&self, now: UnixMillis) -> Result<(), Denial> {
        if self.worker.borrow().hears(now) {
            Ok(())
        } else {
            Err(link::unavailable())
        }
    }

    /// Goes on from where the module before this one has left the call.
    fn take_over(&mut self, compiled: &Compiled, headers: &Headers) -> bool {
        let Some(handover) = Handover::read() else {
            return false;
        };
        let apis = &compiled.policy.apis;
        let Some((at, api)) = apis
            .iter()
            .enumerate()
            .find(|(_, api)| api.id.as_str() == handover.passage.api)
        else {
            return false;
        };
        let value = |wanted: &str| headers.get(wanted).unwrap_or_default();
        // By the path as it is now: a module before this one may have put another model in it.
        let catalogue = &compiled.catalogue;
        let found = catalogue.find(value(":method"), value(":path"), |name| {
            headers.get(name).is_some()
        });
        let Ok(found) = found else { return false };
        let mut call = self.call.borrow_mut();
        call.operation = Some(found.operation);
        call.raw_path = headers.get(":path").unwrap_or_default().to_vec();
        call.provider = Some(api.provider);
        call.api = at;
        call.strict = self.worker.borrow().is_strict(at);
        call.price = compiled.price_at(at, &handover.passage);
        let renames = !handover.written.is_empty() || compiled.renames(at, &handover.passage.model);
        let edits = handover.ask.is_some() || (renames && handover.passage.model_span.is_some());
        self.request.borrow_mut().wants_body = edits && self.worker.borrow().stages.upstream;
        call.passage = handover.passage;
        call.reservations = handover.reservations;
        call.written = handover.written;
        call.ask = handover.ask;
        true
    }

    fn find_endpoint(&mut self, compiled: &Compiled, headers: &Headers) -> Result<(), Denial> {
        let header = |name: &str| headers.get(name).unwrap_or_default();
        let path = header(":path");
        let catalogue = &compiled.catalogue;
        let has = |name: &str| headers.get(name).is_some();
        let found = catalogue.find(header(":method"), path, has)?;
        let api = compiled
            .policy
            .apis
            .get(found.api)
            .ok_or(DenialCode::UnknownEndpoint)?;
        let mut call = self.call.borrow_mut();
        call.raw_path = path.to_vec();
        call.api = found.api;
        call.provider = Some(api.provider);
        call.operation = Some(found.operation);
        call.passage.api.clone_from(&api.id.0);
        found.operation.name.clone_into(&mut call.passage.operation);
        call.passage.stream = found.path_streams;
        call.passage.model = found.path_model.unwrap_or_default();
        if found.operation.is_socket {
            if self.worker.borrow().stages.is_part() {
                let text = "WebSockets need `gateway.wasm`, not a module for each decision";
                return Err(Denial::with(DenialCode::UpgradeRefused, text));
            }
            call.passage.stream = true;
            call.unwanted.extend(socket::check_handshake(headers)?);
            self.socket = Some(socket::opening(headers));
            return Ok(());
        }
        let length: Option<u64> = if self.request.borrow().ended {
            Some(0)
        } else {
            let length = std::str::from_utf8(header("content-length")).ok();
            length.and_then(|text| text.parse().ok())
        };
        let is_read = match found.operation.request {
            RequestBody::Json | RequestBody::Form => true,
            // Some clients send an empty body of unknown length where there should be none.
            RequestBody::Opaque => {
                length.is_none() && matches!(header(":method"), b"GET" | b"HEAD" | b"DELETE")
            }
        };
        match found.operation.request {
            _ if is_read => {
                let content_type = header("content-type");
                let mut request = self.request.borrow_mut();
                request.wants_body = true;
                request.scan = Some(RequestScan::new(
                    found.operation,
                    Some(content_type),
                    api.rules.as_ref(),
                ));
            }
            // Passes as it comes, so its size must be known before.
            RequestBody::Opaque if length.is_none() => {
                let text = "a body of this kind needs a `content-length`";
                return Err(Denial::with(DenialCode::UnboundedCost, text));
            }
            RequestBody::Opaque
                if length.is_some_and(|length| length > compiled.request_body_bytes(found.api)) =>
            {
                return Err(DenialCode::BodyTooLarge.into());
            }
            _ => call.passage.request_bytes = length.unwrap_or_default(),
        }
        Ok(())
    }

    fn authenticate(&self, headers: &Headers, now: UnixMillis) -> Result<(), Denial> {
        let credential = credential(headers)?;
        let mut worker = self.worker.borrow_mut();
        let authenticator = worker
            .authenticator
            .as_mut()
            .ok_or(DenialCode::PolicyUnavailable)?;
        let found = authenticator.identify(&credential, &crate::rs256::HostVerifier, now);
        let mut call = self.call.borrow_mut();
        call.known = worker.snapshot_version;
        if worker.has_readers() {
            let passage = &mut call.passage;
            match &found {
                Ok(principal) => name_caller(passage, principal.identity()),
                Err(refused) => {
                    name_caller(passage, refused.who.as_deref().cloned().unwrap_or_default())
                }
            }
        }
        call.principal = Some(found.map_err(|refused| refused.denial)?);
        Ok(())
    }

    /// Scans what has come of the body since the last time.
    fn scan_to(&mut self, size: usize) -> Result<(), DenialCode> {
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

    /// The request has been read: asks the decisions and does what they say.
    fn decide(&mut self, body: usize, now: UnixMillis) -> Action {
        let scan = self.request.borrow_mut().scan.take();
        if scan.is_some()
            && let Some(digest) = self.passed_digest()
        {
            self.call.borrow_mut().passage.request_sha256 = digest;
        }
        if scan.is_some()
            && let Some(keeping) = &mut self.call.borrow_mut().keeping
        {
            keeping.finish(Half::Request);
        }
        let facts = scan.map(RequestScan::finish).transpose();
        let read = facts.map_err(Denial::from);
        if let Err(denial) = read.and_then(|facts| self.take_in(facts)) {
            return self.refuse(&denial);
        }
        if let Err(denial) = self.still_permitted(now) {
            return self.refuse(&denial);
        }
        if self.lacks_model() {
            let text = match self.socket {
                Some(_) => "the query names no model",
                None => "the body names no `model`",
            };
            return self.refuse(&Denial::with(DenialCode::InvalidBody, text));
        }
        let next = {
            let mut worker = self.worker.borrow_mut();
            pipeline::decide(&mut worker, &self.call, body, self.context, now)
        };
        match next {
            Next::Go => Action::Continue,
            Next::Wait => Action::Pause,
            Next::Refuse(denial) => self.refuse(&denial),
        }
    }

    /// Takes in what the body says, and what the API's rules make of that.
    fn take_in(&self, facts: Option<RequestFacts>) -> Result<(), Denial> {
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

    fn lacks_model(&self) -> bool {
        let call = self.call.borrow();
        let names_one = call
            .operation
            .is_none_or(|operation| operation.model != ModelPlace::Nowhere);
        names_one && call.passage.model.is_empty()
    }

    /// Answers with a refusal and puts it on record.
    pub(crate) fn refuse(&mut self, denial: &Denial) -> Action {
        let now = host::now();
        let mut worker = self.worker.borrow_mut();
        let mut call = self.call.borrow_mut();
        pipeline::refuse(&mut worker, &mut call, denial, now);
        worker.flush(self.context, now);
        let mut more = Vec::new();
        pipeline::standing(&worker, &call, now, |name, value| {
            more.push(limits::owned(name, value));
        });
        reply::send(denial, call.provider, &call.passage.record_id, &more);
        Action::Pause
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

/// A header's value as text. Hardly any has bytes that are none, which takes longer to find out.
fn text(raw: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(raw).map_or_else(|_| String::from_utf8_lossy(raw), Cow::Borrowed)
}

/// Notes whose the credential is, whatever comes of the call.
fn name_caller(passage: &mut Passage, who: Identity) {
    passage.tenant = who.tenant;
    passage.object_id = who.object_id;
    passage.user = who.user.map(|id| id.0).unwrap_or_default();
    passage.department = who.department.map(|id| id.0).unwrap_or_default();
    passage.application = who.application.unwrap_or_default();
    passage.key = who.key.map(|id| id.0).unwrap_or_default();
}

/// The one credential of a request.
fn credential(headers: &Headers) -> Result<sekisho_scope::Credential<'_>, DenialCode> {
    sekisho_scope::find_credential(headers.iter())
}
