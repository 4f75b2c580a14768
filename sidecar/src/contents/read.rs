//! Reading what was kept of a call.

use std::collections::HashMap;

use sekisho_domain::policy::Contents;
use sekisho_domain::{AuditRecord, Cut, RecordId, RecordKind, SealedHalf};
use sekisho_link::Half;
use sqlx::AnyConnection;

use super::MasterKey;
use super::seal::{DataKey, Spot};
use super::tables::{self, Piece, Sum};
use crate::log::search::{Filter, search};
use crate::store::{Store, StoreError};

/// What was kept of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// In which form; none: the gateway fell silent before it said so.
    pub contents: Option<Contents>,
    /// Who pays for the call.
    pub department: String,
    /// The request; none: nothing of it.
    pub request: Option<Body>,
    /// The answer.
    pub response: Option<Body>,
}

/// What was kept of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Why that is not all.
    pub cut: Option<Cut>,
}

/// Why nothing can be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// There is no such call.
    #[error("there is no call with this record id")]
    Unknown,
    /// The call has not ended.
    #[error("the call has not ended yet")]
    Open,
    /// It was a refusal or an event, or the policy keeps no bodies of it.
    #[error("nothing was kept of it")]
    NothingKept,
    /// Somebody wanted it.
    #[error(
        "the key was destroyed on purpose (`sekisho audit shred`): nobody can read it any more"
    )]
    Shredded,
    /// The policy wanted it.
    #[error(
        "the key was destroyed when the time of `audit.contents_days` was over: nobody can read it any more"
    )]
    Expired,
    /// It should be there.
    #[error("it was kept and is lost or changed: `sekisho audit verify` says more")]
    Lost,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for Unreadable {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Reads and decrypts what was kept of a call. Whoever is shown it is to be put on record first.
///
/// # Errors
/// [`Unreadable`].
pub async fn read(store: &Store, master: &MasterKey, id: RecordId) -> Result<Kept, Unreadable> {
    let filter = Filter {
        record_id: Some(id),
        ..Filter::default()
    };
    let page = search(store, &filter, None, 10).await?;
    let bodies = page.records.iter();
    let records: Vec<AuditRecord<'_>> = bodies
        .filter_map(|found| serde_json::from_slice(&found.body).ok())
        .collect();
    let of = |kind| records.iter().find(|record| record.kind == kind);
    let Some(summary) = of(RecordKind::Contents) else {
        return Err(match (of(RecordKind::Admit), of(RecordKind::Complete)) {
            _ if records.is_empty() => Unreadable::Unknown,
            (Some(_), None) if of(RecordKind::Refuse).is_none() => Unreadable::Open,
            _ => Unreadable::NothingKept,
        });
    };
    let sealed = summary.sealed.as_ref().ok_or(Unreadable::Lost)?;
    let department = summary.caller.department.as_deref().unwrap_or_default();
    let mut connection = store.pool().acquire().await?;
    let mut keys = HashMap::new();
    for named in &sealed.keys {
        let key = open_key(&mut connection, master, named.id, department).await?;
        keys.insert(named.id, key);
    }
    let pieces = tables::of_call(&mut connection, id).await?;
    let end = of(RecordKind::Complete);
    let half = |half: Half, sum: &Option<SealedHalf>, cut: Option<Cut>| {
        let pieces = pieces.iter().filter(|piece| piece.half == half);
        decrypt(pieces, &keys, sum, department).map(|bytes| {
            let is_there = sum.is_some() || cut.is_some();
            is_there.then_some(Body { bytes, cut })
        })
    };
    Ok(Kept {
        contents: end.and_then(|end| end.contents),
        department: department.to_owned(),
        request: half(
            Half::Request,
            &sealed.request,
            end.and_then(|end| end.request_cut),
        )?,
        response: half(
            Half::Response,
            &sealed.response,
            end.and_then(|end| end.response_cut),
        )?,
    })
}

async fn open_key(
    connection: &mut AnyConnection,
    master: &MasterKey,
    id: u64,
    department: &str,
) -> Result<DataKey, Unreadable> {
    let key = tables::key(connection, id).await?.ok_or(Unreadable::Lost)?;
    match (key.wrapped, key.destroyed_by.as_deref()) {
        (Some(wrapped), _) => {
            let key = master.unwrap(&wrapped, department, &key.day);
            key.map_err(|_| Unreadable::Lost)
        }
        (None, Some("shredded")) => Err(Unreadable::Shredded),
        (None, Some("expired")) => Err(Unreadable::Expired),
        (None, _) => Err(Unreadable::Lost),
    }
}

fn decrypt<'p>(
    pieces: impl Iterator<Item = &'p Piece>,
    keys: &HashMap<u64, DataKey>,
    expected: &Option<SealedHalf>,
    department: &str,
) -> Result<Vec<u8>, Unreadable> {
    let (mut bytes, mut sum) = (Vec::new(), Sum::default());
    for piece in pieces {
        let key = keys.get(&piece.key).ok_or(Unreadable::Lost)?;
        let spot = Spot {
            record_id: piece.record_id,
            half: piece.half,
            number: piece.number,
            department,
        };
        sum.add(&piece.sealed);
        let opened = key.open(&piece.sealed, spot);
        bytes.extend(opened.map_err(|_| Unreadable::Lost)?);
    }
    let is_whole = match expected {
        Some(expected) => sum.pieces == expected.pieces && sum.sha256() == expected.sha256,
        None => sum.pieces == 0,
    };
    if is_whole {
        Ok(bytes)
    } else {
        Err(Unreadable::Lost)
    }
}
