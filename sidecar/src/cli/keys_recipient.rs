use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::serve::opener;

#[derive(Debug, Args)]
#[command(after_help = "\
The recipient is public: give it to whoever prepares files of people, for

    age -r RECIPIENT -o people.csv.age people.csv

The secret key that belongs to it is `csv-key.txt` in the --state folder, made on first use. Sidecars
on one database need the same one: copy it.")]
pub(super) struct Arguments {
    /// The folder in which the sidecar keeps its keys: the one given to `sekisho serve`
    #[arg(long, value_name = "DIR", default_value = "state")]
    state: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    println!("{}", opener(&arguments.state)?.recipient());
    Ok(())
}
