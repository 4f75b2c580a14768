//! Real Envoys with the filters, real sidecars, clients that leave, and faults.

mod audit;
mod budgets;
mod faults;
mod load;
mod people;
mod report;
mod retention;
mod sidecars;
mod site;
mod stand_in;
mod takeover;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sekisho_test_harness::gateway::GatewayError;

/// Disturbs a whole company's gateways and looks whether the promises hold.
#[derive(Debug, Parser)]
#[command(name = "sekisho-chaos", version, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Kill the sidecar, cut its disk's power and make its calls of the operating system fail
    Audit(audit::Arguments),
    /// Spend budgets through four Envoys while the sidecar is killed and its wire is cut
    Budgets(budgets::Arguments),
    /// Make a company's accounts over Microsoft Graph while the sidecar is killed
    People(people::Arguments),
    /// Move days of records out of the database, and delete them, while the sidecar is killed
    Retention(retention::Arguments),
    /// Kill and stop the active one of two sidecars, and see how soon gateways have moved
    Takeover(takeover::Arguments),
}

/// Where things are.
#[derive(Clone, Debug, Args)]
struct Place {
    /// The sidecar's program
    #[arg(long, value_name = "FILE", default_value = "target/release/sekisho")]
    sekisho: PathBuf,
    /// Envoy's program, 1.40 or later
    #[arg(long, value_name = "FILE", env = "SEKISHO_ENVOY")]
    envoy: PathBuf,
    /// Folder of the filter modules
    #[arg(long, value_name = "DIR", default_value = "target/filters")]
    filters: PathBuf,
    /// A PostgreSQL database that may be written to; none: SQLite
    #[arg(
        long,
        value_name = "URL",
        env = "SEKISHO_TEST_POSTGRES",
        hide_env_values = true
    )]
    postgres: Option<String>,
}

/// What keeps the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StoreKind {
    /// One sidecar.
    Sqlite,
    /// Two sidecars on one database.
    Postgres,
}

/// Why a run says nothing about the promises.
#[derive(Debug, thiserror::Error)]
enum ChaosError {
    #[error("the operating system refuses")]
    Io(#[from] std::io::Error),
    #[error("Envoy does not do what it should")]
    Gateway(#[from] GatewayError),
    #[error("the sidecar is not `{wanted}` in time; its log: {log}")]
    Sidecar { wanted: &'static str, log: String },
    #[error("the store cannot be read")]
    Store(#[from] sekisho::store::StoreError),
    #[error("the database refuses")]
    Database(#[from] sqlx::Error),
    #[error("the policy of the run has problems: {0}")]
    Policy(String),
    #[error("Envoy's configuration cannot be made")]
    Render(#[from] sekisho::render::RenderError),
    #[error("no key to sign tokens with")]
    Key(#[from] sekisho_test_harness::tokens::NoKey),
    #[error("the report cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    #[error("the disk whose power is cut: {0}")]
    Disk(String),
    #[error("{0} does not come to an end")]
    Unfinished(&'static str),
    #[error("the API is not understood")]
    Http(#[from] hyper::Error),
    #[error("two sidecars need PostgreSQL: give `--postgres`")]
    NoPostgres,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let done =
        runtime
            .map_err(ChaosError::from)
            .and_then(|runtime| match CommandLine::parse().command {
                Command::Audit(arguments) => runtime.block_on(audit::run(&arguments)),
                Command::Budgets(arguments) => runtime.block_on(budgets::run(&arguments)),
                Command::People(arguments) => runtime.block_on(people::run(&arguments)),
                Command::Retention(arguments) => runtime.block_on(retention::run(&arguments)),
                Command::Takeover(arguments) => runtime.block_on(takeover::run(&arguments)),
            });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let mut sentence = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(source) = cause {
                sentence.push_str(": ");
                sentence.push_str(&source.to_string());
                cause = source.source();
            }
            eprintln!("sekisho-chaos: {sentence}");
            ExitCode::from(2)
        }
    }
}
