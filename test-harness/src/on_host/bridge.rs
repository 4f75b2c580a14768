//! The sidecar as the test host's gRPC peer: each filter's stream is a session of the real
//! sidecar, and each batch waits until it is durable, so that a run does not depend on how
//! fast the disk is.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use sekisho::clock::Hand;
use sekisho::link::{Link, LinkSession};
use sekisho_domain::UnixMillis;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::host::{GrpcOpen, GrpcPeer, GrpcReplies, GrpcStatus, GrpcStreamId};
use crate::sidecar::{Sidecar, SidecarError};

/// The real time within which a change of the directory must be pushed.
const PUSHED_WITHIN: Duration = Duration::from_secs(1);

/// What came for a stream: a message, or its end.
pub(super) type Arrival = (GrpcStreamId, Result<Vec<u8>, GrpcStatus>);

/// The sidecar's side of all streams.
pub(super) struct Bridge {
    runtime: Handle,
    /// None while the sidecar is being restarted: it does not end before nobody speaks to it.
    link: Option<Link>,
    hand: Hand,
    sessions: BTreeMap<GrpcStreamId, LinkSession>,
    /// What filters sent while the sidecar is stalled; none: it is not.
    stalled: Option<VecDeque<(GrpcStreamId, Vec<u8>)>>,
    arrived: VecDeque<Arrival>,
}

impl Bridge {
    pub(super) fn new(sidecar: &Sidecar, hand: Hand) -> Result<Self, SidecarError> {
        let (runtime, link) = sidecar.sessions()?;
        Ok(Self {
            runtime,
            link: Some(link),
            hand,
            sessions: BTreeMap::new(),
            stalled: None,
            arrived: VecDeque::new(),
        })
    }

    /// New streams go to the sidecar that runs now.
    pub(super) fn reconnect(&mut self, sidecar: &Sidecar) -> Result<(), SidecarError> {
        let (runtime, link) = sidecar.sessions()?;
        self.runtime = runtime;
        self.link = Some(link);
        Ok(())
    }

    pub(super) fn stall(&mut self) {
        self.stalled.get_or_insert_default();
    }

    /// How many messages are held back.
    pub(super) fn unheard(&self) -> usize {
        self.stalled.as_ref().map_or(0, VecDeque::len)
    }

    /// Sends what was held back, and takes in what comes of it.
    pub(super) fn resume(&mut self) {
        for (stream, message) in self.stalled.take().unwrap_or_default() {
            let answers = self.exchange(stream, &message);
            self.arrived
                .extend(answers.into_iter().map(|answer| (stream, answer)));
        }
    }

    /// Nobody speaks to the sidecar any longer.
    pub(super) fn disconnect(&mut self) {
        self.drop_streams();
        self.link = None;
    }

    pub(super) fn drop_streams(&mut self) {
        let _entered = self.runtime.enter();
        self.sessions.clear();
        self.stalled = None;
    }

    /// What has come of the sidecar's own accord.
    pub(super) fn take_arrived(&mut self) -> VecDeque<Arrival> {
        if self.stalled.is_none() {
            for (stream, session) in &mut self.sessions {
                self.arrived
                    .extend(ready(session).map(|message| (*stream, Ok(message))));
            }
        }
        std::mem::take(&mut self.arrived)
    }

    /// Waits until every stream has been told of a change of the directory.
    pub(super) fn wait_for_snapshot(&mut self) -> bool {
        let mut everybody = true;
        for (stream, session) in &mut self.sessions {
            let change = async { timeout(PUSHED_WITHIN, session.recv()).await };
            match self.runtime.block_on(change) {
                Ok(Ok(down)) => {
                    let message = prost::Message::encode_to_vec(&down);
                    self.arrived.push_back((*stream, Ok(message)));
                }
                Ok(Err(_)) | Err(_) => everybody = false,
            }
        }
        everybody
    }

    /// Sends a batch; returns what answers it.
    fn exchange(
        &mut self,
        stream: GrpcStreamId,
        message: &[u8],
    ) -> Vec<Result<Vec<u8>, GrpcStatus>> {
        let Some(session) = self.sessions.get_mut(&stream) else {
            return Vec::new();
        };
        let sent = self.runtime.block_on(async {
            let sent = session.send(message).await;
            // Nor on how fast the issuer is.
            session.settled().await;
            sent
        });
        let mut answers: Vec<_> = ready(session).map(Ok).collect();
        if sent.is_err() {
            // As the gRPC server does, the stream is closed.
            let _entered = self.runtime.enter();
            self.sessions.remove(&stream);
            answers.push(Err(GrpcStatus::UNAVAILABLE));
        }
        answers
    }
}

fn ready(session: &mut LinkSession) -> impl Iterator<Item = Vec<u8>> {
    std::iter::from_fn(|| session.try_recv_bytes().map(|bytes| bytes.to_vec()))
}

impl GrpcPeer for Bridge {
    fn on_open(&mut self, open: &GrpcOpen, _replies: &mut GrpcReplies) {
        if let Some(link) = &self.link {
            self.sessions.insert(open.stream, link.open());
        }
    }

    fn on_message(&mut self, stream: GrpcStreamId, message: &[u8], replies: &mut GrpcReplies) {
        if let Some(waiting) = &mut self.stalled {
            waiting.push_back((stream, message.to_vec()));
            return;
        }
        self.hand.set(UnixMillis(replies.now().0 / 1_000_000));
        for answer in self.exchange(stream, message) {
            match answer {
                Ok(message) => replies.send(stream, message),
                Err(status) => replies.close(stream, status),
            }
        }
    }

    fn on_half_close(&mut self, stream: GrpcStreamId, _replies: &mut GrpcReplies) {
        self.on_cancel(stream);
    }

    fn on_cancel(&mut self, stream: GrpcStreamId) {
        let _entered = self.runtime.enter();
        self.sessions.remove(&stream);
    }
}
