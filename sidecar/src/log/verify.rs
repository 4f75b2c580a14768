//! Checking the log offline: everything is computed anew from the bodies of the records
//! and compared with what was stored, signed and exported.

mod archived;
mod books;
mod checkpoints;
mod contents;
mod older;
mod sorted;
mod walk;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ed25519_dalek::VerifyingKey;
use sekisho_domain::{Policy, RecordId};
use serde::Serialize;
use sqlx::Row as _;

use super::checkpoint::CheckpointError;
use super::export;
use super::tables;
use super::tree::Hash;
use crate::ledger::UnknownTimeZone;
use crate::store::{Dialect, Store, StoreError};

/// Findings that are listed; the rest is only counted.
const MOST_FINDINGS: usize = 1000;

/// Why the log cannot be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database.
    #[error("the database cannot be read")]
    Database(#[from] sqlx::Error),
    /// The policy's time zone.
    #[error(transparent)]
    TimeZone(#[from] UnknownTimeZone),
    /// The exported checkpoints.
    #[error("the exported checkpoints in `{folder}` cannot be read")]
    Exported {
        /// Where.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Place of the record in the log, if it is about one.
    pub seq: Option<i64>,
    /// The call, if it is about one and can be read.
    pub record_id: Option<RecordId>,
    /// What.
    pub what: What,
}

/// What is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A gap.
    #[error("records from {from} to {to} are missing")]
    Missing {
        /// First.
        from: i64,
        /// Last.
        to: i64,
    },
    /// The hash beside a body is not its hash.
    #[error("its body or its hash was changed")]
    LeafHash,
    /// A body that is no record.
    #[error("its body is not a record: {0}")]
    Body(String),
    /// A search column says something else than the body.
    #[error("its column `{0}` differs from its body")]
    Column(&'static str),
    /// The cost is not what the price book says.
    #[error("charged {stored:?} micros, by the price book {expected:?}")]
    Cost {
        /// In the column.
        stored: Option<i64>,
        /// Computed.
        expected: Option<u64>,
    },
    /// The charges column is not what was written.
    #[error("its charges cannot be read")]
    Charges,
    /// A charge does not follow from the record.
    #[error("its charge to budget `{budget}` is {stored:?}, by the record {expected:?}")]
    Charge {
        /// Which budget.
        budget: String,
        /// In the column.
        stored: Option<u64>,
        /// Computed.
        expected: Option<u64>,
    },
    /// A charge to a window that the call was not in.
    #[error("its charge to budget `{0}` is in another window than the call")]
    ChargeWindow(String),
    /// A call ended that was never admitted, or ended twice.
    #[error("the call ended without being open")]
    NotOpen,
    /// A call was admitted twice.
    #[error("the call was admitted twice")]
    Twice,
    /// The stored tree.
    #[error("the stored tree has {stored} records, the log {records}, or its hashes differ")]
    Tree {
        /// Its size.
        stored: u64,
        /// Rows.
        records: u64,
    },
    /// There is no stored tree.
    #[error("the log has no stored tree")]
    NoTree,
    /// A checkpoint is none, or not signed by this log's key.
    #[error("checkpoint in {place}: {error}")]
    Checkpoint {
        /// Database or file.
        place: String,
        /// What is wrong with it.
        error: String,
    },
    /// The log at that size is not what was signed.
    #[error(
        "checkpoint in {place}: the first {size} records are not those that were signed; \
             the change is at or after record {from}"
    )]
    Root {
        /// Database or file.
        place: String,
        /// Its size.
        size: u64,
        /// Everything before was right at the checkpoint before.
        from: u64,
    },
    /// The log is shorter than it was.
    #[error("checkpoint in {place}: it has {size} records, the log only {records}")]
    RolledBack {
        /// Database or file.
        place: String,
        /// Of the checkpoint.
        size: u64,
        /// Of the log.
        records: u64,
    },
    /// The archive has no checkpoint.
    #[error("nothing is archived in `{0}`")]
    NoArchive(String),
    /// A file of the archive.
    #[error("in the archive: {0}")]
    Archive(String),
    /// An archived record is not what its tile says.
    #[error("the archived record does not fit its hash in the archive")]
    ArchivedEntry,
    /// Archived hashes do not fit those above them.
    #[error("the archive was changed in the records from {from} to {to}")]
    ArchivedRange {
        /// First.
        from: u64,
        /// Last.
        to: u64,
    },
    /// Archive and database differ.
    #[error("the archive has another record there than the database")]
    ArchivedOther,
    /// A roll-up is not the sum of its records.
    #[error("the roll-up of {0} is not the sum of its records")]
    RollUp(String),
    /// A budget's settled amount is not the sum of its charges.
    #[error("budget `{budget}`, window {window_start}: {stored} settled, charges are {expected}")]
    Settled {
        /// Which budget.
        budget: String,
        /// Which window, Unix milliseconds.
        window_start: u64,
        /// In the ledger.
        stored: u64,
        /// Sum of the charges.
        expected: u64,
    },
    /// Bodies that were kept are gone.
    #[error("its contents are lost")]
    ContentsLost,
    /// They are not what was stored.
    #[error("its contents were changed, or a part of them is lost")]
    ContentsChanged,
    /// Their key is gone or another one, and nothing on record says that it was destroyed.
    #[error("key {0} of its contents was changed or is lost, and not by an event on record")]
    ContentsKey(u64),
    /// Bodies of which the log says nothing.
    #[error("contents are stored of which the log says nothing")]
    ContentsUnknown,
    /// A file of older records that cannot be read.
    #[error("{0}")]
    Cold(String),
    /// A file of older records that was changed.
    #[error("`{0}` with older records is not as it was written")]
    ColdChanged(String),
    /// A record of such a file.
    #[error("the record in `{0}` is not the one whose hash the database keeps")]
    ColdRecord(String),
    /// Hashes of older records that are in no file.
    #[error("the database keeps the hashes of {0} older records that are in no file")]
    ColdUnknown(u64),
    /// Records are gone, and nothing on record says that their time was over.
    #[error("records before {before} are deleted, and not by an event on record")]
    ExpiredUntold {
        /// The first that is not.
        before: u64,
    },
    /// More records are said to be sorted than there are.
    #[error("of the {size} records of the stored tree {sorted} are said to be sorted")]
    SortedTo {
        /// Records that are said to be sorted.
        sorted: u64,
        /// Of the stored tree.
        size: u64,
    },
    /// Searches would not find it.
    #[error("it is missing in `{0}`, by which it is searched for")]
    NotSorted(&'static str),
    /// Searches would find it where it does not belong.
    #[error("`{0}`, by which it is searched for, says something else than the log")]
    WronglySorted(&'static str),
    /// An open call that the ledger does not know, or the other way round.
    #[error("the ledger and the log disagree whether the call is open")]
    OpenCall,
}

/// What the check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Name of the log.
    pub origin: String,
    /// Records in it.
    pub records: u64,
    /// Root of the tree over them, hexadecimal.
    pub root: String,
    /// Checkpoints in the database.
    pub checkpoints: u64,
    /// Checkpoints in the second place.
    pub exported: u64,
    /// Records at the newest checkpoint; later ones are not signed yet.
    pub signed: u64,
    /// Calls that were admitted and have not ended.
    pub open: Vec<RecordId>,
    /// Records that were moved out of the database, into files.
    pub cold: u64,
    /// Records that were deleted on record, because their time was over; of them the hashes are
    /// left, and nothing that was computed from them is compared.
    pub expired: u64,
    /// Records in the archive, if there is one.
    pub archived: Option<u64>,
    /// Refusals that gateways could not record while the sidecar was away.
    pub refusals_dropped: u64,
    /// Calls of whose bodies something was kept.
    pub contents: u64,
    /// Those of them that nobody can read any more, because keys were destroyed on record.
    pub destroyed: u64,
    /// Events of changes that were made and are not in the log yet.
    pub events_waiting: u64,
    /// What is not as it must be, the first thousand.
    pub findings: Vec<Finding>,
    /// How many findings there are.
    pub found: u64,
}

impl Report {
    /// Whether everything is as it must be.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.found == 0
    }

    fn add(&mut self, seq: Option<i64>, record_id: Option<RecordId>, what: What) {
        self.found += 1;
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(Finding {
                seq,
                record_id,
                what,
            });
        }
    }
}

/// Where the log is kept besides the database.
#[derive(Clone, Copy, Debug, Default)]
pub struct Copies<'p> {
    /// The second place of checkpoints.
    pub checkpoints: Option<&'p Path>,
    /// The archive.
    pub archive: Option<&'p Path>,
}

impl Copies<'_> {
    fn notes(self) -> Result<Vec<(PathBuf, String)>, VerifyError> {
        let Some(folder) = self.checkpoints else {
            return Ok(Vec::new());
        };
        export::read(folder).map_err(|source| VerifyError::Exported {
            folder: folder.to_owned(),
            source,
        })
    }
}

/// Checks an archive without the database: its entries against its hashes, those against
/// what was signed, and against the exported checkpoints.
///
/// # Errors
/// [`VerifyError`] if the check could not be made; what it finds is in the report.
pub async fn verify_archive(
    archive: &Path,
    public_key: &VerifyingKey,
    checkpoints: Option<&Path>,
) -> Result<Report, VerifyError> {
    let copies = Copies {
        checkpoints,
        archive: Some(archive),
    };
    let notes = copies.notes()?;
    let mut report = Report::default();
    let checkpoint = match archived::open(archive, public_key) {
        Ok(checkpoint) => checkpoint,
        Err(what) => {
            report.add(None, None, what);
            return Ok(report);
        }
    };
    report.origin.clone_from(&checkpoint.origin);
    let signed = checkpoints::in_second_place(&notes, public_key, &mut report);
    let tree = archived::walk(archive, checkpoint, signed, None, &mut report).await?;
    report.records = tree.size();
    report.root = hex(&tree.root());
    Ok(report)
}

/// Checks everything. `policy` has the prices and the time zone.
///
/// # Errors
/// [`VerifyError`] if the check could not be made; what it finds is in the report.
pub async fn verify(
    store: &Store,
    policy: &Policy,
    public_key: &VerifyingKey,
    copies: Copies<'_>,
) -> Result<Report, VerifyError> {
    // Exported before the database is read: what is exported is in the database already,
    // and the log may grow meanwhile.
    let notes = copies.notes()?;
    let archived = copies
        .archive
        .map(|folder| (folder, archived::open(folder, public_key)));
    let mut report = Report::default();
    let mut connection = store.pool().begin_with(reading(store.dialect())).await?;
    let Some(tree) = tables::tree(&mut connection).await? else {
        report.add(None, None, What::NoTree);
        return Ok(report);
    };
    report.origin.clone_from(&tree.origin);
    let sql = "SELECT refusals_dropped FROM audit_tree WHERE id = 1";
    let row = sqlx::query(sql).fetch_one(&mut *connection).await?;
    report.refusals_dropped = crate::store::figures::from_db(row.try_get("refusals_dropped")?);
    report.events_waiting = crate::store::pending::count(&mut connection).await?;
    let signed = checkpoints::read(&mut connection, &notes, public_key, &mut report).await?;
    let mut walk = walk::Walk::new(policy, &mut connection, signed).await?;
    walk.run(store, &mut connection, &mut report).await?;
    let computed = walk.tree();
    report.records = computed.size();
    report.root = hex(&computed.root());
    if tree.size != computed.size() || tree.roots != computed.stored_roots() {
        let what = What::Tree {
            stored: tree.size,
            records: computed.size(),
        };
        report.add(None, None, what);
    }
    walk.finish(&mut report);
    let (books, contents) = walk.into_parts();
    contents
        .compare(&mut connection, &books.open, &mut report)
        .await?;
    books.compare(&mut connection, &mut report).await?;
    sorted::compare(&mut connection, &tree, &mut report).await?;
    match archived {
        None => {}
        Some((_, Err(what))) => report.add(None, None, what),
        Some((folder, Ok(checkpoint))) => {
            if checkpoint.size > report.records {
                let what = What::RolledBack {
                    place: format!("the archive `{}`", folder.display()),
                    size: checkpoint.size,
                    records: report.records,
                };
                report.add(None, None, what);
            }
            let beside = Some(&mut *connection);
            archived::walk(folder, checkpoint, Vec::new(), beside, &mut report).await?;
        }
    }
    Ok(report)
}

const fn reading(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "BEGIN",
        Dialect::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    }
}

fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The message of an error.
fn text(error: &CheckpointError) -> String {
    error.to_string()
}

/// Ids in a stable order.
fn sorted(ids: impl IntoIterator<Item = RecordId>) -> Vec<RecordId> {
    ids.into_iter()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}
