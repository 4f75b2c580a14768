//! Who may call: every case of `filters/scope/cases` over whole gateways, in the modules on the
//! test host (with and without the host's `verify_signature`) and over HTTP through Envoy. The
//! decision alone runs the same cases in `sekisho-scope`'s own tests.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot do its work has failed"
)]

#[path = "permits/call.rs"]
mod call;
#[path = "permits/judge.rs"]
mod judge;
#[path = "permits/start.rs"]
mod start;
#[path = "permits/vectors.rs"]
mod vectors;

use std::fs::File;

use libtest_mimic::{Arguments, Failed, Trial};
use sekisho_scope_cases::World;
use sekisho_test_harness::gateway::{ModuleSet, Place};

use crate::judge::Judge;
use crate::start::{Running, Where};

fn main() {
    let arguments = Arguments::from_args();
    let place = Place::of_this_checkout();
    let mut trials = Vec::new();
    for (name, on, modules) in [
        ("permits::wasm::gateway", Where::Host, ModuleSet::Gateway),
        ("permits::wasm::separate", Where::Host, ModuleSet::Separate),
        (
            "permits::wasm_alone::gateway",
            Where::HostWithoutCrypto,
            ModuleSet::Gateway,
        ),
        ("permits::envoy::gateway", Where::Envoy, ModuleSet::Gateway),
    ] {
        let missing = on == Where::Envoy && place.envoy.is_none();
        let place = place.clone();
        let trial = Trial::test(name, move || every_case(on, modules, &place));
        trials.push(trial.with_ignored_flag(missing));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn every_case(on: Where, modules: ModuleSet, place: &Place) -> Result<(), Failed> {
    // Scenarios on Envoy take turns with this, see `scenarios.rs`.
    let turn = File::create(std::env::temp_dir().join("sekisho-scenarios-on-envoy.lock"))?;
    if on == Where::Envoy {
        turn.lock()?;
    }
    let world = World::load();
    let mut wrong = Vec::new();
    for directory in ["required", "none"] {
        let mut running = start::start(&world, directory, on, modules, place);
        let mut judge = Judge::default();
        for case in world.cases_of(directory) {
            let outcome = call::call(&world, case, &mut running);
            judge.note(case, outcome);
        }
        wrong.extend(judge.verdict(&running));
        if directory == "required" {
            wrong.extend(vectors::run(&world, directory, &mut running));
        }
        wrong.extend(failed_vms(&running));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failed::from(format!("\n{}", wrong.join("\n"))))
}

fn failed_vms(running: &Running) -> Vec<String> {
    let log = running.gateway().log();
    let failed = log.into_iter().filter(|line| line.contains("panick"));
    failed
        .map(|line| format!("a VM has failed: {line}"))
        .collect()
}
