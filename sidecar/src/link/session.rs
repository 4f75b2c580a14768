//! One worker's stream, whatever carries it.

use std::collections::VecDeque;
use std::sync::Arc;

use prost::Message as _;
use prost::bytes::Bytes;
use sekisho_link::v1;
use tokio::sync::mpsc;

use super::gateways::Gateways;
use super::questions::Questions;
use crate::clock::Clock;
use crate::jwks::KeySets;
use crate::ledger::{HolderId, VmId};
use crate::snapshot::{SnapshotHub, Subscription};
use crate::vitals::Pulse;
use crate::writer::{ApplyError, LEASE_TTL_MILLIS, Session, Submitted, Writer};

/// Batches of one stream that the writer has at a time; more are not read meanwhile.
const MOST_UNDER_WAY: usize = 2;

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
    key_sets: Option<KeySets>,
    gateways: Gateways,
}

impl Link {
    /// Sessions over this log and this snapshot.
    #[must_use]
    pub fn new(writer: Writer, hub: SnapshotHub) -> Self {
        Self {
            writer,
            hub,
            key_sets: None,
            gateways: Gateways::default(),
        }
    }

    /// Whom sessions ask for signing keys that workers do not know. Without, none is found.
    #[must_use]
    pub fn with_key_sets(mut self, key_sets: KeySets) -> Self {
        self.key_sets = Some(key_sets);
        self
    }

    /// By whose clock it is noted when gateways are heard, and where.
    #[must_use]
    pub fn with_pulse(mut self, pulse: Pulse, clock: Clock) -> Self {
        self.gateways = Gateways::noted(pulse, clock);
        self
    }

    /// What its sessions write to.
    pub(super) fn writer(&self) -> Writer {
        self.writer.clone()
    }

    /// Opens a session; its first messages, the whole snapshot, are ready.
    #[must_use]
    pub fn open(&self) -> LinkSession {
        let mut changes = self.hub.subscribe();
        let first = v1::Down {
            snapshot: changes.poll_next().map(Arc::unwrap_or_clone),
            lease_ttl_millis: LEASE_TTL_MILLIS,
            ..v1::Down::default()
        };
        LinkSession {
            writer: self.writer.clone(),
            changes,
            questions: Questions::new(self.key_sets.clone()),
            pushed: mpsc::unbounded_channel(),
            ready: VecDeque::from([first]),
            under_way: VecDeque::new(),
            failed: None,
            session: None,
            seq: 0,
            gateway: self.gateways.clone(),
            is_counted: false,
        }
    }
}

/// One stream. When it is dropped, its holder is disconnected.
#[derive(Debug)]
pub struct LinkSession {
    writer: Writer,
    changes: Subscription,
    questions: Questions,
    /// What the writer has to say of its own accord, and where it says so.
    pushed: (
        mpsc::UnboundedSender<v1::Down>,
        mpsc::UnboundedReceiver<v1::Down>,
    ),
    ready: VecDeque<v1::Down>,
    /// Batches that the writer has, oldest first.
    under_way: VecDeque<Submitted>,
    /// Why the stream ends once they are answered.
    failed: Option<LinkError>,
    session: Option<Session>,
    seq: u64,
    gateway: Gateways,
    is_counted: bool,
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
        self.submit(up).await;
        while let Some(batch) = self.under_way.front_mut() {
            let answer = batch.answered().await;
            self.answered(answer)?;
        }
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Whether another batch may be submitted.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.failed.is_none() && self.under_way.len() < MOST_UNDER_WAY
    }

    /// Whether nothing is left to be said of batches that were submitted.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.ready.is_empty() && self.under_way.is_empty() && self.failed.is_none()
    }

    /// Hands a batch to the writer, behind those that it has of this stream, and waits for none
    /// of them: what becomes of each is said by [`Self::recv`], in their order.
    pub async fn submit(&mut self, up: v1::Up) {
        if self.failed.is_some() {
            // Nothing counts behind what was wrong.
            return;
        }
        match self.hand_over(up).await {
            Ok(batch) => self.under_way.push_back(batch),
            Err(error) => self.failed = Some(error),
        }
    }

    async fn hand_over(&mut self, mut up: v1::Up) -> Result<Submitted, LinkError> {
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
        if self.session.is_none() {
            let pushed = self.pushed.0.clone();
            let listening = self.writer.listen(session.holder, pushed).await;
            listening.map_err(ApplyError::from)?;
        }
        // Before it is applied: an abandoned batch must still find its holder's end.
        self.session = Some(session);
        self.seq = expected;
        // Looked up meanwhile: nobody else's records wait for an identity provider.
        for question in std::mem::take(&mut up.key_set_requests) {
            self.questions.ask(question);
        }
        Ok(self.writer.submit(&session, up).await?)
    }

    /// The oldest batch under way has its answer.
    fn answered(&mut self, answer: Result<v1::Down, ApplyError>) -> Result<(), LinkError> {
        self.under_way.pop_front();
        let down = answer?;
        self.gateway.heard(&mut self.is_counted);
        self.ready.push_back(down);
        Ok(())
    }

    /// The next message, as soon as there is one. Cancel-safe.
    ///
    /// # Errors
    /// [`LinkError`], after the answers to all batches before: the stream must be closed.
    pub async fn recv(&mut self) -> Result<v1::Down, LinkError> {
        loop {
            if let Some(down) = self.try_recv() {
                return Ok(down);
            }
            if self.under_way.is_empty()
                && let Some(error) = self.failed.take()
            {
                return Err(error);
            }
            tokio::select! {
                biased;
                answer = oldest(&mut self.under_way) => self.answered(answer)?,
                next = self.changes.next() => return Ok(change(next)),
                Some(down) = self.pushed.1.recv() => self.queue_pushed(down)?,
                answer = self.questions.next() => self.queue(answer),
            }
        }
    }

    /// The next message, if there is one already; not the answers to batches under way.
    #[must_use]
    pub fn try_recv(&mut self) -> Option<v1::Down> {
        if let Some(down) = self.ready.pop_front() {
            return Some(down);
        }
        if let Some(next) = self.changes.poll_next() {
            return Some(change(next));
        }
        if self.under_way.is_empty()
            && let Ok(down) = self.pushed.1.try_recv()
        {
            return Some(down);
        }
        let answer = self.questions.poll_next()?;
        self.queue(answer);
        self.ready.pop_front()
    }

    /// The writer answers a batch before it pushes what follows from it: a worker must have heard
    /// of a lease before that is recalled.
    fn queue_pushed(&mut self, down: v1::Down) -> Result<(), LinkError> {
        while let Some(answer) = self.under_way.front_mut().and_then(Submitted::try_answered) {
            self.answered(answer)?;
        }
        self.ready.push_back(down);
        Ok(())
    }

    /// Returns when every question for signing keys so far has its answer ready.
    pub async fn settled(&mut self) {
        while self.questions.are_open() {
            let answer = self.questions.next().await;
            self.queue(answer);
        }
    }

    /// What was found has been pushed: the worker hears of it before the answer.
    fn queue(&mut self, answer: v1::KeySetAnswer) {
        while let Some(next) = self.changes.poll_next() {
            self.ready.push_back(change(next));
        }
        self.ready.push_back(v1::Down {
            key_set_answers: vec![answer],
            ..v1::Down::default()
        });
    }

    /// The next message encoded, if there is one already.
    #[must_use]
    pub fn try_recv_bytes(&mut self) -> Option<Bytes> {
        self.try_recv().map(|down| down.encode_to_vec().into())
    }
}

impl Drop for LinkSession {
    fn drop(&mut self) {
        self.gateway.left(self.is_counted);
        if let Some(session) = self.session {
            self.writer.disconnect(session.holder);
        }
    }
}

/// What becomes of the oldest batch under way. Cancel-safe.
async fn oldest(under_way: &mut VecDeque<Submitted>) -> Result<v1::Down, ApplyError> {
    match under_way.front_mut() {
        Some(batch) => batch.answered().await,
        None => std::future::pending().await,
    }
}

fn change(snapshot: Arc<v1::Snapshot>) -> v1::Down {
    v1::Down {
        snapshot: Some(Arc::unwrap_or_clone(snapshot)),
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
