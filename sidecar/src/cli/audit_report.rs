use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Failure, block_on, sound_policy};
use crate::clock::Clock;
use crate::ledger::Calendar;
use crate::report::{self, Context, Language, Period, Report, period};
use crate::store::Store;

#[derive(Debug, Args)]
#[command(after_help = "\
Without --day and --month it is about today. `GET /v1/audit/logs/report` answers the same; `reports`
in the policy file has it sent every day or month.")]
pub(super) struct Arguments {
    /// One day of the company's calendar, such as 2026-11-29
    #[arg(long, value_name = "DAY", conflicts_with = "month")]
    day: Option<String>,
    /// One month, such as 2026-11
    #[arg(long, value_name = "MONTH")]
    month: Option<String>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// The language of HTML
    #[arg(long, value_enum, default_value_t = Tongue::En)]
    language: Tongue,
    /// How many people are shown one by one, those who cost most first
    #[arg(long, value_name = "NUMBER", default_value_t = report::PEOPLE,
          value_parser = clap::value_parser!(u32).range(0..=i64::from(report::MOST_PEOPLE)))]
    people: u32,
    /// The file that it is written to; default: standard output
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The policy file
    #[arg(long, value_name = "FILE", default_value = "sekisho.yaml")]
    policy: PathBuf,
    /// The database: `sqlite:FILE` or a PostgreSQL URL
    #[arg(
        long,
        value_name = "URL",
        env = "SEKISHO_DB",
        hide_env_values = true,
        default_value = "sqlite:sekisho.db"
    )]
    db: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Json,
    Csv,
    Html,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Tongue {
    En,
    Ja,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let policy = sound_policy(&arguments.policy)?.policy;
    super::existing_database(&arguments.db)?;
    let calendar = Calendar::new(&policy.time_zone)?;
    let now = Clock::system().now();
    let (length, date) = match (&arguments.day, &arguments.month) {
        (Some(day), _) => (Some(period::Length::Day), Some(day.as_str())),
        (None, Some(month)) => (Some(period::Length::Month), Some(month.as_str())),
        (None, None) => (None, None),
    };
    let period = Period::asked(length, date, calendar.day(now)).map_err(|error| {
        Failure::because(format_args!("`{}` {error}", date.unwrap_or_default()))
    })?;
    let report = block_on(async {
        let store = Store::open(&arguments.db).await?;
        let context = Context {
            store: &store,
            policy: &policy,
            calendar: &calendar,
            now,
        };
        Ok(report::gather(context, period, arguments.people).await?)
    })?;
    let written = written(&report, arguments)?;
    match &arguments.out {
        None => std::io::stdout().write_all(&written)?,
        Some(file) => std::fs::write(file, written).map_err(|error| {
            Failure::because(format_args!(
                "`{}` cannot be written: {error}",
                file.display()
            ))
        })?,
    }
    Ok(())
}

fn written(report: &Report, arguments: &Arguments) -> Result<Vec<u8>, Failure> {
    Ok(match arguments.format {
        Format::Json => {
            let mut json = serde_json::to_vec_pretty(report)?;
            json.push(b'\n');
            json
        }
        Format::Csv => report.csv()?,
        Format::Html => {
            let language = match arguments.language {
                Tongue::En => Language::English,
                Tongue::Ja => Language::Japanese,
            };
            report.html(language)?.into_bytes()
        }
    })
}
