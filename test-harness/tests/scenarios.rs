//! Every scenario file, on every host and with every module set that it names.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot read its files has failed"
)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use sekisho_test_harness::gateway::{HostKind, ModuleSet, Place};
use sekisho_test_harness::scenario::{Scenario, Verdict, run};

fn main() {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let place = Arc::new(Place::of_this_checkout());
    let mut trials = Vec::new();
    for file in scenario_files(&folder) {
        let name = file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match Scenario::load(&file) {
            Ok(scenario) => trials.extend(trials_of(&name, &file, scenario, &place)),
            Err(error) => {
                let text = error.to_string();
                trials.push(Trial::test(name, move || Err(Failed::from(text))));
            }
        }
    }
    if place.envoy.is_none() {
        eprintln!("scenarios on Envoy are skipped: SEKISHO_ENVOY is not set to an Envoy binary");
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn scenario_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder of scenarios");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry of the folder of scenarios").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    files.sort();
    files
}

fn trials_of(name: &str, file: &Path, scenario: Scenario, place: &Arc<Place>) -> Vec<Trial> {
    let scenario = Arc::new(scenario);
    let mut trials = Vec::new();
    for host in scenario.hosts.clone() {
        for modules in scenario.modules.clone() {
            let (scenario, place) = (Arc::clone(&scenario), Arc::clone(place));
            let folder = file.parent().unwrap_or(Path::new(".")).to_owned();
            let missing = host == HostKind::Envoy && place.envoy.is_none();
            let test = move || one(&scenario, &folder, host, modules, &place);
            let trial = Trial::test(format!("{name}::{host}::{modules}"), test);
            trials.push(trial.with_ignored_flag(missing));
        }
    }
    trials
}

fn one(
    scenario: &Scenario,
    folder: &Path,
    host: HostKind,
    modules: ModuleSet,
    place: &Place,
) -> Result<(), Failed> {
    let _turn = match host {
        HostKind::Envoy => Some(turn().map_err(Failed::from)?),
        HostKind::Wasm => None,
    };
    let mut wrong = Vec::new();
    let mut tell = |verdict: &Verdict| {
        if !verdict.wrong.is_empty() {
            wrong.push(format!(
                "{}\n      {}",
                verdict.step,
                verdict.wrong.join("\n      ")
            ));
        }
    };
    match run(scenario, folder, host, modules, place, &mut tell) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failed::from(wrong.join("\n"))),
        Err(error) => Err(Failed::from(chain(&error))),
    }
}

/// Envoy runs in real time: two at once would make each other late. Test processes take turns,
/// too.
fn turn() -> std::io::Result<File> {
    let file = File::create(std::env::temp_dir().join("sekisho-scenarios-on-envoy.lock"))?;
    file.lock()?;
    Ok(file)
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
