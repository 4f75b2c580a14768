//! A batch, read and checked before it gets to the writer.

use prost::bytes::Bytes;
use sekisho_domain::{RecordId, UnixMillis};
use sekisho_link::{Half, v1};

use super::Session;
use crate::ledger::{Asked, HolderId};
use crate::log::{Malformed, Recorded, extension};

/// One batch of a worker.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) session: Session,
    pub(super) seq: u64,
    /// The first batch of its stream.
    pub(super) first: bool,
    pub(super) gone: Vec<HolderId>,
    pub(super) entries: Vec<Entry>,
    pub(super) returns: Vec<Return>,
    pub(super) requests: Vec<v1::LeaseRequest>,
    pub(super) refusals_dropped: u64,
    pub(super) parts: Vec<Part>,
}

/// Largest piece of a body, bytes: twice what gateways send.
const MOST_PIECE: usize = 64 * 1024;
/// Most pieces of a body: several times what a policy can ask for.
const MOST_PIECES: u32 = 256;

/// A piece of what is kept of a body.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) call: RecordId,
    pub(super) half: Half,
    pub(super) number: u32,
    pub(super) piece: Bytes,
}

/// What a worker tells of a call.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are records, and a box of its own for each would cost more"
)]
pub(super) enum Entry {
    /// One of its records.
    Record(Recorded),
    /// So much is set aside for it by now.
    Extend(RecordId, Vec<Asked>),
}

impl Entry {
    fn read(entry: v1::Entry) -> Result<Self, Malformed> {
        if entry.kind() == v1::entry::Kind::Extend {
            let (id, asked) = extension(entry)?;
            return Ok(Self::Extend(id, asked));
        }
        Recorded::new(entry).map(Self::Record)
    }
}

/// A free part of a lease that comes back.
#[derive(Debug)]
pub(super) struct Return {
    pub(super) budget: String,
    pub(super) window_start: UnixMillis,
    pub(super) amount: u64,
}

impl Batch {
    pub(super) fn read(session: Session, up: v1::Up) -> Result<Self, Malformed> {
        let first = up.hello.is_some();
        let gone = up.hello.map(|hello| hello.gone).unwrap_or_default();
        let gone = gone
            .iter()
            .map(|id| id.as_ref().try_into().map(HolderId))
            .collect::<Result<_, _>>()
            .map_err(|_| Malformed::Id)?;
        let entries = up
            .entries
            .into_iter()
            .map(Entry::read)
            .collect::<Result<_, _>>()?;
        let back = |lease: v1::LeaseReturn| Return {
            budget: lease.budget,
            window_start: UnixMillis(lease.window_start),
            amount: lease.amount,
        };
        let parts = up.contents.into_iter().map(part);
        let parts = parts.collect::<Result<_, _>>()?;
        Ok(Self {
            parts,
            session,
            seq: up.seq,
            first,
            gone,
            entries,
            returns: up.lease_returns.into_iter().map(back).collect(),
            requests: up.lease_requests,
            refusals_dropped: up.refusals_dropped,
        })
    }
}

fn part(contents: v1::Contents) -> Result<Part, Malformed> {
    let call = RecordId::from_slice(&contents.record_id).ok_or(Malformed::Id)?;
    let (half, number, piece) = (contents.half(), contents.number, contents.piece);
    if half == Half::Unspecified || number >= MOST_PIECES || piece.len() > MOST_PIECE {
        return Err(Malformed::Contents(call));
    }
    Ok(Part {
        call,
        half,
        number,
        piece,
    })
}
