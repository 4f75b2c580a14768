//! How long a search of the audit log takes among many records: a database is filled with records
//! as a company's calls make them, and pages are asked for as the REST API does.

mod fill;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use sekisho::log::search::{Cursor, Filter, MOST, search};
use sekisho::store::{Store, StoreError};
use sekisho_domain::UnixMillis;
use serde::Serialize;

use crate::clock;
use crate::statistics::percentile;
use fill::{Company, fill};

/// What a search may take at the 95th percentile, milliseconds.
const GOAL: f64 = 200.0;
/// Records of a page, unless somebody asks for more.
const PAGE: u32 = 100;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The database, which is filled up to so many records
    #[arg(long, value_name = "URL")]
    db: String,
    /// Records in it
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    records: u64,
    /// People who call
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..))]
    people: u32,
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
    #[error("the database: {0}")]
    Store(#[from] StoreError),
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("a record cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("`{file}` cannot be written: {source}")]
    Report {
        file: String,
        source: std::io::Error,
    },
    #[error("no runtime: {0}")]
    Runtime(std::io::Error),
    #[error("a search found nothing: the database was filled by another run")]
    Nothing,
}

/// What is measured.
#[derive(Debug, Serialize)]
struct Row {
    what: &'static str,
    records: u64,
    p50_millis: f64,
    p95_millis: f64,
    most_millis: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    database: &'static str,
    records: u64,
    people: u32,
    searches: u32,
    fill_seconds: f64,
    goal_millis: f64,
    is_met: bool,
    rows: Vec<Row>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, SearchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(SearchError::Runtime)?;
    let report = runtime.block_on(measure(arguments))?;
    for row in &report.rows {
        println!(
            "{:<10} {:<44} {:>6} records  p50 {:>7.2} ms  p95 {:>7.2} ms  most {:>7.2} ms",
            report.database, row.what, row.records, row.p50_millis, row.p95_millis, row.most_millis
        );
    }
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
    let is_sqlite = arguments.db.starts_with("sqlite:");
    let database = if is_sqlite { "SQLite" } else { "PostgreSQL" };
    let store = Store::open(&arguments.db).await?;
    let company = Company::new(arguments.people);
    let began = clock::now();
    fill(&store, &company, arguments.records, is_sqlite).await?;
    let fill_seconds = began.elapsed().as_secs_f64();
    println!("{database}: filled in {fill_seconds:.0} s");
    let mut random = fastrand::Rng::with_seed(9);
    let mut rows = Vec::new();
    for (what, kind) in KINDS {
        let (mut times, mut found) = (Vec::new(), 0);
        for _ in 0..arguments.searches {
            let filter = kind.filter(&company, &mut random);
            let began = clock::now();
            found += kind.ask(&store, &filter).await?;
            times.push(began.elapsed().as_secs_f64() * 1_000.0);
        }
        if found == 0 {
            return Err(SearchError::Nothing);
        }
        times.sort_by(f64::total_cmp);
        rows.push(Row {
            what,
            records: found / u64::from(arguments.searches),
            p50_millis: percentile(&times, 0.5).unwrap_or_default(),
            p95_millis: percentile(&times, 0.95).unwrap_or_default(),
            most_millis: times.last().copied().unwrap_or_default(),
        });
    }
    let is_met = rows.first().is_some_and(|row| row.p95_millis <= GOAL);
    Ok(Report {
        database,
        records: arguments.records,
        people: arguments.people,
        searches: arguments.searches,
        fill_seconds,
        goal_millis: GOAL,
        is_met,
        rows,
    })
}

/// What is asked for. The first is what the goal is about.
const KINDS: [(&str, Kind); 4] = [
    ("person and month, a page", Kind::Page),
    ("person and month, all of it", Kind::Whole),
    ("person, month and model, a page", Kind::Model),
    ("department and month, a page", Kind::Department),
];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Page,
    Whole,
    Model,
    Department,
}

impl Kind {
    fn filter(self, company: &Company, random: &mut fastrand::Rng) -> Filter {
        let (from, to) = company.any_month(random);
        let mut filter = Filter {
            from: Some(UnixMillis(from)),
            to: Some(UnixMillis(to)),
            ..Filter::default()
        };
        let person = company.any_person(random);
        match self {
            Self::Page | Self::Whole => filter.user = Some(person.id.clone()),
            Self::Model => {
                filter.user = Some(person.id.clone());
                filter.model = Some("gpt-4o".to_owned());
            }
            Self::Department => filter.department = Some(person.department.clone()),
        }
        filter
    }

    async fn ask(self, store: &Store, filter: &Filter) -> Result<u64, SearchError> {
        let mut cursor: Option<Cursor> = None;
        let mut found = 0;
        loop {
            let limit = if matches!(self, Self::Whole) {
                MOST
            } else {
                PAGE
            };
            let page = search(store, filter, cursor, limit).await?;
            found += page.records.len() as u64;
            cursor = page.next;
            if cursor.is_none() || !matches!(self, Self::Whole) {
                return Ok(found);
            }
        }
    }
}
