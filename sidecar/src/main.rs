//! The command line of Sekisho.

use std::process::ExitCode;

fn main() -> ExitCode {
    sekisho::cli::run()
}
