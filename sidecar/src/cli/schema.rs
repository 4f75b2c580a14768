use std::io::Write as _;

use super::Failure;
use crate::policy_file;

pub(super) fn run() -> Result<(), Failure> {
    std::io::stdout().write_all(policy_file::schema().as_bytes())?;
    Ok(())
}
