//! Record by record through the log.

use std::collections::{BTreeMap, HashMap};

use prost::bytes::Bytes;
use sekisho_domain::{
    Budget, Covering, Micros, Policy, RecordId, RecordKind, UnixMillis, Usage, WindowUnit,
};
use sqlx::{AnyConnection, AssertSqlSafe};

use super::books::Books;
use super::checkpoints::InOrder;
use super::contents::Contents;
use super::older::Older;
use super::{Report, VerifyError, What, sorted};
use crate::ledger::terms::{self, Term};
use crate::ledger::{Calendar, Window};
use crate::log::Recorded;
use crate::log::entry::Facts;
use crate::log::tables::{COLUMNS, Stored, StoredCharge};
use crate::log::tree::{Hash, Tree, leaf_hash};
use crate::store::Store;
use crate::store::figures::{from_db, to_db};
use crate::usage::Figures;

/// Rows that are read at a time.
const ROWS: usize = 2000;

/// How far a call may be outside of the window that it is charged to: the clocks of
/// gateways are not exactly the sidecar's.
const WINDOW_SLACK: u64 = 120_000;

/// What the records say so far.
pub(super) struct Walk<'p> {
    policy: &'p Policy,
    calendar: Calendar,
    terms: Vec<Term>,
    /// From calls to places in `terms`.
    covering: Covering<usize>,
    /// The terms of each counter, which differ in nothing but their limits.
    counters: HashMap<String, Vec<usize>>,
    checkpoints: InOrder,
    tree: Tree,
    open: HashMap<RecordId, (Facts, u64)>,
    books: Books,
    contents: Contents,
    older: Older,
}

impl<'p> Walk<'p> {
    pub(super) async fn new(
        policy: &'p Policy,
        connection: &mut AnyConnection,
        checkpoints: InOrder,
    ) -> Result<Self, VerifyError> {
        let terms = terms::all(connection).await?;
        let mut covering = Covering::default();
        let mut counters = HashMap::new();
        for (at, term) in terms.iter().enumerate() {
            covering.insert(&term.budget.payer, &term.budget.subject, at);
            let of_counter: &mut Vec<usize> = counters.entry(term.budget.id.0.clone()).or_default();
            of_counter.push(at);
        }
        Ok(Self {
            calendar: Calendar::new(&policy.time_zone)?,
            policy,
            terms,
            covering,
            counters,
            checkpoints,
            tree: Tree::default(),
            open: HashMap::new(),
            books: Books::default(),
            contents: Contents::default(),
            older: Older::default(),
        })
    }

    pub(super) const fn tree(&self) -> &Tree {
        &self.tree
    }

    pub(super) async fn run(
        &mut self,
        store: &Store,
        connection: &mut AnyConnection,
        report: &mut Report,
    ) -> Result<(), VerifyError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM audit_entries WHERE seq >= $1 ORDER BY seq LIMIT {ROWS}"
        );
        self.checkpoints.compare(&self.tree, report);
        let mut next = i64::MIN;
        let mut expected = to_db(self.moved(store, connection, report).await?);
        loop {
            let rows = sqlx::query(AssertSqlSafe(sql.clone())).bind(next);
            let rows = rows.fetch_all(&mut *connection).await?;
            for row in &rows {
                let stored = Stored::read(row)?;
                if stored.seq != expected {
                    let (from, to) = (expected, stored.seq.saturating_sub(1));
                    report.add(Some(stored.seq), None, What::Missing { from, to });
                }
                expected = stored.seq.saturating_add(1);
                self.record(&stored, report);
                self.checkpoints.compare(&self.tree, report);
            }
            next = expected;
            if rows.len() < ROWS {
                return Ok(());
            }
        }
    }

    pub(super) fn finish(&mut self, report: &mut Report) {
        self.checkpoints.finish(&self.tree, report);
        self.older.finish(report);
        report.open = sorted(self.open.keys().copied());
    }

    pub(super) fn into_parts(mut self) -> (Books, Contents) {
        self.books.open = self.open.into_keys().collect();
        self.books.gone = self.older.gone(&self.calendar);
        self.contents.without(self.older.take_contents());
        (self.books, self.contents)
    }

    /// A record whose bytes are gone: its hash is left.
    pub(super) fn leaf(&mut self, leaf: Hash, report: &mut Report) {
        self.tree.push(leaf);
        self.checkpoints.compare(&self.tree, report);
    }

    /// A record that was moved.
    pub(super) fn moved_record(&mut self, stored: &Stored, report: &mut Report) {
        self.record(stored, report);
        self.checkpoints.compare(&self.tree, report);
    }

    pub(super) const fn older(&mut self) -> &mut Older {
        &mut self.older
    }

    fn record(&mut self, stored: &Stored, report: &mut Report) {
        let seq = Some(stored.seq);
        let id = RecordId::from_slice(&stored.record_id);
        let leaf = leaf_hash(&stored.body);
        self.tree.push(leaf);
        if stored.leaf_hash != leaf {
            report.add(seq, id, What::LeafHash);
        }
        let record = match read(&stored.body) {
            Ok(record) => record,
            Err(error) => return report.add(seq, id, What::Body(error)),
        };
        let mut column = |name: &'static str, same: bool| {
            if !same {
                report.add(seq, Some(record.id), What::Column(name));
            }
        };
        let (mine, its) = (&stored.index, &record.index);
        column("record_id", id == Some(record.id));
        column("kind", stored.record_kind() == Some(record.kind));
        column("at", stored.at == to_db(record.at.0));
        column("tenant", mine.tenant == its.tenant);
        column("object_id", mine.object_id == its.object_id);
        column("user_id", mine.user == its.user);
        column("department", mine.department == its.department);
        column("api", mine.api == its.api);
        column("model", mine.model == its.model);
        column("denial", mine.denial == its.denial);
        column("event", mine.event == its.event);
        column("outcome", mine.outcome == its.outcome);
        self.account(stored, &record, report);
    }

    /// What the record means for calls and bills.
    fn account(&mut self, stored: &Stored, record: &Recorded, report: &mut Report) {
        let place = from_db(stored.seq);
        let (seq, id) = (Some(stored.seq), Some(record.id));
        match record.kind {
            RecordKind::Admit => {
                let call = (record.facts(), place);
                if self.open.insert(record.id, call).is_some() {
                    report.add(seq, id, What::Twice);
                }
                uncharged(stored, record, report);
            }
            RecordKind::Refuse => {
                self.open.remove(&record.id);
                self.books.refused(&self.calendar, &record.facts());
                uncharged(stored, record, report);
            }
            RecordKind::Event | RecordKind::Contents => {
                self.older.see(record);
                self.contents.see(stored.seq, record);
                uncharged(stored, record, report);
            }
            RecordKind::Complete => {
                let admitted = self.open.remove(&record.id);
                let open = admitted.is_some();
                let (facts, from) = admitted.unwrap_or_else(|| (record.facts(), place));
                if record.is_withdrawn() {
                    self.books.refused(&self.calendar, &facts);
                    return uncharged(stored, record, report);
                }
                if !open && self.older.began(&record.id) {
                    // What it is charged by is gone.
                    return;
                }
                if !open {
                    report.add(seq, id, What::NotOpen);
                }
                let (usage, source, cost) = facts.charged(self.policy, record);
                if stored.cost != Some(to_db(cost.0)) {
                    let what = What::Cost {
                        stored: stored.cost,
                        expected: Some(cost.0),
                    };
                    report.add(seq, id, what);
                }
                let figures = Figures::of(&usage, source, cost);
                self.books.ended(&self.calendar, &facts, &figures);
                self.charges(stored, record.id, &facts, from, (usage, cost), report);
            }
        }
    }

    fn charges(
        &mut self,
        stored: &Stored,
        id: RecordId,
        facts: &Facts,
        from: u64,
        (usage, cost): (Usage, Micros),
        report: &mut Report,
    ) {
        let (seq, id) = (Some(stored.seq), Some(id));
        let list = stored.charges.as_deref().unwrap_or("[]");
        let Ok(list) = serde_json::from_str::<Vec<StoredCharge>>(list) else {
            return report.add(seq, id, What::Charges);
        };
        let ended = from_db(stored.seq);
        let amount = |budget: &Budget| {
            let used = budget.meter.used(&usage, cost);
            (used > 0).then_some(used)
        };
        // What covered the call when it began must be charged if it was still in force at the
        // end, and may be if it was not: a restart forgets what is no more.
        let (mut due, mut may) = (BTreeMap::new(), BTreeMap::new());
        self.covering.of(&facts.covered(self.policy), |at| {
            let Some(term) = self.terms.get(at).filter(|term| term.is_at(from)) else {
                return;
            };
            let Some(amount) = amount(&term.budget) else {
                return;
            };
            let is_in_force = self
                .of_counter(term.budget.id.as_str())
                .any(|term| term.is_at(ended));
            let kind = if is_in_force { &mut due } else { &mut may };
            kind.insert(term.budget.id.0.clone(), amount);
        });
        for charge in &list {
            let budget = charge.budget.clone();
            let expected = due.remove(&budget).or_else(|| may.remove(&budget));
            let term = self.of_counter(&budget).next();
            if expected != Some(charge.amount) {
                let stored = Some(charge.amount);
                let what = What::Charge {
                    budget,
                    stored,
                    expected,
                };
                report.add(seq, id, what);
            } else if !term
                .is_some_and(|term| self.fits(term.budget.window, charge.window_start, facts.at))
            {
                report.add(seq, id, What::ChargeWindow(budget));
            }
            self.books
                .charge(&charge.budget, charge.window_start, charge.amount);
        }
        for (budget, amount) in due {
            let what = What::Charge {
                budget,
                stored: None,
                expected: Some(amount),
            };
            report.add(seq, id, what);
        }
    }

    fn of_counter(&self, counter: &str) -> impl Iterator<Item = &Term> {
        let places = self.counters.get(counter).into_iter().flatten();
        places.filter_map(|at| self.terms.get(*at))
    }

    fn fits(&self, unit: Option<WindowUnit>, start: u64, at: UnixMillis) -> bool {
        let Some(unit) = unit else {
            return start == Window::ENDLESS.start.0;
        };
        let window = self.calendar.window(unit, UnixMillis(start));
        window.start.0 == start
            && at.0.saturating_add(WINDOW_SLACK) >= window.start.0
            && at.0 < window.end.0.saturating_add(WINDOW_SLACK)
    }
}

/// Admits, refusals and events cost nothing.
fn uncharged(stored: &Stored, record: &Recorded, report: &mut Report) {
    let (seq, id) = (Some(stored.seq), Some(record.id));
    if stored.cost.is_some() {
        let what = What::Cost {
            stored: stored.cost,
            expected: None,
        };
        report.add(seq, id, what);
    }
    if stored.charges.is_some() {
        report.add(seq, id, What::Charges);
    }
}

/// A record from its body alone.
fn read(body: &Bytes) -> Result<Recorded, String> {
    let envelope: sekisho_domain::AuditRecord<'_> =
        serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let (kind, id) = (envelope.kind, envelope.record_id);
    Recorded::read(kind, id, body.clone()).map_err(|error| error.to_string())
}
