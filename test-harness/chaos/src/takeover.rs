//! Gateways are with the next sidecar two seconds after the active one is gone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::time::Instant;

use crate::load::ask;
use crate::sidecars::Sidecars;
use crate::site::{Limits, PROBER, Site};
use crate::stand_in::StandIn;
use crate::{ChaosError, Place, StoreKind};

/// The promise.
const MOVED: Duration = Duration::from_secs(2);
/// How long the other sidecar rests until it is its turn to be killed.
const REST: Duration = Duration::from_secs(3);
const ENVOYS: usize = 4;
/// Connections to each Envoy, so that each of its workers has some.
const PROBES: usize = 6;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// How often the active sidecar is killed, and how often it is stopped
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Rounds that may be slower: a machine that does other things may be late itself
    #[arg(long, default_value_t = 0)]
    late: usize,
}

/// Whether all gateways were in time.
pub(crate) async fn run(arguments: &Arguments) -> Result<bool, ChaosError> {
    let (upstream, _) = StandIn::start(1).await?;
    let limits = Limits {
        tokens: 1,
        micros: 1,
    };
    let site = Site::new(upstream, limits)?;
    let mut sidecars = Sidecars::start(&arguments.place, &site, StoreKind::Postgres).await?;
    let links: Vec<SocketAddr> = sidecars.all.iter().map(|sidecar| sidecar.link).collect();
    let mut envoys = Vec::new();
    for number in 0..ENVOYS {
        let name = format!("envoy-{number}");
        envoys.push(site.envoy(&arguments.place, &name, &links).await?);
    }
    let token: Arc<str> = site.token(PROBER, 0)?.into();
    let started = Instant::now();
    let mut probes = Vec::new();
    for envoy in &envoys {
        for _ in 0..PROBES {
            let answered = Arc::new(AtomicU64::new(0));
            probes.push(Arc::clone(&answered));
            tokio::spawn(probe(
                envoy.address(),
                Arc::clone(&token),
                started,
                answered,
            ));
        }
    }
    let mut late = 0;
    for round in 0..2 * arguments.rounds {
        tokio::time::sleep(REST).await;
        let active = sidecars.active().await?;
        let silent = round % 2 == 1;
        let began = started.elapsed();
        if let Some(sidecar) = sidecars.all.get_mut(active) {
            if silent {
                sidecar.signal("-STOP").await?;
            } else {
                sidecar.kill().await?;
            }
        }
        let next = sidecars.all.get(1 - active.min(1));
        let listens = async {
            while let Some(next) = next
                && !next.is_active().await
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            started.elapsed().saturating_sub(began)
        };
        let (listened, took) = tokio::join!(listens, moved(&probes, started, began));
        let how = if silent { "stopped" } else { "killed" };
        println!(
            "  {how}: the next sidecar was there after {} ms, every worker of every gateway after {} ms",
            listened.as_millis(),
            took.as_millis()
        );
        late += usize::from(took > MOVED);
        if let Some(sidecar) = sidecars.all.get_mut(active) {
            if silent {
                sidecar.signal("-CONT").await?;
                sidecar.ended().await?;
            }
            sidecar.start()?;
        }
    }
    println!(
        "  {late} of {} rounds took longer than {} ms",
        2 * arguments.rounds,
        MOVED.as_millis()
    );
    Ok(late <= arguments.late)
}

/// Asks without end, and notes when the last answer's request was sent.
async fn probe(gateway: SocketAddr, token: Arc<str>, started: Instant, answered: Arc<AtomicU64>) {
    let body = json!({"messages": [{"role": "user", "content": "2 x"}], "model": "gpt-4o", "max_tokens": 1});
    let body = body.to_string();
    let mut kept = None;
    loop {
        let sent = started.elapsed();
        if ask(&mut kept, gateway, &token, &body).await == Some(200) {
            let millis = u64::try_from(sent.as_millis()).unwrap_or(u64::MAX);
            answered.store(millis, Ordering::SeqCst);
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

/// Waits until everybody has an answer to a request that was sent some time after `began`,
/// when nothing of before can be under way; returns how long that took.
async fn moved(probes: &[Arc<AtomicU64>], started: Instant, began: Duration) -> Duration {
    let fresh = began + Duration::from_millis(100);
    let fresh = u64::try_from(fresh.as_millis()).unwrap_or(u64::MAX);
    loop {
        let waiting = probes
            .iter()
            .any(|probe| probe.load(Ordering::SeqCst) < fresh);
        let took = started.elapsed().saturating_sub(began);
        if !waiting || took > 10 * MOVED {
            return took;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
