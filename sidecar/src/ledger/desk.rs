//! Who gets leases at once, who has to wait for others to give back what they do not need,
//! and who hears that there is nothing left.
//!
//! Pure, as the ledger is: what is to be told to whom is taken from here once what it rests on
//! is durable.

use std::collections::{BTreeMap, HashSet, VecDeque};

use sekisho_domain::UnixMillis;
use sekisho_link::v1;

use super::{BudgetIndex, Exhausted, Grant, HolderId, Ledger, WindowKey};

/// Who waits for what, and what is to be told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Desk {
    /// To be sent once what they rest on is durable.
    outgoing: Vec<(HolderId, v1::Down)>,
    waiting: VecDeque<Waiting>,
    /// How often a request is looked at in vain.
    patience: u32,
}

/// A request that waits for leases of others to come back.
#[derive(Clone, Debug)]
struct Waiting {
    holder: HolderId,
    request: v1::LeaseRequest,
    /// Who has been asked and has not answered.
    asked: HashSet<(HolderId, WindowKey)>,
    /// How many more times it is looked at in vain.
    patience: u32,
}

impl Desk {
    /// A desk at which requests are looked at so often in vain.
    pub(crate) fn new(patience: u32) -> Self {
        Self {
            patience,
            ..Self::default()
        }
    }

    /// Nothing comes from this holder any longer.
    pub(crate) fn leave(&mut self, holder: HolderId) {
        self.waiting.retain(|waiting| waiting.holder != holder);
        for waiting in &mut self.waiting {
            waiting.asked.retain(|(asked, _)| *asked != holder);
        }
    }

    /// Whether any request waits.
    pub(crate) fn is_anybody_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// One more look in vain: whoever has waited for long enough hears the answer.
    pub(crate) fn grow_impatient(&mut self) {
        for waiting in &mut self.waiting {
            waiting.patience = waiting.patience.saturating_sub(1);
        }
    }

    /// What is to be told, in order; forgets it.
    pub(crate) fn take_outgoing(&mut self) -> Vec<(HolderId, v1::Down)> {
        std::mem::take(&mut self.outgoing)
    }

    /// Grants what is asked for, or lets the request wait (`None`), or says what is used up.
    pub(crate) fn lease(
        &mut self,
        ledger: &mut Ledger,
        holder: HolderId,
        request: v1::LeaseRequest,
        now: UnixMillis,
    ) -> Option<v1::LeaseAnswer> {
        let ample = !self.is_scarce(&request);
        let exhausted = match grant(ledger, holder, &request, ample, now) {
            Ok(answer) => return Some(answer),
            Err(exhausted) => exhausted,
        };
        let Some(asked) = elsewhere(ledger, holder, &request, now) else {
            return Some(refuse(ledger, request.id, exhausted, now));
        };
        for (other, key) in &asked {
            let is_asked = |waiting: &Waiting| waiting.asked.contains(&(*other, *key));
            if !self.waiting.iter().any(is_asked)
                && let Some(budget) = ledger.budget(key.budget)
            {
                self.recall(*other, budget.id.as_str(), key.start);
            }
        }
        self.waiting.push_back(Waiting {
            holder,
            request,
            asked,
            patience: self.patience,
        });
        None
    }

    /// A holder has answered a recall, or gives back what it does not need.
    pub(crate) fn give_back(
        &mut self,
        ledger: &mut Ledger,
        holder: HolderId,
        budget: &str,
        start: UnixMillis,
        amount: u64,
    ) {
        ledger.give_back(holder, budget, start, amount);
        if let Some(budget) = ledger.index(budget) {
            let key = WindowKey { budget, start };
            for waiting in &mut self.waiting {
                waiting.asked.remove(&(holder, key));
            }
        }
    }

    /// Grants what has come back to those who wait, first come, first served. Whoever waits in
    /// vain hears so.
    pub(crate) fn serve_waiting(&mut self, ledger: &mut Ledger, now: UnixMillis) {
        for waiting in std::mem::take(&mut self.waiting) {
            // Whoever fell silent meanwhile gets nothing.
            if !ledger.is_live(waiting.holder) {
                continue;
            }
            match grant(ledger, waiting.holder, &waiting.request, false, now) {
                Ok(answer) => self.answer(waiting.holder, answer),
                Err(exhausted) if waiting.asked.is_empty() || waiting.patience == 0 => {
                    let refusal = refuse(ledger, waiting.request.id, exhausted, now);
                    self.answer(waiting.holder, refusal);
                }
                Err(_) => self.waiting.push_back(waiting),
            }
        }
    }

    /// Asks everybody for what is free of a budget whose limit is below what has been granted.
    pub(crate) fn recall_all(&mut self, ledger: &Ledger, index: BudgetIndex, now: UnixMillis) {
        let Some((key, _)) = ledger.window_at(index, now) else {
            return;
        };
        let is_over = ledger.window(&key).is_some_and(|window| window.excess > 0);
        let Some(budget) = ledger.budget(index).filter(|_| is_over) else {
            return;
        };
        for holder in ledger.recallable(key, HolderId::SIDECAR) {
            self.recall(holder, budget.id.as_str(), key.start);
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

fn grant(
    ledger: &mut Ledger,
    holder: HolderId,
    request: &v1::LeaseRequest,
    ample: bool,
    now: UnixMillis,
) -> Result<v1::LeaseAnswer, Exhausted> {
    let demands = request.demands.iter();
    let demands: Vec<(&str, u64)> = demands
        .map(|demand| (demand.budget.as_str(), demand.amount))
        .collect();
    let grants = ledger.grant(holder, &demands, ample, now)?;
    let lease = |grant: Grant| v1::Lease {
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
    ledger: &Ledger,
    holder: HolderId,
    request: &v1::LeaseRequest,
    now: UnixMillis,
) -> Option<HashSet<(HolderId, WindowKey)>> {
    let mut needs: BTreeMap<BudgetIndex, u64> = BTreeMap::new();
    for demand in &request.demands {
        let need = needs.entry(ledger.index(&demand.budget)?).or_default();
        *need = need.saturating_add(demand.amount);
    }
    let mut asked = HashSet::new();
    for (index, need) in needs {
        let (key, _) = ledger.window_at(index, now)?;
        let limit = ledger.budget(index)?.limit;
        let remaining = ledger.window(&key)?.remaining(limit);
        let missing = need.saturating_sub(remaining);
        if missing == 0 {
            continue;
        }
        let others = ledger.recallable(key, holder);
        let free = |other: &HolderId| {
            let account = ledger.account(*other, key);
            account.map_or(0, |account| account.free)
        };
        if others.iter().map(free).fold(0, u64::saturating_add) < missing {
            return None;
        }
        asked.extend(others.into_iter().map(|other| (other, key)));
    }
    (!asked.is_empty()).then_some(asked)
}

fn refuse(ledger: &mut Ledger, id: u64, exhausted: Exhausted, now: UnixMillis) -> v1::LeaseAnswer {
    ledger.note_refusal(exhausted.budget.as_str(), now);
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
