//! What Graph answers.

use serde_json::{Value, json};

/// A status and a body; `null`: none.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) retry_after: Option<u32>,
}

impl Answer {
    pub(crate) const fn new(status: u16, body: Value) -> Self {
        Self {
            status,
            body,
            retry_after: None,
        }
    }

    pub(crate) const fn nothing() -> Self {
        Self::new(204, Value::Null)
    }

    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        let inner = json!({
            "date": "2024-10-01T00:00:00", "request-id": "5f0c1c86-0d5c-4a2e-9b8a-3a3cf1f5b9de",
            "client-request-id": "5f0c1c86-0d5c-4a2e-9b8a-3a3cf1f5b9de",
        });
        let error = json!({"code": code, "message": message, "innerError": inner});
        Self::new(status, json!({"error": error}))
    }

    pub(crate) fn invalid(target: &str, message: &str) -> Self {
        Self::error(400, "Request_BadRequest", message).about("InvalidValue", target)
    }

    /// Another object has the value.
    pub(crate) fn conflict(target: &str) -> Self {
        let message =
            format!("Another object with the same value for property {target} already exists.");
        Self::error(400, "Request_BadRequest", &message).about("ObjectConflict", target)
    }

    pub(crate) fn missing(id: &str) -> Self {
        let message = format!(
            "Resource '{id}' does not exist or one of its queried reference-property objects are not present."
        );
        Self::error(404, "Request_ResourceNotFound", &message)
    }

    pub(crate) fn throttled(seconds: u32) -> Self {
        let mut answer = Self::error(429, "TooManyRequests", "Too Many Requests");
        answer.retry_after = Some(seconds);
        answer
    }

    fn about(mut self, code: &str, target: &str) -> Self {
        if let Some(error) = self.body.get_mut("error").and_then(Value::as_object_mut) {
            let message = error.get("message").cloned().unwrap_or_default();
            let details = json!([{"code": code, "target": target, "message": message}]);
            error.insert("details".into(), details);
        }
        self
    }
}
