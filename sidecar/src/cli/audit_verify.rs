use std::path::{Path, PathBuf};

use clap::Args;
use ed25519_dalek::VerifyingKey;
use sekisho_domain::Policy;

use super::serve::{CHECKPOINTS, PUBLIC_KEY, read_public_key};
use super::{Failure, block_on, opened, sound_policy};
use crate::log::verify::{Copies, Finding, Report, verify, verify_archive};
use crate::policy_file;
use crate::store::{Store, policies};

#[derive(Debug, Args)]
#[command(after_help = "\
Everything is computed anew from the records' bodies: hashes, tree, checkpoints, costs, charges,
roll-ups. Exit status 1 if anything is not as it must be. The sidecar may run meanwhile.")]
pub(super) struct Arguments {
    /// The database: `sqlite:FILE` or a PostgreSQL URL
    #[arg(
        long,
        value_name = "URL",
        env = "SEKISHO_DB",
        hide_env_values = true,
        default_value = "sqlite:sekisho.db"
    )]
    db: String,
    /// The second place of checkpoints; default: `checkpoints` in the sidecar's state
    #[arg(long, value_name = "DIR")]
    checkpoints: Option<PathBuf>,
    /// The archive that `sekisho serve --archive` writes, to be checked as well
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,
    /// Check the archive and the exported checkpoints alone: for auditors who have no
    /// access to the database
    #[arg(long, requires = "archive", conflicts_with_all = ["db", "policy", "cold"])]
    without_database: bool,
    /// Where older records are, as a URL; default: where the database says. Credentials come from
    /// the environment
    #[arg(long, value_name = "URL")]
    cold: Option<String>,
    /// The log's public key (PEM); default: the one beside the checkpoints, in the sidecar's state.
    /// Auditors keep their own copy
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// The sidecar's state
    #[arg(long, value_name = "DIR", default_value = "state")]
    state: PathBuf,
    /// The policy file, for its prices; default: the policy that was served last
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let checkpoints = match &arguments.checkpoints {
        Some(dir) => dir.clone(),
        None => arguments.state.join(CHECKPOINTS),
    };
    let key = public_key(arguments, &checkpoints)?;
    let report = if arguments.without_database {
        let exported = Some(checkpoints.as_path()).filter(|folder| folder.exists());
        let archive = arguments.archive.as_deref().unwrap_or(Path::new(""));
        block_on(async { Ok(verify_archive(archive, &key, exported).await?) })?
    } else {
        with_database(arguments, &checkpoints, &key)?
    };
    print(&report, !arguments.without_database);
    if report.is_ok() {
        Ok(())
    } else {
        let found = policy_file::count(usize::try_from(report.found).unwrap_or(usize::MAX));
        Err(Failure::because(format_args!(
            "the audit log is not as it must be: {found}"
        )))
    }
}

fn with_database(
    arguments: &Arguments,
    checkpoints: &Path,
    key: &VerifyingKey,
) -> Result<Report, Failure> {
    super::existing_database(&arguments.db)?;
    let copies = Copies {
        checkpoints: Some(checkpoints),
        archive: arguments.archive.as_deref(),
    };
    block_on(async {
        let store = opened(&arguments.db, arguments.cold.as_deref()).await?;
        let policy = policy(arguments, &store).await?;
        Ok(verify(&store, &policy, key, copies).await?)
    })
}

fn public_key(arguments: &Arguments, checkpoints: &Path) -> Result<VerifyingKey, Failure> {
    let path = match (&arguments.public_key, checkpoints.parent()) {
        (Some(path), _) => path.clone(),
        (None, Some(state)) => state.join(PUBLIC_KEY),
        (None, None) => arguments.state.join(PUBLIC_KEY),
    };
    Ok(read_public_key(&path)?)
}

async fn policy(arguments: &Arguments, store: &Store) -> Result<Policy, Failure> {
    if let Some(path) = &arguments.policy {
        return Ok(sound_policy(path)?.policy);
    }
    let served = policies::newest(store).await?;
    let served = served.ok_or_else(|| {
        Failure::because("no policy was ever served on this database; give one with `--policy`")
    })?;
    let parsed = policy_file::parse(&served).map_err(|_| {
        Failure::because(
            "this release cannot read the policy that was served last; give one with `--policy`",
        )
    })?;
    Ok(parsed.policy)
}

fn print(report: &Report, database: bool) {
    println!("log          {}", report.origin);
    println!("size         {}", report.records);
    println!("root         {}", report.root);
    println!(
        "checkpoints  {} in the database, {} in the second place, {} records signed",
        report.checkpoints, report.exported, report.signed
    );
    if report.cold > 0 || report.expired > 0 {
        println!(
            "older        {} records in files, {} deleted on record when their time was over",
            report.cold, report.expired
        );
    }
    if let Some(archived) = report.archived {
        println!("archive      {archived} records");
    }
    if database {
        println!("open calls   {}", report.open.len());
    }
    if report.contents > 0 {
        println!(
            "contents     of {} calls, {} of them destroyed on record",
            report.contents, report.destroyed
        );
    }
    for id in &report.open {
        println!("             {id}");
    }
    if report.refusals_dropped > 0 {
        println!(
            "dropped      {} refusals that gateways could not record while the sidecar was away",
            report.refusals_dropped
        );
    }
    if report.events_waiting > 0 {
        println!(
            "waiting      {} events that the next sidecar to run takes into the log",
            report.events_waiting
        );
    }
    for finding in &report.findings {
        println!("{}", sentence(finding));
    }
    let listed = u64::try_from(report.findings.len()).unwrap_or(u64::MAX);
    if report.found > listed {
        println!("and {} more", report.found - listed);
    }
    if report.is_ok() {
        println!("OK");
    }
}

fn sentence(finding: &Finding) -> String {
    let place = match (finding.seq, finding.record_id) {
        (Some(seq), Some(id)) => format!("record {seq} ({id}): "),
        (Some(seq), None) => format!("record {seq}: "),
        (None, Some(id)) => format!("call {id}: "),
        (None, None) => String::new(),
    };
    format!("{place}{}", finding.what)
}
