//! Requests as they arrived, for whoever wants to hold them against a provider's published
//! description. Only kept while somebody has asked for it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::answer::Request;
use crate::provider::Provider;

/// Headers that are credentials: that they came is recorded, what they said is not.
const SECRET: [&str; 4] = ["authorization", "api-key", "x-api-key", "x-goog-api-key"];

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Recorded {
    provider: Provider,
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body_base64: String,
}

impl Recorded {
    pub(crate) fn of(provider: Provider, request: &Request) -> Self {
        let headers = request.headers.iter().map(|(name, value)| {
            let secret = SECRET.contains(&name.as_str());
            let shown = String::from_utf8_lossy(value.as_bytes());
            let shown = if secret { "***".into() } else { shown };
            (name.as_str().to_owned(), shown.into_owned())
        });
        Self {
            provider,
            method: request.method.to_string(),
            path: request.path.clone(),
            query: request.query.clone(),
            headers: headers.collect(),
            body_base64: STANDARD.encode(&request.body),
        }
    }
}

/// `None` while nobody records.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<Option<Vec<Recorded>>>);

impl Recorder {
    /// Begins anew.
    pub(crate) fn start(&self) {
        *self.kept() = Some(Vec::new());
    }

    pub(crate) fn stop(&self) {
        *self.kept() = None;
    }

    pub(crate) fn note(&self, provider: Provider, request: &Request) {
        if let Some(kept) = self.kept().as_mut() {
            kept.push(Recorded::of(provider, request));
        }
    }

    /// What came since the last time that somebody took it.
    pub(crate) fn take(&self) -> Vec<Recorded> {
        self.kept().as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn kept(&self) -> MutexGuard<'_, Option<Vec<Recorded>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
