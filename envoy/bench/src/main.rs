//! The measuring part of `scripts/bench`: makes the configurations that Sekisho is compared
//! with and the tokens, loads every gateway in turn, reads what its process used, and writes the report.

mod baseline;
mod clock;
mod fill;
mod link;
mod load;
mod measure;
mod process;
mod report;
mod row;
mod search;
mod statistics;
mod supply;
mod tokens;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print a rendered gateway configuration without Sekisho's filters, with Envoy's own or none
    Baseline(baseline::Arguments),
    /// Print distinct access tokens, one a line
    Tokens(tokens::Arguments),
    /// Measure running gateways in interleaved rounds and write the report
    Measure(measure::Arguments),
    /// Measure what running sidecars commit and grant over Link, and write the report
    Link(link::Arguments),
    /// Fill an empty database with the records of a company's calls
    Fill(fill::Arguments),
    /// Measure searches of the records of a filled database over the REST API of its sidecar
    Search(search::Arguments),
}

fn main() -> ExitCode {
    let done = match CommandLine::parse().command {
        Command::Baseline(arguments) => {
            baseline::run(&arguments).map_err(|error| error.to_string())
        }
        Command::Tokens(arguments) => tokens::run(&arguments).map_err(|error| error.to_string()),
        Command::Measure(arguments) => measure::run(&arguments).map_err(|error| error.to_string()),
        Command::Link(arguments) => link::run(&arguments).map_err(|error| error.to_string()),
        Command::Fill(arguments) => fill::run(&arguments).map_err(|error| error.to_string()),
        Command::Search(arguments) => search::run(&arguments).map_err(|error| error.to_string()),
    };
    match done {
        Ok(status) => status,
        Err(sentence) => {
            eprintln!("sekisho-bench: {sentence}");
            ExitCode::FAILURE
        }
    }
}
