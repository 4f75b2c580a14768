//! The command line. One subcommand, one file.

mod audit_check_proof;
mod audit_export;
mod audit_prove;
mod audit_report;
mod audit_shred;
mod audit_verify;
mod check;
mod keys_recipient;
mod openapi;
mod render_envoy;
mod schema;
mod secrets_write;
mod serve;
mod users_import;

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cold::Place;
use crate::policy_file::{self, PolicyFile, PolicyFileError, count};
use crate::store::Store;

/// The API checkpoint: policy, records, budgets and people behind the Envoy filters.
#[derive(Debug, Parser)]
#[command(
    name = "sekisho",
    version,
    max_term_width = 100,
    subcommand_required = true
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the sidecar: Link for the filters, REST for people
    Serve(serve::Arguments),
    /// Check a policy file and report every problem with its place
    Check(check::Arguments),
    /// Print a proxy's configuration made from the policy
    #[command(subcommand)]
    Render(Render),
    /// Put provider credentials where Envoy finds them
    #[command(subcommand)]
    Secrets(Secrets),
    /// Show the installation's public keys
    #[command(subcommand)]
    Keys(Keys),
    /// Manage the directory of people
    #[command(subcommand)]
    Users(Users),
    /// Examine the audit log
    #[command(subcommand)]
    Audit(Audit),
    /// Print the JSON schema of the policy file
    Schema,
    /// Print the OpenAPI description of the REST API
    Openapi,
}

#[derive(Debug, Subcommand)]
enum Render {
    /// Print a complete, hardened Envoy bootstrap (Envoy 1.40 or later) as YAML
    Envoy(render_envoy::Arguments),
}

#[derive(Debug, Subcommand)]
enum Secrets {
    /// Write each upstream's secret from its environment variable or file to one that Envoy watches
    Write(secrets_write::Arguments),
}

#[derive(Debug, Subcommand)]
enum Keys {
    /// Print the recipient for which files of people are encrypted with age
    Recipient(keys_recipient::Arguments),
}

#[derive(Debug, Subcommand)]
enum Users {
    /// Import people from a CSV file: all rows or none
    Import(users_import::Arguments),
}

#[derive(Debug, Subcommand)]
enum Audit {
    /// Recompute the log's hash tree and check every checkpoint against it
    Verify(audit_verify::Arguments),
    /// Prove that a call is in the log: writes its records, each with a proof for others
    Prove(audit_prove::Arguments),
    /// Check the proof of a record, with nothing but the log's public key
    CheckProof(audit_check_proof::Arguments),
    /// Write the log to a folder that can be served, copied and checked without the database
    Export(audit_export::Arguments),
    /// Make the kept contents of a department's calls unreadable for good
    Shred(audit_shred::Arguments),
    /// Report a day or a month: usage and cost, refusals, unknown ends, changes
    Report(audit_report::Arguments),
}

/// Reads the command line, obeys it, and says how it went: 0 done, 1 failed (a sentence
/// on standard error says why), 2 not understood.
#[must_use]
pub fn run() -> ExitCode {
    let done = match CommandLine::parse().command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Render(Render::Envoy(arguments)) => render_envoy::run(&arguments),
        Command::Secrets(Secrets::Write(arguments)) => secrets_write::run(&arguments),
        Command::Keys(Keys::Recipient(arguments)) => keys_recipient::run(&arguments),
        Command::Users(Users::Import(arguments)) => users_import::run(&arguments),
        Command::Audit(Audit::Verify(arguments)) => audit_verify::run(&arguments),
        Command::Audit(Audit::Prove(arguments)) => audit_prove::run(&arguments),
        Command::Audit(Audit::CheckProof(arguments)) => audit_check_proof::run(&arguments),
        Command::Audit(Audit::Export(arguments)) => audit_export::run(&arguments),
        Command::Audit(Audit::Shred(arguments)) => audit_shred::run(&arguments),
        Command::Audit(Audit::Report(arguments)) => audit_report::run(&arguments),
        Command::Schema => schema::run(),
        Command::Openapi => openapi::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(sentence)) => {
            if !sentence.is_empty() {
                eprintln!("sekisho: {sentence}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Why a command failed, in one sentence; empty if everything has been said.
#[derive(Debug)]
struct Failure(String);

impl<E: Error> From<E> for Failure {
    /// The error and its causes, where the error does not name them itself.
    fn from(error: E) -> Self {
        let mut sentence = error.to_string();
        let mut cause = error.source();
        while let Some(source) = cause {
            let text = source.to_string();
            if !sentence.contains(&text) {
                sentence.push_str(": ");
                sentence.push_str(&text);
            }
            cause = source.source();
        }
        Self(sentence)
    }
}

impl Failure {
    fn because(sentence: impl fmt::Display) -> Self {
        Self(sentence.to_string())
    }
}

/// Reads a policy for a command that needs a sound one; its problems go to standard error.
fn sound_policy(path: &Path) -> Result<PolicyFile, Failure> {
    policy_file::load(path).map_err(|error| match error {
        PolicyFileError::Problems { path, problems } => {
            for problem in &problems {
                eprintln!("{}: {problem}", path.display());
            }
            Failure::because(format_args!(
                "{} has {}",
                path.display(),
                count(problems.len())
            ))
        }
        unreadable @ PolicyFileError::Unreadable { .. } => unreadable.into(),
    })
}

/// Opening a database of SQLite would create it; commands that only read want it to exist.
fn existing_database(url: &str) -> Result<(), Failure> {
    let file = url.strip_prefix("sqlite:");
    match file.map(|file| Path::new(file.trim_start_matches("//"))) {
        Some(file) if !file.exists() => Err(Failure::because(format_args!(
            "there is no database `{url}`"
        ))),
        _ => Ok(()),
    }
}

/// Opens a database, with its older records at `cold`, or where it says itself.
async fn opened(url: &str, cold: Option<&str>) -> Result<Store, Failure> {
    let store = Store::open(url).await?;
    Ok(match cold {
        Some(cold) => store.with_cold(Place::at(cold)?),
        None => store,
    })
}

/// The runtime on which a command that waits does its waiting.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
