//! Every order of events, in the small: two gateways, one sidecar and its database, with
//! messages that are lost, late and repeated, and deaths at any moment.
//!
//! The gateways' leases ([`Accounts`]), their wire ([`Outbox`]) and the sidecar's [`Ledger`]
//! are the real ones. States are visited nearest first, each once, as many as the bounds say:
//! `SEKISHO_MODEL_STATES=200000` goes further than there is time for in every run.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use prost::Message as _;
use sekisho_domain::{Meter, Policy, RecordKind, Tokens, Usage};
use sekisho_link::{Outbox, v1};
use sekisho_quota::{Accounts, Demand, Grant, Reservation};

use super::*;

const BUDGET: &str = "tokens";
const LIMIT: u64 = 5;
/// The worst case of a call.
const WORST: u64 = 2;
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

/// How often each thing may happen on the way to a state.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    calls: u8,
    streams: u8,
    cuts: u8,
    crashes: u8,
    expiries: u8,
    states: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// A client asks.
    Call(usize),
    /// The gateway opens a stream.
    Open(usize),
    /// The gateway sends what has gathered.
    Send(usize),
    /// The sidecar gets the oldest batch, commits it and answers.
    Deliver(usize),
    /// The gateway gets the oldest answer.
    Answer(usize),
    /// The gateway loses its stream; what it has sent may still arrive.
    Cut(usize),
    /// A batch of a stream that the gateway has lost arrives.
    Late(usize),
    /// The sidecar notices that such a stream has ended.
    Noticed(usize),
    /// An admitted call is executed, and uses so much.
    Serve(usize, u64),
    /// A gateway waits no longer for an admission.
    GiveUp(usize),
    /// The sidecar takes a gateway for silent, rightly or not.
    Expire(usize),
    /// The sidecar dies; the next one begins with what is durable.
    Crash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// For a lease.
    Waits,
    /// For its record.
    Admitting,
    Upstream,
    Done,
}

#[derive(Clone, Debug)]
struct Call {
    id: [u8; 16],
    phase: Phase,
    held: Vec<Reservation>,
}

#[derive(Clone, Debug)]
struct Gateway {
    accounts: Accounts,
    outbox: Outbox,
    calls: Vec<Call>,
    /// Batches and answers under way.
    up: VecDeque<Vec<u8>>,
    down: VecDeque<v1::Down>,
    /// The session that the sidecar has on this stream.
    session: Option<HolderId>,
    /// What is under way on a stream that was lost, with the session at its other end.
    late: VecDeque<Vec<u8>>,
    late_session: Option<HolderId>,
    streams: u8,
    asks: u64,
}

#[derive(Clone, Debug)]
struct State {
    gateways: Vec<Gateway>,
    ledger: Ledger,
    log: BTreeSet<([u8; 16], i32)>,
    served: u64,
    cuts: u8,
    crashes: u8,
    expiries: u8,
}

fn policy() -> Policy {
    Policy::parse(serde_json::json!({
        "version": 1, "organisation": "x", "time_zone": "UTC", "currency": "JPY",
        "scopes": {"all": null}, "apis": [],
        "issuers": [{"issuer": "https://i.example", "tenant": "t", "audiences": ["a"],
                     "jwks_uri": "https://i.example/keys"}],
        "departments": [{"id": "sales", "name": "Sales"}],
        "budgets": [{"id": BUDGET, "department": "sales", "meter": "tokens",
                     "window": "day", "limit": LIMIT}],
    }))
    .unwrap()
}

fn vm(gateway: usize) -> VmId {
    VmId([u8::try_from(gateway).unwrap() + 1; 16])
}

fn used(tokens: u64) -> Usage {
    Usage {
        input: Tokens(tokens),
        ..Usage::default()
    }
}

/// What a record says, for the model: who made it and how much was used.
fn entry(kind: v1::entry::Kind, call: &Call, amount: u64) -> v1::Entry {
    let reservation = |held: &Reservation| v1::Reservation {
        holder: held.holder.to_vec().into(),
        budget: held.budget.0.clone(),
        window_start: held.window_start.0,
        reserved: held.amount,
        used: amount,
    };
    v1::Entry {
        kind: kind.into(),
        record_id: call.id.to_vec().into(),
        record: vec![u8::try_from(amount).unwrap()].into(),
        reservations: call.held.iter().map(reservation).collect(),
    }
}

impl Gateway {
    fn new(number: usize) -> Self {
        Self {
            accounts: Accounts::default(),
            outbox: Outbox::new(vm(number).0, &["quota", "audit"]),
            calls: Vec::new(),
            up: VecDeque::new(),
            down: VecDeque::new(),
            session: None,
            late: VecDeque::new(),
            late_session: None,
            streams: 0,
            asks: 0,
        }
    }

    fn demand() -> Demand {
        Demand {
            budget: BUDGET.into(),
            meter: Meter::Tokens,
            amount: WORST,
        }
    }

    /// Reserves for a call, or asks for a lease.
    fn reserve(&mut self, at: usize) {
        match self.accounts.reserve(&[Self::demand()], NOW) {
            Ok(held) => {
                let call = &mut self.calls[at];
                call.held = held;
                call.phase = Phase::Admitting;
                self.outbox
                    .record(entry(v1::entry::Kind::Admit, call, WORST));
            }
            Err(short) => {
                self.calls[at].phase = Phase::Waits;
                self.asks += 1;
                let demands = short.0.into_iter().map(|demand| v1::Demand {
                    budget: demand.budget.0,
                    amount: demand.amount,
                });
                self.outbox.request_leases(v1::LeaseRequest {
                    id: self.asks,
                    demands: demands.collect(),
                });
            }
        }
    }

    /// The first call in a phase.
    fn first(&self, phase: Phase) -> Option<usize> {
        self.calls.iter().position(|call| call.phase == phase)
    }

    /// The stream is gone, as the shell of the filters takes it.
    fn lost(&mut self) {
        self.outbox.disconnected();
        self.accounts.restart([0; 16]);
        self.down.clear();
        for call in &mut self.calls {
            match call.phase {
                Phase::Waits => call.phase = Phase::Done,
                Phase::Admitting => {
                    call.phase = Phase::Done;
                    self.outbox.record(entry(v1::entry::Kind::Refuse, call, 0));
                }
                Phase::Upstream | Phase::Done => {}
            }
        }
    }

    fn answered(&mut self, down: &v1::Down) {
        for record in self.outbox.acknowledged(down) {
            let known = |call: &&mut Call| call.id == record.record_id.0;
            if let Some(call) = self.calls.iter_mut().find(known)
                && record.kind == RecordKind::Admit
                && call.phase == Phase::Admitting
            {
                call.phase = if record.refused {
                    Phase::Done
                } else {
                    Phase::Upstream
                };
            }
        }
        for answer in &down.lease_answers {
            for lease in &answer.leases {
                let grant = Grant {
                    budget: lease.budget.as_str().into(),
                    window_start: UnixMillis(lease.window_start),
                    window_end: UnixMillis(lease.window_end),
                    amount: lease.amount,
                    limit: lease.limit,
                    remaining: lease.remaining,
                };
                self.accounts.add(grant, NOW);
            }
            if let Some(at) = self.first(Phase::Waits) {
                if answer.exhausted.is_some() {
                    self.calls[at].phase = Phase::Done;
                } else {
                    self.reserve(at);
                }
            }
        }
    }
}

impl State {
    fn new() -> Self {
        Self {
            gateways: (0..2).map(Gateway::new).collect(),
            ledger: Ledger::new(&policy()).unwrap(),
            log: BTreeSet::new(),
            served: 0,
            cuts: 0,
            crashes: 0,
            expiries: 0,
        }
    }

    /// What can happen next.
    fn events(&self, bounds: Bounds) -> Vec<Event> {
        let mut events = Vec::new();
        let calls: usize = self.gateways.iter().map(|g| g.calls.len()).sum();
        for (g, gateway) in self.gateways.iter().enumerate() {
            let open = gateway.outbox.is_connected();
            if open && calls < usize::from(bounds.calls) {
                events.push(Event::Call(g));
            }
            if !open && gateway.streams < bounds.streams {
                events.push(Event::Open(g));
            }
            if open && gateway.outbox.waiting_since().is_none() {
                events.push(Event::Send(g));
            }
            if !gateway.up.is_empty() {
                events.push(Event::Deliver(g));
            }
            if !gateway.down.is_empty() {
                events.push(Event::Answer(g));
            }
            if open && self.cuts < bounds.cuts {
                events.push(Event::Cut(g));
            }
            if !gateway.late.is_empty() {
                events.push(Event::Late(g));
            } else if gateway.late_session.is_some() {
                events.push(Event::Noticed(g));
            }
            if gateway.first(Phase::Upstream).is_some() {
                events.extend([Event::Serve(g, 1), Event::Serve(g, WORST)]);
            }
            if gateway.first(Phase::Admitting).is_some() {
                events.push(Event::GiveUp(g));
            }
            if self.expiries < bounds.expiries && self.ledger.vms.contains_key(&vm(g)) {
                events.push(Event::Expire(g));
            }
        }
        if self.crashes < bounds.crashes {
            events.push(Event::Crash);
        }
        events
    }

    fn after(&self, event: Event) -> Self {
        let mut next = self.clone();
        next.apply(event);
        next
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Call(g) => {
                let gateway = &mut self.gateways[g];
                let at = gateway.calls.len();
                let mut id = vm(g).0;
                id[15] = u8::try_from(at).unwrap();
                gateway.calls.push(Call {
                    id,
                    phase: Phase::Waits,
                    held: Vec::new(),
                });
                gateway.reserve(at);
            }
            Event::Open(g) => {
                let gateway = &mut self.gateways[g];
                gateway.streams += 1;
                let mut holder = vm(g).0;
                holder[0] = 100 + gateway.streams;
                gateway.outbox.connected(holder);
                gateway.accounts.restart(holder);
            }
            Event::Send(g) => {
                let gateway = &mut self.gateways[g];
                let batch = gateway.outbox.next_batch(NOW, true, 0);
                gateway.up.extend(batch);
            }
            Event::Deliver(g) => {
                let Some(batch) = self.gateways[g].up.pop_front() else {
                    return;
                };
                let session = &mut self.gateways[g].session.take();
                match self.deliver(g, &batch, session) {
                    Some(down) => self.gateways[g].down.push_back(down),
                    // The stream is closed from the sidecar's end.
                    None => self.gateways[g].lost(),
                }
                self.gateways[g].session = *session;
            }
            Event::Answer(g) => {
                let gateway = &mut self.gateways[g];
                if let Some(down) = gateway.down.pop_front() {
                    gateway.answered(&down);
                }
            }
            Event::Cut(g) => {
                self.cuts += 1;
                let gateway = &mut self.gateways[g];
                gateway.late = std::mem::take(&mut gateway.up);
                gateway.late_session = gateway.session.take();
                gateway.lost();
            }
            Event::Late(g) => {
                let Some(batch) = self.gateways[g].late.pop_front() else {
                    return;
                };
                let session = &mut self.gateways[g].late_session.take();
                // Its answer reaches nobody.
                let _ = self.deliver(g, &batch, session);
                self.gateways[g].late_session = *session;
            }
            Event::Noticed(g) => {
                if let Some(holder) = self.gateways[g].late_session.take() {
                    self.ledger.disconnect(holder);
                }
            }
            Event::Serve(g, amount) => {
                self.served += amount;
                let gateway = &mut self.gateways[g];
                let Some(at) = gateway.first(Phase::Upstream) else {
                    return;
                };
                let call = &mut gateway.calls[at];
                call.phase = Phase::Done;
                for held in &call.held {
                    gateway.accounts.settle(held, amount);
                }
                gateway
                    .outbox
                    .record(entry(v1::entry::Kind::Complete, call, amount));
            }
            Event::GiveUp(g) => {
                let gateway = &mut self.gateways[g];
                let Some(at) = gateway.first(Phase::Admitting) else {
                    return;
                };
                let call = &mut gateway.calls[at];
                call.phase = Phase::Done;
                for held in &call.held {
                    gateway.accounts.settle(held, 0);
                }
                gateway
                    .outbox
                    .record(entry(v1::entry::Kind::Refuse, call, 0));
            }
            Event::Expire(g) => {
                self.expiries += 1;
                for id in self.ledger.expire(vm(g)) {
                    self.log.insert((id.0, v1::entry::Kind::Complete.into()));
                    let charges = self
                        .ledger
                        .complete(&id, &used(WORST), Default::default(), NOW);
                    assert!(charges.is_some());
                }
            }
            Event::Crash => self.crash(),
        }
    }

    /// One batch in one transaction; `None`: the stream must be closed.
    fn deliver(
        &mut self,
        g: usize,
        batch: &[u8],
        session: &mut Option<HolderId>,
    ) -> Option<v1::Down> {
        let up = v1::Up::decode(batch).unwrap();
        let index = self.ledger.index(BUDGET).unwrap();
        let (key, window) = self.ledger.window_at(index, NOW).unwrap();
        self.ledger.load_window(key, window, 0);
        if let Some(hello) = &up.hello {
            let holder = HolderId(hello.holder.as_ref().try_into().unwrap());
            *session = Some(holder);
            self.ledger.connect(holder, vm(g), true, NOW);
        }
        let holder = session.filter(|holder| self.ledger.is_live(*holder))?;
        self.ledger.seen(vm(g), NOW);
        let mut down = v1::Down {
            ack: up.seq,
            ..v1::Down::default()
        };
        for entry in &up.entries {
            if !self.record(g, entry) {
                down.refused.push(entry.record_id.clone());
            }
        }
        for gone in up.hello.iter().flat_map(|hello| &hello.gone) {
            let gone = HolderId(gone.as_ref().try_into().unwrap());
            if self.ledger.vm_of(gone) == Some(vm(g)) {
                self.ledger.gone(gone);
            }
        }
        for request in &up.lease_requests {
            let demands = request.demands.iter();
            let demands: Vec<(&str, u64)> =
                demands.map(|d| (d.budget.as_str(), d.amount)).collect();
            let mut answer = v1::LeaseAnswer {
                id: request.id,
                ..v1::LeaseAnswer::default()
            };
            match self.ledger.grant(holder, &demands, NOW) {
                Ok(grants) => {
                    let lease = |grant: super::Grant| v1::Lease {
                        budget: grant.budget.0,
                        window_start: grant.window.start.0,
                        window_end: grant.window.end.0,
                        amount: grant.amount,
                        limit: grant.limit,
                        remaining: grant.remaining,
                    };
                    answer.leases = grants.into_iter().map(lease).collect();
                }
                Err(_) => answer.exhausted = Some(v1::Exhausted::default()),
            }
            down.lease_answers.push(answer);
        }
        Some(down)
    }

    /// `false`: an admit that must not go on.
    fn record(&mut self, g: usize, entry: &v1::Entry) -> bool {
        let id = RecordId(entry.record_id.as_ref().try_into().unwrap());
        if self.log.contains(&(id.0, entry.kind)) {
            return true;
        }
        let amount = u64::from(entry.record[0]);
        match entry.kind() {
            v1::entry::Kind::Admit => {
                let asked = entry.reservations.iter().map(|r| Asked {
                    holder: HolderId(r.holder.as_ref().try_into().unwrap()),
                    budget: r.budget.as_str().into(),
                    window_start: UnixMillis(r.window_start),
                    amount: r.reserved,
                });
                let asked: Vec<Asked> = asked.collect();
                let admitted = self.ledger.admit(&Admit {
                    id,
                    vm: vm(g),
                    department: "sales",
                    at: NOW,
                    asked: &asked,
                    worst: used(WORST),
                    worst_cost: Default::default(),
                    binding: true,
                });
                if admitted.is_err() {
                    return false;
                }
            }
            v1::entry::Kind::Complete => {
                let charged = self
                    .ledger
                    .complete(&id, &used(amount), Default::default(), NOW);
                assert!(charged.is_some(), "a call ended that was never admitted");
            }
            v1::entry::Kind::Refuse | v1::entry::Kind::Unspecified => {
                self.ledger.cancel(&id, NOW);
            }
        }
        self.log.insert((id.0, entry.kind));
        true
    }

    /// Everything that the tables keep, and nothing else; all streams end.
    fn crash(&mut self) {
        self.crashes += 1;
        let former = std::mem::replace(&mut self.ledger, Ledger::new(&policy()).unwrap());
        for (id, holder) in &former.holders {
            self.ledger.load_holder(*id, holder.vm, NOW);
        }
        for (key, state) in &former.windows {
            let window = Window {
                start: key.start,
                end: state.end,
            };
            self.ledger.load_window(*key, window, state.settled);
        }
        for ((id, key), account) in &former.accounts {
            self.ledger.load_account(*id, *key, *account);
        }
        for (id, call) in &former.open {
            self.ledger.load_call(*id, call.clone(), NOW);
        }
        for gateway in &mut self.gateways {
            gateway.up.clear();
            gateway.late.clear();
            (gateway.session, gateway.late_session) = (None, None);
            if gateway.outbox.is_connected() {
                gateway.lost();
            }
        }
    }

    fn check(&self) {
        assert!(self.served <= LIMIT, "{} served of {LIMIT}", self.served);
        assert_eq!(self.ledger.contradiction(), None);
        let mut windows = self.ledger.windows.values();
        assert!(windows.all(|window| window.excess == 0));
        // Nothing that is served can be missing in the end: it is charged, or still reserved.
        let counted = self.ledger.windows.values().map(|w| w.settled + w.leased);
        assert!(
            self.served <= counted.sum(),
            "something is served for nothing"
        );
    }

    /// Equal for equal states, whatever order they keep their parts in.
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        format!("{:?}", self.gateways).hash(&mut hasher);
        format!("{:?}", self.ledger.accounts).hash(&mut hasher);
        let sorted = |mut parts: Vec<String>| {
            parts.sort();
            parts
        };
        let parts = [
            sorted(
                self.ledger
                    .windows
                    .iter()
                    .map(|w| format!("{w:?}"))
                    .collect(),
            ),
            sorted(
                self.ledger
                    .holders
                    .iter()
                    .map(|h| format!("{h:?}"))
                    .collect(),
            ),
            sorted(self.ledger.open.iter().map(|c| format!("{c:?}")).collect()),
            sorted(self.ledger.vms.keys().map(|v| format!("{v:?}")).collect()),
        ];
        parts.hash(&mut hasher);
        self.log.hash(&mut hasher);
        (self.served, self.cuts, self.crashes, self.expiries).hash(&mut hasher);
        hasher.finish()
    }
}

/// Visits every state within the bounds, nearest first; returns how many there were and how
/// many events the longest way had. A state that breaks a promise is told with its way.
fn explore(bounds: Bounds) -> (usize, usize) {
    let more = std::env::var("SEKISHO_MODEL_STATES").ok();
    let most = more.and_then(|states| states.parse().ok());
    let bounds = Bounds {
        states: most.unwrap_or(bounds.states),
        ..bounds
    };
    let mut seen = HashSet::new();
    let mut ways: Vec<(usize, Option<Event>)> = vec![(0, None)];
    let mut queue = VecDeque::from([(State::new(), 0usize, 0usize)]);
    let mut longest = 0;
    while let Some((state, way, depth)) = queue.pop_front() {
        longest = longest.max(depth);
        for event in state.events(bounds) {
            let stepped = std::panic::catch_unwind(|| {
                let next = state.after(event);
                next.check();
                next
            });
            let Ok(next) = stepped else {
                let mut events = vec![event];
                let mut at = way;
                while let (before, Some(event)) = ways[at] {
                    events.push(event);
                    at = before;
                }
                events.reverse();
                panic!("a promise is broken after {events:?}");
            };
            if seen.len() < bounds.states && seen.insert(next.fingerprint()) {
                ways.push((way, Some(event)));
                queue.push_back((next, ways.len() - 1, depth + 1));
            }
        }
    }
    (seen.len(), longest)
}

#[test]
fn no_order_of_losses_and_repetitions_breaks_the_limit() {
    let found = explore(Bounds {
        calls: 3,
        streams: 2,
        cuts: 1,
        crashes: 0,
        expiries: 0,
        states: 8_000,
    });
    assert!(found.0 > 5_000, "{found:?}");
}

#[test]
fn no_death_of_the_sidecar_breaks_the_limit() {
    let found = explore(Bounds {
        calls: 3,
        streams: 2,
        cuts: 0,
        crashes: 1,
        expiries: 0,
        states: 8_000,
    });
    assert!(found.0 > 5_000, "{found:?}");
}

#[test]
fn no_gateway_that_is_taken_for_silent_breaks_the_limit() {
    let found = explore(Bounds {
        calls: 2,
        streams: 2,
        cuts: 1,
        crashes: 1,
        expiries: 1,
        states: 8_000,
    });
    assert!(found.0 > 5_000, "{found:?}");
}
