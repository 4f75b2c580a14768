//! WebSockets: sessions that outlive the request for them.
//!
//! Each answer of a session is a call of its own, on record and reserved for before it can
//! begin. The call that opened the session covers the first answer; while one is under way,
//! the next is put on record. What has not begun when the session ends is charged nothing but
//! its bytes, so a session of n answers has n + 1 records.

mod answers;
mod speech;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use sekisho_domain::policy::Rules;
use sekisho_domain::{Denial, DenialCode, UnixMillis};
use sekisho_hostcalls::Half;
use sekisho_providers::{ClientSide, ServerSide};

use crate::call::SharedCall;
use crate::host::{self, Headers};
use crate::waiting::Held;
use crate::worker::{Compiled, Worker};
use answers::settle_all;

/// How long a session may last where the rules do not say, seconds. No route lets one last
/// longer.
const SESSION_SECONDS: u64 = 3_600;
/// How many bytes it may move where the rules do not say.
const SESSION_BYTES: u64 = 256 << 20;
/// How often at least a session's permit is looked at anew; news are looked at at once.
const PERMIT_MILLIS: u64 = 1_000;
/// How long a session goes on when the sidecar is silent and could tell of no revocation. Long
/// enough for one to be restarted.
const SILENCE_MILLIS: u64 = 2_000;
/// Most answers that may be under way or asked for at once.
const MOST_AT_ONCE: usize = 8;
/// What a client may offer beside its session (RFC 6455, section 1.9); others may be credentials.
const SUBPROTOCOLS: [&[u8]; 2] = [b"realtime", b"openai-beta.realtime-v1"];

/// The most bytes of a session.
pub(crate) fn most_bytes(rules: Option<&Rules>) -> u64 {
    rules
        .and_then(|rules| rules.session_bytes)
        .unwrap_or(SESSION_BYTES)
}

fn most_millis(rules: Option<&Rules>) -> u64 {
    let seconds = rules.and_then(|rules| rules.session_seconds);
    seconds.unwrap_or(SESSION_SECONDS).saturating_mul(1_000)
}

/// A session that its filter and the clock share.
pub(crate) type SharedSession = Rc<RefCell<Session>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The upstream has not agreed.
    Opening,
    Open,
    /// It is to be reset.
    Cut,
    /// Nothing is left of it.
    Over,
}

/// One WebSocket.
pub(crate) struct Session {
    /// The stream's.
    context: u32,
    state: State,
    /// The client has not waited for the handshake's answer.
    is_hasty: bool,
    /// With its credential: whether it is still good is looked at again and again.
    headers: Headers,
    opened: UnixMillis,
    /// When and by which snapshot its permit was last looked at.
    checked: UnixMillis,
    known: u64,
    /// Since when the sidecar is silent.
    silent_since: Option<UnixMillis>,
    compiled: Option<Rc<Compiled>>,
    client: ClientSide,
    server: ServerSide,
    /// The call that opened it.
    first: SharedCall,
    /// Answers that may begin, on record and reserved for.
    spare: VecDeque<SharedCall>,
    /// Answers that have begun.
    open: VecDeque<SharedCall>,
    /// Answers that are being put on record.
    asked: Vec<SharedCall>,
    /// Answers that the client has asked for and that have not begun.
    awaited: usize,
    /// What is held back of what the client says, and of what the server says, bytes.
    client_held: usize,
    server_held: usize,
    /// Bytes of either side, and those of them that are on record.
    up: u64,
    down: u64,
    recorded: (u64, u64),
    /// Why it ends when the answers under way have ended.
    last_words: Option<Denial>,
}

/// A session that is being asked for.
pub(crate) fn opening(headers: &Headers) -> SharedSession {
    Rc::new(RefCell::new(Session {
        context: 0,
        state: State::Opening,
        is_hasty: false,
        headers: headers.clone(),
        opened: UnixMillis::default(),
        checked: UnixMillis::default(),
        known: 0,
        silent_since: None,
        compiled: None,
        client: ClientSide::new(Vec::new()),
        server: ServerSide::default(),
        first: SharedCall::default(),
        spare: VecDeque::new(),
        open: VecDeque::new(),
        asked: Vec::new(),
        awaited: 0,
        client_held: 0,
        server_held: 0,
        up: 0,
        down: 0,
        recorded: (0, 0),
        last_words: None,
    }))
}

/// Whether this is a request for a WebSocket that can be held to the policy; what must not
/// reach the provider.
pub(crate) fn check_handshake(headers: &Headers) -> Result<Option<&'static str>, Denial> {
    let refuse = |text: &str| Err(Denial::with(DenialCode::UpgradeRefused, text));
    let upgrade = headers.get("upgrade").unwrap_or_default();
    if !upgrade.eq_ignore_ascii_case(b"websocket") {
        return refuse("this operation is a WebSocket: `upgrade: websocket` over HTTP/1.1");
    }
    let offered = headers
        .iter()
        .filter(|(name, _)| *name == b"sec-websocket-protocol")
        .flat_map(|(_, value)| value.split(|b| *b == b','));
    let mut foreign = offered
        .map(<[u8]>::trim_ascii)
        .filter(|offer| !SUBPROTOCOLS.contains(offer));
    if foreign.next().is_some() {
        return refuse(
            "only the subprotocol `realtime` can be offered; credentials stand in headers",
        );
    }
    // Compressed frames could not be read.
    Ok(Some("sec-websocket-extensions"))
}

impl Session {
    fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether all that the client has asked for is on record, and one answer more, which a
    /// server that detects turns may begin by itself.
    fn is_covered(&self) -> bool {
        self.spare.len() > self.awaited
    }
}

fn of(worker: &RefCell<Worker>, context: u32) -> Option<SharedSession> {
    let worker = worker.borrow();
    // Few workers have any.
    if worker.sessions.is_empty() {
        return None;
    }
    worker.sessions.get(&context).cloned()
}

/// An answer to come is on record, and its client may go on. `false`: this was no such call.
pub(crate) fn granted(worker: &RefCell<Worker>, held: &Held) -> bool {
    let Some(session) = of(worker, held.context) else {
        return false;
    };
    let session = &mut *session.borrow_mut();
    session.asked.retain(|call| !Rc::ptr_eq(call, &held.call));
    held.call.borrow_mut().phase = crate::call::Phase::Admitted;
    session.spare.push_back(Rc::clone(&held.call));
    if session.is_open() && session.client_held > 0 && session.is_covered() {
        session.client_held = 0;
        let root = worker.borrow().root;
        host::in_context(held.context, root, || host::resume(Half::Request));
    }
    true
}

/// No further answer may begin: the session ends after those that are under way. `false`:
/// this was no such call.
pub(crate) fn not_granted(
    worker: &RefCell<Worker>,
    held: &Held,
    denial: &Denial,
    now: UnixMillis,
) -> bool {
    let Some(session) = of(worker, held.context) else {
        return false;
    };
    let worker = &mut *worker.borrow_mut();
    let session = &mut *session.borrow_mut();
    session.asked.retain(|call| !Rc::ptr_eq(call, &held.call));
    crate::pipeline::refuse(worker, &mut held.call.borrow_mut(), denial, now);
    let root = worker.root;
    session.end_soon(worker, denial.clone(), now);
    worker.flush(root, now);
    true
}

/// The record for which a server's words were held back is durable.
pub(crate) fn released(worker: &RefCell<Worker>, held: &Held) {
    if let Some(session) = of(worker, held.context) {
        session.borrow_mut().server_held = 0;
    }
}

/// Looks whether every session may still be: its permit, its time. Resets those that may not.
pub(crate) fn look_after(worker: &RefCell<Worker>, now: UnixMillis) {
    if worker.borrow().sessions.is_empty() {
        return;
    }
    let sessions: Vec<(u32, SharedSession)> = {
        let worker = worker.borrow();
        let sessions = worker.sessions.iter();
        sessions
            .map(|(context, session)| (*context, Rc::clone(session)))
            .collect()
    };
    for (context, session) in sessions {
        let is_cut = {
            let worker = &mut *worker.borrow_mut();
            let session = &mut *session.borrow_mut();
            if session.is_open()
                && let Err(denial) = session.may_go_on(worker, now)
            {
                session.cut(worker, &denial, now);
            }
            session.state == State::Cut
        };
        if is_cut {
            let root = worker.borrow().root;
            worker.borrow_mut().sessions.remove(&context);
            session.borrow_mut().state = State::Over;
            host::in_context(context, root, || host::reset(Half::Response));
        }
    }
}

impl Session {
    /// Ends it when the answers under way have ended; the next tick sees to it.
    fn end_soon(&mut self, worker: &mut Worker, denial: Denial, now: UnixMillis) {
        if self.open.is_empty() {
            self.cut(worker, &denial, now);
        } else {
            self.last_words.get_or_insert(denial);
        }
    }

    /// Puts its end on record; the next tick resets it.
    fn cut(&mut self, worker: &mut Worker, denial: &Denial, now: UnixMillis) {
        if !self.is_open() {
            return;
        }
        self.state = State::Cut;
        let detail = format!("{}: {}", denial.code.as_str(), denial.message);
        settle_all(self, worker, Some(detail), now);
    }

    /// Whether who opened it may still call this, and its time is not over.
    fn may_go_on(&mut self, worker: &mut Worker, now: UnixMillis) -> Result<(), Denial> {
        if worker.hears(now) {
            self.silent_since = None;
        } else if now.since(*self.silent_since.get_or_insert(now)) >= SILENCE_MILLIS {
            return Err(crate::link::unavailable());
        }
        let rules = self.rules();
        if now.since(self.opened) >= most_millis(rules.as_deref()) {
            let text = "the session has lasted as long as it may";
            return Err(Denial::with(DenialCode::SessionOverLimit, text));
        }
        let is_news = self.known != worker.snapshot_version;
        if !is_news && now.since(self.checked) < PERMIT_MILLIS {
            return Ok(());
        }
        self.follow_policy(worker)?;
        (self.known, self.checked) = (worker.snapshot_version, now);
        let credential = sekisho_scope::find_credential(self.headers.iter())?;
        let authenticator = worker
            .authenticator
            .as_mut()
            .ok_or(DenialCode::PolicyUnavailable)?;
        let principal =
            authenticator.authenticate(&credential, &crate::rs256::HostVerifier, now)?;
        let call = self.first.borrow();
        let Some((compiled, api)) = self
            .compiled
            .as_ref()
            .and_then(|compiled| Some((compiled, compiled.policy.apis.get(call.api)?)))
        else {
            return Err(DenialCode::PolicyUnavailable.into());
        };
        let model = api.models.get(&call.passage.model);
        let asked = sekisho_scope::Asked {
            api,
            scope: model.map_or(api.scope, |model| model.scope),
            address: call.address,
        };
        sekisho_scope::authorise(&principal, &compiled.policy, &asked)
    }

    /// Goes on under a new policy, if that still opens what this is.
    fn follow_policy(&mut self, worker: &Worker) -> Result<(), Denial> {
        let today = worker.compiled.as_ref();
        let is_same = self
            .compiled
            .as_ref()
            .zip(today)
            .is_some_and(|(then, today)| Rc::ptr_eq(then, today));
        if is_same {
            return Ok(());
        }
        let today = today.ok_or(DenialCode::PolicyUnavailable)?;
        let mut call = self.first.borrow_mut();
        let api = today.policy.apis.iter().position(|api| {
            api.id.as_str() == call.passage.api
                && api.operations.contains(&call.passage.operation)
                && api.models.contains_key(&call.passage.model)
        });
        call.api = api.ok_or(DenialCode::UnknownEndpoint)?;
        call.strict = worker.is_strict(call.api);
        call.compiled = Some(Rc::clone(today));
        self.compiled = Some(Rc::clone(today));
        Ok(())
    }

    fn rules(&self) -> Option<std::sync::Arc<Rules>> {
        let api = self.first.borrow().api;
        let compiled = self.compiled.as_ref()?;
        compiled.policy.apis.get(api)?.rules.clone()
    }
}
