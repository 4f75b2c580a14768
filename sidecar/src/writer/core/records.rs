//! What a record changes: the ledger, the sums, and the log itself.

use sekisho_domain::{AuditMode, Micros, RecordKind, UnixMillis};

use super::{Core, Work};
use crate::ledger::{Admit, VmId};
use crate::log::Recorded;
use crate::log::entry::Facts;
use crate::log::tables::{self, Appended};
use crate::usage::{Figures, Place};
use crate::writer::Session;
use crate::writer::recent::Memory;

impl Core {
    /// Takes a record in; `false`: an admit that must not go on.
    pub(super) fn record(
        &mut self,
        record: Recorded,
        session: &Session,
        work: &mut Work,
        now: UnixMillis,
    ) -> bool {
        let known = match self.recent.ask(record.id, record.kind, now) {
            Memory::Known => true,
            Memory::New => false,
            Memory::Doubtful => {
                let kind = tables::kind_number(record.kind);
                work.known.contains(&(record.id, kind))
            }
        };
        if known {
            return true;
        }
        match record.kind {
            RecordKind::Admit => self.admit(record, session.vm, work),
            RecordKind::Complete => {
                self.complete(record, work, now);
                true
            }
            RecordKind::Refuse if self.only_counts(&record.id) => {
                work.refusals_dropped += 1;
                true
            }
            RecordKind::Refuse => {
                if self.ledger.cancel(&record.id, now) {
                    self.facts.remove(&record.id);
                }
                self.sum(work, &record.facts(), &Figures::refusal());
                self.append(record, None, None, work);
                true
            }
            // Nothing that comes over Link is one: see `Recorded::new`.
            RecordKind::Event | RecordKind::Contents => true,
        }
    }

    fn admit(&mut self, record: Recorded, vm: VmId, work: &mut Work) -> bool {
        let facts = record.facts();
        let mut apis = self.policy.apis.iter();
        let api = apis.find(|api| api.id.as_str() == facts.api);
        // A relaxed call is already on its way.
        let binding = api.is_none_or(|api| api.audit == AuditMode::Strict);
        if binding && !self.takes_calls() {
            return false;
        }
        let admitted = self.ledger.admit(&Admit {
            id: record.id,
            vm,
            call: facts.covered(&self.policy),
            at: facts.at,
            asked: &record.asked,
            worst_cost: facts.most(&self.policy),
            worst: facts.worst,
            binding,
        });
        if let Err(not_covered) = admitted {
            tracing::warn!(record = %record.id, %not_covered, "an admit is refused");
            return false;
        }
        self.facts.insert(record.id, facts);
        self.append(record, None, None, work);
        true
    }

    pub(super) fn complete(&mut self, record: Recorded, work: &mut Work, now: UnixMillis) {
        let admitted = self.facts.remove(&record.id);
        let facts = admitted.unwrap_or_else(|| record.facts());
        if record.is_withdrawn() {
            self.ledger.cancel(&record.id, now);
            self.sum(work, &facts, &Figures::refusal());
            self.append(record, None, None, work);
            return;
        }
        let (usage, source, cost) = facts.charged(&self.policy, &record);
        if record.cost.is_some_and(|stated| stated != cost) && self.warned.insert("cost") {
            tracing::warn!(
                record = %record.id, stated = ?record.cost, charged = %cost,
                "a gateway's cost differs from the price book's, which is charged; said once"
            );
        }
        let charges = match self.ledger.complete(&record.id, &usage, cost, now) {
            Some(charges) => charges,
            None => {
                tracing::warn!(record = %record.id, "a call ended that was never admitted");
                let call = facts.covered(&self.policy);
                self.ledger
                    .complete_unadmitted(&call, facts.at, &usage, cost)
            }
        };
        for charge in charges.iter().filter(|charge| charge.excess > 0) {
            tracing::warn!(
                record = %record.id, budget = %charge.budget, excess = charge.excess,
                "a call used more than was reserved for it"
            );
        }
        self.sum(work, &facts, &Figures::of(&usage, source, cost));
        let charges = tables::charges_json(&charges);
        self.append(record, Some(cost), charges, work);
    }

    fn sum(&self, work: &mut Work, facts: &Facts, figures: &Figures) {
        let place = Place {
            day: self.ledger.calendar().day(facts.at).to_string(),
            department: facts.department.clone(),
            user: facts.user.clone(),
            api: facts.api.clone(),
            model: facts.model.clone(),
        };
        work.sums.entry(place).or_default().add(figures);
    }

    pub(super) fn append(
        &mut self,
        recorded: Recorded,
        cost: Option<Micros>,
        charges: Option<String>,
        work: &mut Work,
    ) {
        self.recent.insert(recorded.id, recorded.kind);
        let seq = self.tree.size();
        self.tree.push(recorded.leaf);
        work.rows.push(Appended {
            seq,
            recorded,
            cost,
            charges,
        });
    }
}
