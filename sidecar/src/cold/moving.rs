//! Moving records out of the database, day by day.
//!
//! A day is moved when it is so many days over. Its records are those up to its last checkpoint,
//! so all of them are signed; how they are cut into files follows from the records alone. A sidecar
//! that is killed in between leaves a file that is not noted, which the next one finds and takes
//! for its own, also if it would have cut otherwise; or records that are in a file and in the
//! database, which the next one takes out. So there are no files but those that are noted.

use std::time::Duration;

use ed25519_dalek::VerifyingKey;
use jiff::ToSpan as _;
use jiff::civil::Date;
use prost::bytes::Bytes;
use sekisho_domain::UnixMillis;
use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Row as _};
use tokio::time::Instant;

use super::config::Retention;
use super::file::{ColdFile, FileError, encode};
use super::tables::{self, Listed, State};
use super::{ColdError, place, read};
use crate::key_usage;
use crate::ledger::Calendar;
use crate::log::checkpoint::Checkpoint;
use crate::log::tables::{COLUMNS, Stored};
use crate::log::tree::{Tree, leaf_hash};
use crate::objects::Objects;
use crate::store::figures::{from_db, to_db};
use crate::store::{Store, StoreError};

/// Most records of a file.
const MOST_RECORDS: usize = 50_000;
/// Most bytes of the records of a file, unless it is one record.
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// Rows that are read at a time.
const ROWS: i64 = 1_000;
/// Hashes that are read at a time.
const HASHES: i64 = 10_000;
/// Rows that one transaction takes out: whoever writes the log waits for one at most.
const TAKEN: u64 = 200;
/// Of the time that taking out takes, so many times more are others' turn.
const OTHERS: u32 = 4;

/// What a round has moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Files that were written.
    pub files: u64,
    /// Records that were taken out of the database.
    pub records: u64,
}

/// Moves records. For the active sidecar alone; two of them would do no harm.
#[derive(Clone, Debug)]
pub struct Mover {
    store: Store,
    calendar: Calendar,
    origin: String,
    key: VerifyingKey,
    objects: Objects,
    database_days: u32,
    cursors: Vec<String>,
    most_records: usize,
}

impl Mover {
    /// Begins to move records of the log `origin` to `objects`, which are at `place`.
    ///
    /// # Errors
    /// [`ColdError`]: what was moved before is not there.
    pub async fn start(
        store: Store,
        calendar: Calendar,
        (origin, key): (String, VerifyingKey),
        (place, objects): (&str, Objects),
        retention: &Retention,
    ) -> Result<Self, ColdError> {
        place::settle(&store, place, &objects).await?;
        Ok(Self {
            store,
            calendar,
            origin,
            key,
            objects,
            database_days: retention.database_days,
            cursors: Vec::new(),
            most_records: MOST_RECORDS,
        })
    }

    /// Nothing is moved that these readers of the log have not read.
    #[must_use]
    pub fn behind(mut self, cursors: Vec<String>) -> Self {
        self.cursors = cursors;
        self
    }

    /// Files have so many records at most.
    #[must_use]
    pub const fn in_files_of(mut self, records: usize) -> Self {
        self.most_records = records;
        self
    }

    pub(super) const fn store(&self) -> &Store {
        &self.store
    }

    pub(super) const fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    pub(super) const fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Moves all that is due.
    ///
    /// # Errors
    /// [`ColdError`]; what was moved before is moved, and the next round goes on.
    pub async fn round(&self, now: UnixMillis) -> Result<Moved, ColdError> {
        let today = self.calendar.day(now);
        let until = today.saturating_sub(i64::from(self.database_days).days());
        // A place that cannot be used is told from the first day on, not when one is due.
        self.objects
            .list(&tables::folder(&until.to_string()))
            .await?;
        let mut moved = Moved::default();
        let mut connection = self.store.pool().acquire().await?;
        for file in tables::files(&mut connection).await? {
            if file.state == State::Written {
                // It was compared before; whether it is there still is asked before anything goes.
                read::load(&self.objects, &file).await?;
                moved.records += self.take_out(&file).await?;
            }
        }
        drop(connection);
        // So that no reader looks for the beginnings of calls whose ends it has not read.
        key_usage::catch_up(&self.store, &self.calendar).await?;
        while let Some(day) = self.next_day(until).await? {
            let mut edge = day.tree.clone();
            while edge.size() < day.end {
                let limit = self.limit().await?;
                let Some(file) = self.write_next(&day, &mut edge, limit).await? else {
                    return Ok(moved);
                };
                moved.files += 1;
                moved.records += self.take_out(&file).await?;
            }
        }
        Ok(moved)
    }

    /// The next day whose records are due: before `until`.
    async fn next_day(&self, until: Date) -> Result<Option<Day>, ColdError> {
        let mut connection = self.store.pool().acquire().await?;
        let tree = match tables::last(&mut connection).await? {
            Some(last) => last.tree().ok_or_else(|| ColdError::Tree(last.name()))?,
            None => Tree::default(),
        };
        let sql = "SELECT size, at FROM audit_checkpoints WHERE size > $1 ORDER BY size LIMIT $2";
        let (mut end, mut day) = (tree.size(), None);
        'days: loop {
            let rows = sqlx::query(sql).bind(to_db(end)).bind(HASHES);
            let rows = rows.fetch_all(&mut *connection).await?;
            for row in &rows {
                let at = UnixMillis(from_db(row.try_get("at")?));
                let of = self.calendar.day(at);
                if of >= until || of > *day.get_or_insert(of) {
                    break 'days;
                }
                end = from_db(row.try_get("size")?);
            }
            if rows.is_empty() {
                break;
            }
        }
        let Some(day) = day.filter(|_| end > tree.size()) else {
            return Ok(None);
        };
        let row = sqlx::query("SELECT note FROM audit_checkpoints WHERE size = $1");
        let row = row.bind(to_db(end)).fetch_one(&mut *connection).await?;
        let note: String = row.try_get("note")?;
        let signed = Checkpoint::open(&note, &self.origin, &self.key)?;
        let from = tree.size();
        let mut grown = tree.clone();
        while grown.size() < end {
            let range = (grown.size(), end);
            let leaves = tables::leaves(&mut connection, range, HASHES).await?;
            if leaves.is_empty() {
                break;
            }
            for (seq, leaf) in leaves {
                if seq != grown.size() {
                    return Err(unsigned(day, grown.size()));
                }
                grown.push(tables::hash(&leaf));
            }
        }
        if grown.size() != end || signed.size != end || grown.root() != signed.root {
            return Err(unsigned(day, from));
        }
        Ok(Some(Day { day, end, tree }))
    }

    /// The first record that must stay: an open call's beginning, or what somebody has not read.
    async fn limit(&self) -> Result<u64, ColdError> {
        let mut connection = self.store.pool().acquire().await?;
        let first = crate::log::tables::first_open(&mut connection).await?;
        drop(connection);
        let mut limit = first.unwrap_or(u64::MAX);
        for cursor in &self.cursors {
            let read = crate::forward::cursors::read(&self.store, cursor).await?;
            limit = limit.min(read.unwrap_or(0));
        }
        Ok(limit)
    }

    /// Writes the next file of a day, unless it would have records from `limit` on.
    async fn write_next(
        &self,
        day: &Day,
        edge: &mut Tree,
        limit: u64,
    ) -> Result<Option<Listed>, ColdError> {
        let first = edge.size();
        let begun = self.begun(day, first).await?;
        let rows = self.next_rows(day, first, begun).await?;
        let mut tree = edge.clone();
        for row in &rows {
            let leaf = leaf_hash(&row.body);
            if from_db(row.seq) != tree.size() || row.leaf_hash != leaf {
                return Err(unsigned(day.day, tree.size()));
            }
            tree.push(leaf);
        }
        let next = tree.size();
        if next > limit || rows.is_empty() {
            return Ok(None);
        }
        let ats = rows.iter().map(|row| row.at);
        let (from_at, to_at) = (ats.clone().min(), ats.max());
        let mut file = Listed {
            first,
            next,
            day: day.day.to_string(),
            bytes: 0,
            sha256: Vec::new(),
            from_at: from_at.unwrap_or_default(),
            to_at: to_at.unwrap_or_default(),
            roots: tree.stored_roots(),
            state: State::Written,
        };
        let content = self.write(&file.name(), rows).await?;
        file.bytes = content.len() as u64;
        file.sha256 = Sha256::digest(&content).to_vec();
        let mut connection = self.store.pool().acquire().await?;
        if !tables::add(&mut connection, &file).await? {
            // Somebody else moves: a sidecar that was active before, or is now.
            let noted = tables::file_of(&mut connection, first).await?;
            if noted.is_some_and(|noted| noted.first == first && noted.name() != file.name()) {
                // There is one row for a first record, so none will ever mean this file.
                self.objects.delete(&file.name()).await?;
            }
            return Ok(None);
        }
        *edge = tree;
        Ok(Some(file))
    }

    /// Where a file from `first` on ends that was written and never noted: its writer was killed,
    /// and may have been of another release.
    async fn begun(&self, day: &Day, first: u64) -> Result<Option<u64>, ColdError> {
        let folder = tables::folder(&day.day.to_string());
        let there = self.objects.list(&folder).await?;
        let most = first.saturating_add(MOST_RECORDS as u64).min(day.end);
        let ends = there.iter().filter_map(|object| {
            let (from, next) = tables::range(&object.name)?;
            (from == first && first < next && next <= most).then_some(next)
        });
        Ok(ends.max())
    }

    /// The records of the next file: up to before `begun`, or as many as a file takes.
    async fn next_rows(
        &self,
        day: &Day,
        first: u64,
        begun: Option<u64>,
    ) -> Result<Vec<Stored>, ColdError> {
        let end = begun.unwrap_or(day.end);
        let sql = format!(
            "SELECT {COLUMNS} FROM audit_entries WHERE seq >= $1 AND seq < $2 \
             ORDER BY seq LIMIT {ROWS}"
        );
        let (mut rows, mut bytes, mut from) = (Vec::new(), 0, first);
        loop {
            let read = sqlx::query(AssertSqlSafe(sql.clone()))
                .bind(to_db(from))
                .bind(to_db(end));
            let read = read.fetch_all(self.store.pool()).await?;
            if read.is_empty() {
                return Ok(rows);
            }
            for row in &read {
                let stored = Stored::read(row)?;
                bytes += stored.body.len();
                let is_full = rows.len() >= self.most_records || bytes > MOST_BYTES;
                if is_full && begun.is_none() && !rows.is_empty() {
                    return Ok(rows);
                }
                from = from_db(stored.seq).saturating_add(1);
                rows.push(stored);
            }
        }
    }

    /// Writes a file and reads it back; its bytes. One that is there already must be the same.
    async fn write(&self, name: &str, rows: Vec<Stored>) -> Result<Bytes, ColdError> {
        let wrong = |why: String| ColdError::File {
            file: name.to_owned(),
            why,
        };
        let (content, rows) = blocking(name, move || Ok((encode(&rows)?, rows))).await?;
        let is_new = self.objects.create(name, content).await?;
        let there = self.objects.read(name).await?;
        let there = there.ok_or_else(|| ColdError::Missing {
            file: name.to_owned(),
            place: self.objects.shown().to_owned(),
        })?;
        let content = there.clone();
        let is_right = blocking(name, move || Ok(ColdFile::open(there)?.rows()? == rows)).await;
        match is_right {
            Ok(true) => Ok(content),
            Ok(false) | Err(_) if !is_new => Err(wrong(
                "there is a file of this name already that has other records: move it away".into(),
            )),
            Ok(false) => Err(wrong("it reads back otherwise than it was written".into())),
            Err(error) => Err(error),
        }
    }

    /// Takes the records of a file out of the database, a few at a time; how many.
    async fn take_out(&self, file: &Listed) -> Result<u64, ColdError> {
        let mut records = 0;
        loop {
            let began = Instant::now();
            let mut transaction = self.store.begin_writing().await?;
            let taken = tables::take_out(&mut transaction, file.next, TAKEN).await?;
            if taken == 0 {
                tables::set_state(&mut transaction, file.first, State::Moved).await?;
            }
            transaction.commit().await.map_err(StoreError::from)?;
            if taken == 0 {
                return Ok(records);
            }
            records += taken;
            let pause = began.elapsed().saturating_mul(OTHERS);
            tokio::time::sleep(pause.max(Duration::from_millis(1))).await;
        }
    }
}

/// A day that is to be moved.
struct Day {
    day: Date,
    /// Its last record is before.
    end: u64,
    /// The tree of all records before it.
    tree: Tree,
}

fn unsigned(day: Date, from: u64) -> ColdError {
    ColdError::Unsigned {
        day: day.to_string(),
        from,
    }
}

/// Packs or unpacks beside everything else.
pub(super) async fn blocking<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, ColdError> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.unwrap_or(Err(FileError::Damaged));
    done.map_err(|error| ColdError::File {
        file: name.to_owned(),
        why: error.to_string(),
    })
}
