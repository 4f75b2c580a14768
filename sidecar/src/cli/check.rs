mod bounds;
mod contents;

use std::path::PathBuf;

use clap::Args;
use sekisho_domain::Policy;

use super::Failure;
use crate::policy_file::{self, PolicyFileError, count};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The policy file
    #[arg(value_name = "FILE", default_value = "sekisho.yaml")]
    file: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let file = arguments.file.display();
    match policy_file::load(&arguments.file) {
        Ok(sound) => {
            println!("{file}: no problems; {}", summary(&sound.policy));
            let lines = bounds::lines(&sound.policy).into_iter();
            for line in lines.chain(contents::lines(&sound.policy)) {
                println!("{file}: {line}");
            }
            Ok(())
        }
        Err(PolicyFileError::Problems { problems, .. }) => {
            for problem in &problems {
                println!("{file}: {problem}");
            }
            println!("{}", count(problems.len()));
            Err(Failure(String::new()))
        }
        Err(unreadable @ PolicyFileError::Unreadable { .. }) => Err(unreadable.into()),
    }
}

fn summary(policy: &Policy) -> String {
    let models: usize = policy.apis.iter().map(|api| api.models.len()).sum();
    format!(
        "APIs: {}, models: {models}, upstreams: {}, issuers: {}, departments: {}, budgets: {}",
        policy.apis.len(),
        policy.upstreams.len(),
        policy.issuers.len(),
        policy.departments.len(),
        policy.budgets.len(),
    )
}
