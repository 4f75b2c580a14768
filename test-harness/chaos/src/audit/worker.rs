//! A gateway's worker without a gateway: it tells the sidecar of calls over Link, and
//! remembers what was acknowledged.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sekisho::clock::Clock;
use sekisho_domain::{AuditRecord, DenialCode, RecordId, RecordKind};
use sekisho_link::v1;
use sekisho_test_worker::entry;
use tokio::sync::watch;

use crate::site::PROBER;

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
    link: sekisho_test_worker::Worker,
    random: fastrand::Rng,
    clock: Clock,
    acked: Acked,
}

impl Worker {
    /// Opens a stream; `None`: no sidecar takes it.
    pub(super) async fn open(link: SocketAddr, seed: u64, acked: Acked) -> Option<Self> {
        let mut random = fastrand::Rng::with_seed(seed);
        Some(Self {
            link: sekisho_test_worker::Worker::open(link, &mut random, &["audit"]).await?,
            random,
            clock: Clock::system(),
            acked,
        })
    }

    /// Sends records in one batch; returns how many admits were refused. `None`: they were not
    /// acknowledged.
    pub(super) async fn tell(&mut self, records: Vec<AuditRecord<'_>>) -> Option<usize> {
        let batch = v1::Up {
            entries: records.iter().map(entry).collect::<Option<_>>()?,
            ..v1::Up::default()
        };
        let refused = self.link.send(batch).await?.refused;
        let names = records.iter().map(|record| (record.record_id, record.kind));
        self.acked
            .add(names.filter(|(id, _)| !refused.contains(id)));
        Some(refused.len())
    }

    /// A new call: its admit and its end.
    pub(super) fn call(&mut self) -> (AuditRecord<'static>, AuditRecord<'static>) {
        sekisho_test_worker::call(PROBER, self.clock.now(), &mut self.random)
    }

    /// A call that was refused.
    pub(super) fn refusal(&mut self) -> AuditRecord<'static> {
        let now = self.clock.now();
        let mut refusal =
            sekisho_test_worker::record(RecordKind::Refuse, PROBER, now, &mut self.random);
        refusal.denial = Some(DenialCode::UnknownModel);
        refusal
    }
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
