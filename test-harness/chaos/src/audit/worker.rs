//! A gateway's worker without a gateway: it tells the sidecar of calls over Link, and
//! remembers what was acknowledged.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sekisho::clock::Clock;
use sekisho_domain::{
    AuditRecord, DenialCode, Outcome, RecordId, RecordKind, Tokens, Usage, UsageSource,
};
use sekisho_link::v1;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::http::uri::PathAndQuery;

use crate::site::PROBER;

/// How long an acknowledgement may take: more than any sidecar that is going to give it needs.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts to reach a sidecar that is not there.
const REST: Duration = Duration::from_millis(10);

/// Records of which somebody was told that they are durable.
#[derive(Clone, Debug, Default)]
pub(super) struct Acked(Arc<Mutex<Vec<(RecordId, RecordKind)>>>);

impl Acked {
    fn add(&self, records: impl IntoIterator<Item = (RecordId, RecordKind)>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(records);
    }

    pub(super) fn all(&self) -> Vec<(RecordId, RecordKind)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.clone()
    }
}

/// One stream to a sidecar.
pub(super) struct Worker {
    ups: mpsc::Sender<v1::Up>,
    downs: tonic::Streaming<v1::Down>,
    hello: Option<v1::Hello>,
    seq: u64,
    random: fastrand::Rng,
    clock: Clock,
    acked: Acked,
}

impl Worker {
    /// Opens a stream; `None`: no sidecar takes it.
    pub(super) async fn open(link: SocketAddr, seed: u64, acked: Acked) -> Option<Self> {
        let endpoint = tonic::transport::Endpoint::new(format!("http://{link}")).ok()?;
        let channel = endpoint.connect_timeout(PATIENCE).connect().await.ok()?;
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await.ok()?;
        let (ups, stream) = mpsc::channel(1);
        let codec = tonic_prost::ProstCodec::<v1::Up, v1::Down>::default();
        let path = PathAndQuery::from_static("/sekisho.link.v1.Link/Open");
        let request = tonic::Request::new(ReceiverStream::new(stream));
        let answer = client.streaming(request, path, codec).await.ok()?;
        let mut random = fastrand::Rng::with_seed(seed);
        // Another one each time: what the one before left open ends as `unknown`.
        let mut name = || random.u128(1..).to_be_bytes().to_vec().into();
        let hello = v1::Hello {
            vm: name(),
            holder: name(),
            stages: vec!["audit".to_owned()],
            ..v1::Hello::default()
        };
        Some(Self {
            ups,
            downs: answer.into_inner(),
            hello: Some(hello),
            seq: 0,
            random,
            clock: Clock::system(),
            acked,
        })
    }

    /// Sends records in one batch; returns how many admits were refused. `None`: they were not
    /// acknowledged.
    pub(super) async fn tell(&mut self, records: Vec<AuditRecord<'_>>) -> Option<usize> {
        let names: Vec<_> = records
            .iter()
            .map(|record| (record.record_id, record.kind))
            .collect();
        let entries = records.iter().map(entry).collect::<Option<_>>()?;
        self.seq += 1;
        let up = v1::Up {
            seq: self.seq,
            hello: self.hello.take(),
            entries,
            ..v1::Up::default()
        };
        self.ups.send(up).await.ok()?;
        loop {
            let down = tokio::time::timeout(PATIENCE, self.downs.message()).await;
            let down = down.ok()?.ok()??;
            if down.ack == self.seq {
                let refused = |id: &RecordId| down.refused.iter().any(|one| **one == id.0);
                let taken = names.into_iter().filter(|(id, _)| !refused(id));
                self.acked.add(taken);
                return Some(down.refused.len());
            }
        }
    }

    /// A new call: its admit and its end.
    pub(super) fn call(&mut self) -> (AuditRecord<'static>, AuditRecord<'static>) {
        let admit = self.record(RecordKind::Admit);
        let mut end = admit.clone();
        end.kind = RecordKind::Complete;
        end.usage = Some(usage(3, 4));
        end.usage_source = Some(UsageSource::Reported);
        (end.status, end.outcome) = (Some(200), Some(Outcome::Answered));
        (admit, end)
    }

    /// A call that was refused.
    pub(super) fn refusal(&mut self) -> AuditRecord<'static> {
        let mut refusal = self.record(RecordKind::Refuse);
        refusal.denial = Some(DenialCode::UnknownModel);
        refusal
    }

    fn record(&mut self, kind: RecordKind) -> AuditRecord<'static> {
        let now = self.clock.now();
        let mut random = [0; 10];
        self.random.fill(&mut random);
        let mut record = AuditRecord::new(kind, RecordId::v7(now, random), now);
        record.caller.tenant = Some("t".into());
        record.caller.department = Some(PROBER.into());
        record.call.api = Some("openai".into());
        record.call.model = Some("gpt-4o".into());
        if kind == RecordKind::Admit {
            record.usage = Some(usage(10, 10));
        }
        record
    }
}

fn usage(input: u64, output: u64) -> Usage {
    Usage {
        input: Tokens(input),
        output: Tokens(output),
        ..Usage::default()
    }
}

fn entry(record: &AuditRecord<'_>) -> Option<v1::Entry> {
    let kind = match record.kind {
        RecordKind::Admit => v1::entry::Kind::Admit,
        RecordKind::Complete => v1::entry::Kind::Complete,
        RecordKind::Refuse => v1::entry::Kind::Refuse,
        // No gateway tells of these.
        RecordKind::Event => return None,
    };
    Some(v1::Entry {
        kind: kind.into(),
        record_id: record.record_id.0.to_vec().into(),
        record: serde_json::to_vec(record).ok()?.into(),
        reservations: Vec::new(),
    })
}

/// Calls without end, whatever becomes of the sidecar, until it is time to stop.
pub(super) async fn go_on(link: SocketAddr, seed: u64, acked: Acked, stop: watch::Receiver<bool>) {
    let mut lives = 0;
    while !*stop.borrow() {
        lives += 1;
        let seed = seed.wrapping_add(lives << 32);
        let Some(mut worker) = Worker::open(link, seed, acked.clone()).await else {
            tokio::time::sleep(REST).await;
            continue;
        };
        while !*stop.borrow() {
            if round(&mut worker).await.is_none() {
                break;
            }
        }
    }
}

/// Some calls, told of in several ways.
pub(super) async fn round(worker: &mut Worker) -> Option<()> {
    let (admit, end) = worker.call();
    let refusal = worker.refusal();
    if worker.tell(vec![admit]).await? == 0 {
        worker.tell(vec![end, refusal]).await?;
    }
    let ((one, its_end), (other, others_end)) = (worker.call(), worker.call());
    // One that is refused never goes on.
    if worker.tell(vec![one, other]).await? == 0 {
        worker.tell(vec![its_end, others_end]).await?;
    }
    Some(())
}
