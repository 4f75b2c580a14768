//! A gateway's worker without a gateway: it tells a sidecar of calls over Link, and asks it for leases.

use std::net::SocketAddr;
use std::time::Duration;

use sekisho_domain::{
    AuditRecord, Outcome, RecordId, RecordKind, Tokens, UnixMillis, Usage, UsageSource,
};
use sekisho_link::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::http::uri::PathAndQuery;

/// How long an answer may take: more than any sidecar that is going to give it needs.
const PATIENCE: Duration = Duration::from_secs(10);

/// One stream to a sidecar, with one batch under way at a time.
pub struct Worker {
    ups: mpsc::Sender<v1::Up>,
    downs: tonic::Streaming<v1::Down>,
    hello: Option<v1::Hello>,
    seq: u64,
}

/// What a sidecar said to a batch, all of which is durable.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Admits that no lease covers.
    pub refused: Vec<RecordId>,
    /// To the requests for leases, in no order.
    pub leases: Vec<v1::LeaseAnswer>,
}

impl Worker {
    /// Opens a stream as another worker each time: what the one before left open ends as
    /// `unknown`. `None`: no sidecar takes it.
    pub async fn open(
        link: SocketAddr,
        random: &mut fastrand::Rng,
        stages: &[&str],
    ) -> Option<Self> {
        let endpoint = tonic::transport::Endpoint::new(format!("http://{link}")).ok()?;
        let channel = endpoint.connect_timeout(PATIENCE).connect().await.ok()?;
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await.ok()?;
        let (ups, stream) = mpsc::channel(1);
        let codec = tonic_prost::ProstCodec::<v1::Up, v1::Down>::default();
        let path = PathAndQuery::from_static("/sekisho.link.v1.Link/Open");
        let request = tonic::Request::new(ReceiverStream::new(stream));
        let answer = client.streaming(request, path, codec).await.ok()?;
        let mut name = || random.u128(1..).to_be_bytes().to_vec().into();
        let hello = v1::Hello {
            vm: name(),
            holder: name(),
            stages: stages.iter().map(|&stage| stage.to_owned()).collect(),
            ..v1::Hello::default()
        };
        Some(Self {
            ups,
            downs: answer.into_inner(),
            hello: Some(hello),
            seq: 0,
        })
    }

    /// Sends a batch and waits until all of it is durable and answered. `None`: the stream broke.
    pub async fn send(&mut self, mut batch: v1::Up) -> Option<Answer> {
        self.seq += 1;
        batch.seq = self.seq;
        batch.hello = self.hello.take();
        let asked = batch.lease_requests.len();
        self.ups.send(batch).await.ok()?;
        let (mut answer, mut is_durable) = (Answer::default(), false);
        while !is_durable || answer.leases.len() < asked {
            let down = tokio::time::timeout(PATIENCE, self.downs.message()).await;
            let down = down.ok()?.ok()??;
            is_durable |= down.ack == self.seq;
            let refused = down.refused.iter();
            answer.refused.extend(
                refused.filter_map(|id| <[u8; 16]>::try_from(id.as_ref()).ok().map(RecordId)),
            );
            answer.leases.extend(down.lease_answers);
        }
        Some(answer)
    }
}

/// A call of a department that nothing is set aside for: its admit and its end.
pub fn call(
    department: &str,
    now: UnixMillis,
    random: &mut fastrand::Rng,
) -> (AuditRecord<'static>, AuditRecord<'static>) {
    let mut admit = record(RecordKind::Admit, department, now, random);
    admit.usage = Some(usage(10, 10));
    let mut end = admit.clone();
    end.kind = RecordKind::Complete;
    end.usage = Some(usage(3, 4));
    end.usage_source = Some(UsageSource::Reported);
    (end.status, end.outcome) = (Some(200), Some(Outcome::Answered));
    (admit, end)
}

/// What is known of every call of a department.
pub fn record(
    kind: RecordKind,
    department: &str,
    now: UnixMillis,
    random: &mut fastrand::Rng,
) -> AuditRecord<'static> {
    let mut tail = [0; 10];
    random.fill(&mut tail);
    let mut record = AuditRecord::new(kind, RecordId::v7(now, tail), now);
    record.caller.tenant = Some("t".into());
    record.caller.department = Some(department.to_owned().into());
    record.call.api = Some("openai".into());
    record.call.model = Some("gpt-4o".into());
    record
}

fn usage(input: u64, output: u64) -> Usage {
    Usage {
        input: Tokens(input),
        output: Tokens(output),
        ..Usage::default()
    }
}

/// A record as it goes over the wire, with nothing set aside for it. `None`: gateways tell of no
/// such record.
pub fn entry(record: &AuditRecord<'_>) -> Option<v1::Entry> {
    let kind = match record.kind {
        RecordKind::Admit => v1::entry::Kind::Admit,
        RecordKind::Complete => v1::entry::Kind::Complete,
        RecordKind::Refuse => v1::entry::Kind::Refuse,
        RecordKind::Event | RecordKind::Contents => return None,
    };
    Some(v1::Entry {
        kind: kind.into(),
        record_id: record.record_id.0.to_vec().into(),
        record: serde_json::to_vec(record).ok()?.into(),
        reservations: Vec::new(),
    })
}
