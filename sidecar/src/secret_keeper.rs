//! Provider credentials that change while everything runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sekisho_domain::Policy;

use crate::render::secrets::{self, SecretsError, Written};

/// Between two looks at the places where secrets come from.
const LOOK: Duration = Duration::from_secs(1);

/// Writes the policy's secrets into the directory that Envoy watches, as
/// [`secrets::write`] does, from this process' environment and from files.
///
/// # Errors
/// See [`SecretsError`].
pub fn write(policy: &Policy, dir: &std::path::Path) -> Result<Written, SecretsError> {
    secrets::write(policy, dir, |name| std::env::var(name).ok())
}

/// Looks again and again whether a secret has changed in its file, and writes it anew. What was
/// there before stays as long as what is to replace it cannot be used: a file that is being
/// replaced may be gone for a moment. Never ends.
pub async fn keep(policy: Arc<Policy>, dir: PathBuf) {
    let mut trouble = None;
    loop {
        tokio::time::sleep(LOOK).await;
        let (again, here) = (Arc::clone(&policy), dir.clone());
        let written = tokio::task::spawn_blocking(move || write(&again, &here)).await;
        match written {
            Ok(Ok(Written { changed: 0, .. })) => trouble = None,
            Ok(Ok(written)) => {
                trouble = None;
                tracing::info!(changed = written.changed, "provider secrets have changed");
            }
            Ok(Err(error)) => {
                let text = error.to_string();
                if trouble.as_ref() != Some(&text) {
                    tracing::error!("provider secrets stay as they were: {text}");
                    trouble = Some(text);
                }
            }
            Err(error) => tracing::error!("provider secrets could not be looked at: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn policy(file: &std::path::Path) -> Policy {
        Policy::parse(json!({
            "version": 1, "organisation": "x", "time_zone": "UTC", "currency": "JPY",
            "scopes": {"all": null},
            "issuers": [{"issuer": "https://i.example", "tenant": "t", "audiences": ["a"],
                         "jwks_uri": "https://i.example/keys"}],
            "upstreams": [{"name": "azure", "provider": "azure_openai", "url": "https://a.example",
                           "credential": {"header": {"name": "api-key", "secret_file": file}}}],
            "apis": [],
        }))
        .unwrap()
    }

    #[tokio::test]
    async fn a_changed_file_becomes_a_new_secret_and_a_missing_one_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("key");
        let policy = Arc::new(policy(&source));
        let shown = dir.path().join("secrets");
        let missing = write(&policy, &shown).unwrap_err().to_string();
        assert!(
            missing.starts_with("no secret in file `") && missing.ends_with("(upstream `azure`)"),
            "{missing}"
        );
        std::fs::write(&source, "first\n").unwrap();
        write(&policy, &shown).unwrap();
        let keeping = tokio::spawn(keep(Arc::clone(&policy), shown.clone()));
        let file = secrets::path(&shown, "azure");
        let reads = async |wanted: &str| {
            for _ in 0..100 {
                if std::fs::read_to_string(&file).unwrap().contains(wanted) {
                    return true;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            false
        };
        std::fs::write(&source, "second").unwrap();
        assert!(reads("second").await);
        std::fs::remove_file(&source).unwrap();
        tokio::time::sleep(LOOK * 2).await;
        assert!(reads("second").await);
        std::fs::write(&source, "third").unwrap();
        assert!(reads("third").await);
        keeping.abort();
    }
}
