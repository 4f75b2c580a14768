//! Gateways, sidecar and database together, and what each event makes of them.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::rc::Rc;

use prost::Message as _;
use sekisho_domain::{Policy, RecordId, RecordKind, Tokens, UnixMillis, Usage};
use sekisho_link::{Need, v1};

use super::gateway::{Call, Gateway, Phase, record};
use super::{BUDGET, Bounds, CALL, Event, Flaw, LATER, NOW, WORST, vm};
use crate::ledger::desk::Desk;
use crate::ledger::{Account, Admit, Asked, HolderId, Ledger, Window};

#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) gateways: Vec<Gateway>,
    pub(super) ledger: Ledger,
    pub(super) desk: Desk,
    pub(super) log: BTreeSet<([u8; 16], i32)>,
    /// As it is when nothing has happened yet.
    pub(super) fresh: Rc<Ledger>,
    pub(super) limit: u64,
    pub(super) flaw: Option<Flaw>,
    pub(super) relaxed: bool,
    pub(super) served: u64,
    /// Charged at its worst, because nobody told its end.
    pub(super) presumed: u64,
    pub(super) recalls: u64,
    /// Batches that were sent behind others.
    pub(super) behind: u64,
    pub(super) cuts: u8,
    pub(super) crashes: u8,
    pub(super) expiries: u8,
}

pub(super) fn policy(limit: u64) -> Policy {
    Policy::parse(serde_json::json!({
        "version": 1, "organisation": "x", "time_zone": "UTC", "currency": "JPY",
        "scopes": {"all": null}, "apis": [],
        "issuers": [{"issuer": "https://i.example", "tenant": "t", "audiences": ["a"],
                     "jwks_uri": "https://i.example/keys"}],
        "departments": [{"id": "sales", "name": "Sales"}],
        "budgets": [{"id": BUDGET, "department": "sales", "meter": "tokens",
                     "window": "day", "limit": limit}],
    }))
    .unwrap()
}

pub(super) fn used(tokens: u64) -> Usage {
    Usage {
        input: Tokens(tokens),
        ..Usage::default()
    }
}

fn asked(entry: &v1::Entry) -> Vec<Asked> {
    let each = entry.reservations.iter().map(|r| Asked {
        holder: HolderId(r.holder.as_ref().try_into().unwrap()),
        budget: r.budget.as_str().into(),
        window_start: UnixMillis(r.window_start),
        amount: r.reserved,
    });
    each.collect()
}

impl State {
    pub(super) fn new(bounds: Bounds) -> Self {
        let fresh = Rc::new(Ledger::new(&policy(bounds.limit)).unwrap());
        let gateways = (0..2).map(|g| Gateway::new(g, bounds.relaxed, bounds.streamed));
        Self {
            gateways: gateways.collect(),
            ledger: Ledger::clone(&fresh),
            fresh,
            desk: Desk::new(1),
            log: BTreeSet::new(),
            limit: bounds.limit,
            flaw: bounds.flaw,
            relaxed: bounds.relaxed,
            served: 0,
            presumed: 0,
            recalls: 0,
            behind: 0,
            cuts: 0,
            crashes: 0,
            expiries: 0,
        }
    }

    /// What can happen next.
    pub(super) fn events(&self, bounds: Bounds) -> Vec<Event> {
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
            } else if gateway.has_more() {
                events.push(Event::SendBehind(g));
            }
            if gateway.is_orphan {
                events.push(Event::Orphaned(g));
            } else if !gateway.up.is_empty() {
                events.push(Event::Deliver(g));
            }
            if !gateway.down.is_empty() {
                events.push(Event::Answer(g));
            }
            if open && !gateway.is_orphan && self.cuts < bounds.cuts {
                events.push(Event::Cut(g));
            }
            if !gateway.late.is_empty() {
                events.push(Event::Late(g));
            } else if gateway.late_session.is_some() {
                events.push(Event::Noticed(g));
            }
            match gateway.first(Phase::Upstream).map(|at| &gateway.calls[at]) {
                None => {}
                Some(call) if call.streamed.is_none() => {
                    events.extend([Event::Serve(g, 1), Event::Serve(g, WORST)]);
                }
                Some(call) => {
                    if call.shown < WORST {
                        events.push(Event::Grow(g));
                    }
                    events.push(Event::Serve(g, 0));
                }
            }
            if gateway.first(Phase::Admitting).is_some() {
                events.push(Event::GiveUp(g));
            }
            if open && gateway.has_idle() {
                events.push(Event::Idle(g));
            }
            if self.expiries < bounds.expiries && self.ledger.vms.contains_key(&vm(g)) {
                events.push(Event::Expire(g));
            }
        }
        if self.desk.is_anybody_waiting() {
            events.push(Event::Look);
        }
        if self.crashes < bounds.crashes {
            events.push(Event::Crash);
        }
        events
    }

    pub(super) fn after(&self, event: Event) -> Self {
        let mut next = self.clone();
        next.apply(event);
        next
    }

    pub(super) fn apply(&mut self, event: Event) {
        match event {
            Event::Call(g) => {
                let gateway = &mut self.gateways[g];
                let at = gateway.calls.len();
                let mut id = vm(g).0;
                id[15] = u8::try_from(at).unwrap();
                gateway.calls.push(Call {
                    id,
                    phase: Phase::Waits,
                    ask: 0,
                    held: Vec::new(),
                    streamed: None,
                    shown: 0,
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
                let batch = gateway.outbox.next_batch(NOW, Need::Heartbeat, 0);
                gateway.up.extend(batch.map(<[u8]>::to_vec));
            }
            Event::SendBehind(g) => {
                self.behind += 1;
                let gateway = &mut self.gateways[g];
                let batch = gateway.outbox.next_batch(NOW, Need::Awaited, 0);
                gateway.up.extend(batch.map(<[u8]>::to_vec));
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
                self.tell();
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
                self.tell();
            }
            Event::Noticed(g) => {
                if let Some(holder) = self.gateways[g].late_session.take() {
                    self.ledger.disconnect(holder);
                    self.desk.leave(holder);
                }
            }
            Event::Serve(g, amount) => {
                self.served += amount;
                if let Some(at) = self.gateways[g].first(Phase::Upstream) {
                    self.end(g, at, amount);
                }
            }
            Event::Grow(g) => {
                let gateway = &mut self.gateways[g];
                let Some(at) = gateway.first(Phase::Upstream) else {
                    return;
                };
                if gateway.grow(at) {
                    self.served += 1;
                } else {
                    self.end(g, at, 0);
                }
            }
            Event::GiveUp(g) => {
                let gateway = &mut self.gateways[g];
                let Some(at) = gateway.first(Phase::Admitting) else {
                    return;
                };
                gateway.calls[at].phase = Phase::Done;
                gateway.settle(at, 0);
                let call = &gateway.calls[at];
                record(&mut gateway.outbox, RecordKind::Refuse, call, 0);
            }
            Event::Expire(g) => {
                self.expiries += 1;
                for id in self.ledger.expire(vm(g)) {
                    if self.flaw == Some(Flaw::FreesReservations) {
                        self.ledger.cancel(&id, NOW);
                        continue;
                    }
                    self.log.insert((id.0, v1::entry::Kind::Complete.into()));
                    let charges = self
                        .ledger
                        .complete(&id, &used(WORST), Default::default(), NOW);
                    assert!(charges.is_some());
                    self.presumed += WORST;
                }
            }
            Event::Idle(g) => {
                let gateway = &mut self.gateways[g];
                let idle = gateway.accounts.take_idle(LATER);
                gateway.give_back(idle);
            }
            Event::Look => {
                self.desk.grow_impatient();
                self.desk.serve_waiting(&mut self.ledger, NOW);
                self.tell();
            }
            Event::Crash => self.crash(),
            Event::Orphaned(g) => self.gateways[g].lost(),
        }
    }

    /// A call ends that has used so much, besides what was shown of it.
    fn end(&mut self, g: usize, at: usize, amount: u64) {
        let gateway = &mut self.gateways[g];
        let amount = amount + gateway.calls[at].shown;
        gateway.calls[at].phase = Phase::Done;
        gateway.settle(at, amount);
        let call = &gateway.calls[at];
        record(&mut gateway.outbox, RecordKind::Complete, call, amount);
    }

    /// More is set aside for a call.
    fn extend(&mut self, g: usize, id: RecordId, entry: &v1::Entry) {
        if self.flaw != Some(Flaw::ForgetsExtensions) {
            self.ledger.extend(&id, vm(g), &asked(entry));
        }
    }

    /// What the desk has to tell goes to whoever is there to hear it.
    pub(super) fn tell(&mut self) {
        for (holder, down) in self.desk.take_outgoing() {
            self.recalls += u64::from(!down.recalls.is_empty());
            if !down.recalls.is_empty() && self.flaw == Some(Flaw::TakesUnanswered) {
                self.ledger.release_free(holder);
            }
            let mut gateways = self.gateways.iter_mut();
            if let Some(gateway) = gateways.find(|gateway| gateway.session == Some(holder)) {
                gateway.down.push_back(down);
            }
        }
    }

    /// One batch in one transaction; `None`: the stream must be closed.
    pub(super) fn deliver(
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
        for back in &up.lease_returns {
            let (budget, start) = (back.budget.as_str(), UnixMillis(back.window_start));
            let ledger = &mut self.ledger;
            self.desk
                .give_back(ledger, holder, budget, start, back.amount);
        }
        if self.desk.is_anybody_waiting() {
            self.desk.serve_waiting(&mut self.ledger, NOW);
        }
        for request in up.lease_requests {
            let ledger = &mut self.ledger;
            let answer = self.desk.lease(ledger, holder, request, NOW);
            down.lease_answers.extend(answer);
        }
        if self.desk.is_anybody_waiting() {
            self.desk.serve_waiting(&mut self.ledger, NOW);
        }
        Some(down)
    }

    /// `false`: an admit that must not go on.
    pub(super) fn record(&mut self, g: usize, entry: &v1::Entry) -> bool {
        let id = RecordId(entry.record_id.as_ref().try_into().unwrap());
        let forgets = self.flaw == Some(Flaw::ForgetsRecords);
        if self.log.contains(&(id.0, entry.kind)) && !forgets {
            return true;
        }
        if entry.kind() == v1::entry::Kind::Extend {
            self.extend(g, id, entry);
            return true;
        }
        let amount = u64::from(entry.record[0]);
        match entry.kind() {
            v1::entry::Kind::Admit => {
                let asked = asked(entry);
                let admitted = self.ledger.admit(&Admit {
                    id,
                    vm: vm(g),
                    call: CALL,
                    at: NOW,
                    asked: &asked,
                    worst: used(WORST),
                    worst_cost: Default::default(),
                    binding: !self.relaxed,
                });
                if admitted.is_err() {
                    return false;
                }
            }
            v1::entry::Kind::Complete => {
                let charged = self
                    .ledger
                    .complete(&id, &used(amount), Default::default(), NOW);
                if charged.is_none() {
                    assert!(forgets, "a call ended that was never admitted");
                    let used = used(amount);
                    self.ledger
                        .complete_unadmitted(&CALL, NOW, &used, Default::default());
                }
            }
            v1::entry::Kind::Extend | v1::entry::Kind::Refuse | v1::entry::Kind::Unspecified => {
                self.ledger.cancel(&id, NOW);
            }
        }
        self.log.insert((id.0, entry.kind));
        true
    }

    /// Everything that the tables keep, and nothing else; all streams end.
    pub(super) fn crash(&mut self) {
        self.crashes += 1;
        self.desk = Desk::new(1);
        let former = std::mem::replace(&mut self.ledger, Ledger::clone(&self.fresh));
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
            let durable = match self.flaw {
                Some(Flaw::GrantsInMemory) => 0,
                _ => account.free,
            };
            let account = Account {
                free: durable,
                owed: 0,
                ..*account
            };
            self.ledger.load_account(*id, *key, account);
        }
        for (id, call) in &former.open {
            self.ledger.load_call(*id, call.clone(), NOW);
        }
        for gateway in &mut self.gateways {
            gateway.up.clear();
            gateway.late.clear();
            (gateway.session, gateway.late_session) = (None, None);
            // What the dead one has said may still be read.
            gateway.is_orphan = gateway.outbox.is_connected();
        }
    }

    pub(super) fn check(&self) {
        let limit = self.limit;
        assert!(self.served <= limit, "{} served of {limit}", self.served);
        assert_eq!(self.ledger.contradiction(), None);
        let mut windows = self.ledger.windows.values();
        assert!(windows.all(|window| window.excess == 0));
        // Nothing that is served can be missing in the end: it is charged, or still set aside.
        let windows = self.ledger.windows.values();
        let (settled, counted) = windows.fold((0, 0), |(settled, counted), window| {
            (settled + window.settled, counted + window.spent())
        });
        assert!(self.served <= counted, "something is served for nothing");
        assert!(
            settled <= self.served + self.presumed,
            "something is charged twice"
        );
    }

    /// Equal for equal states, whatever order they keep their parts in.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        format!("{:?}", self.gateways).hash(&mut hasher);
        format!("{:?} {:?}", self.ledger.accounts, self.desk).hash(&mut hasher);
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
