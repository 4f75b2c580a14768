//! A disk that runs full: no call begins, those that were admitted end.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use sekisho_domain::AuditRecord;

use super::disk::Disk;
use super::evidence::Log;
use super::report::Report;
use super::worker::{Acked, Worker};
use super::{lives, verify};
use crate::sidecars::Sidecar;
use crate::site::Site;
use crate::{ChaosError, Place};

const SIZE: &str = "48M";
/// Calls that are open when the disk runs full.
const OPEN: usize = 200;
/// Ends that are told of in one batch.
const AT_ONCE: usize = 10;
/// Calls that are tried on the full disk: what is left in allocated pages takes some.
const TRIES: usize = 400;
/// How often, and how long between, it is tried whether calls are admitted again.
const LOOKS: usize = 100;
const BETWEEN: Duration = Duration::from_millis(100);

/// Whether it is so; `false`: there is no such disk here.
pub(super) async fn run(place: &Place, site: &Site, report: &mut Report) -> Result<(), ChaosError> {
    let disk = match Disk::make(&site.path("full"), SIZE).await {
        Ok(disk) => disk,
        Err(reason) => {
            let reason = format!("no disk that could run full ({reason})");
            println!("SKIPPED: {reason}");
            report.full_disk_skipped = Some(reason);
            return Ok(());
        }
    };
    let home = disk.path();
    let database = format!("sqlite:{}", home.join("sekisho.db").display());
    let mut sidecar = Sidecar::at(place, site, "full", database, home.join("state"))?;
    sidecar.start()?;
    lives(&mut sidecar, report).await?;
    let acked = Acked::default();
    let broken = filled(&mut sidecar, home, &acked, report).await?;
    report
        .problems
        .extend(broken.map(|broken| format!("on a full disk {broken}: {}", sidecar.last_words())));
    sidecar.signal("-TERM").await?;
    sidecar.ended().await?;
    verify(&sidecar, report).await?;
    let acked = acked.all();
    report.counts.acked += acked.len() as u64;
    report.counts.lost += Log::read(sidecar.database()).await?.missing(&acked);
    Ok(())
}

/// What is not as it must be.
async fn filled(
    sidecar: &mut Sidecar,
    home: &Path,
    acked: &Acked,
    report: &mut Report,
) -> Result<Option<&'static str>, ChaosError> {
    let Some(mut worker) = Worker::open(sidecar.link, 1, acked.clone()).await else {
        return Ok(Some("nobody is taken"));
    };
    let mut open = Vec::new();
    for _ in 0..OPEN {
        let (admit, end) = worker.call();
        if worker.tell(vec![admit]).await != Some(0) {
            return Ok(Some("there is no room yet"));
        }
        open.push(end);
    }
    let filler = home.join("filler");
    fill(&filler)?;
    let mut refused = false;
    for _ in 0..TRIES {
        let (admit, end) = worker.call();
        match worker.tell(vec![admit]).await {
            None => return Ok(Some("the sidecar is gone")),
            Some(0) => open.push(end),
            Some(_) => {
                refused = true;
                break;
            }
        }
    }
    if !refused {
        return Ok(Some("calls are admitted without end"));
    }
    let later = open.split_off(open.len() / 2);
    if !ends(&mut worker, open).await {
        return Ok(Some("admitted calls cannot end"));
    }
    verify(sidecar, report).await?;
    sidecar.kill().await?;
    report.kills += 1;
    sidecar.start()?;
    lives(sidecar, report).await?;
    let Some(mut worker) = Worker::open(sidecar.link, 2, acked.clone()).await else {
        return Ok(Some("nobody is taken after another start"));
    };
    if !ends(&mut worker, later).await {
        return Ok(Some("admitted calls cannot end after another start"));
    }
    std::fs::remove_file(filler)?;
    for _ in 0..LOOKS {
        let (admit, end) = worker.call();
        if worker.tell(vec![admit]).await == Some(0) {
            return Ok((!ends(&mut worker, vec![end]).await).then_some("a call cannot end"));
        }
        tokio::time::sleep(BETWEEN).await;
    }
    Ok(Some("no call is admitted although there is room again"))
}

async fn ends(worker: &mut Worker, mut ends: Vec<AuditRecord<'static>>) -> bool {
    while !ends.is_empty() {
        let rest = ends.split_off(ends.len().min(AT_ONCE));
        if worker.tell(ends).await.is_none() {
            return false;
        }
        ends = rest;
    }
    true
}

/// Writes until nothing more can be written.
fn fill(path: &Path) -> Result<(), ChaosError> {
    let mut file = File::create(path)?;
    for size in [1024 * 1024, 4096, 1] {
        let piece = vec![1u8; size];
        while file.write_all(&piece).is_ok() {}
    }
    // What is only in memory may not have its place yet.
    let _ = file.sync_all();
    Ok(())
}
