//! Runs scenario files from the command line and in CI.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sekisho_test_harness::gateway::{HostKind, ModuleSet, Place};
use sekisho_test_harness::scenario::{Scenario, Verdict, run};

/// Shows what the checkpoint's filters do with requests, without Envoy or in it.
#[derive(Debug, Parser)]
#[command(name = "sekisho-test-harness", version, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenario files and print each step's verdict
    ///
    /// Exits with 0 if everything was as the files say, with 1 if not. Policies are looked
    /// for in the folder `policies` beside each file.
    Run {
        /// Scenario files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Where the filters run; default: everywhere that the file says and this machine has
        #[arg(long)]
        host: Option<HostKind>,
        /// Which modules are loaded; default: every set that the file says
        #[arg(long)]
        modules: Option<ModuleSet>,
        /// Folder of the filter modules (scripts/build-filters makes them)
        #[arg(long, env = "SEKISHO_FILTERS", default_value = "target/filters")]
        filters: PathBuf,
        /// Envoy's binary, 1.40 or later
        #[arg(long, env = "SEKISHO_ENVOY")]
        envoy: Option<PathBuf>,
        /// Say only what went wrong
        #[arg(long, short)]
        quiet: bool,
    },
}

fn main() -> ExitCode {
    let Command::Run {
        files,
        host,
        modules,
        filters,
        envoy,
        quiet,
    } = CommandLine::parse().command;
    let place = Place { filters, envoy };
    let mut passed = true;
    for file in &files {
        passed &= run_file(file, host, modules, &place, quiet);
    }
    if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run_file(
    file: &Path,
    host: Option<HostKind>,
    modules: Option<ModuleSet>,
    place: &Place,
    quiet: bool,
) -> bool {
    let scenario = match Scenario::load(file) {
        Ok(scenario) => scenario,
        Err(error) => return fail(&error),
    };
    let mut passed = true;
    let mut ran = false;
    for kind in scenario
        .hosts
        .iter()
        .filter(|kind| host.is_none_or(|host| host == **kind))
    {
        if *kind == HostKind::Envoy && place.envoy.is_none() && host.is_none() {
            println!("{}: not on Envoy: SEKISHO_ENVOY is not set", file.display());
            ran = true;
            continue;
        }
        let wanted = |set: &&ModuleSet| modules.is_none_or(|modules| modules == **set);
        for set in scenario.modules.iter().filter(wanted) {
            println!("{}: {} [{kind}, {set}]", file.display(), scenario.name);
            ran = true;
            let folder = file.parent().unwrap_or(Path::new("."));
            let mut tell = |verdict: &Verdict| show(verdict, quiet);
            match run(&scenario, folder, *kind, *set, place, &mut tell) {
                Ok(fine) => passed &= fine,
                Err(error) => passed = fail(&error),
            }
        }
    }
    if !ran {
        println!(
            "{}: not meant for this host and these modules",
            file.display()
        );
    }
    passed
}

fn show(verdict: &Verdict, quiet: bool) {
    let colour = std::io::stdout().is_terminal();
    let paint = |text: &str, code: &str| {
        if colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    };
    if verdict.wrong.is_empty() {
        if !quiet {
            println!("  {} {}", paint("ok", "32"), verdict.step);
        }
        return;
    }
    println!("  {} {}", paint("FAILED", "31"), verdict.step);
    for wrong in &verdict.wrong {
        println!("      {wrong}");
    }
}

/// The error with its causes.
fn fail(error: &dyn std::error::Error) -> bool {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let text = source.to_string();
        if !sentence.contains(&text) {
            sentence.push_str(": ");
            sentence.push_str(&text);
        }
        cause = source.source();
    }
    eprintln!("sekisho-test-harness: {sentence}");
    false
}
