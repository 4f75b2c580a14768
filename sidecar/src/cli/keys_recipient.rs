use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use super::serve::{holds_state, opener};

#[derive(Debug, Args)]
#[command(after_help = "\
The recipient is public: give it to whoever prepares files of people, for

    age -r RECIPIENT -o people.csv.age people.csv

The secret key that belongs to it is `csv-key.txt` in the --state folder; `sekisho serve` makes it on its first
start. To have the recipient before that, make the folder's key with --create. Sidecars on one database
need the same key: copy it.")]
pub(super) struct Arguments {
    /// The folder in which the sidecar keeps its keys: the one given to `sekisho serve`
    #[arg(long, value_name = "DIR", default_value = "state")]
    state: PathBuf,
    /// Make the folder and its key if they are not there
    #[arg(long)]
    create: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let folder = &arguments.state;
    // A key in another folder than the sidecar's would open nothing for anybody.
    if !arguments.create && !holds_state(folder) {
        return Err(Failure::because(format_args!(
            "no sidecar keeps its keys in `{}`: give the folder of `sekisho serve --state`, or add --create to \
             make a key there that a sidecar will use",
            absolute(folder).display()
        )));
    }
    println!("{}", opener(&arguments.state)?.recipient());
    Ok(())
}

/// As whoever looks for it can find it, whatever folder is the current one.
fn absolute(folder: &Path) -> PathBuf {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}
