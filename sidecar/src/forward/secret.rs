//! Secrets of recipients: in the environment or in files, which are read again at each use.

use sekisho_domain::policy::SecretSource;

use super::Trouble;

/// Reads a secret; spaces and line breaks around it do not belong to it.
pub(crate) fn read(source: &SecretSource) -> Result<String, Trouble> {
    let found = match source {
        SecretSource::Environment(name) => std::env::var(name).ok(),
        SecretSource::File(file) => std::fs::read_to_string(file).ok(),
    };
    let place = place(source);
    let secret = found.unwrap_or_default().trim().to_owned();
    if secret.is_empty() {
        return Err(Trouble::Secret(place));
    }
    if secret.chars().any(char::is_control) {
        return Err(Trouble::Unsendable(place));
    }
    Ok(secret)
}

/// Where it is, for people.
pub(crate) fn place(source: &SecretSource) -> String {
    match source {
        SecretSource::Environment(name) => format!("environment variable `{name}`"),
        SecretSource::File(file) => format!("file `{file}`"),
    }
}
