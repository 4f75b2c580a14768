//! Calls of today, of which the sidecar is told while it moves those of other days.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sekisho::clock::Clock;
use sekisho_domain::{RecordId, RecordKind};
use sekisho_link::v1;
use sekisho_test_worker::{Worker, call, entry};

/// Between two calls.
const PAUSE: Duration = Duration::from_millis(20);

/// Records of which somebody was told that they are durable.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls(Arc<Mutex<Vec<(RecordId, RecordKind)>>>);

impl Calls {
    pub(super) fn acknowledged(&self) -> Vec<(RecordId, RecordKind)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.clone()
    }

    /// Calls until the sidecar is gone.
    pub(super) async fn go_on(self, link: SocketAddr, mut random: fastrand::Rng) -> Option<()> {
        let mut worker = Worker::open(link, &mut random, &["audit"]).await?;
        let clock = Clock::system();
        loop {
            let (admit, end) = call("sales", clock.now(), &mut random);
            for record in [admit, end] {
                let batch = v1::Up {
                    entries: vec![entry(&record)?],
                    ..v1::Up::default()
                };
                worker.send(batch).await?;
                let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                all.push((record.record_id, record.kind));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
