//! One worker's stream, whatever carries it.

use std::collections::VecDeque;

use prost::Message as _;
use prost::bytes::Bytes;
use sekisho_link::v1;

use crate::ledger::{HolderId, VmId};
use crate::snapshot::{SnapshotHub, Subscription};
use crate::writer::{ApplyError, LEASE_TTL_MILLIS, Session, Writer};

/// Why a stream ends.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The bytes are not a batch.
    #[error("not a batch of Link")]
    Decode(#[from] prost::DecodeError),
    /// The first batch must introduce its sender, with ids of 16 bytes that are not zero.
    #[error("the first batch of a stream must have a `hello`, later ones must not")]
    Hello,
    /// Batches count up by one, from 1.
    #[error("batch {found} came where {expected} was due")]
    Order {
        /// Its number.
        found: u64,
        /// The number that was due.
        expected: u64,
    },
    /// The writer did not take it.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// Opens sessions; cheap to clone.
#[derive(Clone, Debug)]
pub struct Link {
    writer: Writer,
    hub: SnapshotHub,
}

impl Link {
    /// Sessions over this log and this snapshot.
    #[must_use]
    pub const fn new(writer: Writer, hub: SnapshotHub) -> Self {
        Self { writer, hub }
    }

    /// Opens a session; its first message, the whole snapshot, is ready.
    #[must_use]
    pub fn open(&self) -> LinkSession {
        let (full, changes) = self.hub.subscribe();
        let first = v1::Down {
            snapshot: Some(full),
            lease_ttl_millis: LEASE_TTL_MILLIS,
            ..v1::Down::default()
        };
        LinkSession {
            writer: self.writer.clone(),
            changes,
            ready: VecDeque::from([first]),
            session: None,
            seq: 0,
        }
    }
}

/// One stream. When it is dropped, its holder is disconnected.
#[derive(Debug)]
pub struct LinkSession {
    writer: Writer,
    changes: Subscription,
    ready: VecDeque<v1::Down>,
    session: Option<Session>,
    seq: u64,
}

impl LinkSession {
    /// Takes an encoded batch; returns when it is durable and its answer is ready.
    ///
    /// # Errors
    /// [`LinkError`]: the stream must be closed.
    pub async fn send(&mut self, up: &[u8]) -> Result<(), LinkError> {
        self.take(v1::Up::decode(up)?).await
    }

    /// Takes a batch; returns when it is durable and its answer is ready.
    ///
    /// # Errors
    /// [`LinkError`]: the stream must be closed.
    pub async fn take(&mut self, up: v1::Up) -> Result<(), LinkError> {
        let expected = self.seq + 1;
        if up.seq != expected {
            let found = up.seq;
            return Err(LinkError::Order { found, expected });
        }
        let session = match (self.session, &up.hello) {
            (None, Some(hello)) => introduced(hello).ok_or(LinkError::Hello)?,
            (Some(session), None) => session,
            _ => return Err(LinkError::Hello),
        };
        // Before it is applied: an abandoned batch must still find its holder's end.
        self.session = Some(session);
        self.seq = expected;
        let down = self.writer.apply(&session, up).await?;
        self.ready.push_back(down);
        Ok(())
    }

    /// The next message, as soon as there is one. Cancel-safe.
    pub async fn recv(&mut self) -> v1::Down {
        match self.try_recv() {
            Some(down) => down,
            None => change(self.changes.next().await),
        }
    }

    /// The next message, if there is one already.
    #[must_use]
    pub fn try_recv(&mut self) -> Option<v1::Down> {
        let answer = self.ready.pop_front();
        answer.or_else(|| self.changes.poll_next().map(change))
    }

    /// The next message encoded, if there is one already.
    #[must_use]
    pub fn try_recv_bytes(&mut self) -> Option<Bytes> {
        self.try_recv().map(|down| down.encode_to_vec().into())
    }
}

impl Drop for LinkSession {
    fn drop(&mut self) {
        if let Some(session) = self.session {
            self.writer.disconnect(session.holder);
        }
    }
}

fn change(snapshot: v1::Snapshot) -> v1::Down {
    v1::Down {
        snapshot: Some(snapshot),
        ..v1::Down::default()
    }
}

fn introduced(hello: &v1::Hello) -> Option<Session> {
    let holder = HolderId(hello.holder.as_ref().try_into().ok()?);
    let vm = VmId(hello.vm.as_ref().try_into().ok()?);
    let leasing = hello.stages.iter().any(|stage| stage == "quota");
    (holder != HolderId::SIDECAR && vm != VmId::default()).then_some(Session {
        holder,
        vm,
        leasing,
    })
}
