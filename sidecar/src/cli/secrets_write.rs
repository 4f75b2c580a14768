use std::path::PathBuf;

use clap::Args;

use super::{Failure, sound_policy};
use crate::secret_keeper;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The policy file; its upstreams name environment variables and files
    #[arg(long, value_name = "FILE", default_value = "sekisho.yaml")]
    policy: PathBuf,
    /// Where the files go: the directory given to `render envoy --secrets`
    #[arg(long, value_name = "DIR", env = "SEKISHO_SECRETS")]
    dir: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let policy = sound_policy(&arguments.policy)?.policy;
    let written = secret_keeper::write(&policy, &arguments.dir)?;
    println!(
        "{}: secrets: {}, new or changed: {}",
        arguments.dir.display(),
        written.all,
        written.changed
    );
    Ok(())
}
