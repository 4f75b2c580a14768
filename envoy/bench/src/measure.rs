//! The rounds: every gateway in turn, and again, so that whatever else the machine does
//! meets all of them alike.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::load::{self, LoadError};
use crate::process::{self, ProcessGone};
use crate::report::{self, Report, ReportError};
use crate::row::{Kind, Paced, Rounds, Row, Saturated};
use crate::statistics::percentile;
use crate::supply::{self, Counts, Round, Supply, SupplyError};

/// Between two gateways: time for what the one before still has to do.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A running gateway; its name says what it is sent and compared with
    #[arg(
        long = "row",
        value_name = "NAME=PORT:PID[:SIDECAR-PID]",
        required = true
    )]
    rows: Vec<Row>,
    #[command(flatten)]
    supply: supply::Arguments,
    /// Rounds of each kind
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Requests per gateway and round at saturation; a fifth of that before, unmeasured
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..))]
    requests: u32,
    /// Connections at saturation
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Requests per second when latency is measured
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Requests per gateway and round when latency is measured
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(100..))]
    paced_requests: u32,
    /// Where report.md and report.json go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The command that made the report, for the report
    #[arg(long)]
    command: String,
    /// Envoy's version, for the report
    #[arg(long)]
    envoy: String,
    /// End with status 1 if a goal is missed
    #[arg(long)]
    check: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum MeasureError {
    #[error("`{row}` is compared with `{bare}`, which is not measured")]
    NoBare { row: String, bare: &'static str },
    #[error(transparent)]
    Supply(#[from] SupplyError),
    #[error("`{row}`: {source}")]
    Load { row: String, source: LoadError },
    #[error(transparent)]
    Gone(#[from] ProcessGone),
    #[error(transparent)]
    Report(#[from] ReportError),
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, MeasureError> {
    let machine = process::machine();
    for row in &arguments.rows {
        let bare = Kind::of(&row.name).bare();
        if !arguments.rows.iter().any(|row| row.name == bare) {
            let row = row.name.clone();
            return Err(MeasureError::NoBare { row, bare });
        }
    }
    let counts = Counts {
        saturated: arguments.requests,
        paced: arguments.paced_requests,
    };
    let supply = Supply::read(&arguments.supply, arguments.rounds, counts)?;
    let mut rounds = vec![Rounds::default(); arguments.rows.len()];
    for number in 0..arguments.rounds {
        for (row, rounds) in arguments.rows.iter().zip(&mut rounds) {
            let round = supply.round(Kind::of(&row.name), number)?;
            let saturated = saturate(arguments, row, &round)?;
            eprintln!(
                "round {}/{}  {:<18} {:>7.1} us  {:>6.0} requests/s",
                number + 1,
                arguments.rounds,
                row.name,
                saturated.cpu_us,
                saturated.rate
            );
            rounds.saturated.push(saturated);
            std::thread::sleep(PAUSE);
        }
    }
    for number in 0..arguments.rounds {
        for (row, rounds) in arguments.rows.iter().zip(&mut rounds) {
            let round = supply.round(Kind::of(&row.name), number)?;
            let paced = pace(arguments, row, &round)?;
            eprintln!(
                "latency {}/{}  {:<18} p50 {:>6.3} ms  p99 {:>7.3} ms",
                number + 1,
                arguments.rounds,
                row.name,
                paced.p50_ms,
                paced.p99_ms
            );
            rounds.paced.push(paced);
            std::thread::sleep(PAUSE);
        }
    }
    let names = arguments.rows.iter().map(|row| row.name.as_str());
    let method = method(arguments, machine, &supply)?;
    let report = Report::new(names.zip(&rounds), method);
    report::write(&report, &arguments.out)?;
    let missed = arguments.check && !report.goals_hold();
    Ok(if missed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn method(
    arguments: &Arguments,
    machine: String,
    supply: &Supply,
) -> Result<report::Method, SupplyError> {
    let has = |kind| {
        let mut rows = arguments.rows.iter();
        rows.any(|row| Kind::of(&row.name) == kind)
    };
    let first_seen = has(Kind::FirstSeenToken)
        .then(|| supply.round(Kind::FirstSeenToken, 0))
        .transpose()?
        .map(|round| report::FirstSeen {
            warm_up: round.warm_up.count,
            requests: round.saturated.count,
            paced_requests: round.paced.count,
        });
    Ok(report::Method {
        command: arguments.command.clone(),
        machine,
        envoy: arguments.envoy.clone(),
        rounds: arguments.rounds,
        requests: arguments.requests,
        connections: arguments.connections,
        rate: arguments.rate,
        paced_requests: arguments.paced_requests,
        tokens: supply.tokens(),
        request_bytes: supply.request_bytes(Kind::Chain),
        token_request_bytes: supply.request_bytes(Kind::CachedToken),
        first_seen,
    })
}

fn saturate(
    arguments: &Arguments,
    row: &Row,
    round: &Round<'_>,
) -> Result<Saturated, MeasureError> {
    let failed = |source| MeasureError::Load {
        row: row.name.clone(),
        source,
    };
    let mut connections =
        load::connect(row.address, arguments.connections as usize).map_err(failed)?;
    load::saturate(&mut connections, round.warm_up).map_err(failed)?;
    let used = |pid: u32| process::processor_time(pid);
    let before = (used(row.gateway)?, row.sidecar.map(used).transpose()?);
    let took = load::saturate(&mut connections, round.saturated).map_err(failed)?;
    let after = (used(row.gateway)?, row.sidecar.map(used).transpose()?);
    let count = f64::from(round.saturated.count);
    let per_request = |before: Duration, after: Duration| {
        after.saturating_sub(before).as_secs_f64() * 1e6 / count
    };
    Ok(Saturated {
        cpu_us: per_request(before.0, after.0),
        sidecar_cpu_us: before.1.zip(after.1).map(|(b, a)| per_request(b, a)),
        rate: count / took.as_secs_f64(),
        resident_mib: process::resident_mib(row.gateway)?,
    })
}

fn pace(arguments: &Arguments, row: &Row, round: &Round<'_>) -> Result<Paced, MeasureError> {
    let failed = |source| MeasureError::Load {
        row: row.name.clone(),
        source,
    };
    // Enough that a request seldom finds its connection still waiting.
    let lanes = (arguments.connections as usize * 2).max(32);
    let mut connections = load::connect(row.address, lanes).map_err(failed)?;
    load::saturate(&mut connections, round.paced_warm_up).map_err(failed)?;
    let kind = Kind::of(&row.name);
    let rate = kind.rate(arguments.rate);
    let latencies =
        load::pace(&mut connections, round.paced, rate, kind.until()).map_err(failed)?;
    let mut millis: Vec<f64> = latencies.iter().map(|l| l.as_secs_f64() * 1e3).collect();
    millis.sort_by(f64::total_cmp);
    Ok(Paced {
        p50_ms: percentile(&millis, 0.50).unwrap_or_default(),
        p99_ms: percentile(&millis, 0.99).unwrap_or_default(),
    })
}
