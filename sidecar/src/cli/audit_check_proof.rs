use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::serve::read_public_key;
use crate::log::proof::Proof;
use crate::log::tree::leaf_hash;

#[derive(Debug, Args)]
#[command(after_help = "\
Needs neither database nor sidecar. Exit status 1 if the record is not proved.")]
pub(super) struct Arguments {
    /// The record, byte by byte: `ID-KIND.json`
    #[arg(value_name = "RECORD")]
    record: PathBuf,
    /// Its proof: `ID-KIND.tlog-proof`
    #[arg(value_name = "PROOF")]
    proof: PathBuf,
    /// The log's public key (PEM), from a source that you trust
    #[arg(long, value_name = "FILE")]
    public_key: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let key = read_public_key(&arguments.public_key)?;
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|error| {
            Failure::because(format_args!("`{}` cannot be read: {error}", path.display()))
        })
    };
    let record = read(&arguments.record)?;
    let text = String::from_utf8_lossy(&read(&arguments.proof)?).into_owned();
    let proof = Proof::parse(&text)?;
    // The name of the log is bound to the key by the checkpoint's signature.
    let origin = proof.note.lines().next().unwrap_or_default().to_owned();
    let checkpoint = proof.check(&leaf_hash(&record), &origin, &key)?;
    println!("log     {origin}");
    println!("record  {} of {}", proof.index, checkpoint.size);
    println!("OK");
    Ok(())
}
