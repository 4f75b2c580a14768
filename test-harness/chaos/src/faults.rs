//! What goes wrong: the sidecar is killed, its wire delays, repeats and breaks.

use std::sync::Arc;
use std::time::Duration;

use sekisho_test_harness::relay::Relay;
use tokio::sync::watch;

use crate::ChaosError;
use crate::sidecars::Sidecars;

/// Between two deaths.
const LIFE: Duration = Duration::from_secs(2);

/// Kills the active sidecar again and again until it is time to stop; returns how often.
/// Each is started anew at once.
pub(crate) async fn kill(
    sidecars: &mut Sidecars,
    stop: &watch::Receiver<bool>,
) -> Result<u64, ChaosError> {
    let mut kills = 0;
    while !stopped_within(LIFE, stop).await {
        let active = sidecars.active().await?;
        if let Some(sidecar) = sidecars.all.get_mut(active) {
            sidecar.kill().await?;
            sidecar.start()?;
            kills += 1;
        }
    }
    Ok(kills)
}

/// Disturbs a wire until it is time to stop; returns how often it was cut.
pub(crate) async fn disturb(relay: Arc<Relay>, seed: u64, stop: watch::Receiver<bool>) -> u64 {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut cuts = 0;
    loop {
        let rest = Duration::from_millis(random.u64(50..600));
        if stopped_within(rest, &stop).await {
            return cuts;
        }
        let held = Duration::from_millis(random.u64(5..150));
        match random.u8(..10) {
            // Everything is late.
            0..6 => relay.stall(),
            // What is held back is the acknowledgement of batches that are durable; after a cut
            // they are sent again: TCP itself repeats nothing.
            6..9 => {
                relay.stall_answers();
                tokio::time::sleep(held).await;
                relay.cut();
                cuts += 1;
            }
            _ => {
                relay.cut();
                cuts += 1;
            }
        }
        tokio::time::sleep(held).await;
        relay.pass();
    }
}

async fn stopped_within(time: Duration, stop: &watch::Receiver<bool>) -> bool {
    let mut stop = stop.clone();
    let stopped = stop.wait_for(|stop| *stop);
    tokio::time::timeout(time, stopped).await.is_ok()
}
