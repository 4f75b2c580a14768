use std::path::PathBuf;

use clap::Args;

use super::serve::{PUBLIC_KEY, read_public_key};
use super::{Failure, block_on, opened};
use crate::log::archive::Archive;
use crate::log::origin_of;

#[derive(Debug, Args)]
#[command(after_help = "\
The folder has the layout of C2SP tlog-tiles: `checkpoint`, `tile/LEVEL/...` and `tile/entries/...`.
What is there already stays; only what is new is written. `sekisho serve --archive DIR` does this
all the time. `sekisho audit verify --archive DIR` checks it.")]
pub(super) struct Arguments {
    /// The folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The database: `sqlite:FILE` or a PostgreSQL URL
    #[arg(
        long,
        value_name = "URL",
        env = "SEKISHO_DB",
        hide_env_values = true,
        default_value = "sqlite:sekisho.db"
    )]
    db: String,
    /// Where older records are, as a URL; default: where the database says. Credentials come from
    /// the environment
    #[arg(long, value_name = "URL")]
    cold: Option<String>,
    /// The log's public key (PEM); default: the one in the sidecar's state
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// The sidecar's state
    #[arg(long, value_name = "DIR", default_value = "state")]
    state: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let default = arguments.state.join(PUBLIC_KEY);
    let key = read_public_key(arguments.public_key.as_ref().unwrap_or(&default))?;
    super::existing_database(&arguments.db)?;
    let (before, size) = block_on(async {
        let store = opened(&arguments.db, arguments.cold.as_deref()).await?;
        let origin = origin_of(&store).await?;
        let mut archive = Archive::open(arguments.folder.clone(), &origin, key)?;
        let before = archive.size();
        Ok((before, archive.advance(&store).await?))
    })?;
    println!(
        "{}: {size} records, {} of them new",
        arguments.folder.display(),
        size - before
    );
    Ok(())
}
