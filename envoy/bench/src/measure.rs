//! The rounds: every gateway in turn, and again, so that whatever else the machine does
//! meets all of them alike.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::load::{self, LoadError};
use crate::process::{self, ProcessGone};
use crate::report::{self, Report, ReportError};
use crate::row::{Paced, Rounds, Row, Saturated};
use crate::statistics::percentile;

/// Between two gateways: time for what the one before still has to do.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A running gateway; the first is the one that others are compared with
    #[arg(
        long = "row",
        value_name = "NAME=PORT:PID[:SIDECAR-PID]",
        required = true
    )]
    rows: Vec<Row>,
    /// File with access tokens, one a line, used in turn
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
    /// File with the request's body
    #[arg(long, value_name = "FILE")]
    body: PathBuf,
    /// The request's path
    #[arg(long)]
    path: String,
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
    #[error("`{}` cannot be read: {source}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("`{}` has no tokens", .0.display())]
    NoTokens(PathBuf),
    #[error("`{row}`: {source}")]
    Load { row: String, source: LoadError },
    #[error(transparent)]
    Gone(#[from] ProcessGone),
    #[error(transparent)]
    Report(#[from] ReportError),
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, MeasureError> {
    let machine = process::machine();
    let requests = requests(arguments)?;
    let mut rounds = vec![Rounds::default(); arguments.rows.len()];
    for round in 1..=arguments.rounds {
        for (row, rounds) in arguments.rows.iter().zip(&mut rounds) {
            let saturated = saturate(arguments, row, &requests)?;
            eprintln!(
                "round {round}/{}  {:<18} {:>7.1} us  {:>6.0} requests/s",
                arguments.rounds, row.name, saturated.cpu_us, saturated.rate
            );
            rounds.saturated.push(saturated);
            std::thread::sleep(PAUSE);
        }
    }
    for round in 1..=arguments.rounds {
        for (row, rounds) in arguments.rows.iter().zip(&mut rounds) {
            let paced = pace(arguments, row, &requests)?;
            eprintln!(
                "latency {round}/{}  {:<18} p50 {:>6.3} ms  p99 {:>7.3} ms",
                arguments.rounds, row.name, paced.p50_ms, paced.p99_ms
            );
            rounds.paced.push(paced);
            std::thread::sleep(PAUSE);
        }
    }
    let names = arguments.rows.iter().map(|row| row.name.as_str());
    let report = Report::new(names.zip(&rounds), method(arguments, machine, &requests));
    report::write(&report, &arguments.out)?;
    let missed = arguments.check && !report.goals_hold();
    Ok(if missed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn method(arguments: &Arguments, machine: String, requests: &[Vec<u8>]) -> report::Method {
    report::Method {
        command: arguments.command.clone(),
        machine,
        envoy: arguments.envoy.clone(),
        rounds: arguments.rounds,
        requests: arguments.requests,
        connections: arguments.connections,
        rate: arguments.rate,
        paced_requests: arguments.paced_requests,
        tokens: requests.len(),
        request_bytes: requests.first().map_or(0, Vec::len),
    }
}

fn saturate(
    arguments: &Arguments,
    row: &Row,
    requests: &[Vec<u8>],
) -> Result<Saturated, MeasureError> {
    let failed = |source| MeasureError::Load {
        row: row.name.clone(),
        source,
    };
    let mut connections =
        load::connect(row.address, arguments.connections as usize).map_err(failed)?;
    // Every token once at least, so that all are verified before it counts.
    let warm_up = (arguments.requests as usize / 5).max(2 * requests.len());
    load::saturate(&mut connections, requests, warm_up).map_err(failed)?;
    let used = |pid: u32| process::processor_time(pid);
    let before = (used(row.gateway)?, row.sidecar.map(used).transpose()?);
    let took =
        load::saturate(&mut connections, requests, arguments.requests as usize).map_err(failed)?;
    let after = (used(row.gateway)?, row.sidecar.map(used).transpose()?);
    let count = f64::from(arguments.requests);
    let per_request = |before: Duration, after: Duration| {
        after.saturating_sub(before).as_secs_f64() * 1e6 / count
    };
    Ok(Saturated {
        cpu_us: per_request(before.0, after.0),
        sidecar_cpu_us: before.1.zip(after.1).map(|(b, a)| per_request(b, a)),
        rate: count / took.as_secs_f64(),
    })
}

fn pace(arguments: &Arguments, row: &Row, requests: &[Vec<u8>]) -> Result<Paced, MeasureError> {
    let failed = |source| MeasureError::Load {
        row: row.name.clone(),
        source,
    };
    // Enough that a request seldom finds its connection still waiting.
    let lanes = (arguments.connections as usize * 2).max(32);
    let mut connections = load::connect(row.address, lanes).map_err(failed)?;
    load::saturate(&mut connections, requests, 2 * requests.len()).map_err(failed)?;
    let count = arguments.paced_requests as usize;
    let latencies =
        load::pace(&mut connections, requests, arguments.rate, count).map_err(failed)?;
    let mut millis: Vec<f64> = latencies.iter().map(|l| l.as_secs_f64() * 1e3).collect();
    millis.sort_by(f64::total_cmp);
    Ok(Paced {
        p50_ms: percentile(&millis, 0.50).unwrap_or_default(),
        p99_ms: percentile(&millis, 0.99).unwrap_or_default(),
    })
}

/// The request with each token in turn, as bytes on the wire.
fn requests(arguments: &Arguments) -> Result<Vec<Vec<u8>>, MeasureError> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).map_err(|source| MeasureError::Unreadable {
            path: path.clone(),
            source,
        })
    };
    let body = read(&arguments.body)?;
    let tokens = read(&arguments.tokens)?;
    let requests: Vec<Vec<u8>> = tokens
        .lines()
        .filter(|line| !line.is_empty())
        .map(|token| request(&arguments.path, token, &body))
        .collect();
    if requests.is_empty() {
        return Err(MeasureError::NoTokens(arguments.tokens.clone()));
    }
    Ok(requests)
}

/// With the headers of the OpenAI SDK for Python.
fn request(path: &str, token: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\n\
         Host: 127.0.0.1\r\n\
         Accept: application/json\r\n\
         Accept-Encoding: gzip, deflate\r\n\
         Connection: keep-alive\r\n\
         User-Agent: OpenAI/Python 3.54.0\r\n\
         Content-Type: application/json\r\n\
         Authorization: Bearer {token}\r\n\
         Content-Length: {}\r\n\
         \r\n\
         {body}",
        body.len()
    )
    .into_bytes()
}
