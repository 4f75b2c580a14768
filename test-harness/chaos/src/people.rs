//! A company's people become accounts of Entra ID while the sidecar is killed.
//!
//! Graph is a stand-in that throttles, fails, forgets to answer and shows new accounts late; the mail
//! server is a real one. In the end the tenant, the directory and the mails are compared with the file.

mod company;
mod findings;
mod post;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use sekisho_demo_graph::{Faults, Settings, StandIn};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::ChaosError;
use crate::sidecars::Sidecar;
use company::{Company, GROUPS, SECRET};
use findings::Report;
use post::Post;

/// How long a life of the sidecar lasts, at most, milliseconds.
const LIFE: std::ops::Range<u64> = 20..1_500;
/// If for so long nobody more is done, the run says nothing.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often is looked whether a job is done.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The sidecar's program
    #[arg(long, value_name = "FILE", default_value = "target/release/sekisho")]
    sekisho: PathBuf,
    /// Rows of the file
    #[arg(long, default_value_t = 2_000)]
    rows: usize,
    /// How often the sidecar is killed
    #[arg(long, default_value_t = 12)]
    kills: u64,
    /// Repeats the decisions
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A Python with aiosmtpd
    #[arg(long, value_name = "FILE")]
    python: PathBuf,
    /// The folder of the mail server `core/mail_server.py` and its certificates `tls`
    #[arg(long, value_name = "DIR", default_value = "sidecar/tests")]
    mail: PathBuf,
    /// Where the report goes
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Whether everybody has one account, whole and to the letter.
pub(crate) async fn run(arguments: &Arguments) -> Result<bool, ChaosError> {
    let began = Instant::now();
    let settings = Settings {
        secret: SECRET.to_owned(),
        domains: vec!["example.com".to_owned()],
    };
    let graph = StandIn::new(settings, company::description()?)
        .map_err(|error| ChaosError::Policy(error.to_string()))?;
    for (department, group) in GROUPS {
        graph.add_group(group, department, json!({}));
    }
    graph.misbehave(faults(arguments.seed));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let at = listener.local_addr()?;
    tokio::spawn(graph.clone().serve(listener));
    let post = Post::start(&arguments.python, &arguments.mail).await?;
    let company = Company::new(at, post.port(), &arguments.mail, arguments.rows)?;
    let mut sidecar = Sidecar::with(
        &arguments.sekisho,
        &company.policy(),
        company.path("sidecar.log"),
        company.database(),
        company.path("state"),
    )?;
    let lived = match live(arguments, &company, &mut sidecar).await {
        Ok(lived) => lived,
        Err(error) => {
            println!("what happened is in {}", company.keep().display());
            return Err(error);
        }
    };
    let verified = sidecar.verify().await?;
    let mut report = Report {
        rows: arguments.rows,
        kills: lived.kills,
        uploads: lived.uploads,
        seed: arguments.seed,
        seconds: began.elapsed().as_secs_f64(),
        calls: graph.journal().len(),
        violations: graph.violations().len(),
        log_is_sound: verified.is_none(),
        ..Report::default()
    };
    company
        .compare(&graph, &post.last(), lived.uploads, &mut report)
        .await?;
    report.print();
    if let Some(found) = verified {
        println!("{found}");
    }
    if let Some(out) = &arguments.out {
        report.write(out)?;
    }
    if !report.holds() {
        println!("what happened is in {}", company.keep().display());
        return Ok(false);
    }
    Ok(true)
}

/// What a sidecar has been through.
struct Lived {
    kills: u64,
    /// Files, of which each one is another round.
    uploads: u64,
}

/// Uploads files and kills the sidecar, until both are enough and nothing is left to do.
async fn live(
    arguments: &Arguments,
    company: &Company,
    sidecar: &mut Sidecar,
) -> Result<Lived, ChaosError> {
    let mut random = fastrand::Rng::with_seed(arguments.seed);
    let mut lived = Lived {
        kills: 0,
        uploads: 0,
    };
    sidecar.start()?;
    sidecar.ready().await?;
    // If a file is done before there were enough kills, everybody moves with the next one.
    while lived.uploads == 0 || lived.kills < arguments.kills {
        lived.uploads += 1;
        let job = company.upload(sidecar.api(), lived.uploads).await?;
        let mut moved = (u64::MAX, Instant::now());
        loop {
            if lived.kills < arguments.kills {
                tokio::time::sleep(Duration::from_millis(random.u64(LIFE))).await;
                sidecar.kill().await?;
                lived.kills += 1;
                sidecar.start()?;
                sidecar.ready().await?;
            } else {
                tokio::time::sleep(LOOK).await;
            }
            let Some(waiting) = company.waiting(sidecar.api(), &job).await? else {
                break;
            };
            if waiting < moved.0 {
                moved = (waiting, Instant::now());
            }
            if moved.1.elapsed() > PATIENCE {
                return Err(ChaosError::Unfinished("the job"));
            }
        }
    }
    sidecar.signal("-TERM").await?;
    sidecar.ended().await?;
    Ok(lived)
}

/// What Graph does now and then: 429 with `Retry-After`, 503, 504 and lost connections after it
/// was done, answers cut off, accounts that are not found at first.
fn faults(seed: u64) -> Faults {
    Faults {
        seed,
        throttled: 1,
        throttled_batches: 2,
        retry_after: 1,
        unavailable: 10,
        late: 10,
        dropped: 10,
        lost: 10,
        cut: 10,
        hidden_millis: 700,
        ..Faults::default()
    }
}
