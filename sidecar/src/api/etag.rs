//! Entity tags, so that nobody overwrites what somebody else changed meanwhile (RFC 9110,
//! sections 8.8.3 and 13.1.1).

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};

use super::Api;
use super::problem::Problem;

/// The tag of something that was last changed at this version.
pub(super) fn of(version: i64) -> HeaderValue {
    HeaderValue::try_from(text(version)).unwrap_or(HeaderValue::from_static("\"\""))
}

fn text(version: i64) -> String {
    format!("\"{version}\"")
}

/// The `If-Match` of a request; absent: whatever is there may be changed.
#[derive(Clone, Debug, Default)]
pub(super) struct IfMatch(Option<String>);

impl IfMatch {
    /// Whether the request makes no condition.
    pub(super) const fn is_absent(&self) -> bool {
        self.0.is_none()
    }

    /// # Errors
    /// 412, if it was changed since the caller looked at it.
    pub(super) fn check(&self, version: i64) -> Result<(), Problem> {
        let Some(tags) = &self.0 else { return Ok(()) };
        let current = text(version);
        let mut tags = tags.split(',').map(str::trim);
        if tags.any(|tag| tag == "*" || tag == current) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "it was changed since: get it again, and its new `ETag`",
        ))
    }
}

impl FromRequestParts<Api> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let mut values = Vec::new();
        for value in parts.headers.get_all(header::IF_MATCH) {
            let value = value.to_str();
            values
                .push(value.map_err(|_| Problem::bad_request("`If-Match` is not a list of tags"))?);
        }
        Ok(Self((!values.is_empty()).then(|| values.join(","))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_current_tag_matches() {
        for (tags, matches) in [
            (None, true),
            (Some("*"), true),
            (Some("\"7\""), true),
            (Some("\"6\", \"7\""), true),
            (Some("\"6\""), false),
            (Some("7"), false),
            // Weak tags never match here (RFC 9110, section 13.1.1).
            (Some("W/\"7\""), false),
            (Some(""), false),
        ] {
            let condition = IfMatch(tags.map(str::to_owned));
            assert_eq!(condition.check(7).is_ok(), matches, "{tags:?}");
        }
    }
}
