//! Records that were moved out of the database, and those that were deleted because their time
//! was over.

use std::collections::{BTreeMap, HashSet};

use sekisho_domain::{AuditRecord, RecordId, RecordKind, UnixMillis};
use sqlx::{AnyConnection, Row as _};

use super::walk::Walk;
use super::{Report, VerifyError, What};
use crate::cold;
use crate::cold::tables::{self, Listed, State};
use crate::ledger::Calendar;
use crate::log::Recorded;
use crate::log::tables::Stored;
use crate::log::tree::leaf_hash;
use crate::store::Store;
use crate::store::figures::{from_db, to_db};

/// Hashes that are read at a time.
const ROWS: i64 = 10_000;

/// What is known of records that are gone.
#[derive(Debug, Default)]
pub(super) struct Older {
    /// The first that is not.
    before: u64,
    /// The last moment of any that is.
    until: Option<UnixMillis>,
    /// Up to there an event says so.
    told: u64,
    /// Calls that began among them and did not end there.
    began: HashSet<RecordId>,
    /// Calls whose kept bodies are yet to be deleted.
    contents: HashSet<RecordId>,
}

/// What cannot be computed any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gone {
    /// Figures of days up to this one.
    pub(super) day: String,
    /// Windows that began until then.
    pub(super) at: u64,
}

impl Older {
    pub(super) fn see(&mut self, record: &Recorded) {
        if record.kind == RecordKind::Event {
            self.see_body(&record.body);
        }
    }

    fn see_body(&mut self, body: &[u8]) {
        let record = serde_json::from_slice::<AuditRecord<'_>>(body).ok();
        let told = record.and_then(|record| cold::told(record.event.as_deref()?));
        self.told = self.told.max(told.unwrap_or(0));
    }

    pub(super) fn began(&self, id: &RecordId) -> bool {
        self.began.contains(id)
    }

    pub(super) fn take_contents(&mut self) -> HashSet<RecordId> {
        std::mem::take(&mut self.contents)
    }

    pub(super) fn gone(&self, calendar: &Calendar) -> Option<Gone> {
        self.until.map(|until| Gone {
            day: calendar.day(until).to_string(),
            at: until.0,
        })
    }

    pub(super) fn finish(&self, report: &mut Report) {
        if self.before > self.told {
            let before = self.before;
            report.add(None, None, What::ExpiredUntold { before });
        }
    }

    /// Reads what is known of records that are gone.
    async fn load(
        &mut self,
        connection: &mut AnyConnection,
        files: &[Listed],
    ) -> Result<(), sqlx::Error> {
        let gone = files.iter().filter(|file| !file.state.is_readable());
        self.before = gone.clone().map(|file| file.next).max().unwrap_or(0);
        let until = gone.clone().map(|file| from_db(file.to_at)).max();
        self.until = until.map(UnixMillis);
        if self.before == 0 {
            return Ok(());
        }
        let sql = "SELECT record_id FROM audit_cold AS began WHERE kind = 1 AND seq < $1 \
            AND NOT EXISTS (SELECT 1 FROM audit_cold AS ended \
            WHERE ended.record_id = began.record_id AND ended.kind IN (2, 3) AND ended.seq < $1)";
        let rows = sqlx::query(sql).bind(to_db(self.before));
        for row in rows.fetch_all(&mut *connection).await? {
            let id: Vec<u8> = row.try_get("record_id")?;
            self.began.extend(RecordId::from_slice(&id));
        }
        for file in gone.filter(|file| file.state == State::Expired) {
            let sql = "SELECT record_id FROM audit_cold \
                WHERE kind = 5 AND seq >= $1 AND seq < $2";
            let rows = sqlx::query(sql)
                .bind(to_db(file.first))
                .bind(to_db(file.next));
            for row in rows.fetch_all(&mut *connection).await? {
                let id: Vec<u8> = row.try_get("record_id")?;
                self.contents.extend(RecordId::from_slice(&id));
            }
        }
        let rows = sqlx::query("SELECT body FROM pending_events");
        for row in rows.fetch_all(connection).await? {
            self.see_body(&row.try_get::<Vec<u8>, _>("body")?);
        }
        Ok(())
    }
}

impl Walk<'_> {
    /// Walks through the files; the place of the first record behind them.
    pub(super) async fn moved(
        &mut self,
        store: &Store,
        connection: &mut AnyConnection,
        report: &mut Report,
    ) -> Result<u64, VerifyError> {
        let files = tables::files(connection).await?;
        let warm = tables::first_warm(connection).await?.unwrap_or(u64::MAX);
        self.older().load(connection, &files).await?;
        let mut expected = 0;
        for file in &files {
            if file.first != expected {
                let (from, to) = (to_db(expected), to_db(file.first.saturating_sub(1)));
                report.add(None, None, What::Missing { from, to });
            }
            // The rest of a file that is being moved is in the database.
            expected = file.next.min(warm).max(file.first);
            let range = (file.first, expected);
            let kept = kept(connection, range).await?;
            let read = if file.state.is_readable() {
                report.cold += expected - file.first;
                self.file(store, file, (expected, &kept), report).await?
            } else {
                report.expired += expected - file.first;
                false
            };
            if !read {
                self.hashes(range, &kept, report);
            }
        }
        let sql = "SELECT CAST(COUNT(*) AS BIGINT) AS more FROM audit_cold WHERE seq >= $1";
        let row = sqlx::query(sql).bind(to_db(expected)).fetch_one(connection);
        let more = from_db(row.await?.try_get("more")?);
        if more > 0 {
            report.add(None, None, What::ColdUnknown(more));
        }
        Ok(expected)
    }

    /// Walks through a file; `false`: it cannot be read.
    async fn file(
        &mut self,
        store: &Store,
        file: &Listed,
        (end, kept): (u64, &BTreeMap<u64, Kept>),
        report: &mut Report,
    ) -> Result<bool, VerifyError> {
        let name = file.name();
        let (rows, is_whole) = match cold::read::whatever(store, file).await {
            Ok(read) => read,
            Err(cold::ColdError::Store(error)) => return Err(error.into()),
            Err(error) => {
                report.add(None, None, What::Cold(error.to_string()));
                return Ok(false);
            }
        };
        if !is_whole {
            report.add(None, None, What::ColdChanged(name.clone()));
        }
        let mut next = file.first;
        for row in rows.iter().filter(|row| from_db(row.seq) < end) {
            let seq = from_db(row.seq);
            if seq != next {
                let (from, to) = (to_db(next), row.seq.saturating_sub(1));
                report.add(Some(row.seq), None, What::Missing { from, to });
            }
            next = seq.saturating_add(1);
            if !kept.get(&seq).is_some_and(|kept| kept.is_of(row)) {
                let file = name.clone();
                let id = RecordId::from_slice(&row.record_id);
                report.add(Some(row.seq), id, What::ColdRecord(file));
            }
            self.moved_record(row, report);
        }
        if next < end {
            let (from, to) = (to_db(next), to_db(end.saturating_sub(1)));
            report.add(None, None, What::Missing { from, to });
        }
        Ok(true)
    }

    /// Walks through the hashes alone.
    fn hashes(
        &mut self,
        (first, end): (u64, u64),
        kept: &BTreeMap<u64, Kept>,
        report: &mut Report,
    ) {
        let mut next = first;
        for (seq, kept) in kept {
            if *seq != next {
                let (from, to) = (to_db(next), to_db(seq.saturating_sub(1)));
                report.add(Some(to_db(*seq)), None, What::Missing { from, to });
            }
            next = seq.saturating_add(1);
            self.leaf(tables::hash(&kept.leaf), report);
        }
        if next < end {
            let (from, to) = (to_db(next), to_db(end.saturating_sub(1)));
            report.add(None, None, What::Missing { from, to });
        }
    }
}

/// What the database keeps of a record that was moved.
struct Kept {
    record_id: Vec<u8>,
    kind: i64,
    leaf: Vec<u8>,
}

impl Kept {
    fn is_of(&self, row: &Stored) -> bool {
        self.record_id == row.record_id
            && self.kind == row.kind
            && self.leaf == leaf_hash(&row.body)
    }
}

async fn kept(
    connection: &mut AnyConnection,
    (from, to): (u64, u64),
) -> Result<BTreeMap<u64, Kept>, sqlx::Error> {
    let sql = "SELECT seq, record_id, kind, leaf_hash FROM audit_cold \
        WHERE seq >= $1 AND seq < $2 ORDER BY seq LIMIT $3";
    let (mut kept, mut next) = (BTreeMap::new(), from);
    loop {
        let rows = sqlx::query(sql)
            .bind(to_db(next))
            .bind(to_db(to))
            .bind(ROWS);
        let rows = rows.fetch_all(&mut *connection).await?;
        if rows.is_empty() {
            return Ok(kept);
        }
        for row in &rows {
            let seq = from_db(row.try_get("seq")?);
            next = seq.saturating_add(1);
            let of = Kept {
                record_id: row.try_get("record_id")?,
                kind: row.try_get("kind")?,
                leaf: row.try_get("leaf_hash")?,
            };
            kept.insert(seq, of);
        }
    }
}
