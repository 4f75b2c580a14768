//! Pieces and keys in the database. Only the writer adds to them.

use prost::bytes::Bytes;
use sekisho_domain::RecordId;
use sekisho_link::Half;
use sha2::{Digest as _, Sha256};
use sqlx::{AnyConnection, Row as _};

use crate::store::figures::{from_db, to_db};
use crate::store::script::{Rows, Script};

/// `half`: 1 request, 2 answer. `wrapped`: the key, encrypted under the master key; none: it was
/// destroyed, `destroyed_by` says how (`shredded`, `expired`).
pub(crate) const DDL: &str = "
CREATE TABLE contents_keys (
    id {key},
    department TEXT NOT NULL,
    day TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    wrapped {blob},
    destroyed_by TEXT
);
CREATE INDEX contents_keys_by_day ON contents_keys (department, day);
CREATE TABLE audit_contents (
    record_id {blob} NOT NULL,
    half BIGINT NOT NULL,
    number BIGINT NOT NULL,
    key_id BIGINT NOT NULL,
    sealed {blob} NOT NULL,
    PRIMARY KEY (record_id, half, number)
);
CREATE INDEX audit_contents_by_key ON audit_contents (key_id);
";

const ADD_KEY: Rows = Rows {
    head: "INSERT INTO contents_keys (id, department, day, made_at, wrapped) VALUES",
    columns: 5,
    tail: "",
};

const ADD_PIECE: Rows = Rows {
    head: "INSERT INTO audit_contents (record_id, half, number, key_id, sealed) VALUES",
    columns: 5,
    tail: "",
};

/// A key that is new.
#[derive(Clone, Debug)]
pub(crate) struct NewKey {
    pub(crate) id: u64,
    pub(crate) department: String,
    pub(crate) day: String,
    pub(crate) made_at: u64,
    pub(crate) wrapped: Vec<u8>,
}

/// A piece as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) record_id: RecordId,
    pub(crate) half: Half,
    pub(crate) number: u32,
    pub(crate) key: u64,
    pub(crate) sealed: Bytes,
}

/// A key as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct StoredKey {
    pub(crate) id: u64,
    pub(crate) department: String,
    pub(crate) day: String,
    pub(crate) wrapped: Option<Vec<u8>>,
    pub(crate) destroyed_by: Option<String>,
}

pub(crate) fn add(script: &mut Script, keys: Vec<NewKey>, pieces: Vec<Piece>) {
    script.write(ADD_KEY, keys, |key| {
        [
            to_db(key.id).into(),
            key.department.into(),
            key.day.into(),
            to_db(key.made_at).into(),
            key.wrapped.into(),
        ]
    });
    script.write(ADD_PIECE, pieces, |piece| {
        [
            piece.record_id.0.as_slice().into(),
            i64::from(piece.half as i32).into(),
            i64::from(piece.number).into(),
            to_db(piece.key).into(),
            piece.sealed.into(),
        ]
    });
}

/// The number that the next key gets.
pub(crate) async fn next_key(connection: &mut AnyConnection) -> Result<u64, sqlx::Error> {
    let sql = "SELECT CAST(COALESCE(MAX(id) + 1, 1) AS BIGINT) AS next FROM contents_keys";
    let row = sqlx::query(sql).fetch_one(connection).await?;
    Ok(from_db(row.try_get("next")?))
}

/// The key in use of a department's day, if it has one.
pub(crate) async fn key_in_use(
    connection: &mut AnyConnection,
    department: &str,
    day: &str,
) -> Result<Option<StoredKey>, sqlx::Error> {
    let sql = "SELECT id, department, day, wrapped, destroyed_by FROM contents_keys \
        WHERE department = $1 AND day = $2 AND wrapped IS NOT NULL ORDER BY id DESC LIMIT 1";
    let row = sqlx::query(sql)
        .bind(department.to_owned())
        .bind(day.to_owned())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read_key).transpose()
}

/// A key, by its number.
pub(crate) async fn key(
    connection: &mut AnyConnection,
    id: u64,
) -> Result<Option<StoredKey>, sqlx::Error> {
    let sql = "SELECT id, department, day, wrapped, destroyed_by FROM contents_keys WHERE id = $1";
    let row = sqlx::query(sql)
        .bind(to_db(id))
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read_key).transpose()
}

/// Every key.
pub(crate) async fn keys(connection: &mut AnyConnection) -> Result<Vec<StoredKey>, sqlx::Error> {
    let sql = "SELECT id, department, day, wrapped, destroyed_by FROM contents_keys";
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    rows.iter().map(read_key).collect()
}

fn read_key(row: &sqlx::any::AnyRow) -> Result<StoredKey, sqlx::Error> {
    Ok(StoredKey {
        id: from_db(row.try_get("id")?),
        department: row.try_get("department")?,
        day: row.try_get("day")?,
        wrapped: row.try_get("wrapped")?,
        destroyed_by: row.try_get("destroyed_by")?,
    })
}

/// The pieces of a call, in their order.
pub(crate) async fn of_call(
    connection: &mut AnyConnection,
    id: RecordId,
) -> Result<Vec<Piece>, sqlx::Error> {
    let sql = "SELECT record_id, half, number, key_id, sealed FROM audit_contents \
        WHERE record_id = $1 ORDER BY half, number";
    let rows = sqlx::query(sql)
        .bind(id.0.to_vec())
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok(read_piece(row)?.1)).collect()
}

/// The pieces of calls that are open.
pub(crate) async fn of_open_calls(
    connection: &mut AnyConnection,
) -> Result<Vec<Piece>, sqlx::Error> {
    let sql = "SELECT audit_contents.record_id AS record_id, half, number, key_id, sealed \
        FROM ledger_calls JOIN audit_contents \
        ON audit_contents.record_id = ledger_calls.record_id \
        ORDER BY audit_contents.record_id, half, number";
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    rows.iter().map(|row| Ok(read_piece(row)?.1)).collect()
}

/// Where a row is, as it is stored: nothing of it is believed.
pub(crate) type At = (Vec<u8>, i64, i64);

/// The pieces behind one, in the order of calls, halves and numbers; at most so many.
pub(crate) async fn behind(
    connection: &mut AnyConnection,
    (id, half, number): &At,
    most: i64,
) -> Result<Vec<(At, Piece)>, sqlx::Error> {
    let sql = "SELECT record_id, half, number, key_id, sealed FROM audit_contents \
        WHERE (record_id, half, number) > ($1, $2, $3) \
        ORDER BY record_id, half, number LIMIT $4";
    let rows = sqlx::query(sql)
        .bind(id.clone())
        .bind(*half)
        .bind(*number)
        .bind(most)
        .fetch_all(connection)
        .await?;
    rows.iter().map(read_piece).collect()
}

fn read_piece(row: &sqlx::any::AnyRow) -> Result<(At, Piece), sqlx::Error> {
    let record_id: Vec<u8> = row.try_get("record_id")?;
    let (half, number): (i64, i64) = (row.try_get("half")?, row.try_get("number")?);
    let sealed: Vec<u8> = row.try_get("sealed")?;
    let known = i32::try_from(half).ok();
    let piece = Piece {
        record_id: RecordId::from_slice(&record_id).unwrap_or_default(),
        half: known
            .and_then(|half| Half::try_from(half).ok())
            .unwrap_or_default(),
        number: u32::try_from(number).unwrap_or(u32::MAX),
        key: from_db(row.try_get("key_id")?),
        sealed: sealed.into(),
    };
    Ok(((record_id, half, number), piece))
}

/// How the pieces of one half are summed up in the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) pieces: u32,
    hash: Sha256,
}

impl Sum {
    pub(crate) fn add(&mut self, sealed: &[u8]) {
        self.pieces = self.pieces.saturating_add(1);
        self.hash.update(Sha256::digest(sealed));
    }

    /// Hexadecimal.
    pub(crate) fn sha256(&self) -> String {
        hex(&self.hash.clone().finalize())
    }
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
