//! What sidecars are given to do.

use std::time::Duration;

use sekisho_link::v1;
use sekisho_test_worker::{Worker, call, entry};

use super::report::Throughput;
use super::{BATCH, LinkError, STREAMS, Sidecar};
use crate::{clock, process};

/// Milliseconds from the moment at which each record was due until it was acknowledged, at so many
/// records a second: one batch is under way at a time, and what becomes due meanwhile is the next.
pub(super) async fn ack_times(
    sidecar: &Sidecar,
    rate: u32,
    length: Duration,
) -> Result<Vec<f64>, LinkError> {
    let silent = || LinkError::Silent(sidecar.link);
    let mut random = fastrand::Rng::new();
    let mut worker = open(sidecar, &mut random, "audit").await?;
    let each = Duration::from_secs(1) / rate;
    let all = usize::try_from(length.as_millis() / each.as_millis().max(1)).unwrap_or(usize::MAX);
    let due = |number: usize| each * u32::try_from(number).unwrap_or(u32::MAX);
    let (mut times, mut end) = (Vec::with_capacity(all), None);
    let begun = clock::now();
    while times.len() < all {
        clock::sleep_until(begun + due(times.len()));
        let late = begun.elapsed();
        let mut batch = v1::Up::default();
        let first = times.len();
        while first + batch.entries.len() < all && due(first + batch.entries.len()) <= late {
            // Every other record ends the call of the one before.
            let record = match end.take() {
                Some(end) => end,
                None => {
                    let (admit, its_end) = call("d0", clock::unix(), &mut random);
                    end = Some(its_end);
                    admit
                }
            };
            batch.entries.extend(entry(&record));
        }
        let count = batch.entries.len();
        worker.send(batch).await.ok_or_else(silent)?;
        let acknowledged = begun.elapsed();
        let waited = |number| acknowledged.saturating_sub(due(number)).as_secs_f64() * 1_000.0;
        times.extend((first..first + count).map(waited));
    }
    Ok(times)
}

/// As many records as are committed.
pub(super) async fn records(sidecar: &Sidecar, length: Duration) -> Result<Throughput, LinkError> {
    saturate(sidecar, "audit", length, |sidecar, random| {
        let mut batch = v1::Up::default();
        for _ in 0..BATCH / 2 {
            let department = format!("d{}", sidecar.any_active(random));
            let (admit, end) = call(&department, clock::unix(), random);
            batch.entries.extend(entry(&admit));
            batch.entries.extend(entry(&end));
        }
        batch
    })
    .await
}

/// As many leases as are granted; a grant is sent when it is durable.
pub(super) async fn leases(sidecar: &Sidecar, length: Duration) -> Result<Throughput, LinkError> {
    let mut id = 0;
    saturate(sidecar, "quota", length, move |sidecar, random| {
        let lease_requests = (0..BATCH).map(|_| {
            id += 1;
            let demand = v1::Demand {
                budget: format!("b{}", sidecar.any_active(random)),
                amount: 1,
            };
            v1::LeaseRequest {
                id,
                demands: vec![demand],
            }
        });
        v1::Up {
            lease_requests: lease_requests.collect(),
            ..v1::Up::default()
        }
    })
    .await
}

/// Batch after batch on every stream.
async fn saturate(
    sidecar: &Sidecar,
    stage: &str,
    length: Duration,
    mut next: impl FnMut(&Sidecar, &mut fastrand::Rng) -> v1::Up + Clone + Send + 'static,
) -> Result<Throughput, LinkError> {
    let mut workers = Vec::new();
    for _ in 0..STREAMS {
        let mut random = fastrand::Rng::new();
        let mut worker = open(sidecar, &mut random, stage).await?;
        // Says who it is, and hears of the policy, before anything is measured.
        let first = next(sidecar, &mut random);
        told(sidecar, &mut worker, first).await?;
        workers.push((worker, random));
    }
    let (begun, used) = (clock::now(), process::processor_time(sidecar.process)?);
    let sidecar = *sidecar;
    let streams: Vec<_> = workers
        .into_iter()
        .map(|(mut worker, mut random)| {
            let mut next = next.clone();
            tokio::spawn(async move {
                let mut count = 0;
                while begun.elapsed() < length {
                    let batch = next(&sidecar, &mut random);
                    count += told(&sidecar, &mut worker, batch).await?;
                }
                Ok::<_, LinkError>(count)
            })
        })
        .collect();
    let mut count = 0;
    for stream in streams {
        count += stream
            .await
            .map_err(|_| LinkError::Silent(sidecar.link))??;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let used = process::processor_time(sidecar.process)?.saturating_sub(used);
    Ok(Throughput::new(count, seconds, used.as_secs_f64()))
}

/// Sends a batch; returns how much was committed for it.
async fn told(sidecar: &Sidecar, worker: &mut Worker, batch: v1::Up) -> Result<usize, LinkError> {
    let asked = batch.entries.len() + batch.lease_requests.len();
    let answer = worker
        .send(batch)
        .await
        .ok_or(LinkError::Silent(sidecar.link))?;
    let empty = answer
        .leases
        .iter()
        .filter(|answer| answer.leases.is_empty());
    let refused = answer.refused.len() + empty.count();
    if refused > 0 {
        return Err(LinkError::Refused {
            link: sidecar.link,
            refused,
        });
    }
    Ok(asked)
}

async fn open(
    sidecar: &Sidecar,
    random: &mut fastrand::Rng,
    stage: &str,
) -> Result<Worker, LinkError> {
    let worker = Worker::open(sidecar.link, random, &[stage]).await;
    worker.ok_or(LinkError::Silent(sidecar.link))
}
