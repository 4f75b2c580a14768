use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use sekisho_domain::Policy;
use zeroize::Zeroizing;

use super::serve::{opener, random};
use super::{Failure, block_on, sound_policy};
use crate::clock::Clock;
use crate::events::Author;
use crate::people::csv::{self, Rules};
use crate::people::import::{Change, Imported, import};
use crate::people::sealed::is_sealed;
use crate::policy_file::{PolicyFile, count};
use crate::snapshot::SnapshotHub;
use crate::store::Store;
use crate::store::units;

#[derive(Debug, Args)]
#[command(after_help = "\
The columns, in any order: user_id, name, email, department (name or code), job_title, phone,
start_date, end_date (2023/04/01 or 2023-04-01), status (active or inactive); and object_id, the
account's object id in the tenant, where it is known. Without it the embedded directory gives one:
the UUID version 5 of the lower-case e-mail address in the namespace of the tenant's UUID.

People who are not in the file stay as they are. A running sidecar on the same database takes the
change over within a second.")]
pub(super) struct Arguments {
    /// The CSV file: UTF-8 or CP932, plain or encrypted with age for `sekisho keys recipient`
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The policy file: it knows departments and tenant
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
    /// The folder of the sidecar's keys, for an encrypted file
    #[arg(long, value_name = "DIR", default_value = "state")]
    state: PathBuf,
    /// The tenant of these people; default: the one of the policy's issuers
    #[arg(long, value_name = "ID")]
    tenant: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let sound = sound_policy(&arguments.policy)?;
    let tenant = match &arguments.tenant {
        Some(tenant) => tenant.clone(),
        None => only_tenant(&sound.policy)?,
    };
    let file = std::fs::read(&arguments.file).map_err(|error| {
        Failure::because(format_args!(
            "`{}` cannot be read: {error}",
            arguments.file.display()
        ))
    })?;
    let file = if is_sealed(&file) {
        let opened = opener(&arguments.state)?.open(&file);
        opened.map_err(|error| {
            let file = arguments.file.display();
            Failure::because(format_args!("`{file}` cannot be opened: {error}"))
        })?
    } else {
        Zeroizing::new(file)
    };
    let imported = block_on(async {
        let store = Store::open(&arguments.db).await?;
        let policy = in_force(&store, sound).await?;
        let rows = match csv::read(&file, &policy, &Rules::default()).whole() {
            Ok(rows) => rows,
            Err(problems) => return Ok(Err(problems)),
        };
        let mut author = Author::program("sekisho users import", Clock::system().now(), random()?);
        Ok(import(&store, &tenant, rows, &mut author).await?)
    })?;
    let imported = imported.map_err(|problems| refused(&arguments.file, &problems))?;
    report(&arguments.file, &imported);
    Ok(())
}

/// The policy with the departments and titles that the sidecar has in force.
async fn in_force(store: &Store, file: PolicyFile) -> Result<Arc<Policy>, Failure> {
    let hub = SnapshotHub::new(Arc::new(file.policy), file.json, Vec::new());
    if units::newest_version(store).await?.is_some() {
        let units = units::in_force(store).await?;
        hub.replace_units(&units).map_err(|problems| {
            let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
            Failure::because(format_args!(
                "departments or titles that were set over the REST API do not fit the policy file: {}",
                problems.join("; ")
            ))
        })?;
    }
    Ok(hub.policy())
}

fn only_tenant(policy: &Policy) -> Result<String, Failure> {
    let mut tenants: Vec<&str> = policy
        .issuers
        .iter()
        .map(|issuer| issuer.tenant.as_str())
        .collect();
    tenants.sort_unstable();
    tenants.dedup();
    match tenants.as_slice() {
        [tenant] => Ok((*tenant).to_owned()),
        many => Err(Failure::because(format_args!(
            "the policy has issuers of {} tenants: say with `--tenant` whose people these are",
            many.len()
        ))),
    }
}

fn refused(file: &Path, problems: &[csv::RowProblem]) -> Failure {
    for problem in problems {
        println!("{}: {problem}", file.display());
    }
    Failure::because(format_args!(
        "nothing was imported: {} has {}",
        file.display(),
        count(problems.len())
    ))
}

fn report(file: &Path, imported: &Imported) {
    let of = |wanted: Change| {
        imported
            .iter()
            .filter(|(_, change)| *change == wanted)
            .count()
    };
    for (id, change) in imported {
        match change {
            Change::Created => println!("created {id}"),
            Change::Updated => println!("updated {id}"),
            Change::Unchanged => {}
        }
    }
    println!(
        "{}: created {}, updated {}, unchanged {}",
        file.display(),
        of(Change::Created),
        of(Change::Updated),
        of(Change::Unchanged)
    );
}
