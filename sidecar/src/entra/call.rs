//! One request to Graph, and its answer.

use std::fmt;
use std::time::Duration;

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::fault::{GraphError, Words};

/// A request, alone or in a batch.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    /// With its query, from the version of the API on; begins with `/`. Everything in it is
    /// escaped.
    pub(super) path: String,
    pub(super) body: Option<Value>,
}

impl Call {
    pub(super) fn get(path: String) -> Self {
        Self::new(Method::GET, path, None)
    }

    pub(super) fn post(path: String, body: Option<Value>) -> Self {
        Self::new(Method::POST, path, body)
    }

    pub(super) fn patch(path: String, body: Value) -> Self {
        Self::new(Method::PATCH, path, Some(body))
    }

    pub(super) fn delete(path: String) -> Self {
        Self::new(Method::DELETE, path, None)
    }

    const fn new(method: Method, path: String, body: Option<Value>) -> Self {
        Self { method, path, body }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the path, which may name somebody, and the body, which may have a password.
        f.debug_struct("Call")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// `null`: none.
    pub(super) body: Value,
    pub(super) retry_after: Option<Duration>,
}

impl Reply {
    /// The body of a 2xx, or what the answer is instead.
    ///
    /// # Errors
    /// [`GraphError`].
    pub(super) fn yes(self) -> Result<Value, GraphError> {
        match self.status {
            200..=299 => Ok(self.body),
            429 => Err(GraphError::Throttled {
                after: self.retry_after,
            }),
            // Not even its gateway knows what became of it.
            408 | 500..=599 => Err(GraphError::Unavailable {
                status: self.status,
                after: self.retry_after,
            }),
            status => Err(GraphError::Refused {
                status,
                words: Box::new(Words::read(&self.body)),
            }),
        }
    }

    /// The body of a 2xx, read.
    ///
    /// # Errors
    /// [`GraphError`].
    pub(super) fn read<T: DeserializeOwned>(self) -> Result<T, GraphError> {
        let body = self.yes()?;
        serde_json::from_value(body).map_err(|_| GraphError::Unreadable)
    }

    /// A 2xx whose body does not matter.
    ///
    /// # Errors
    /// [`GraphError`].
    pub(super) fn done(self) -> Result<(), GraphError> {
        self.yes().map(|_| ())
    }
}
