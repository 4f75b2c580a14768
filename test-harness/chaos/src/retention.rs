//! Days of records leave the database for files, and files are deleted when their time is over,
//! while the sidecar is killed.
//!
//! In the end every record that must be there is found once, is what it was, and can be proved; and
//! there is no file that nobody knows.

mod company;
mod findings;
mod now;
mod truth;

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use sekisho::clock::Clock;
use sekisho_domain::UnixMillis;
use tokio::time::Instant;

use crate::ChaosError;
use crate::sidecars::Sidecar;
use company::Company;
use findings::Report;
use now::Calls;
use truth::Truth;

/// How long a life of the sidecar lasts from when it is ready, at most, milliseconds.
const LIFE: std::ops::Range<u64> = 0..500;
/// So many days become due to be deleted at once.
const BULK: u64 = 6;
/// How long something is waited for that comes after the moving, milliseconds.
const COMES: u64 = 3_000;
/// How soon it ends after what was waited for, microseconds.
const SOON: std::ops::Range<u64> = 0..3_000;
/// So often everything is looked at on the way, unless there are few kills.
const LOOKS: u64 = 5;
/// How long the last life may take.
const PATIENCE: Duration = Duration::from_secs(240);
/// How long the writer that wrote the days may take to let go of the database.
const LETS_GO: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The sidecar's program
    #[arg(long, value_name = "FILE", default_value = "target/release/sekisho")]
    sekisho: PathBuf,
    /// Days of records that are there before
    #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u64).range(10..=10_000))]
    days: u64,
    /// Calls of a day, on average
    #[arg(long, default_value_t = 40)]
    calls: u64,
    /// How often the sidecar is killed
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u64).range(2..=100_000))]
    kills: u64,
    /// Repeats the decisions
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where older records go, as under `retention.to`, and nothing is yet; credentials come from the
    /// environment [default: a folder]
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Where the report goes
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// How long records are kept.
#[derive(Clone, Copy, Debug)]
struct Kept {
    /// In the database.
    database_days: u64,
    /// Altogether; none: for ever.
    days: Option<u64>,
}

impl Kept {
    /// In the last life nine tenths of the days are due to be moved, and half of them to be
    /// deleted; before, evenly less. Deleting begins in the middle.
    fn in_life(life: u64, arguments: &Arguments) -> Self {
        let (days, kills) = (arguments.days, arguments.kills);
        let moved = (days * 9 * (life + 1)).div_ceil(10 * kills);
        let database_days = days.saturating_sub(moved).max(1);
        let middle = kills / 2;
        let lives = (life + 1).saturating_sub(middle);
        let deleted = (days * lives) / (2 * (kills - middle));
        // Several at a time, so that there is a time while they are deleted.
        let is_last = life + 1 == kills;
        let deleted = if is_last {
            deleted
        } else {
            deleted - deleted % BULK
        };
        let deleted = Some(deleted).filter(|deleted| *deleted > 0);
        Self {
            database_days,
            days: deleted.map(|deleted| days.saturating_sub(deleted).max(database_days + 1)),
        }
    }
}

/// When a life ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Sometime,
    /// As soon as there is a file, or a part of one, that was not there before.
    AtFile,
    /// As soon as a file is gone.
    AtDeletion,
}

impl End {
    /// `deletes`: whether something is due to be deleted that was not in the life before.
    fn any(deletes: bool, random: &mut fastrand::Rng) -> Self {
        match random.u8(..4) {
            0..3 if deletes => Self::AtDeletion,
            0 => Self::AtFile,
            _ => Self::Sometime,
        }
    }

    /// `before`: the files that were there.
    async fn wait(
        self,
        company: &Company,
        before: &HashSet<String>,
        random: &mut fastrand::Rng,
    ) -> Result<(), ChaosError> {
        let (life, soon) = (random.u64(LIFE), random.u64(SOON));
        if matches!(self, Self::Sometime) {
            tokio::time::sleep(Duration::from_millis(life)).await;
            return Ok(());
        }
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(COMES) {
            let there = truth::there(company).await?;
            let is_time = match self {
                Self::AtFile => !there.is_subset(before),
                _ => !before.is_subset(&there),
            };
            if is_time {
                break;
            }
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
        tokio::time::sleep(Duration::from_micros(soon)).await;
        Ok(())
    }
}

/// Whether every record is where it must be, once.
pub(crate) async fn run(arguments: &Arguments) -> Result<bool, ChaosError> {
    let began = Instant::now();
    let company = Company::new(arguments.to.clone())?;
    let mut report = Report::new(arguments.seed, arguments.days);
    let lived = live(arguments, &company, &mut report).await;
    report.seconds = began.elapsed().as_secs_f64();
    report.print();
    if let Some(out) = &arguments.out {
        report.write(out)?;
    }
    if lived.is_err() || !report.holds() {
        println!("what happened is in {}", company.leave().display());
    }
    lived.map(|()| report.holds())
}

async fn live(
    arguments: &Arguments,
    company: &Company,
    report: &mut Report,
) -> Result<(), ChaosError> {
    let mut random = fastrand::Rng::with_seed(arguments.seed);
    let now: UnixMillis = Clock::system().now();
    let days = (arguments.days, arguments.calls);
    company.fill(days, now, &mut random).await?;
    let truth = Truth::read(company, now).await?;
    report.filled = truth.records();
    let mut sidecar = Sidecar::with(
        &arguments.sekisho,
        &company.policy(),
        company.path("sidecar.log"),
        company.database(),
        company.state(),
    )?;
    let calls = Calls::default();
    let opened = Instant::now();
    let mut kept = Kept::in_life(0, arguments);
    for life in 0..arguments.kills {
        let former = kept.days;
        kept = Kept::in_life(life, arguments);
        company.keep(Some(kept))?;
        let end = End::any(kept.days != former, &mut random);
        let before = truth::there(company).await?;
        begin(&mut sidecar, opened).await?;
        let worker = tokio::spawn(calls.clone().go_on(sidecar.link, random.fork()));
        end.wait(company, &before, &mut random).await?;
        sidecar.kill().await?;
        worker.abort();
        report.kills += 1;
        report.note(truth.interrupted(company).await?);
        if report
            .kills
            .is_multiple_of((arguments.kills / LOOKS).max(10))
        {
            look(&sidecar, company, (&truth, &calls, kept), report).await?;
        }
    }
    begin(&mut sidecar, opened).await?;
    let last = Instant::now();
    while !truth.is_settled(company, kept).await? {
        if last.elapsed() > PATIENCE {
            return Err(ChaosError::Unfinished("moving and deleting"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    sidecar.signal("-TERM").await?;
    sidecar.ended().await?;
    look(&sidecar, company, (&truth, &calls, kept), report).await?;
    truth.count_files(company, report).await?;
    truth
        .prove(&arguments.sekisho, company, &mut random, report)
        .await
}

/// Begins a life. The first one may have to wait until whoever wrote the days has let go.
async fn begin(sidecar: &mut Sidecar, opened: Instant) -> Result<(), ChaosError> {
    loop {
        sidecar.start()?;
        let Some(status) = sidecar.ready().await? else {
            return Ok(());
        };
        if opened.elapsed() > LETS_GO {
            let words = sidecar.last_words();
            return Err(ChaosError::Policy(format!(
                "the sidecar ends: {status}: {words}"
            )));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Looks at everything, while no sidecar runs.
async fn look(
    sidecar: &Sidecar,
    company: &Company,
    (truth, calls, kept): (&Truth, &Calls, Kept),
    report: &mut Report,
) -> Result<(), ChaosError> {
    report.looks += 1;
    let acknowledged = calls.acknowledged();
    truth.compare(company, &acknowledged, kept, report).await?;
    if let Some(found) = sidecar.verify().await? {
        report.unsound += 1;
        println!("after {} kills:\n{found}", report.kills);
    }
    println!(
        "  {} kills: {} records moved, {} of them deleted, {} lost or twice",
        report.kills,
        report.moved,
        report.deleted,
        report.lost + report.twice
    );
    Ok(())
}
