//! What was written, and whether it is where it must be.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use sekisho::log::search::{Filter, search};
use sekisho::log::tree::leaf_hash;
use sekisho::objects::{Objects, environment};
use sekisho::store::Store;
use sekisho_domain::{AuditRecord, RecordId, RecordKind, UnixMillis};
use sqlx::Row as _;
use tokio::process::Command;

use super::Kept;
use super::company::{Company, DAY};
use super::findings::{Interrupted, Report};
use crate::ChaosError;

/// Records of a page.
const PAGE: u32 = 1000;
/// Records of files that are proved in the end.
const PROVED: usize = 10;

/// A record of the days before.
struct Known {
    id: RecordId,
    at: u64,
    leaf: [u8; 32],
}

/// A file as the database knows it.
struct Noted {
    first: u64,
    next: u64,
    day: String,
    state: i64,
}

impl Noted {
    fn name(&self) -> String {
        let last = self.next.saturating_sub(1);
        format!("day={}/{:012}-{last:012}.parquet", self.day, self.first)
    }

    const fn is_readable(&self) -> bool {
        self.state < 2
    }
}

/// All records of the days before, by their place in the log.
pub(super) struct Truth {
    known: BTreeMap<u64, Known>,
    now: UnixMillis,
}

fn number(number: i64) -> u64 {
    number.try_into().unwrap_or_default()
}

fn wrong(error: &dyn std::fmt::Display) -> ChaosError {
    ChaosError::Policy(error.to_string())
}

impl Truth {
    /// Reads what was written, before any of it is moved.
    pub(super) async fn read(company: &Company, now: UnixMillis) -> Result<Self, ChaosError> {
        let store = Store::open(&company.database()).await?;
        let rows = sqlx::query("SELECT seq, body FROM audit_entries ORDER BY seq");
        let rows = rows.fetch_all(store.pool()).await?;
        let mut known = BTreeMap::new();
        for row in rows {
            let body: Vec<u8> = row.try_get("body")?;
            let record: AuditRecord<'_> = serde_json::from_slice(&body)?;
            let (id, at) = (record.record_id, record.at.0);
            let leaf = leaf_hash(&body);
            known.insert(number(row.try_get("seq")?), Known { id, at, leaf });
        }
        store.pool().close().await;
        Ok(Self { known, now })
    }

    pub(super) fn records(&self) -> usize {
        self.known.len()
    }

    /// What the sidecar was about that was killed.
    pub(super) async fn interrupted(&self, company: &Company) -> Result<Interrupted, ChaosError> {
        let store = Store::open(&company.database()).await?;
        let files = noted(&store).await?;
        store.pool().close().await;
        let has = |state| files.iter().any(|file| file.state == state);
        let names: HashSet<String> = files.iter().map(Noted::name).collect();
        let there = there(company).await?;
        Ok(if !there.is_subset(&names) {
            Interrupted::Writing
        } else if has(0) {
            Interrupted::TakingOut
        } else if has(2) {
            Interrupted::Deleting
        } else {
            Interrupted::Other
        })
    }

    /// Whether all is moved and deleted that is due.
    pub(super) async fn is_settled(
        &self,
        company: &Company,
        kept: Kept,
    ) -> Result<bool, ChaosError> {
        let store = Store::open(&company.database()).await?;
        let files = noted(&store).await?;
        let row = sqlx::query("SELECT COALESCE(MIN(seq), 0) AS first FROM audit_entries");
        let row = row.fetch_one(store.pool()).await?;
        let warm = number(row.try_get("first")?);
        store.pool().close().await;
        let is_moved = !self.is_over(warm, kept.database_days + 2);
        let first = files.iter().find(|file| file.is_readable());
        let first = first.map_or(warm, |file| file.first);
        let is_deleted = kept.days.is_none_or(|days| !self.is_over(first, days + 2));
        let is_whole = files.iter().all(|file| matches!(file.state, 1 | 3));
        Ok(is_moved && is_deleted && is_whole)
    }

    /// Whether a record is so many days old.
    fn is_over(&self, seq: u64, days: u64) -> bool {
        let known = self.known.get(&seq);
        known.is_some_and(|known| known.at + days * DAY < self.now.0)
    }

    /// Looks for every record, and whether files follow one another.
    pub(super) async fn compare(
        &self,
        company: &Company,
        acknowledged: &[(RecordId, RecordKind)],
        kept: Kept,
        report: &mut Report,
    ) -> Result<(), ChaosError> {
        let store = Store::open(&company.database()).await?;
        let files = noted(&store).await?;
        let gone = files.iter().filter(|file| !file.is_readable());
        let gone = gone.map(|file| file.next).max().unwrap_or(0);
        report.deleted = gone;
        report.told = acknowledged.len();
        let mut found: HashMap<u64, usize> = HashMap::new();
        let mut ids = HashSet::new();
        let mut cursor = None;
        loop {
            let page = search(&store, &Filter::default(), cursor, PAGE).await?;
            for record in page.records {
                *found.entry(record.seq).or_default() += 1;
                let read: AuditRecord<'_> = serde_json::from_slice(&record.body)?;
                ids.insert((read.record_id, read.kind));
                let known = self.known.get(&record.seq);
                if known.is_some_and(|known| known.leaf != leaf_hash(&record.body)) {
                    report.changed += 1;
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        report.twice += found.values().filter(|times| **times > 1).count();
        let missing = |seq: &&u64| !found.contains_key(*seq);
        report.lost += self
            .known
            .range(gone..)
            .map(|(seq, _)| seq)
            .filter(missing)
            .count();
        let untold = acknowledged.iter().filter(|record| !ids.contains(record));
        report.lost += untold.count();
        report.untimely += found.keys().filter(|seq| **seq < gone).count();
        let days = kept.days.unwrap_or(u64::MAX / DAY);
        let early = self
            .known
            .range(..gone)
            .filter(|(seq, _)| !self.is_over(**seq, days));
        report.untimely += early.count();
        let mut end = 0;
        let mut day = "";
        for file in &files {
            report.out_of_order += usize::from(file.first != end || file.day.as_str() < day);
            (end, day) = (file.next, &file.day);
        }
        report.moved = end;
        let sql = "SELECT CAST(COUNT(*) AS BIGINT) AS both FROM audit_cold \
            JOIN audit_entries ON audit_entries.seq = audit_cold.seq";
        let row = sqlx::query(sql).fetch_one(store.pool()).await?;
        report.in_both += number(row.try_get("both")?);
        store.pool().close().await;
        Ok(())
    }

    /// Compares the files with what the database knows of them.
    pub(super) async fn count_files(
        &self,
        company: &Company,
        report: &mut Report,
    ) -> Result<(), ChaosError> {
        let store = Store::open(&company.database()).await?;
        let files = noted(&store).await?;
        store.pool().close().await;
        let files = files.iter().filter(|file| file.is_readable());
        let names: HashSet<String> = files.map(Noted::name).collect();
        let there = there(company).await?;
        report.files = there.len();
        report.files_of_nobody = there.difference(&names).count();
        report.files_missing = names.difference(&there).count();
        Ok(())
    }

    /// Has some records proved that were moved, and one that was deleted.
    pub(super) async fn prove(
        &self,
        program: &Path,
        company: &Company,
        random: &mut fastrand::Rng,
        report: &mut Report,
    ) -> Result<(), ChaosError> {
        let in_files: Vec<&Known> = self
            .known
            .range(report.deleted..report.moved)
            .map(|(_, known)| known)
            .collect();
        for known in random.choose_multiple(in_files, PROVED) {
            if proves(program, company, known.id).await? {
                report.proved += 1;
            } else {
                report.unproved += 1;
            }
        }
        if let Some((_, known)) = self.known.range(..report.deleted).next()
            && proves(program, company, known.id).await?
        {
            report.unproved += 1;
        }
        Ok(())
    }
}

/// Whether the record is proved, and its proof holds.
async fn proves(program: &Path, company: &Company, id: RecordId) -> Result<bool, ChaosError> {
    let out = company.path(&format!("proof-{id}"));
    let audit = |words: &[&str]| {
        let mut command = Command::new(program);
        command.arg("audit").args(words);
        command.env("SEKISHO_DB", company.database());
        command
    };
    let id = id.to_string();
    let mut prove = audit(&["prove", &id, "--out"]);
    let proved = prove.arg(&out).arg("--state").arg(company.state());
    if !proved.output().await?.status.success() {
        return Ok(false);
    }
    let mut checked = 0;
    for entry in std::fs::read_dir(&out)? {
        let record = entry?.path();
        if record.extension().is_none_or(|kind| kind != "json") {
            continue;
        }
        let mut check = audit(&["check-proof"]);
        let check = check.arg(&record).arg(record.with_extension("tlog-proof"));
        let check = check
            .arg("--public-key")
            .arg(company.state().join("log-key.pub.pem"));
        if !check.output().await?.status.success() {
            return Ok(false);
        }
        checked += 1;
    }
    Ok(checked > 0)
}

/// The files that the database knows, in the order of the log.
async fn noted(store: &Store) -> Result<Vec<Noted>, ChaosError> {
    let rows = sqlx::query("SELECT first, next, day, state FROM cold_files ORDER BY first");
    let rows = rows.fetch_all(store.pool()).await?;
    let read = |row: &sqlx::any::AnyRow| {
        Ok(Noted {
            first: number(row.try_get("first")?),
            next: number(row.try_get("next")?),
            day: row.try_get("day")?,
            state: row.try_get("state")?,
        })
    };
    rows.iter().map(read).collect()
}

/// The names of whatever is at the place, in a folder also of what no list shows.
pub(super) async fn there(company: &Company) -> Result<HashSet<String>, ChaosError> {
    let place = company.place();
    if let Some(folder) = place.strip_prefix("file://") {
        let mut names = HashSet::new();
        inside(Path::new(folder), "", &mut names)?;
        return Ok(names);
    }
    let objects = Objects::open(&place, environment()).map_err(|error| wrong(&error))?;
    let listed = objects.list("").await.map_err(|error| wrong(&error))?;
    Ok(listed.into_iter().map(|object| object.name).collect())
}

fn inside(folder: &Path, before: &str, names: &mut HashSet<String>) -> Result<(), ChaosError> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{before}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            inside(&entry.path(), &format!("{name}/"), names)?;
        } else {
            names.insert(name);
        }
    }
    Ok(())
}
