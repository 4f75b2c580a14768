//! A request's way in: what is gathered for the decisions.

mod body;
mod headers;

use sekisho_audit::Digest;
use sekisho_domain::{Denial, DenialCode, UnixMillis};
use sekisho_hostcalls::{self as hostcalls, Action};
use sekisho_link::{Half, v1};
use sekisho_providers::RequestScan;

use crate::call::Phase;
use crate::filter::Filter;
use crate::host::Headers;
use crate::key_waits::Wait;
use crate::pipeline::{self, Next};
use crate::waiting::HeldForKey;
use crate::{host, limits, reply};
use headers::credential;

/// Most of a body that is in the VM at a time.
pub(crate) const PIECE: usize = 64 * 1024;

/// Most of a body that is held while nobody has vouched for its caller.
const MOST_UNVOUCHED: usize = 1024 * 1024;

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
