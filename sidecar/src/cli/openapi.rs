use std::io::Write as _;

use super::Failure;
use crate::api;

pub(super) fn run() -> Result<(), Failure> {
    std::io::stdout().write_all(api::openapi_json().as_bytes())?;
    Ok(())
}
