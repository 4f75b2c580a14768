//! The log in the database. Only the writer changes it.

use prost::bytes::Bytes;
use sekisho_domain::{Micros, RecordId, RecordKind, UnixMillis};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::entry::{Index, Recorded};
use super::tree::Tree;
use crate::ledger::Charge;
use crate::store::figures::{from_db, to_db};
use crate::store::script::{Rows, Script};

/// `body` is the leaf, byte by byte as it came; the other columns of `audit_entries` are
/// taken from it. `cost_micros` and `charges` (JSON) are what a completion was charged.
/// `kind`: 1 admit, 2 complete, 3 refuse, 4 event, 5 contents.
pub(crate) const DDL: &str = "
CREATE TABLE audit_entries (
    seq {key},
    record_id {blob} NOT NULL,
    kind BIGINT NOT NULL,
    at BIGINT NOT NULL,
    leaf_hash {blob} NOT NULL,
    body {blob} NOT NULL,
    tenant TEXT,
    object_id TEXT,
    user_id TEXT,
    department TEXT,
    api TEXT,
    model TEXT,
    denial TEXT,
    cost_micros BIGINT,
    charges TEXT,
    UNIQUE (record_id, kind)
);
CREATE INDEX audit_entries_at ON audit_entries (at);
CREATE INDEX audit_entries_department ON audit_entries (department, seq);
CREATE INDEX audit_entries_user ON audit_entries (user_id, seq);
CREATE INDEX audit_entries_denial ON audit_entries (denial, seq) WHERE denial IS NOT NULL;
CREATE TABLE audit_tree (
    id {key},
    origin TEXT NOT NULL,
    size BIGINT NOT NULL,
    roots {blob} NOT NULL,
    epoch BIGINT NOT NULL,
    refusals_dropped BIGINT NOT NULL
);
CREATE TABLE audit_checkpoints (
    size {key},
    at BIGINT NOT NULL,
    note TEXT NOT NULL
);
";

/// Version 7: events, and whatever ended is found by how it did. A search goes by time within
/// what it is for, so the indexes do, too: the old ones went by place in the log. Those on
/// `event` and `outcome` cost calls nothing.
pub(crate) const DDL_7: &str = "
ALTER TABLE audit_entries ADD COLUMN event TEXT;
ALTER TABLE audit_entries ADD COLUMN outcome TEXT;
UPDATE audit_entries SET outcome = {outcome_in_body} WHERE kind = 2;
DROP INDEX audit_entries_department;
DROP INDEX audit_entries_user;
DROP INDEX audit_entries_denial;
CREATE INDEX audit_entries_department ON audit_entries (department, at);
CREATE INDEX audit_entries_user ON audit_entries (user_id, at);
CREATE INDEX audit_entries_denial ON audit_entries (at) WHERE denial IS NOT NULL;
CREATE INDEX audit_entries_event ON audit_entries (at) WHERE event IS NOT NULL;
CREATE INDEX audit_entries_unknown ON audit_entries (at) WHERE outcome = 'unknown';
";

const APPEND: Rows = Rows {
    head: "INSERT INTO audit_entries (seq, record_id, kind, at, leaf_hash, body, tenant, \
           object_id, user_id, department, api, model, denial, event, outcome, cost_micros, \
           charges) VALUES",
    columns: 17,
    tail: "",
};

/// The columns of an entry, in the order that [`Stored::read`] knows.
pub(crate) const COLUMNS: &str = "seq, record_id, kind, at, leaf_hash, body, tenant, \
    object_id, user_id, department, api, model, denial, event, outcome, cost_micros, charges";

/// A record with its place in the log, and what it was charged.
#[derive(Clone, Debug)]
pub(crate) struct Appended {
    pub(crate) seq: u64,
    pub(crate) recorded: Recorded,
    pub(crate) cost: Option<Micros>,
    pub(crate) charges: Option<String>,
}

/// A charge as it stands in the `charges` column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredCharge {
    pub(crate) budget: String,
    pub(crate) window_start: u64,
    pub(crate) amount: u64,
}

/// The `charges` column.
pub(crate) fn charges_json(charges: &[Charge]) -> Option<String> {
    if charges.is_empty() {
        return None;
    }
    let stored: Vec<StoredCharge> = charges
        .iter()
        .map(|charge| StoredCharge {
            budget: charge.budget.0.clone(),
            window_start: charge.window_start.0,
            amount: charge.amount,
        })
        .collect();
    serde_json::to_string(&stored).ok()
}

pub(crate) const fn kind_number(kind: RecordKind) -> i64 {
    match kind {
        RecordKind::Admit => 1,
        RecordKind::Complete => 2,
        RecordKind::Refuse => 3,
        RecordKind::Event => 4,
        RecordKind::Contents => 5,
    }
}

pub(crate) fn kind_of(number: i64) -> Option<RecordKind> {
    let kinds = [
        RecordKind::Admit,
        RecordKind::Complete,
        RecordKind::Refuse,
        RecordKind::Event,
        RecordKind::Contents,
    ];
    kinds.into_iter().find(|kind| kind_number(*kind) == number)
}

/// An entry as the database has it, nothing of it believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) seq: i64,
    pub(crate) record_id: Vec<u8>,
    pub(crate) kind: i64,
    pub(crate) at: i64,
    pub(crate) leaf_hash: Vec<u8>,
    pub(crate) body: Bytes,
    pub(crate) index: Index,
    pub(crate) cost: Option<i64>,
    pub(crate) charges: Option<String>,
}

impl Stored {
    pub(crate) fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let body: Vec<u8> = row.try_get("body")?;
        Ok(Self {
            seq: row.try_get("seq")?,
            record_id: row.try_get("record_id")?,
            kind: row.try_get("kind")?,
            at: row.try_get("at")?,
            leaf_hash: row.try_get("leaf_hash")?,
            body: body.into(),
            index: Index {
                tenant: row.try_get("tenant")?,
                object_id: row.try_get("object_id")?,
                user: row.try_get("user_id")?,
                department: row.try_get("department")?,
                api: row.try_get("api")?,
                model: row.try_get("model")?,
                denial: row.try_get("denial")?,
                event: row.try_get("event")?,
                outcome: row.try_get("outcome")?,
            },
            cost: row.try_get("cost_micros")?,
            charges: row.try_get("charges")?,
        })
    }

    pub(crate) fn record_kind(&self) -> Option<RecordKind> {
        kind_of(self.kind)
    }
}

/// Appends records.
pub(crate) fn append(script: &mut Script, rows: Vec<Appended>) {
    script.write(APPEND, rows, |appended| {
        let recorded = appended.recorded;
        let index = recorded.index;
        [
            to_db(appended.seq).into(),
            recorded.id.0.as_slice().into(),
            kind_number(recorded.kind).into(),
            to_db(recorded.at.0).into(),
            recorded.leaf.as_slice().into(),
            recorded.body.into(),
            index.tenant.into(),
            index.object_id.into(),
            index.user.into(),
            index.department.into(),
            index.api.into(),
            index.model.into(),
            index.denial.into(),
            index.event.into(),
            index.outcome.into(),
            appended.cost.map(|cost| to_db(cost.0)).into(),
            appended.charges.into(),
        ]
    });
}

/// Whether the log still is this writer's, within a transaction: 1 if it is.
pub(crate) async fn touch(connection: &mut AnyConnection, epoch: i64) -> Result<u64, sqlx::Error> {
    let sql = "UPDATE audit_tree SET epoch = epoch WHERE id = 1 AND epoch = $1";
    let touched = sqlx::query(sql).bind(epoch).execute(connection).await?;
    Ok(touched.rows_affected())
}

/// Records of this call that the log has.
pub(crate) async fn known(
    connection: &mut AnyConnection,
    id: RecordId,
) -> Result<Vec<i64>, sqlx::Error> {
    let sql = "SELECT kind FROM audit_entries WHERE record_id = $1 \
        UNION ALL SELECT kind FROM audit_cold WHERE record_id = $1";
    let rows = sqlx::query(sql).bind(id.0.to_vec()).fetch_all(connection);
    rows.await?.iter().map(|row| row.try_get("kind")).collect()
}

/// Records of the calls that arrived since this one. Ids begin with the time (UUID
/// version 7), so the index on them finds these at once.
pub(crate) async fn since(
    connection: &mut AnyConnection,
    first: RecordId,
) -> Result<Vec<(RecordId, RecordKind)>, sqlx::Error> {
    let sql = "SELECT record_id, kind FROM audit_entries WHERE record_id >= $1";
    let rows = sqlx::query(sql)
        .bind(first.0.to_vec())
        .fetch_all(connection);
    let mut found = Vec::new();
    for row in rows.await? {
        let (id, kind): (Vec<u8>, i64) = (row.try_get("record_id")?, row.try_get("kind")?);
        found.extend(RecordId::from_slice(&id).zip(kind_of(kind)));
    }
    Ok(found)
}

// Databases have to be told that few calls are open, and that the newest records are wanted: left
// to themselves they read the whole log, which takes a minute when there are millions of records.

/// Admits of the calls that have not ended.
const OPEN_ADMITS: &str = "SELECT record_id, body FROM audit_entries \
    WHERE kind = 1 AND record_id IN (SELECT record_id FROM ledger_calls)";

const FIRST_OPEN: &str = "SELECT CAST(MIN(seq + 0) AS BIGINT) AS first FROM audit_entries \
    WHERE kind = 1 AND record_id IN (SELECT record_id FROM ledger_calls)";

const FIRST_SINCE: &str = "SELECT CAST(COALESCE( \
    (SELECT MIN(seq + 0) FROM audit_entries WHERE at >= $1), \
    (SELECT MAX(seq) + 1 FROM audit_entries), 0) AS BIGINT) AS first";

/// Ids and bodies of the admits of the calls that have not ended.
pub(crate) async fn open_admits(
    connection: &mut AnyConnection,
) -> Result<Vec<(Vec<u8>, Vec<u8>)>, sqlx::Error> {
    let rows = sqlx::query(OPEN_ADMITS).fetch_all(connection).await?;
    let admit = |row: &AnyRow| Ok((row.try_get("record_id")?, row.try_get("body")?));
    rows.iter().map(admit).collect()
}

/// The place of the first of them.
pub(crate) async fn first_open(connection: &mut AnyConnection) -> Result<Option<u64>, sqlx::Error> {
    let row = sqlx::query(FIRST_OPEN).fetch_one(connection).await?;
    let first: Option<i64> = row.try_get("first")?;
    Ok(first.map(from_db))
}

/// The place of the first record that is not older; where the next will be, if all are.
pub(crate) async fn first_since(
    connection: &mut AnyConnection,
    since: UnixMillis,
) -> Result<u64, sqlx::Error> {
    let row = sqlx::query(FIRST_SINCE).bind(to_db(since.0));
    let row = row.fetch_one(connection).await?;
    Ok(from_db(row.try_get("first")?))
}

/// The admit of a call.
pub(crate) async fn admit_of(
    connection: &mut AnyConnection,
    id: RecordId,
) -> Result<Option<Bytes>, sqlx::Error> {
    let sql = "SELECT body FROM audit_entries WHERE record_id = $1 AND kind = 1";
    let row = sqlx::query(sql)
        .bind(id.0.to_vec())
        .fetch_optional(connection)
        .await?;
    let body: Option<Vec<u8>> = row.map(|row| row.try_get("body")).transpose()?;
    Ok(body.map(Bytes::from))
}

/// The one row that says what the log is.
#[derive(Clone, Debug)]
pub(crate) struct TreeRow {
    pub(crate) origin: String,
    pub(crate) size: u64,
    pub(crate) roots: Vec<u8>,
    pub(crate) epoch: i64,
    /// See [`super::sorted`].
    pub(crate) sorted: u64,
}

pub(crate) async fn tree(connection: &mut AnyConnection) -> Result<Option<TreeRow>, sqlx::Error> {
    let sql = "SELECT origin, size, roots, epoch, sorted FROM audit_tree WHERE id = 1";
    let row = sqlx::query(sql).fetch_optional(connection).await?;
    row.map(|row| {
        Ok(TreeRow {
            origin: row.try_get("origin")?,
            size: from_db(row.try_get("size")?),
            roots: row.try_get("roots")?,
            epoch: row.try_get("epoch")?,
            sorted: from_db(row.try_get("sorted")?),
        })
    })
    .transpose()
}

/// One more than the largest place in the log.
pub(crate) async fn records(connection: &mut AnyConnection) -> Result<u64, sqlx::Error> {
    let sql = "SELECT CAST(COALESCE((SELECT MAX(seq) + 1 FROM audit_entries), \
        (SELECT MAX(seq) + 1 FROM audit_cold), 0) AS BIGINT) AS records";
    let row = sqlx::query(sql).fetch_one(connection).await?;
    Ok(from_db(row.try_get("records")?))
}

/// The size at the newest checkpoint.
pub(crate) async fn newest_checkpoint(connection: &mut AnyConnection) -> Result<u64, sqlx::Error> {
    let sql = "SELECT CAST(COALESCE(MAX(size), 0) AS BIGINT) AS size FROM audit_checkpoints";
    let row = sqlx::query(sql).fetch_one(connection).await?;
    Ok(from_db(row.try_get("size")?))
}

/// The newest checkpoint as it was signed.
pub(crate) async fn newest_note(
    connection: &mut AnyConnection,
) -> Result<Option<String>, sqlx::Error> {
    let sql = "SELECT note FROM audit_checkpoints ORDER BY size DESC LIMIT 1";
    let row = sqlx::query(sql).fetch_optional(connection).await?;
    row.map(|row| row.try_get("note")).transpose()
}

/// Founds the log.
pub(crate) async fn found(connection: &mut AnyConnection, origin: &str) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO audit_tree (id, origin, size, roots, epoch, refusals_dropped) \
        VALUES (1, $1, 0, $2, 0, 0)";
    sqlx::query(sql)
        .bind(origin.to_owned())
        .bind(Vec::<u8>::new())
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes the log over: whoever wrote under an earlier epoch can no longer.
pub(crate) async fn take_over(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE audit_tree SET epoch = epoch + 1 WHERE id = 1")
        .execute(connection)
        .await?;
    Ok(())
}

const TREE: Rows = Rows {
    head: "UPDATE audit_tree SET (size, roots, refusals_dropped) = \
           (given.column1, given.column2, refusals_dropped + given.column3) FROM (VALUES",
    columns: 4,
    tail: ") AS given WHERE id = 1 AND epoch = given.column4",
};

/// Stores the tree, as long as `epoch` is the one in force.
pub(crate) fn save_tree(script: &mut Script, tree: &Tree, epoch: i64, refusals_dropped: u64) {
    script.guard(
        TREE,
        [
            to_db(tree.size()).into(),
            tree.stored_roots().into(),
            to_db(refusals_dropped).into(),
            epoch.into(),
        ],
    );
}

const CHECKPOINT: Rows = Rows {
    head: "INSERT INTO audit_checkpoints (size, at, note) VALUES",
    columns: 3,
    tail: "ON CONFLICT (size) DO NOTHING",
};

/// Stores a checkpoint.
pub(crate) fn save_checkpoint(script: &mut Script, size: u64, at: u64, note: &str) {
    let row = [to_db(size).into(), to_db(at).into(), note.to_owned().into()];
    script.write(CHECKPOINT, [row], |row| row);
}

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::*;
    use crate::store::Store;

    #[tokio::test]
    async fn a_start_does_not_read_the_whole_log() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("d.db").display());
        let store = Store::open(&url).await.unwrap();
        let cases = [
            (OPEN_ADMITS, "(record_id=? AND kind=?)"),
            (FIRST_OPEN, "(record_id=? AND kind=?)"),
            (FIRST_SINCE, "audit_entries_at (at>?)"),
        ];
        for (sql, way) in cases {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            let rows = sqlx::query(explain).fetch_all(store.pool()).await.unwrap();
            let lines = rows.iter().map(|row| row.get::<String, _>("detail"));
            let plan = lines.collect::<Vec<_>>().join("\n");
            assert!(plan.contains(way), "{plan}");
            assert!(!plan.contains("SCAN audit_entries"), "{plan}");
        }
    }
}
