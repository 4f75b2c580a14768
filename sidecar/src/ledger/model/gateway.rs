//! A gateway: its calls, its leases and its end of the wire.

use std::collections::VecDeque;

use sekisho_domain::{
    Counting, Meter, Mode, Payer, Price, RecordId, RecordKind, StreamCut, Subject, Tokens,
    UnixMillis, Usage,
};
use sekisho_link::{Need, Outbox, Reserved, v1};
use sekisho_quota::{Accounts, Budgets, Demand, Grant, LeaseId, Reservation, Streamed};

use super::{BUDGET, LATER, NOW, WORST, vm};
use crate::ledger::HolderId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// For a lease.
    Waits,
    /// For its record.
    Admitting,
    Upstream,
    Done,
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) id: [u8; 16],
    pub(super) phase: Phase,
    /// The request for leases that it waits for.
    pub(super) ask: u64,
    pub(super) held: Vec<Reservation>,
    /// What is followed of its answer, and how much of it has been shown.
    pub(super) streamed: Option<Streamed>,
    pub(super) shown: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Gateway {
    pub(super) accounts: Accounts,
    pub(super) outbox: Outbox,
    pub(super) calls: Vec<Call>,
    /// Batches and answers under way.
    pub(super) up: VecDeque<Vec<u8>>,
    pub(super) down: VecDeque<v1::Down>,
    /// The session that the sidecar has on this stream.
    pub(super) session: Option<HolderId>,
    /// What is under way on a stream that was lost, with the session at its other end.
    pub(super) late: VecDeque<Vec<u8>>,
    pub(super) late_session: Option<HolderId>,
    /// The other end of its stream is dead.
    pub(super) is_orphan: bool,
    pub(super) streams: u8,
    pub(super) asks: u64,
    pub(super) relaxed: bool,
    /// Its budget follows answers: a part of what a call can use is set aside at first.
    pub(super) streamed: bool,
}

/// Puts a call on record. What the record says, for the model: how much was used.
pub(super) fn record(outbox: &mut Outbox, kind: RecordKind, call: &Call, amount: u64) {
    let held = call.held.iter().map(|held| on_wire(held, amount));
    let text = [u8::try_from(amount).unwrap()];
    outbox.record(kind, &RecordId(call.id), &text, held);
}

/// A reservation as the sidecar reads it.
fn on_wire(held: &Reservation, used: u64) -> Reserved<'_> {
    let write = |id: &LeaseId| sekisho_link::lease(&id.holder, &id.budget, id.window_start.0);
    Reserved {
        lease: held.lease.written(write),
        reserved: held.amount,
        used,
    }
}

impl Gateway {
    pub(super) fn new(number: usize, relaxed: bool, streamed: bool) -> Self {
        let mut accounts = Accounts::default();
        let mode = Mode::StreamCut(StreamCut {
            estimate: Tokens(1),
            ahead: Tokens(0),
        });
        let budget = Counting {
            counter: BUDGET.into(),
            payer: Payer::Organisation,
            subject: Subject::Everything,
            meter: Meter::Tokens,
            mode: if streamed { mode } else { Mode::Strict },
        };
        Budgets::default().insert(budget, &mut accounts);
        Self {
            accounts,
            outbox: Outbox::new(vm(number).0, &["quota", "audit"]),
            calls: Vec::new(),
            up: VecDeque::new(),
            down: VecDeque::new(),
            session: None,
            late: VecDeque::new(),
            late_session: None,
            is_orphan: false,
            streams: 0,
            asks: 0,
            relaxed,
            streamed,
        }
    }

    /// Reserves for a call, or asks for a lease.
    pub(super) fn reserve(&mut self, at: usize) {
        let slot = self.accounts.find(BUDGET).unwrap();
        let demand = Demand {
            slot,
            amount: if self.streamed { 1 } else { WORST },
        };
        match self.accounts.reserve(&[demand], NOW) {
            Ok(held) => {
                let call = &mut self.calls[at];
                if self.streamed {
                    let worst = Usage {
                        output: Tokens(WORST),
                        ..Usage::default()
                    };
                    let mut streamed = Streamed::new(worst, Price::FREE, Tokens(0), 1);
                    assert!(streamed.is_followed_by(&held));
                    call.streamed = Some(streamed);
                }
                call.held = held;
                call.phase = if self.relaxed {
                    Phase::Upstream
                } else {
                    Phase::Admitting
                };
                record(&mut self.outbox, RecordKind::Admit, call, WORST);
                let renewals = self.accounts.take_renewals();
                if !renewals.is_empty() {
                    self.ask(renewals);
                }
            }
            Err(short) => {
                let ask = self.ask(short.0);
                let call = &mut self.calls[at];
                (call.phase, call.ask) = (Phase::Waits, ask);
            }
        }
    }

    pub(super) fn ask(&mut self, demands: Vec<Demand>) -> u64 {
        self.asks += 1;
        let demands = demands.into_iter().map(|demand| v1::Demand {
            budget: self.accounts.budget(demand.slot).to_owned(),
            amount: demand.amount,
        });
        self.outbox.request_leases(v1::LeaseRequest {
            id: self.asks,
            demands: demands.collect(),
        });
        self.asks
    }

    /// What goes back goes with the next batch.
    pub(super) fn give_back(&mut self, returns: Vec<sekisho_quota::Return>) {
        for back in returns {
            self.outbox.return_lease(v1::LeaseReturn {
                budget: (*back.budget).to_owned(),
                window_start: back.window_start.0,
                amount: back.amount,
            });
        }
    }

    /// Frees what a call did not use.
    pub(super) fn settle(&mut self, at: usize, amount: u64) {
        for held in &self.calls[at].held {
            self.accounts.settle(held, amount, NOW);
        }
        let returns = self.accounts.take_returns();
        self.give_back(returns);
    }

    /// One more token of an answer comes; whether it may be shown. Else the answer is cut.
    pub(super) fn grow(&mut self, at: usize) -> bool {
        let Call {
            id,
            held,
            streamed,
            shown,
            ..
        } = &mut self.calls[at];
        let streamed = streamed.as_mut().unwrap();
        let grown = self.accounts.follow(held, streamed, 1, true, NOW);
        if grown == Ok(true) {
            let held = held.iter().map(|held| on_wire(held, 0));
            self.outbox.extend(&RecordId(*id), held);
        }
        *shown += u64::from(grown.is_ok());
        let renewals = self.accounts.take_renewals();
        if !renewals.is_empty() {
            self.ask(renewals);
        }
        grown.is_ok()
    }

    /// Whether a batch can go behind another one.
    pub(super) fn has_more(&self) -> bool {
        let mut outbox = self.outbox.clone();
        outbox.next_batch(NOW, Need::Awaited, 0).is_some()
    }

    pub(super) fn has_idle(&self) -> bool {
        !self.accounts.clone().take_idle(LATER).is_empty()
    }

    /// The first call in a phase.
    pub(super) fn first(&self, phase: Phase) -> Option<usize> {
        self.calls.iter().position(|call| call.phase == phase)
    }

    /// The stream is gone, as the shell of the filters takes it.
    pub(super) fn lost(&mut self) {
        self.outbox.disconnected();
        self.accounts.restart([0; 16]);
        self.is_orphan = false;
        self.up.clear();
        self.down.clear();
        for call in &mut self.calls {
            match call.phase {
                Phase::Waits => call.phase = Phase::Done,
                Phase::Admitting => {
                    call.phase = Phase::Done;
                    record(&mut self.outbox, RecordKind::Refuse, call, 0);
                }
                Phase::Upstream | Phase::Done => {}
            }
        }
    }

    pub(super) fn answered(&mut self, down: &v1::Down) {
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
                    budget: &lease.budget,
                    window_start: UnixMillis(lease.window_start),
                    window_end: UnixMillis(lease.window_end),
                    amount: lease.amount,
                    limit: lease.limit,
                    remaining: lease.remaining,
                };
                self.accounts.add(&grant, NOW);
            }
            let waits = |call: &Call| call.phase == Phase::Waits && call.ask == answer.id;
            if let Some(at) = self.calls.iter().position(waits) {
                if answer.exhausted.is_some() {
                    self.calls[at].phase = Phase::Done;
                } else {
                    self.reserve(at);
                }
            }
        }
        for recall in &down.recalls {
            let start = UnixMillis(recall.window_start);
            self.accounts.recall(&recall.budget, start, NOW);
        }
        let returns = self.accounts.take_returns();
        self.give_back(returns);
    }
}
