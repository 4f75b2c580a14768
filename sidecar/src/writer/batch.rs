//! A batch, read and checked before it gets to the writer.

use sekisho_domain::UnixMillis;
use sekisho_link::v1;

use super::Session;
use crate::ledger::HolderId;
use crate::log::{Malformed, Recorded};

/// One batch of a worker.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) session: Session,
    pub(super) seq: u64,
    /// The first batch of its stream.
    pub(super) first: bool,
    pub(super) gone: Vec<HolderId>,
    pub(super) records: Vec<Recorded>,
    pub(super) returns: Vec<Return>,
    pub(super) requests: Vec<v1::LeaseRequest>,
    pub(super) refusals_dropped: u64,
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
        let records = up
            .entries
            .into_iter()
            .map(Recorded::new)
            .collect::<Result<_, _>>()?;
        let back = |lease: v1::LeaseReturn| Return {
            budget: lease.budget,
            window_start: UnixMillis(lease.window_start),
            amount: lease.amount,
        };
        Ok(Self {
            session,
            seq: up.seq,
            first,
            gone,
            records,
            returns: up.lease_returns.into_iter().map(back).collect(),
            requests: up.lease_requests,
            refusals_dropped: up.refusals_dropped,
        })
    }
}
