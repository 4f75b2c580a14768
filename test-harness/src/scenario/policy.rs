//! The policy of a scenario: its file, with what only a run knows filled in.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use sekisho::policy_file::{self, PolicyFile};
use sekisho_domain::Problem;
use serde_yaml_ng::{Mapping, Value};

/// The person, and the department, that finds out whether a gateway is ready.
pub(super) const PROBER: &str = "scenario-prober";

/// A policy file as it stands, to be completed for each run.
#[derive(Clone, Debug)]
pub struct ScenarioPolicy {
    path: PathBuf,
    file: Value,
}

/// Why a policy file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file cannot be read.
    #[error("policy `{}` cannot be read", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no YAML.
    #[error("policy `{}` is no YAML", path.display())]
    Yaml {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: serde_yaml_ng::Error,
    },
    /// It is no sound policy.
    #[error("policy `{}`: {}", path.display(), list(problems))]
    Problems {
        /// Which file.
        path: PathBuf,
        /// All of them.
        problems: Vec<Problem>,
    },
}

fn list(problems: &[Problem]) -> String {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

impl ScenarioPolicy {
    /// Reads a policy file. Upstreams need no `url` in it, issuers no `jwks_uri`.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn load(path: &Path) -> Result<Self, PolicyError> {
        let text = std::fs::read_to_string(path).map_err(|source| PolicyError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let file = serde_yaml_ng::from_str(&text).map_err(|source| PolicyError::Yaml {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// The names of its upstreams.
    #[must_use]
    pub fn upstreams(&self) -> Vec<String> {
        let upstreams = self.file.get("upstreams").and_then(Value::as_sequence);
        let names = upstreams.into_iter().flatten().filter_map(|upstream| {
            let name = upstream.get("name")?.as_str()?;
            Some(name.to_owned())
        });
        names.collect()
    }

    /// The names of its scopes.
    #[must_use]
    pub fn scopes(&self) -> Vec<String> {
        let scopes = self.file.get("scopes").and_then(Value::as_mapping);
        let names = scopes.into_iter().flat_map(Mapping::keys);
        names.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The policy with upstreams at these addresses; those without one are nowhere.
    ///
    /// # Errors
    /// [`PolicyError::Problems`].
    pub fn complete(&self, at: &BTreeMap<String, SocketAddr>) -> Result<PolicyFile, PolicyError> {
        let mut file = self.file.clone();
        for upstream in members_of(&mut file, "upstreams") {
            let name = upstream
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let url = match at.get(name) {
                Some(address) => format!("http://{address}"),
                None => "http://127.0.0.1:9".to_owned(),
            };
            upstream.insert("url".into(), url.into());
        }
        for issuer in members_of(&mut file, "issuers") {
            // The keys reach the filters as the sidecar's fetched ones do.
            if !issuer.contains_key("jwks") && !issuer.contains_key("jwks_uri") {
                issuer.insert("jwks_uri".into(), "http://127.0.0.1:9/keys".into());
            }
        }
        if let Some(members) = file.as_mapping_mut() {
            let prober = [("id", PROBER), ("name", PROBER)]
                .map(|(member, text)| (member.into(), text.into()));
            let prober: Mapping = prober.into_iter().collect();
            let departments = members
                .entry("departments".into())
                .or_insert_with(|| Value::Sequence(Vec::new()));
            if let Some(departments) = departments.as_sequence_mut() {
                departments.push(prober.into());
            }
        }
        let problems = |problems| PolicyError::Problems {
            path: self.path.clone(),
            problems,
        };
        let text = serde_yaml_ng::to_string(&file).map_err(|source| PolicyError::Yaml {
            path: self.path.clone(),
            source,
        })?;
        policy_file::parse(&text).map_err(problems)
    }
}

fn members_of<'a>(file: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Mapping> {
    let items = file.get_mut(list).and_then(Value::as_sequence_mut);
    items
        .into_iter()
        .flatten()
        .filter_map(Value::as_mapping_mut)
}
