//! The sidecar's own log, on standard error.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::cli::Failure;

/// How lines look.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Plain,
    /// One JSON object each.
    Json,
}

pub(super) fn start(format: LogFormat) -> Result<(), Failure> {
    let wanted = std::env::var("SEKISHO_LOG").unwrap_or_else(|_| "info".to_owned());
    let filter = EnvFilter::try_new(&wanted).map_err(|error| {
        Failure::because(format_args!(
            "SEKISHO_LOG is `{wanted}`, which says not how much to log: {error}"
        ))
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    let started = match format {
        LogFormat::Plain => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    started.map_err(Failure::because)
}
