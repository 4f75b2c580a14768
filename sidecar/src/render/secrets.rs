//! Provider credentials as files that Envoy watches (secret discovery service).

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sekisho_domain::Policy;
use sekisho_domain::policy::{Credential, SecretSource, Upstream};
use serde_json::json;

/// How many secrets there are, and how many of them were written now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Secrets of the policy.
    pub all: usize,
    /// Those that were not there or different.
    pub changed: usize,
}

/// Why secrets cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// Environment variables or files that the policy names are not there, or empty.
    #[error("no secret in {}", .0.join(", "))]
    Missing(Vec<String>),
    /// A secret that no HTTP header can carry.
    #[error("the secret in {0} has a line break or control character, which no header can carry")]
    Unsendable(String),
    /// The file system says no.
    #[error("`{}` cannot be written", path.display())]
    Unwritable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The file of an upstream's secret.
#[must_use]
pub fn path(dir: &Path, upstream: &str) -> PathBuf {
    dir.join(format!("{upstream}.yaml"))
}

/// Writes each secret of the policy into its file: readable by its owner
/// alone, replaced atomically, untouched where nothing changed. Nothing is written
/// unless every secret is there.
///
/// `environment` tells the value of a variable.
///
/// # Errors
/// See [`SecretsError`]; no error tells a secret.
pub fn write(
    policy: &Policy,
    dir: &Path,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Written, SecretsError> {
    let mut missing = Vec::new();
    let mut files = Vec::new();
    for upstream in policy.upstreams.values() {
        let Some(source) = source(upstream) else {
            continue;
        };
        let found = match source {
            SecretSource::Environment(variable) => environment(variable),
            SecretSource::File(file) => fs::read_to_string(file).ok(),
        };
        let Some(secret) = found.filter(|secret| !secret.trim().is_empty()) else {
            missing.push(format!("{} (upstream `{}`)", place(source), upstream.name));
            continue;
        };
        let secret = secret.trim();
        if secret.chars().any(char::is_control) {
            return Err(SecretsError::Unsendable(place(source)));
        }
        files.push((path(dir, &upstream.name), document(&upstream.name, secret)));
    }
    if !missing.is_empty() {
        missing.sort();
        return Err(SecretsError::Missing(missing));
    }
    make_folder(dir)?;
    let mut written = Written {
        all: files.len(),
        changed: 0,
    };
    for (path, content) in files {
        written.changed += usize::from(renew(&path, &content)?);
    }
    for upstream in policy.upstreams.values() {
        let path = path(dir, &upstream.name);
        if matches!(upstream.credential, Credential::ManagedIdentity { .. }) && !path.exists() {
            // Envoy does not start without the file. With nothing in it no call passes.
            renew(&path, &document(&upstream.name, ""))?;
        }
    }
    Ok(written)
}

/// Writes the secret of one upstream, as [`write`] does.
///
/// # Errors
/// [`SecretsError::Unwritable`].
pub fn write_one(dir: &Path, upstream: &str, secret: &str) -> Result<(), SecretsError> {
    make_folder(dir)?;
    renew(&path(dir, upstream), &document(upstream, secret))?;
    Ok(())
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> SecretsError {
    let path = path.to_owned();
    move |source| SecretsError::Unwritable { path, source }
}

fn make_folder(dir: &Path) -> Result<(), SecretsError> {
    let mut folder = fs::DirBuilder::new();
    let made = folder.recursive(true).mode(0o700).create(dir);
    made.map_err(unwritable(dir))
}

/// Whether the file was not there or different.
fn renew(path: &Path, content: &str) -> Result<bool, SecretsError> {
    if fs::read(path).is_ok_and(|present| present == content.as_bytes()) {
        return Ok(false);
    }
    replace(path, content.as_bytes()).map_err(unwritable(path))?;
    Ok(true)
}

/// Where the secret of an upstream comes from, if it has one.
pub(crate) fn source(upstream: &Upstream) -> Option<&SecretSource> {
    match &upstream.credential {
        Credential::Header { secret, .. } | Credential::OAuth2 { secret, .. } => Some(secret),
        // Of a managed identity there is none: its tokens come and go.
        Credential::None | Credential::AwsSigV4 { .. } | Credential::ManagedIdentity { .. } => None,
    }
}

fn place(source: &SecretSource) -> String {
    match source {
        SecretSource::Environment(variable) => format!("environment variable `{variable}`"),
        SecretSource::File(file) => format!("file `{file}`"),
    }
}

/// Envoy reads JSON where it expects YAML: the one contains the other.
fn document(name: &str, secret: &str) -> String {
    json!({"resources": [{
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        "name": name,
        "generic_secret": {"secret": {"inline_string": secret}},
    }]})
    .to_string()
}

/// Envoy sees the old file or the new one, never a part, and picks the new one up because
/// it was moved into the directory.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("yaml.new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)
}
