//! How long searches of the audit log take among many records, over the REST API of a sidecar that
//! serves a database which was filled before.

mod auditor;
mod questions;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use hyper::header::HeaderValue;
use serde::Serialize;

use crate::clock;
use crate::fill::company::{self, Company};
use crate::statistics::percentile;
use auditor::Auditor;
use questions::QUESTIONS;

/// What a page may take at the 95th percentile, milliseconds.
const GOAL: f64 = 200.0;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where the REST API of the sidecar listens
    #[arg(long, value_name = "ADDRESS")]
    api: SocketAddr,
    /// An auditor's token
    #[arg(long, value_name = "FILE")]
    token: PathBuf,
    /// The name of its database, for the report
    #[arg(long, value_name = "NAME")]
    database: String,
    #[command(flatten)]
    size: company::Size,
    /// Ask for the first months alone, of a database that has no others
    #[arg(long, default_value_t = company::MONTHS, value_parser = clap::value_parser!(u64).range(1..=company::MONTHS))]
    months: u64,
    /// Searches of each kind
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(20..))]
    searches: u32,
    /// Where the report goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// End with status 1 if a goal is missed
    #[arg(long)]
    check: bool,
}

/// Why it cannot be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SearchError {
    #[error("`{file}` cannot be read: {source}")]
    Token {
        file: String,
        source: std::io::Error,
    },
    #[error("`{file}` holds no token")]
    NotAToken { file: String },
    #[error("the sidecar at {address} cannot be reached: {source}")]
    Unreachable {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("the sidecar does not answer: {0}")]
    Silent(#[from] hyper::Error),
    #[error("a question that cannot be sent: {0}")]
    Question(#[from] hyper::http::Error),
    #[error("the sidecar answered {status} to `{question}`: {body}")]
    Refused {
        status: u16,
        question: &'static str,
        body: String,
    },
    #[error("not the JSON that was expected: {0}")]
    Json(#[from] serde_json::Error),
    #[error("`{file}` cannot be written: {source}")]
    Report {
        file: String,
        source: std::io::Error,
    },
    #[error("no runtime: {0}")]
    Runtime(std::io::Error),
    #[error("`{0}` found nothing: the database was not filled with as many records and people")]
    Nothing(&'static str),
}

/// What is measured.
#[derive(Debug, Serialize)]
struct Row {
    what: &'static str,
    /// Of an answer, on average.
    records: f64,
    p50_millis: f64,
    p95_millis: f64,
    most_millis: f64,
    /// What it may take; none where all pages are asked for.
    goal_millis: Option<f64>,
}

impl Row {
    fn is_met(&self) -> bool {
        self.goal_millis.is_none_or(|goal| self.p95_millis <= goal)
    }

    fn line(&self) -> String {
        format!(
            "{:<48} {:>7.1} records  p50 {:>7.1} ms  p95 {:>7.1} ms  most {:>7.1} ms{}",
            self.what,
            self.records,
            self.p50_millis,
            self.p95_millis,
            self.most_millis,
            if self.is_met() { "" } else { "  OVER" }
        )
    }
}

#[derive(Debug, Serialize)]
struct Report {
    database: String,
    records: u64,
    people: u32,
    searches: u32,
    is_met: bool,
    rows: Vec<Row>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, SearchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(SearchError::Runtime)?;
    let report = runtime.block_on(measure(arguments))?;
    let written = serde_json::to_vec_pretty(&report)?;
    std::fs::write(&arguments.out, written).map_err(|source| SearchError::Report {
        file: arguments.out.display().to_string(),
        source,
    })?;
    let is_missed = arguments.check && !report.is_met;
    Ok(if is_missed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn measure(arguments: &Arguments) -> Result<Report, SearchError> {
    let token = std::fs::read_to_string(&arguments.token).map_err(|source| SearchError::Token {
        file: arguments.token.display().to_string(),
        source,
    })?;
    let mut authorization =
        HeaderValue::try_from(format!("Bearer {}", token.trim())).map_err(|_| {
            SearchError::NotAToken {
                file: arguments.token.display().to_string(),
            }
        })?;
    authorization.set_sensitive(true);
    let mut auditor = Auditor::connect(arguments.api, authorization).await?;
    let company = Company::new(arguments.size.people);
    let mut random = fastrand::Rng::with_seed(9);
    let mut rows = Vec::new();
    for question in QUESTIONS {
        let (mut times, mut found) = (Vec::new(), 0);
        for _ in 0..arguments.searches {
            let asked = question.asked(company, arguments.months, &mut random);
            let began = clock::now();
            found += auditor.ask(question, &asked).await?;
            times.push(began.elapsed().as_secs_f64() * 1_000.0);
        }
        if found == 0 && question.finds {
            return Err(SearchError::Nothing(question.what));
        }
        times.sort_by(f64::total_cmp);
        #[expect(clippy::cast_precision_loss, reason = "records of an answer")]
        let row = Row {
            what: question.what,
            records: found as f64 / f64::from(arguments.searches),
            p50_millis: percentile(&times, 0.5).unwrap_or_default(),
            p95_millis: percentile(&times, 0.95).unwrap_or_default(),
            most_millis: times.last().copied().unwrap_or_default(),
            goal_millis: (!question.whole).then_some(GOAL),
        };
        println!("{}", row.line());
        rows.push(row);
    }
    Ok(Report {
        database: arguments.database.clone(),
        records: arguments.size.records,
        people: arguments.size.people,
        searches: arguments.searches,
        is_met: rows.iter().all(Row::is_met),
        rows,
    })
}
