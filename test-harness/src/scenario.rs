//! Scenario files: a policy, people, and a row of requests with what must come of them, on
//! every host alike. `scenarios/README.md` describes the format.

mod answer;
mod expect;
mod format;
mod judge;
mod people;
mod policy;
mod probe;
mod request;
mod run;
mod step;
mod subset;
mod talk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::gateway::{HostKind, ModuleSet};

pub use format::Moment;
pub use people::{KeySpec, PersonSpec};
pub use policy::{PolicyError, ScenarioPolicy};
pub use run::{RunError, Verdict, run};
pub use step::Step;

/// A scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, a sentence.
    pub name: String,
    /// Policy in the format of `sekisho.yaml`, a path under `policies/` beside the scenario.
    pub policy: PathBuf,
    /// Hosts on which it runs.
    #[serde(default = "every_host")]
    pub hosts: Vec<HostKind>,
    /// When it begins, on the wasm host: `2026-01-15T10:00:05+09:00`, which is also the default.
    #[serde(default)]
    pub starts_at: Option<Moment>,
    /// Module sets with which it runs.
    #[serde(default = "every_module_set")]
    pub modules: Vec<ModuleSet>,
    /// Workers of the gateway; calls of the wasm host take turns among them.
    #[serde(default = "one")]
    pub workers: usize,
    /// Who can call, by the names that steps use.
    #[serde(default)]
    pub people: BTreeMap<String, PersonSpec>,
    /// Subscription keys, by the names that steps use.
    #[serde(default)]
    pub keys: BTreeMap<String, KeySpec>,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

const REAL_TIME: &str = "only the wasm host has a clock that can be set: say `hosts: [wasm]`";

/// What is merged may itself be merged from something, so often.
const MOST_MERGES: usize = 4;

const fn one() -> usize {
    1
}

fn every_host() -> Vec<HostKind> {
    vec![HostKind::Wasm, HostKind::Envoy]
}

fn every_module_set() -> Vec<ModuleSet> {
    vec![ModuleSet::Gateway, ModuleSet::Separate]
}

/// Why a scenario file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no scenario.
    #[error("`{}`: {place}{message}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Where in it: `steps[3].expect.status: `.
        place: String,
        /// What is wrong.
        message: String,
    },
}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// [`ScenarioError`], with the place in the file.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let text = std::fs::read_to_string(path).map_err(|source| ScenarioError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ScenarioError> {
        let malformed = |place: String, message: String| ScenarioError::Malformed {
            path: path.to_owned(),
            place,
            message,
        };
        // Anchors and merge keys (`<<`) spare scenarios much repetition.
        let file = serde_yaml_ng::from_str(text).and_then(|mut file: serde_yaml_ng::Value| {
            for _ in 0..MOST_MERGES {
                file.apply_merge()?;
            }
            Ok(file)
        });
        let file = file.map_err(|error| malformed(String::new(), error.to_string()))?;
        let scenario: Self = serde_path_to_error::deserialize(file).map_err(|error| {
            let place = match error.path().to_string().as_str() {
                "." => String::new(),
                place => format!("{place}: "),
            };
            // YAML's errors repeat the path that stands before them.
            let message = error.inner().to_string();
            let message = message.strip_prefix(&place).unwrap_or(&message);
            malformed(place, message.to_owned())
        })?;
        scenario
            .check()
            .map_err(|(place, message)| malformed(format!("{place}: "), message))?;
        Ok(scenario)
    }

    /// Names that are used, but not defined; times that cannot be moved.
    fn check(&self) -> Result<(), (String, String)> {
        let on_envoy = self.hosts.contains(&HostKind::Envoy);
        if self.starts_at.is_some() && on_envoy {
            return Err(("starts_at".to_owned(), REAL_TIME.to_owned()));
        }
        for (at, step) in self.steps.iter().enumerate() {
            let place = |member: &str| format!("steps[{at}].{member}");
            if let Some(person) = step.person()
                && !self.people.contains_key(person)
            {
                return Err((place("token"), format!("`{person}` is not under `people`")));
            }
            if let Some(key) = step.key()
                && !self.keys.contains_key(key)
            {
                return Err((place("key"), format!("`{key}` is not under `keys`")));
            }
            if step.moves_the_clock() && on_envoy {
                let message =
                    "only the wasm host has a clock that can be moved: say `hosts: [wasm]`";
                return Err((place("advance"), message.to_owned()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let error = Scenario::parse(Path::new("s.yaml"), text).unwrap_err();
        error.to_string()
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let head = "name: x\npolicy: p.yaml\n";
        for (steps, place, word) in [
            (
                "steps: [{advance: 1s}]",
                "steps[0].advance",
                "hosts: [wasm]",
            ),
            ("steps: [{advnce: 1s}]", "steps[0]", "advnce"),
            (
                "steps: [{advance: 1 fortnight}]\nhosts: [wasm]",
                "steps[0]",
                "fortnight",
            ),
            (
                "steps: [{verify: ok, advance: 1s}]",
                "steps[0]",
                "exactly one",
            ),
            (
                "steps: [{request: {path: /, token: taro}}]",
                "steps[0].token",
                "taro",
            ),
            (
                "steps: [{request: {path: /}, expect: {statis: 3}}]",
                "steps[0]",
                "statis",
            ),
            (
                "steps: [{request: {path: /, headers: {x: {hex: zz}}}}]",
                "steps[0]",
                "hex",
            ),
        ] {
            let error = error(&format!("{head}{steps}"));
            assert!(
                error.contains(place) && error.contains(word),
                "{steps}: {error}"
            );
        }
    }
}
