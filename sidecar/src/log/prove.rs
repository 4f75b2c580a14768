//! Finding a call's records and proving each of them.

use ed25519_dalek::VerifyingKey;
use sekisho_domain::{RecordId, RecordKind};
use sqlx::{AnyConnection, Row as _};

use super::checkpoint::{Checkpoint, CheckpointError};
use super::proof::{Proof, ProofError, Prover};
use super::tables;
use super::tree::leaf_hash;
use crate::cold::{self, ColdError};
use crate::store::figures::from_db;
use crate::store::{Store, StoreError};

/// Hashes that are read at a time.
const ROWS: i64 = 10_000;

/// Why a call cannot be proved.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database.
    #[error("the database cannot be read")]
    Database(#[from] sqlx::Error),
    /// Its records were moved, and cannot be read.
    #[error(transparent)]
    Older(#[from] ColdError),
    /// There is no such call.
    #[error("the log has no record `{0}`")]
    Unknown(RecordId),
    /// No checkpoint covers it yet.
    #[error("record `{0}` is not signed yet: a running sidecar signs every second")]
    Unsigned(RecordId),
    /// The newest checkpoint is none.
    #[error("the newest checkpoint does not count: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// What the database has is not what was signed.
    #[error("{0}: `sekisho audit verify` says what was changed")]
    Changed(ProofError),
}

/// A call that was proved.
#[derive(Clone, Debug)]
pub struct ProvedCall {
    /// The log's name.
    pub origin: String,
    /// Its records, in the order of the log.
    pub records: Vec<Proved>,
}

/// A record that was proved.
#[derive(Clone, Debug)]
pub struct Proved {
    /// Which moment of the call.
    pub kind: RecordKind,
    /// The record's bytes.
    pub body: Vec<u8>,
    /// The proof.
    pub proof: Proof,
    /// Records that the proof's checkpoint covers.
    pub size: u64,
}

/// Proves every record of a call against the newest checkpoint. Reads each hash of the
/// log once per record.
///
/// # Errors
/// [`ProveError`]; nothing is returned that does not hold.
pub async fn prove(
    store: &Store,
    id: RecordId,
    key: &VerifyingKey,
) -> Result<ProvedCall, ProveError> {
    let mut connection = store.pool().acquire().await?;
    let sql = "SELECT seq, kind, body FROM audit_entries WHERE record_id = $1 ORDER BY seq";
    let warm = sqlx::query(sql)
        .bind(id.0.to_vec())
        .fetch_all(&mut *connection)
        .await?;
    let moved = cold::tables::of_call(&mut connection, &id.0).await?;
    let mut rows: Vec<(i64, i64, Vec<u8>)> = Vec::new();
    for row in cold::read::at(store, &moved).await? {
        rows.push((row.seq, row.kind, row.body.to_vec()));
    }
    for row in &warm {
        rows.push((
            row.try_get("seq")?,
            row.try_get("kind")?,
            row.try_get("body")?,
        ));
    }
    rows.sort_unstable_by_key(|(seq, ..)| *seq);
    let tree = tables::tree(&mut connection).await?;
    let tree = tree.filter(|_| !rows.is_empty());
    let origin = tree.ok_or(ProveError::Unknown(id))?.origin;
    let note = tables::newest_note(&mut connection).await?;
    let note = note.ok_or(ProveError::Unsigned(id))?;
    let checkpoint = Checkpoint::open(&note, &origin, key)?;
    let mut records = Vec::new();
    for (seq, kind, body) in rows {
        let kind = tables::kind_of(kind).ok_or(ProveError::Unknown(id))?;
        let index = from_db(seq);
        if index >= checkpoint.size {
            return Err(ProveError::Unsigned(id));
        }
        let prover = pass(
            &mut connection,
            Prover::new(index, checkpoint.size),
            checkpoint.size,
        );
        let proof = prover.await?.finish(note.clone());
        let checked = proof.check(&leaf_hash(&body), &origin, key);
        checked.map_err(ProveError::Changed)?;
        records.push(Proved {
            kind,
            body,
            proof,
            size: checkpoint.size,
        });
    }
    Ok(ProvedCall { origin, records })
}

/// Shows the first `size` leaves to a prover.
async fn pass(
    connection: &mut AnyConnection,
    mut prover: Prover,
    size: u64,
) -> Result<Prover, sqlx::Error> {
    let mut next = 0;
    loop {
        let leaves = cold::tables::leaves(connection, (next, size), ROWS).await?;
        let Some((last, _)) = leaves.last() else {
            return Ok(prover);
        };
        next = last.saturating_add(1);
        for (_, leaf) in &leaves {
            // A hash of another length was tampered with: the proof will not hold.
            prover.push(cold::tables::hash(leaf));
        }
    }
}
