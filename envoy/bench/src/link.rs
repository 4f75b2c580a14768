//! What a sidecar commits and grants over Link, beside what its disk does alone: how long an
//! acknowledgement takes, how many records and leases a core is good for, and whether that
//! depends on how many departments there are.

mod disk;
mod report;
mod work;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use crate::process::ProcessGone;
use report::{Report, Round, Row};

/// Records per second while acknowledgements are timed.
const RATE: u32 = 1_000;
/// Streams of the saturated rounds, as many workers of gateways.
const STREAMS: usize = 8;
/// Calls, or requests for leases, of a batch in the saturated rounds.
const BATCH: usize = 64;

/// Departments that call: as many among ten as among ten thousand, because what is counted per
/// department and batch is not what is compared.
const ACTIVE: usize = 10;

/// A running sidecar: `DEPARTMENTS=ADDRESS:PID`.
#[derive(Clone, Copy, Debug)]
struct Sidecar {
    departments: usize,
    link: SocketAddr,
    process: u32,
}

impl Sidecar {
    /// One of the departments that call, which lie far from each other.
    fn any_active(&self, random: &mut fastrand::Rng) -> usize {
        let active = ACTIVE.min(self.departments);
        random.usize(..active) * (self.departments / active)
    }
}

impl FromStr for Sidecar {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (departments, rest) = text.split_once('=')?;
            let (link, process) = rest.rsplit_once(':')?;
            Some(Self {
                departments: departments.parse().ok().filter(|count| *count > 0)?,
                link: link.parse().ok()?,
                process: process.parse().ok()?,
            })
        };
        parse().ok_or_else(|| "expected DEPARTMENTS=ADDRESS:PORT:PID".to_owned())
    }
}

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A running sidecar with so many departments `d0`, `d1`, ... and a budget of tokens `b0`, ... for each
    #[arg(
        long = "sidecar",
        value_name = "DEPARTMENTS=ADDRESS:PORT:PID",
        required = true
    )]
    sidecars: Vec<Sidecar>,
    /// A folder on the disk of the databases: a file in it is synced for comparison
    #[arg(long, value_name = "DIR")]
    disk: PathBuf,
    /// Rounds, interleaved
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Where link.md and link.json go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The command that made the report, for the report
    #[arg(long)]
    command: String,
    /// End with status 1 if a goal is missed
    #[arg(long)]
    check: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("the sidecar at {0} does not answer over Link; its log says why")]
    Silent(SocketAddr),
    #[error(
        "the sidecar at {link} refused {refused} of what it was asked; its policy must have the budgets `b0`, `b1`, ..."
    )]
    Refused { link: SocketAddr, refused: usize },
    #[error(transparent)]
    Process(#[from] ProcessGone),
    #[error("{path}: {source}")]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the runtime does not start: {0}")]
    Runtime(std::io::Error),
    #[error("the report cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Measures all sidecars in turn, prints the table, writes the report.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, LinkError> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().map_err(LinkError::Runtime)?;
    let length = Duration::from_secs(arguments.seconds.into());
    let mut rounds: Vec<Vec<Round>> = arguments.sidecars.iter().map(|_| Vec::new()).collect();
    for number in 1..=arguments.rounds {
        for (sidecar, rounds) in arguments.sidecars.iter().zip(&mut rounds) {
            let round = runtime.block_on(measure(sidecar, &arguments.disk, length))?;
            println!(
                "round {number}/{}  {}",
                arguments.rounds,
                round.line(sidecar.departments)
            );
            rounds.push(round);
        }
    }
    let rows = arguments.sidecars.iter().zip(&rounds);
    let rows = rows.map(|(sidecar, rounds)| Row::of(sidecar.departments, rounds));
    let report = Report::new(arguments.command.clone(), arguments.rounds, rows.collect());
    print!("\n{}", report.markdown());
    report.write(&arguments.out)?;
    let failed = arguments.check && !report.holds();
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn measure(
    sidecar: &Sidecar,
    disk: &std::path::Path,
    length: Duration,
) -> Result<Round, LinkError> {
    let disk = disk::sync_times(disk, RATE, length)?;
    let acks = work::ack_times(sidecar, RATE, length).await?;
    let records = work::records(sidecar, length).await?;
    let leases = work::leases(sidecar, length).await?;
    Ok(Round {
        disk,
        acks,
        records,
        leases,
    })
}
