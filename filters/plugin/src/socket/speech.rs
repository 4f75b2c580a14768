//! What passes through a session, from its beginning to its end. Runs in the stream's name.

use std::rc::Rc;

use sekisho_domain::{Denial, DenialCode};
use sekisho_hostcalls::Action;
use sekisho_providers::{ClientEvent, ClientSide, ServerEvent, SocketFault};

use super::answers::settle_all;
use super::{Session, State, most_bytes};
use crate::call::Phase;
use crate::filter::Filter;
use crate::request::PIECE;
use crate::waiting::Held;
use crate::{host, reply};

/// The status code of a close frame that says that the session broke the rules (RFC 6455,
/// section 7.4.1).
const POLICY_VIOLATION: [u8; 2] = 1008u16.to_be_bytes();

impl Filter {
    /// Whether the upstream has agreed; then the session begins.
    pub(crate) fn opens_session(&mut self) -> bool {
        let status = host::response_header(":status");
        if status.as_deref() != Some(b"101") {
            return false;
        }
        let now = host::now();
        self.show_budgets(now);
        self.note_upstream();
        let call = self.call.borrow();
        let record_id = call.passage.record_id;
        host::set_response_header(reply::RECORD_HEADER, record_id.to_string().as_bytes());
        let Some(shared) = &self.socket else {
            return false;
        };
        let mut session = shared.borrow_mut();
        let compiled = call.compiled.clone();
        let mut names = vec![call.passage.model.clone(), call.written.clone()];
        if let Some(model) = compiled
            .as_ref()
            .and_then(|compiled| compiled.model(call.api, &call.passage.model))
        {
            names.extend(
                model
                    .upstreams
                    .iter()
                    .filter_map(|place| place.model.clone()),
            );
        }
        session.client = ClientSide::new(names);
        session.compiled = compiled;
        session.known = call.known;
        session.opened = call.passage.received;
        session.checked = now;
        session.first = Rc::clone(&self.call);
        session.spare.push_back(Rc::clone(&self.call));
        session.context = self.context;
        session.state = State::Open;
        drop(call);
        let worker = &mut *self.worker.borrow_mut();
        worker.sessions.insert(self.context, Rc::clone(shared));
        if session.is_hasty {
            let text = "the client spoke before its handshake was answered";
            let denial = Denial::with(DenialCode::UnmeteredSession, text);
            session.cut(worker, &denial, now);
            worker.flush(self.context, now);
        }
        true
    }

    pub(crate) fn is_in_session(&self) -> bool {
        let session = self.socket.as_ref();
        session.is_some_and(|session| session.borrow().state != State::Opening)
    }

    /// The client has sent something: it passes once all that it asks for is on record.
    pub(crate) fn client_speaks(&mut self, size: usize) -> Action {
        let Some(shared) = self.socket.clone() else {
            return Action::Continue;
        };
        if !self.is_in_session() {
            return self.client_is_hasty(size);
        }
        let session = &mut *shared.borrow_mut();
        let now = host::now();
        let worker = &mut *self.worker.borrow_mut();
        if !session.is_open() {
            return Action::Pause;
        }
        if session.last_words.is_some() {
            // It ends after the answers under way: nothing may begin another.
            host::replace_request_body(size, &[]);
            return Action::Continue;
        }
        let heard = session.hear_client(size);
        let heard = heard.and_then(|()| session.ask_ahead(worker, self.context, now));
        let action = match heard {
            Ok(()) if session.is_covered() => {
                session.client_held = 0;
                Action::Continue
            }
            Ok(()) => {
                session.client_held = size;
                Action::Pause
            }
            Err(denial) => {
                session.cut(worker, &denial, now);
                Action::Pause
            }
        };
        worker.flush(self.context, now);
        action
    }

    /// A client waits for the handshake's answer (RFC 6455, section 4.1); what it says before
    /// that nobody would read.
    fn client_is_hasty(&mut self, size: usize) -> Action {
        let phase = self.call.borrow().phase;
        if phase == Phase::Done {
            return Action::Continue;
        }
        if size == 0 {
            // Envoy begins the body of an upgrade before anybody has said anything, and takes
            // an answer for both: what goes on here takes the headers with it.
            return match phase {
                Phase::Reading | Phase::Asking | Phase::Held => Action::Pause,
                _ => Action::Continue,
            };
        }
        if phase == Phase::Admitted {
            host::replace_request_body(size, &[]);
            if let Some(session) = &self.socket {
                session.borrow_mut().is_hasty = true;
            }
            return Action::Continue;
        }
        let record_id = self.call.borrow().passage.record_id;
        let mut worker = self.worker.borrow_mut();
        worker.waiting.forget(&record_id, self.context);
        drop(worker);
        let text = "the client spoke before its handshake was answered";
        self.refuse(&Denial::with(DenialCode::UpgradeRefused, text))
    }

    /// The server has sent something: it passes, but for what waits for a record.
    pub(crate) fn server_speaks(&mut self, size: usize, end_of_stream: bool) -> Action {
        let Some(shared) = self.socket.clone() else {
            return Action::Continue;
        };
        let session = &mut *shared.borrow_mut();
        let now = host::now();
        let worker = &mut *self.worker.borrow_mut();
        if session.state == State::Cut {
            return Action::Pause;
        }
        if !session.is_open() {
            let waits = session.server_held > 0;
            return if waits {
                Action::Pause
            } else {
                Action::Continue
            };
        }
        let mut events = Vec::new();
        let heard = session.hear_server(size, &mut events);
        let mut ended = None;
        let mut outcome = heard;
        for event in events {
            let said = match event {
                ServerEvent::ResponseBegins => session.answer_begins(worker, now),
                ServerEvent::ResponseEnds(usage) => {
                    ended = session.answer_ends(worker, usage, now).or(ended);
                    Ok(())
                }
                ServerEvent::ResponseRefused => {
                    session.awaited = session.awaited.saturating_sub(1);
                    Ok(())
                }
            };
            outcome = outcome.and(said);
        }
        if session.last_words.is_none() && outcome.is_ok() {
            outcome = match session.ask_ahead(worker, self.context, now) {
                Err(denial) if !session.open.is_empty() => {
                    session.last_words = Some(denial);
                    Ok(())
                }
                asked => asked,
            };
        }
        if session.open.is_empty()
            && let Some(denial) = &session.last_words
        {
            outcome = outcome.and(Err(denial.clone()));
        }
        if let Err(denial) = &outcome {
            session.say_farewell(size, denial);
            session.cut(worker, denial, now);
            worker.flush(self.context, now);
            return Action::Continue;
        }
        if end_of_stream {
            ended = settle_all(session, worker, None, now).or(ended);
        }
        let Some(ended) = ended.filter(|ended| ended.borrow().strict) else {
            let waits = session.server_held > 0;
            worker.flush(self.context, now);
            session.server_held = if waits { size } else { 0 };
            return if waits {
                Action::Pause
            } else {
                Action::Continue
            };
        };
        // The end of a strict answer waits until it is on record.
        let record_id = ended.borrow().passage.record_id;
        let held = Held {
            context: self.context,
            call: ended,
            since: now,
        };
        worker.waiting.for_completion(record_id, held);
        session.server_held = size.max(1);
        worker.flush(self.context, now);
        Action::Pause
    }

    /// The stream is over.
    pub(crate) fn session_ended(&mut self) {
        let Some(shared) = self.socket.take() else {
            return;
        };
        let now = host::now();
        let worker = &mut *self.worker.borrow_mut();
        let session = &mut *shared.borrow_mut();
        worker.sessions.remove(&self.context);
        settle_all(session, worker, None, now);
        session.state = State::Over;
        worker.waiting.forget_context(self.context);
        worker.flush(self.context, now);
        self.call.borrow_mut().phase = Phase::Done;
    }
}

impl Session {
    /// Reads what has come from the client, of which a part may have been held back.
    fn hear_client(&mut self, size: usize) -> Result<(), Denial> {
        let mut at = self.client_held;
        while at < size {
            let piece = host::request_body(at, PIECE.min(size - at));
            if piece.is_empty() {
                return Err(unmetered(SocketFault::Frames));
            }
            at += piece.len();
            self.up += piece.len() as u64;
            let Self {
                client, awaited, ..
            } = self;
            client
                .push(&piece, |ClientEvent::AsksForResponse| *awaited += 1)
                .map_err(unmetered)?;
        }
        self.within_bytes()
    }

    /// Reads what has come from the server, of which a part may have been held back.
    fn hear_server(&mut self, size: usize, events: &mut Vec<ServerEvent>) -> Result<(), Denial> {
        let mut at = self.server_held.min(size);
        while at < size {
            let piece = host::response_body(at, PIECE.min(size - at));
            if piece.is_empty() {
                return Err(unmetered(SocketFault::Frames));
            }
            at += piece.len();
            self.down += piece.len() as u64;
            self.server
                .push(&piece, |event| events.push(event))
                .map_err(unmetered)?;
        }
        self.within_bytes()
    }

    fn within_bytes(&self) -> Result<(), Denial> {
        let most = most_bytes(self.rules().as_deref());
        if self.up.saturating_add(self.down) > most {
            let text = "the session has moved as many bytes as it may";
            return Err(Denial::with(DenialCode::SessionOverLimit, text));
        }
        Ok(())
    }

    /// Tells the client why the session ends, behind what its server said last.
    fn say_farewell(&self, size: usize, denial: &Denial) {
        if !self.server.is_between_frames() {
            return;
        }
        let reason = denial.code.as_str().as_bytes();
        let length = u8::try_from(POLICY_VIOLATION.len() + reason.len()).unwrap_or(0);
        let mut said = host::response_body(0, size).to_vec();
        said.extend([0x88, length]);
        said.extend(POLICY_VIOLATION);
        said.extend(reason);
        host::replace_response_body(size, &said);
    }
}

fn unmetered(fault: SocketFault) -> Denial {
    Denial::with(DenialCode::UnmeteredSession, fault.to_string())
}
