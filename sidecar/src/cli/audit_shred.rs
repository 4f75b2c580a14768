use clap::Args;
use jiff::civil::Date;
use std::path::PathBuf;

use super::serve::random;
use super::{Failure, block_on, sound_policy};
use crate::clock::Clock;
use crate::contents::destroy::{self, Destroyed, Extent, Reason};
use crate::events::Author;
use crate::store::Store;

#[derive(Debug, Args)]
#[command(after_help = "\
Destroys the keys under which the bodies of the department's calls are encrypted. Nobody can read them
after that, and nothing brings them back. The audit log stays as it is and verifies: it has what was
stored, which stays, and an event `contents.shred` that says what was destroyed. The sidecar may run
meanwhile. Backups of the database that are older have the keys still, encrypted under `contents-key`
of the sidecar's state: delete them as well.")]
pub(super) struct Arguments {
    /// The department, by its code
    #[arg(long, value_name = "CODE")]
    department: String,
    /// Only of calls before this day of the company's calendar, such as 2026-11-01; default: of
    /// all until now
    #[arg(long, value_name = "DAY")]
    before: Option<Date>,
    /// Only say how many calls it is about
    #[arg(long)]
    dry_run: bool,
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

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let policy = sound_policy(&arguments.policy)?.policy;
    super::existing_database(&arguments.db)?;
    let department = arguments.department.as_str();
    let extent = Extent {
        department: Some(department.to_owned()),
        before: arguments.before,
    };
    let destroyed = block_on(async {
        let store = Store::open(&arguments.db).await?;
        if !destroy::is_known(&store, &policy, department).await? {
            return Err(Failure::because(format_args!(
                "there is no department `{department}`, and nothing was kept of one"
            )));
        }
        if arguments.dry_run {
            return Ok(destroy::look(&store, &extent).await?);
        }
        let mut author = Author::program("sekisho audit shred", Clock::system().now(), random()?);
        Ok(destroy::destroy(&store, &extent, Reason::Shredded, &mut author).await?)
    })?;
    println!("{}", sentence(department, destroyed, arguments.dry_run));
    Ok(())
}

fn sentence(department: &str, destroyed: Destroyed, is_dry: bool) -> String {
    let Destroyed { keys, records } = destroyed;
    if keys == 0 {
        return format!("department `{department}`: nothing is there that could be read");
    }
    let become_ = if is_dry {
        "would become"
    } else {
        "have become"
    };
    format!(
        "department `{department}`: the contents of {records} calls {become_} unreadable \
         ({keys} keys)"
    )
}
