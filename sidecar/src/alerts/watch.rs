//! Follows the log and the events of budgets, and raises alerts.

use std::time::Duration;

use sekisho_domain::{RecordId, UnixMillis};
use sqlx::any::AnyRow;
use sqlx::{Connection as _, Row as _};
use tokio::sync::watch;

use super::alert::Alert;
use super::letters::Letters;
use super::rules::{self, Memory};
use super::sight::Sight;
use super::since;
use crate::clock::Clock;
use crate::events::Author;
use crate::forward::{List, Standing, Standings, cursors};
use crate::ledger::Calendar;
use crate::log::tables::kind_of;
use crate::settings::LiveSettings;
use crate::store::alerts::{memory, raise};
use crate::store::figures::{from_db, to_db};
use crate::store::{Store, StoreError, budgets};
use crate::vitals::Beat;
use crate::writer::Writer;

/// How often the log is looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// In how many rounds what was looked at is stored, where no alert is: each time is a commit
/// that the log's own has to wait for. Whoever goes on after a crash looks at the rest again.
const STORE: u32 = 10;
/// Most records that are looked at between two commits.
const MOST_RECORDS: i64 = 5_000;
/// Most events of budgets that are looked at at a time.
const MOST_EVENTS: u32 = 500;
/// How often what has expired is forgotten, in rounds.
const FORGET: u32 = 300;

/// How far records have been looked at.
pub const RECORDS: &str = "alerts.rules/records";
/// How far events of budgets have been looked at.
const BUDGETS: &str = "alerts.rules/budgets";

pub(super) struct Watcher {
    store: Store,
    calendar: Calendar,
    settings: LiveSettings,
    writer: Writer,
    clock: Clock,
    letters: Letters,
    standing: watch::Sender<Standing>,
    /// Where it is and what it remembers; none: to be read from the database.
    known: Option<Known>,
    rounds: u32,
}

struct Known {
    /// What is next of the log and of the events of budgets.
    next: (u64, u64),
    /// The same as it is stored.
    stored: (u64, u64),
    memory: Memory,
}

impl Watcher {
    pub(super) fn new(
        store: &Store,
        calendar: &Calendar,
        settings: &LiveSettings,
        writer: &Writer,
        clock: &Clock,
        letters: Letters,
        standings: &Standings,
    ) -> Self {
        let (standing, watched) = watch::channel(Standing {
            name: "alerts.rules".to_owned(),
            kind: "rules",
            list: List::Log,
            next: 0,
            beat: Beat::default(),
        });
        standings.add(watched);
        Self {
            store: store.clone(),
            calendar: calendar.clone(),
            settings: settings.clone(),
            writer: writer.clone(),
            clock: clock.clone(),
            letters,
            standing,
            known: None,
            rounds: 0,
        }
    }

    /// Looks at what is there and what comes, until the writer has gone.
    pub(super) async fn run(mut self) {
        loop {
            let more = match self.round().await {
                Ok(more) => {
                    self.well();
                    more
                }
                Err(error) => {
                    // Whatever was looked at may not be stored.
                    self.known = None;
                    self.failed(&error);
                    false
                }
            };
            if !more {
                tokio::time::sleep(PERIOD).await;
            }
        }
    }

    /// Whether there is more to look at.
    async fn round(&mut self) -> Result<bool, StoreError> {
        let mut known = match self.known.take() {
            Some(known) => known,
            None => self.begin().await?,
        };
        let (records, budgets) = known.next;
        let (sights, next) = self.sights(records).await?;
        let events = budgets::events(&self.store, None, budgets, MOST_EVENTS).await?;
        self.rounds = self.rounds.wrapping_add(1);
        known.next = (next, events.last().map_or(budgets, |event| event.seq));
        let mut alerts = Vec::new();
        let settings = self.settings.now();
        for sight in &sights {
            let found = rules::see(&settings.rules, &self.calendar, &mut known.memory, sight);
            alerts.extend(found);
        }
        if let Some(rule) = &settings.rules.budget_events {
            let found = events
                .iter()
                .filter_map(|event| rules::budgets::see(rule, event));
            alerts.extend(found);
        }
        let has_more = are_most(sights.len());
        let is_due = has_more || self.rounds.is_multiple_of(STORE);
        if known.next != known.stored && (is_due || !alerts.is_empty()) {
            self.store(alerts, known).await?;
        } else {
            self.has_seen(known);
        }
        Ok(has_more)
    }

    async fn begin(&self) -> Result<Known, StoreError> {
        let (first, last) = match cursors::read(&self.store, RECORDS).await? {
            // Both were begun together.
            Some(next) => (next, 0),
            None => first_since(&self.store, since(self.clock.now())).await?,
        };
        let stored = (
            cursors::begin(&self.store, RECORDS, first).await?,
            cursors::begin(&self.store, BUDGETS, last).await?,
        );
        Ok(Known {
            next: stored,
            stored,
            memory: Memory::new(memory::load(&self.store).await?),
        })
    }

    /// The next records as rules see them, and the place in the log where those after them begin.
    /// No rule asks of a call that ended as it should.
    async fn sights(&self, from: u64) -> Result<(Vec<Sight>, u64), StoreError> {
        let sql = "SELECT CAST(COALESCE(MAX(seq) + 1, 0) AS BIGINT) AS records FROM audit_entries";
        let row = sqlx::query(sql).fetch_one(self.store.pool()).await?;
        let to = from.max(from_db(row.try_get("records")?));
        let sql = "SELECT seq, kind, at, record_id, user_id, object_id, department, denial, \
            outcome, CASE WHEN denial IS NOT NULL OR event IS NOT NULL THEN body END AS body \
            FROM audit_entries WHERE seq >= $1 AND seq < $2 \
            AND (kind <> 2 OR denial IS NOT NULL OR outcome = 'unknown') ORDER BY seq LIMIT $3";
        let rows = sqlx::query(sql)
            .bind(to_db(from))
            .bind(to_db(to))
            .bind(MOST_RECORDS)
            .fetch_all(self.store.pool())
            .await?;
        let mut next = to;
        if let Some(last) = rows.last().filter(|_| are_most(rows.len())) {
            let seq: i64 = last.try_get("seq")?;
            next = from_db(seq.saturating_add(1));
        }
        Ok((rows.iter().map(sight).collect::<Result<_, _>>()?, next))
    }

    /// Stores all that comes of a round, or nothing.
    async fn store(&mut self, alerts: Vec<Alert>, mut known: Known) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut author = Author::program("sekisho serve", now, seed()?);
        let mut connection = self.store.pool().acquire().await?;
        let mut transaction = connection
            .begin_with(self.store.dialect().begin_writing())
            .await?;
        let (before, next) = (known.stored, known.next);
        let moved = cursors::move_on(&mut transaction, RECORDS, before.0, next.0).await?
            && cursors::move_on(&mut transaction, BUDGETS, before.1, next.1).await?;
        if !moved {
            // Another sidecar has looked at them: what it remembers is in the database.
            transaction.rollback().await?;
            return Ok(());
        }
        let mut raised = 0;
        for alert in &alerts {
            if raise(&mut transaction, alert, &mut author).await? {
                tracing::warn!(rule = alert.rule.as_str(), subject = %alert.subject, "an alert");
                raised += 1;
                self.letters.put(&mut transaction, alert, now).await?;
            }
        }
        memory::save(&mut transaction, known.memory.take_touched()).await?;
        if self.rounds.is_multiple_of(FORGET) || known.memory.is_full() {
            known.memory.forget(now);
            memory::forget(&mut transaction, now).await?;
            if known.memory.is_full() {
                tracing::warn!("rules know too many subjects: new ones are not looked at");
            }
        }
        transaction.commit().await?;
        known.stored = next;
        self.has_seen(known);
        if raised > 0 && self.writer.take_pending().await.is_err() {
            // The next one to run puts them into the log first.
            tracing::debug!("the writer has gone");
        }
        Ok(())
    }

    fn has_seen(&mut self, known: Known) {
        let (records, _) = known.next;
        self.standing
            .send_modify(|standing| standing.next = records);
        self.known = Some(known);
    }

    fn well(&self) {
        let now = self.clock.now();
        self.standing.send_modify(|standing| {
            standing.beat.well(now);
        });
    }

    fn failed(&self, error: &StoreError) {
        let now = self.clock.now();
        self.standing.send_modify(|standing| {
            if standing.beat.failed(now, error.to_string()) {
                let error = error as &dyn std::error::Error;
                tracing::warn!(error, "rules cannot look at the log");
            }
        });
    }
}

fn seed() -> Result<[u8; 32], StoreError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| sqlx::Error::Encode(error.to_string().into()))?;
    Ok(seed)
}

/// The place of the first record that is not older, and of the last event of a budget that is.
async fn first_since(store: &Store, since: UnixMillis) -> Result<(u64, u64), StoreError> {
    let mut connection = store.pool().acquire().await?;
    let first = crate::log::tables::first_since(&mut connection, since).await?;
    let sql =
        "SELECT CAST(COALESCE(MAX(seq), 0) AS BIGINT) AS last FROM budget_events WHERE at < $1";
    let row = sqlx::query(sql)
        .bind(to_db(since.0))
        .fetch_one(&mut *connection);
    Ok((first, from_db(row.await?.try_get("last")?)))
}

/// Whether these are as many as are looked at: there may be more.
fn are_most(records: usize) -> bool {
    i64::try_from(records).unwrap_or(i64::MAX) >= MOST_RECORDS
}

fn sight(row: &AnyRow) -> Result<Sight, sqlx::Error> {
    let id: Vec<u8> = row.try_get("record_id")?;
    let kind: i64 = row.try_get("kind")?;
    let outcome: Option<String> = row.try_get("outcome")?;
    let kind = kind_of(kind).ok_or_else(|| sqlx::Error::Decode("no kind of record".into()))?;
    let is_unknown = outcome.as_deref() == Some("unknown");
    let mut sight = Sight {
        at: UnixMillis(from_db(row.try_get("at")?)),
        kind,
        record: RecordId::from_slice(&id).unwrap_or(RecordId([0; 16])),
        user: row.try_get("user_id")?,
        account: row.try_get("object_id")?,
        department: row.try_get("department")?,
        denial: row.try_get("denial")?,
        is_unknown_end: is_unknown && kind == sekisho_domain::RecordKind::Complete,
        key: None,
        address: None,
        event: None,
    };
    let body: Option<Vec<u8>> = row.try_get("body")?;
    if let Some(body) = body {
        sight.look_inside(&body);
    }
    Ok(sight)
}
