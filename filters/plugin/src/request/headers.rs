//! What a request's headers say: what is called, by whom, and whether that holds.

use std::borrow::Cow;
use std::rc::Rc;

use sekisho_audit::Passage;
use sekisho_domain::{Denial, DenialCode, RecordId, UnixMillis};
use sekisho_providers::{RequestBody, RequestScan, check_content, check_query};
use sekisho_scope::Identity;

use crate::filter::Filter;
use crate::handover::Handover;
use crate::host::Headers;
use crate::worker::Compiled;
use crate::{edges, host, link, socket};

/// The peer's address, or that which so many trusted hops before it tell; Envoy sets it.
const PEER_HEADER: &[u8] = b"x-envoy-external-address";

/// How long what was found out about a caller holds, if nothing new was heard.
const PERMIT_MILLIS: u64 = 1_000;

impl Filter {
    /// What every record says, whatever becomes of the call.
    pub(super) fn note(&mut self, headers: &Headers, now: UnixMillis) {
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
    pub(super) fn gather(&mut self, headers: &Headers, now: UnixMillis) -> Result<(), Denial> {
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

    /// Refuses what the provider might read as another call.
    pub(super) fn check_edges(&self, headers: &Headers) -> Result<(), Denial> {
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
    pub(super) fn still_permitted(&self, now: UnixMillis) -> Result<(), Denial> {
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

    pub(super) fn heard(&self, now: UnixMillis) -> Result<(), Denial> {
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

    pub(super) fn authenticate(&self, headers: &Headers, now: UnixMillis) -> Result<(), Denial> {
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
pub(super) fn credential(headers: &Headers) -> Result<sekisho_scope::Credential<'_>, DenialCode> {
    sekisho_scope::find_credential(headers.iter())
}
