use std::path::{Path, PathBuf};

use clap::Args;
use sekisho_domain::RecordId;

use super::serve::{PUBLIC_KEY, read_public_key};
use super::{Failure, block_on, opened};
use crate::log::note::verifier_key;
use crate::log::prove::{Proved, prove};

#[derive(Debug, Args)]
#[command(after_help = "\
For each record of the call two files are written: `ID-KIND.json`, the record byte by byte, and
`ID-KIND.tlog-proof` (C2SP tlog-proof), which shows that its SHA-256 leaf hash (RFC 6962) is in the
log that the checkpoint in it was signed for. `sekisho audit check-proof` or any other
implementation checks it with nothing but the log's public key.")]
pub(super) struct Arguments {
    /// The call's record id, as `x-sekisho-record` told it
    #[arg(value_name = "ID", value_parser = record_id)]
    record: RecordId,
    /// Where the files go
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
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
    let proved = block_on(async {
        let store = opened(&arguments.db, arguments.cold.as_deref()).await?;
        Ok(prove(&store, arguments.record, &key).await?)
    })?;
    std::fs::create_dir_all(&arguments.out)?;
    for proved in &proved.records {
        write(&arguments.out, arguments.record, proved)?;
    }
    println!("verifier key: {}", verifier_key(&proved.origin, &key));
    Ok(())
}

fn record_id(text: &str) -> Result<RecordId, &'static str> {
    RecordId::parse(text)
        .ok_or("a record id is a UUID, such as 019a9c3e-5b1c-7d3a-8f00-2b1c3d4e5f60")
}

fn write(out: &Path, id: RecordId, proved: &Proved) -> Result<(), Failure> {
    let record = out.join(format!("{id}-{}.json", proved.kind.as_str()));
    let proof = out.join(format!("{id}-{}.tlog-proof", proved.kind.as_str()));
    std::fs::write(&record, &proved.body)?;
    std::fs::write(&proof, proved.proof.to_text())?;
    println!("{}", record.display());
    println!(
        "{}: record {} of {} that were signed",
        proof.display(),
        proved.proof.index,
        proved.size
    );
    Ok(())
}
