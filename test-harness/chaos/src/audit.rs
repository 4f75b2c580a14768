//! No call without a durable record, whatever dies.

mod calls;
mod disk;
mod evidence;
mod full;
mod report;
mod traffic;
mod worker;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::sidecars::Sidecar;
use crate::site::{Limits, PROBER, Site};
use crate::stand_in::StandIn;
use crate::{ChaosError, Place};
use disk::Disk;
use evidence::Log;
use report::{Counts, Report};
use traffic::Clients;
use worker::Acked;

const ENVOYS: usize = 2;
const CLIENTS: u64 = 24;
const WORKERS: u64 = 2;
const PEOPLE: usize = 20;
/// Never used up.
const LIMITS: Limits = Limits {
    tokens: 1_000_000_000_000,
    micros: 1_000_000_000_000_000,
};
/// Size of the disk whose power is cut.
const DISK: &str = "4G";
/// How long a sidecar may live before it is killed, milliseconds.
const LIFE_MILLIS: std::ops::Range<u64> = 20..1_200;
/// How long a sidecar whose disk is gone may take to give up.
const GIVES_UP: Duration = Duration::from_secs(10);
/// Leases, and so calls whose end nobody will tell, end after ten seconds.
const CALLS_END: Duration = Duration::from_secs(12);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Repeats the decisions of an earlier run
    #[arg(long)]
    seed: Option<u64>,
    /// How often the sidecar is killed
    #[arg(long, default_value_t = 20)]
    kills: u64,
    /// How often its disk's power is cut; needs root and loop devices
    #[arg(long, default_value_t = 4)]
    powercuts: u64,
    /// At most so many calls of the operating system are made to fail, chosen at random; 0: every
    /// one of the scripted run
    #[arg(long, default_value_t = 40)]
    faults: usize,
    /// Where the report goes
    #[arg(long, value_name = "FILE", default_value = "target/chaos/audit.json")]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    Kill,
    PowerCut,
}

/// Whether the promises were kept.
pub(crate) async fn run(arguments: &Arguments) -> Result<bool, ChaosError> {
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    let mut random = fastrand::Rng::with_seed(seed);
    let began = Instant::now();
    println!(
        "seed {seed}: {ENVOYS} Envoys, {CLIENTS} clients, {} kills, {} power cuts",
        arguments.kills, arguments.powercuts
    );
    let mut report = Report {
        seed,
        seconds: 0.0,
        counts: Counts::default(),
        kills: 0,
        powercuts: 0,
        powercuts_skipped: None,
        faults: 0,
        faults_skipped: None,
        full_disk_skipped: None,
        verified: 0,
        problems: Vec::new(),
    };
    let (upstream, stand_in) = StandIn::start(seed).await?;
    let site = Site::new(upstream, LIMITS)?;
    under_load(arguments, &site, &stand_in, &mut random, &mut report).await?;
    println!(
        "{} kills, {} power cuts; now a disk runs full",
        report.kills, report.powercuts
    );
    full::run(&arguments.place, &site, &mut report).await?;
    println!("now calls of the operating system fail");
    calls::run(arguments, &site, &mut random, &mut report).await?;
    report.seconds = began.elapsed().as_secs_f64();
    report.print();
    if let Some(folder) = arguments.out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&arguments.out, serde_json::to_vec_pretty(&report)?)?;
    let holds = report.holds();
    if !holds {
        println!(
            "  what the sidecar said and stored is in {}",
            site.keep().display()
        );
    }
    Ok(holds)
}

/// Envoys, clients and workers go on, whatever becomes of the sidecar.
async fn under_load(
    arguments: &Arguments,
    site: &Site,
    stand_in: &StandIn,
    random: &mut fastrand::Rng,
    report: &mut Report,
) -> Result<(), ChaosError> {
    let disk = match arguments.powercuts {
        0 => None,
        _ => Disk::make(site.folder(), DISK)
            .await
            .map_err(|reason| {
                let reason = format!("no disk whose power could be cut ({reason})");
                println!("SKIPPED: {reason}");
                report.powercuts_skipped = Some(reason);
            })
            .ok(),
    };
    let home = disk.as_ref().map_or(site.folder(), Disk::path).to_owned();
    let database = format!("sqlite:{}", home.join("sekisho.db").display());
    let place = &arguments.place;
    let mut sidecar = Sidecar::at(place, site, "a", database, home.join("state"))?;
    sidecar.start()?;
    lives(&mut sidecar, report).await?;
    let mut envoys = Vec::new();
    for number in 0..ENVOYS {
        let name = format!("envoy-{number}");
        envoys.push(site.envoy(place, &name, &[sidecar.link]).await?);
    }
    let tokens = (0..PEOPLE).map(|person| site.token(PROBER, person));
    let clients = Clients::new(
        envoys.iter().map(|envoy| envoy.address()).collect(),
        tokens.collect::<Result<_, _>>()?,
    );
    let acked = Acked::default();
    let (stop, stopped) = watch::channel(false);
    let mut running = JoinSet::new();
    for _ in 0..CLIENTS {
        running.spawn(clients.clone().go_on(random.u64(..), stopped.clone()));
    }
    for _ in 0..WORKERS {
        let seed = random.u64(..);
        running.spawn(worker::go_on(
            sidecar.link,
            seed,
            acked.clone(),
            stopped.clone(),
        ));
    }
    let mut deaths = vec![Death::Kill; usize::try_from(arguments.kills).unwrap_or(0)];
    if disk.is_some() {
        let cuts = usize::try_from(arguments.powercuts).unwrap_or(0);
        deaths.extend(std::iter::repeat_n(Death::PowerCut, cuts));
    }
    random.shuffle(&mut deaths);
    for death in deaths {
        tokio::time::sleep(Duration::from_millis(random.u64(LIFE_MILLIS))).await;
        match (death, &disk) {
            (Death::PowerCut, Some(disk)) => {
                disk.cut().await?;
                report.powercuts += 1;
                gives_up(&mut sidecar, report).await?;
                sidecar.kill().await?;
                disk.restore().await?;
            }
            _ => {
                sidecar.kill().await?;
                report.kills += 1;
            }
        }
        sidecar.start()?;
        lives(&mut sidecar, report).await?;
        verify(&sidecar, report).await?;
    }
    stop.send_replace(true);
    running.join_all().await;
    // Gateways tell of the last ends with their next heartbeat.
    tokio::time::sleep(Duration::from_secs(2)).await;
    drop(envoys);
    tokio::time::sleep(CALLS_END).await;
    sidecar.signal("-TERM").await?;
    sidecar.ended().await?;
    verify(&sidecar, report).await?;
    let log = Log::read(sidecar.database()).await?;
    report.counts = log.join(&acked.all(), &stand_in.calls(), &clients.heard());
    if log.is_anything_open() {
        let problem = "calls are open whose gateways have been gone for longer than leases live";
        report.problems.push(problem.to_owned());
    }
    Ok(())
}

/// A sidecar that has been started takes gateways.
async fn lives(sidecar: &mut Sidecar, report: &mut Report) -> Result<(), ChaosError> {
    if let Some(status) = sidecar.ready().await? {
        let words = sidecar.last_words();
        let problem = format!("the sidecar does not start again ({status}): {words}");
        report.problems.push(problem);
    }
    Ok(())
}

/// One that cannot write any more says so and ends.
async fn gives_up(sidecar: &mut Sidecar, report: &mut Report) -> Result<(), ChaosError> {
    let words = |sidecar: &Sidecar| sidecar.last_words();
    match sidecar.dead(GIVES_UP).await? {
        None => report
            .problems
            .push("the sidecar goes on although its disk is gone".to_owned()),
        Some(status) if status.success() => report
            .problems
            .push("the sidecar ends as if nothing were wrong although its disk is gone".to_owned()),
        Some(_) if !words(sidecar).contains("nothing is acknowledged any more") => {
            let problem = format!("a sidecar's last words are not clear: {}", words(sidecar));
            report.problems.push(problem);
        }
        Some(_) => {}
    }
    Ok(())
}

async fn verify(sidecar: &Sidecar, report: &mut Report) -> Result<(), ChaosError> {
    match sidecar.verify().await? {
        None => report.verified += 1,
        Some(findings) => report.problems.push(findings),
    }
    Ok(())
}
