//! Makes many calls of every kind through the gateway, some of which are left, refused or broken,
//! and compares what the providers served with what was charged. Ends non-zero if any call that
//! was answered was charged anything else.

mod accounts;
mod client;
mod comparison;
mod mix;
mod policy;
mod report;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Parser;
use jiff::Timestamp;

use crate::accounts::AccountError;
use crate::mix::{SHAPES, Shape};
use crate::policy::{Policy, PolicyError};

/// Completions reach the sidecar in batches; calls that were left, when Envoy notices.
const SETTLE: Duration = Duration::from_secs(30);
/// A run in which fewer calls than these of a hundred passed says nothing.
const ENOUGH_PERCENT: u64 = 95;

/// A mixed load over every provider, and the comparison of what was served with what was charged
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// How many calls
    #[arg(long, default_value_t = 500)]
    requests: u64,
    /// The same seed makes the same calls
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many calls at a time
    #[arg(long, default_value_t = 16)]
    at_a_time: usize,
    /// The gateway
    #[arg(long, default_value = "http://127.0.0.1:10000")]
    gateway: String,
    /// The sidecar's REST API
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    sidecar: String,
    /// One of the stand-ins
    #[arg(long, default_value = "http://127.0.0.1:8091")]
    providers: String,
    /// The policy, for what it opens and for its prices
    #[arg(long, default_value = "examples/demo/sekisho.yaml")]
    policy: PathBuf,
    /// An access token of somebody who may call everything and read the log
    #[arg(long, env = "SEKISHO_TOKEN", hide_env_values = true)]
    token: String,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error("the policy opens nothing that this could call")]
    NothingOpen,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(status) => status,
        Err(failure) => {
            eprintln!("sekisho-demo-metering: {failure}");
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let policy = Policy::read(&arguments.policy)?;
    let is_open = |shape: &&Shape| {
        let (provider, operation, model) = shape.policy;
        policy.opens(provider, operation, model)
    };
    let (open, closed): (Vec<&Shape>, Vec<&Shape>) = SHAPES.iter().partition(is_open);
    if open.is_empty() {
        return Err(Failure::NothingOpen);
    }
    println!(
        "{} calls of {} kinds, seed {}",
        arguments.requests,
        open.len(),
        arguments.seed
    );
    for shape in closed {
        println!(
            "left out, because the policy does not open it: {}",
            shape.name
        );
    }
    let calls = mix::plan(&open, arguments.requests, arguments.seed);
    let calls = calls.into_iter().map(|call| {
        let (provider, operation, model) = call.shape.policy;
        call.among(policy.goes_on(provider, operation, model))
    });
    let calls: Arc<Vec<_>> = Arc::new(calls.collect());
    let since = now().to_string();
    let started = tokio::time::Instant::now();
    let seen = client::run(
        Arc::clone(&calls),
        &arguments.gateway,
        &arguments.token,
        arguments.at_a_time,
    )
    .await;
    println!("all made in {:.1} s", started.elapsed().as_secs_f64());
    let http = client::http();
    let deadline = tokio::time::Instant::now() + SETTLE;
    let (served, charged) = loop {
        let served = accounts::served(&http, &arguments.providers).await?;
        let charged =
            accounts::charged(&http, &arguments.sidecar, &arguments.token, &since).await?;
        if comparison::is_settled(&calls, &served, &charged)
            || tokio::time::Instant::now() > deadline
        {
            break (served, charged);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    let comparison = comparison::compare(&calls, &served, &charged, &policy);
    report::print(&seen, &comparison);
    let enough =
        seen.answered.saturating_mul(100) >= arguments.requests.saturating_mul(ENOUGH_PERCENT);
    if !enough {
        println!("too few calls were answered to say anything");
    }
    let good = enough && comparison.wrong.is_empty() && seen.errors.is_empty();
    println!(
        "\n{}",
        if good {
            "served and charged are equal"
        } else {
            "NOT EQUAL"
        }
    );
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the edge that asks the clock"
    )]
    let now = SystemTime::now();
    Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH)
}
