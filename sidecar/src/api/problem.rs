//! Problem details (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sekisho_domain::{Denial, DenialCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::StoreError;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The status in words.
    #[schema(example = "Not Found")]
    title: &'static str,
    /// HTTP status code.
    #[schema(example = 404)]
    status: u16,
    /// What is wrong, one sentence.
    detail: String,
    /// Stable code, where the credential was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// Every wrong value, where a file or a person's values were refused; the first thousand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<RowError>,
}

/// One wrong value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct RowError {
    /// Line of the file, from 1.
    pub(super) row: u64,
    /// Its column; absent: it is about the whole line.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "email")]
    pub(super) column: Option<&'static str>,
    /// The value, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "t***")]
    pub(super) value: Option<String>,
    /// What is wrong with it.
    #[schema(example = "is not an e-mail address")]
    pub(super) reason: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            code: None,
            errors: Vec::new(),
        }
    }

    /// With every wrong value.
    pub(super) fn with_errors(mut self, errors: Vec<RowError>) -> Self {
        self.errors = errors;
        self
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// Something failed that the caller can do nothing about; the log says what.
    pub(super) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the sidecar could not do this; its log says why",
        )
    }
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        let status = StatusCode::from_u16(denial.code.status()).unwrap_or(StatusCode::FORBIDDEN);
        Self {
            code: Some(denial.code.as_str()),
            ..Self::new(status, denial.message)
        }
    }
}

impl From<DenialCode> for Problem {
    fn from(code: DenialCode) -> Self {
        Denial::new(code).into()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if status == StatusCode::UNAUTHORIZED {
            // RFC 6750, section 3.
            let challenge = match self.code {
                Some("missing_credential") | None => "Bearer",
                Some(_) => "Bearer error=\"invalid_token\"",
            };
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        response
    }
}
