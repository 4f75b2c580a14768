//! What sections of the policy file about recipients have in common.

use std::collections::HashSet;
use std::path::PathBuf;

use schemars::JsonSchema;
use sekisho_domain::Problem;
use sekisho_domain::policy::SecretSource;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::{Host, Url};

/// Most bytes that a name may have.
const MOST_NAME: usize = 64;

/// A header with a secret in it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawSecretHeader {
    /// Name of the header: `authorization`, `api-key`, ...
    pub name: String,
    /// What stands before the secret, such as `Bearer ` or `Splunk `.
    #[serde(default)]
    pub prefix: String,
    /// Environment variable of the sidecar that holds the secret. Exactly one of this and
    /// `secret_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    /// File that the sidecar reads the secret from, each time that it needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<String>,
}

/// A header with a secret in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretHeader {
    /// Its name.
    pub name: String,
    /// What stands before the secret.
    pub prefix: String,
    /// Where the secret is.
    pub secret: SecretSource,
}

/// Checks a section, and notes every problem on the way.
pub(crate) struct Checking<'p> {
    problems: &'p mut Vec<Problem>,
    names: HashSet<String>,
}

impl<'p> Checking<'p> {
    pub(crate) fn new(problems: &'p mut Vec<Problem>) -> Self {
        Self {
            problems,
            names: HashSet::new(),
        }
    }

    pub(crate) fn problem(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem {
            path: path.into(),
            message: message.into(),
        });
    }

    /// Reads one member of a section; what is wrong with it is a problem.
    pub(crate) fn read<T: DeserializeOwned>(&mut self, path: &str, value: Value) -> Option<T> {
        match serde_path_to_error::deserialize::<_, T>(value) {
            Ok(read) => Some(read),
            Err(error) => {
                let inside = error.path().to_string();
                let path = match inside.as_str() {
                    "." => path.to_owned(),
                    inside => format!("{path}.{inside}"),
                };
                self.problem(path, error.into_inner().to_string());
                None
            }
        }
    }

    /// Reads a list, entry by entry.
    pub(crate) fn list<T: DeserializeOwned>(
        &mut self,
        path: &str,
        value: Option<Value>,
    ) -> Vec<(String, T)> {
        let entries = match value {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(entries)) => entries,
            Some(_) => {
                self.problem(path, "must be a list");
                return Vec::new();
            }
        };
        let mut read = Vec::new();
        for (at, entry) in entries.into_iter().enumerate() {
            let path = format!("{path}[{at}]");
            read.extend(self.read(&path, entry).map(|entry| (path, entry)));
        }
        read
    }

    /// Names are in the database, in metrics and in URLs; each once.
    pub(crate) fn name(&mut self, path: &str, name: &str) {
        let is_name = (1..=MOST_NAME).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
        if !is_name {
            let text = "must be 1 to 64 ASCII letters, digits, `-`, `_`, `.` or `:`";
            self.problem(format!("{path}.name"), text);
        } else if !self.names.insert(name.to_owned()) {
            self.problem(format!("{path}.name"), format!("`{name}` is defined twice"));
        }
    }

    /// A URL at which nobody on the way can read what we bring: https, or http on this machine.
    pub(crate) fn url(&mut self, path: String, text: &str) -> Option<Url> {
        let url = Url::parse(text).ok().filter(is_private);
        if url.is_none() {
            let text = "must be an https URL without user and password; http is for loopback addresses alone";
            self.problem(path, text);
        }
        url
    }

    pub(crate) fn secret(
        &mut self,
        path: &str,
        env: Option<String>,
        file: Option<String>,
    ) -> SecretSource {
        match (env, file) {
            (Some(variable), None) if !variable.is_empty() => SecretSource::Environment(variable),
            (None, Some(file)) if !file.is_empty() => SecretSource::File(file),
            _ => {
                let text = "needs exactly one of `secret_env` and `secret_file`";
                self.problem(path, text);
                SecretSource::File(String::new())
            }
        }
    }

    pub(crate) fn header(&mut self, path: &str, raw: RawSecretHeader) -> SecretHeader {
        if reqwest::header::HeaderName::try_from(&raw.name).is_err() {
            self.problem(format!("{path}.name"), "must be the name of a header");
        }
        if raw.prefix.chars().any(char::is_control) || !raw.prefix.is_ascii() {
            let text = "must be ASCII without control characters";
            self.problem(format!("{path}.prefix"), text);
        }
        SecretHeader {
            secret: self.secret(path, raw.secret_env, raw.secret_file),
            name: raw.name,
            prefix: raw.prefix,
        }
    }

    /// A file that must be named by its whole path: the sidecar may run anywhere.
    pub(crate) fn file(&mut self, path: String, text: &str) -> PathBuf {
        let file = PathBuf::from(text);
        if !file.is_absolute() {
            self.problem(path, "must be an absolute path");
        }
        file
    }

    /// `host:port`.
    pub(crate) fn address(&mut self, path: String, text: &str) -> (String, u16) {
        let split = text.rsplit_once(':');
        let read = split.and_then(|(host, port)| {
            let host = host
                .strip_prefix('[')
                .and_then(|host| host.strip_suffix(']'))
                .unwrap_or(host);
            let is_host = !host.is_empty() && !host.contains(['/', '@', ' ']);
            let port = port.parse::<u16>().ok().filter(|port| *port > 0)?;
            is_host.then(|| (host.to_owned(), port))
        });
        read.unwrap_or_else(|| {
            self.problem(path, "must be `host:port`");
            (String::new(), 0)
        })
    }
}

/// Whether nobody on the way can read or change what goes there.
fn is_private(url: &Url) -> bool {
    let is_safe = match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => address.is_loopback(),
        ("http", Some(Host::Domain(name))) => name == "localhost",
        _ => false,
    };
    is_safe && url.username().is_empty() && url.password().is_none()
}
