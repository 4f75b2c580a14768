//! Who gets leases at once, who has to wait for others to give back what they do not need,
//! and who hears that there is nothing left.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use sekisho_domain::UnixMillis;
use sekisho_link::v1;
use tokio::sync::mpsc::UnboundedSender;

use super::Core;
use crate::ledger::{self, BudgetIndex, Exhausted, HolderId, WindowKey};

/// What is pushed to sessions, and who waits for it.
#[derive(Default)]
pub(super) struct Desk {
    sessions: HashMap<HolderId, UnboundedSender<v1::Down>>,
    /// To be sent once what they rest on is durable.
    outgoing: Vec<(HolderId, v1::Down)>,
    waiting: VecDeque<Waiting>,
}

/// A request that waits for leases of others to come back.
struct Waiting {
    holder: HolderId,
    request: v1::LeaseRequest,
    /// Who has been asked and has not answered.
    asked: HashSet<(HolderId, WindowKey)>,
    /// How many more times it is looked at in vain.
    patience: u32,
}

impl Desk {
    /// What is pushed to this holder goes here.
    pub(super) fn listen(&mut self, holder: HolderId, session: UnboundedSender<v1::Down>) {
        self.sessions.insert(holder, session);
    }

    /// Nothing can be pushed to this holder any longer, nor does anything come from it.
    pub(super) fn leave(&mut self, holder: HolderId) {
        self.sessions.remove(&holder);
        self.waiting.retain(|waiting| waiting.holder != holder);
        for waiting in &mut self.waiting {
            waiting.asked.retain(|(asked, _)| *asked != holder);
        }
    }

    /// Whether any request waits.
    pub(super) fn is_anybody_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// One more look in vain: whoever has waited for long enough hears the answer.
    pub(super) fn grow_impatient(&mut self) {
        for waiting in &mut self.waiting {
            waiting.patience = waiting.patience.saturating_sub(1);
        }
    }

    /// Sends what is due.
    pub(super) fn send(&mut self) {
        for (holder, down) in self.outgoing.drain(..) {
            if let Some(session) = self.sessions.get(&holder) {
                // Its end is on the way.
                let _ = session.send(down);
            }
        }
    }

    fn answer(&mut self, holder: HolderId, answer: v1::LeaseAnswer) {
        let down = v1::Down {
            lease_answers: vec![answer],
            ..v1::Down::default()
        };
        self.outgoing.push((holder, down));
    }

    fn recall(&mut self, holder: HolderId, budget: &str, start: UnixMillis) {
        let down = v1::Down {
            recalls: vec![v1::Recall {
                budget: budget.to_owned(),
                window_start: start.0,
            }],
            ..v1::Down::default()
        };
        self.outgoing.push((holder, down));
    }

    /// Whether somebody waits for this budget already: then nobody gets more than it needs.
    fn is_scarce(&self, request: &v1::LeaseRequest) -> bool {
        let wants = |budget: &str| {
            let mut waiting = self.waiting.iter().flat_map(|other| &other.request.demands);
            waiting.any(|demand| demand.budget == budget)
        };
        request.demands.iter().any(|demand| wants(&demand.budget))
    }
}

impl Core {
    /// Grants what is asked for, or lets the request wait (`None`), or says what is used up.
    pub(super) fn lease(
        &mut self,
        holder: HolderId,
        request: v1::LeaseRequest,
        now: UnixMillis,
    ) -> Option<v1::LeaseAnswer> {
        let ample = !self.desk.is_scarce(&request);
        let exhausted = match self.grant(holder, &request, ample, now) {
            Ok(answer) => return Some(answer),
            Err(exhausted) => exhausted,
        };
        let Some(asked) = self.elsewhere(holder, &request, now) else {
            return Some(refusal(request.id, exhausted));
        };
        for (other, key) in &asked {
            let is_asked = |waiting: &Waiting| waiting.asked.contains(&(*other, *key));
            if !self.desk.waiting.iter().any(is_asked)
                && let Some(budget) = self.ledger.budget(key.budget)
            {
                self.desk.recall(*other, budget.id.as_str(), key.start);
            }
        }
        self.desk.waiting.push_back(Waiting {
            holder,
            request,
            asked,
            patience: self.patience,
        });
        None
    }

    fn grant(
        &mut self,
        holder: HolderId,
        request: &v1::LeaseRequest,
        ample: bool,
        now: UnixMillis,
    ) -> Result<v1::LeaseAnswer, Exhausted> {
        let demands = request.demands.iter();
        let demands: Vec<(&str, u64)> = demands
            .map(|demand| (demand.budget.as_str(), demand.amount))
            .collect();
        let grants = self.ledger.grant(holder, &demands, ample, now)?;
        let lease = |grant: ledger::Grant| v1::Lease {
            budget: grant.budget.0,
            window_start: grant.window.start.0,
            window_end: grant.window.end.0,
            amount: grant.amount,
            limit: grant.limit,
            remaining: grant.remaining,
        };
        Ok(v1::LeaseAnswer {
            id: request.id,
            leases: grants.into_iter().map(lease).collect(),
            exhausted: None,
        })
    }

    /// From whom what is missing could come back; `None`: not from anybody.
    fn elsewhere(
        &self,
        holder: HolderId,
        request: &v1::LeaseRequest,
        now: UnixMillis,
    ) -> Option<HashSet<(HolderId, WindowKey)>> {
        let mut needs: BTreeMap<BudgetIndex, u64> = BTreeMap::new();
        for demand in &request.demands {
            let need = needs.entry(self.ledger.index(&demand.budget)?).or_default();
            *need = need.saturating_add(demand.amount);
        }
        let mut asked = HashSet::new();
        for (index, need) in needs {
            let (key, _) = self.ledger.window_at(index, now)?;
            let limit = self.ledger.budget(index)?.limit;
            let remaining = self.ledger.window(&key)?.remaining(limit);
            let missing = need.saturating_sub(remaining);
            if missing == 0 {
                continue;
            }
            let others = self.ledger.recallable(key, holder);
            let free = |other: &HolderId| {
                let account = self.ledger.account(*other, key);
                account.map_or(0, |account| account.free)
            };
            if others.iter().map(free).fold(0, u64::saturating_add) < missing {
                return None;
            }
            asked.extend(others.into_iter().map(|other| (other, key)));
        }
        (!asked.is_empty()).then_some(asked)
    }

    /// A holder has answered a recall, or gives back what it does not need.
    pub(super) fn give_back(
        &mut self,
        holder: HolderId,
        budget: &str,
        start: UnixMillis,
        amount: u64,
    ) {
        self.ledger.give_back(holder, budget, start, amount);
        if let Some(budget) = self.ledger.index(budget) {
            let key = WindowKey { budget, start };
            for waiting in &mut self.desk.waiting {
                waiting.asked.remove(&(holder, key));
            }
        }
    }

    /// Grants what has come back to those who wait, first come, first served. Whoever waits in
    /// vain hears so.
    pub(super) fn serve_waiting(&mut self, now: UnixMillis) {
        for waiting in std::mem::take(&mut self.desk.waiting) {
            // Whoever fell silent meanwhile gets nothing.
            if !self.ledger.is_live(waiting.holder) {
                continue;
            }
            match self.grant(waiting.holder, &waiting.request, false, now) {
                Ok(answer) => self.desk.answer(waiting.holder, answer),
                Err(exhausted) if waiting.asked.is_empty() || waiting.patience == 0 => {
                    let refusal = refusal(waiting.request.id, exhausted);
                    self.desk.answer(waiting.holder, refusal);
                }
                Err(_) => self.desk.waiting.push_back(waiting),
            }
        }
    }

    /// Asks everybody for what is free of a budget whose limit is below what has been granted.
    pub(super) fn recall_all(&mut self, index: BudgetIndex, now: UnixMillis) {
        let Some((key, _)) = self.ledger.window_at(index, now) else {
            return;
        };
        let is_over = self
            .ledger
            .window(&key)
            .is_some_and(|window| window.excess > 0);
        let Some(budget) = self.ledger.budget(index).filter(|_| is_over) else {
            return;
        };
        let counter = budget.id.clone();
        for holder in self.ledger.recallable(key, HolderId::SIDECAR) {
            self.desk.recall(holder, counter.as_str(), key.start);
        }
    }
}

fn refusal(id: u64, exhausted: Exhausted) -> v1::LeaseAnswer {
    v1::LeaseAnswer {
        id,
        leases: Vec::new(),
        exhausted: Some(v1::Exhausted {
            budget: exhausted.budget.0,
            window_end: exhausted.window_end.0,
            limit: exhausted.limit,
            remaining: exhausted.remaining,
        }),
    }
}
