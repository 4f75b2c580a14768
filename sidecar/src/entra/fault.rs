//! What can go wrong with a call. Nothing of it tells a secret or a name.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

/// Why a call did not do what it was to do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GraphError {
    /// It never left: no token, no connection. It was not carried out.
    #[error("Microsoft Graph cannot be asked: {0}")]
    NotSent(String),
    /// It left, and no whole answer came. Nobody knows whether it was carried out.
    #[error("Microsoft Graph does not answer: {0}")]
    Lost(String),
    /// Too many calls. It was not carried out.
    #[error("Microsoft Graph is asked too often")]
    Throttled {
        /// When it wants to be asked again.
        after: Option<Duration>,
    },
    /// Trouble over there. Nobody knows whether it was carried out.
    #[error("Microsoft Graph answers {status}")]
    Unavailable {
        /// HTTP status.
        status: u16,
        /// When it wants to be asked again.
        after: Option<Duration>,
    },
    /// It was not carried out and will not be as it is.
    #[error("Microsoft Graph refuses with {status}{words}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words.
        words: Box<Words>,
    },
    /// An answer that is not what the API's description says.
    #[error("Microsoft Graph's answer is not what its description says")]
    Unreadable,
    /// A next page at another place.
    #[error("Microsoft Graph sends for the next page to another place")]
    ForeignLink,
}

impl GraphError {
    /// Whether the same may be answered otherwise later.
    pub(super) const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::NotSent(_) | Self::Lost(_) | Self::Throttled { .. } | Self::Unavailable { .. }
        )
    }

    /// When it wants to be asked again.
    pub(crate) const fn told(&self) -> Option<Duration> {
        match self {
            Self::Throttled { after } | Self::Unavailable { after, .. } => *after,
            _ => None,
        }
    }

    /// The status of a refusal.
    pub(crate) const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Which member's value belongs to another object already, if that is the refusal.
    pub(super) fn conflict(&self) -> Option<&str> {
        self.words().and_then(Words::conflict)
    }

    /// What a refusal says.
    pub(super) fn words(&self) -> Option<&Words> {
        match self {
            Self::Refused { words, .. } => Some(words),
            _ => None,
        }
    }
}

/// What of an error's body may be told: codes and names of members.
///
/// Source: `learn.microsoft.com/graph/errors`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    code: Option<String>,
    /// Codes of the details, and the member that each is about.
    details: Vec<(String, Option<String>)>,
    /// For Microsoft's support.
    request_id: Option<String>,
    already: bool,
    about_password: bool,
}

#[derive(Deserialize)]
struct Body {
    error: Error,
}

#[derive(Deserialize)]
struct Error {
    code: Option<String>,
    message: Option<String>,
    #[serde(default)]
    details: Option<Vec<Detail>>,
    #[serde(rename = "innerError")]
    inner: Option<Inner>,
}

#[derive(Deserialize)]
struct Detail {
    code: Option<String>,
    target: Option<String>,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(rename = "request-id")]
    request_id: Option<String>,
}

impl Words {
    pub(super) fn read(body: &Value) -> Self {
        let Ok(Body { error }) = Body::deserialize(body) else {
            return Self::default();
        };
        let details = error.details.unwrap_or_default().into_iter();
        let details =
            details.filter_map(|detail| Some((word(detail.code?)?, target(detail.target))));
        let details: Vec<_> = details.collect();
        let message = error.message.unwrap_or_default().to_lowercase();
        // Of these Graph has no code: what is to be there is there already.
        let already = message.contains("added object references already exist")
            || message.contains("permission being assigned already exists");
        let about_password = message.contains("password")
            || details.iter().any(|(_, target)| {
                let target = target.as_deref().unwrap_or_default();
                target.starts_with("password")
            });
        Self {
            code: error.code.and_then(word),
            details,
            request_id: error.inner.and_then(|inner| word(inner.request_id?)),
            already,
            about_password,
        }
    }

    /// Another object has the value of a member that is unique: which member, if it is said.
    pub(super) fn conflict(&self) -> Option<&str> {
        let mut details = self.details.iter();
        let found = details.find(|(code, _)| code == "ObjectConflict");
        found.map(|(_, target)| target.as_deref().unwrap_or_default())
    }

    /// What was to be added was there already.
    pub(super) const fn is_already(&self) -> bool {
        self.already
    }

    /// It is about a password.
    pub(super) const fn is_about_password(&self) -> bool {
        self.about_password
    }
}

impl std::fmt::Display for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(code) = &self.code {
            write!(f, " `{code}`")?;
        }
        for (code, target) in &self.details {
            write!(f, " `{code}`")?;
            if let Some(target) = target {
                write!(f, " of `{target}`")?;
            }
        }
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

/// A code, if it is a word: whatever else stands there is not for our log.
fn word(text: String) -> Option<String> {
    let is_word = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    is_word.then_some(text)
}

fn target(text: Option<String>) -> Option<String> {
    text.and_then(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn codes_are_told_and_sentences_are_not() {
        let body = json!({"error": {
            "code": "Request_BadRequest",
            "message": "Another object with the same value for property userPrincipalName already exists: taro@x.example",
            "details": [{"code": "ObjectConflict", "target": "userPrincipalName", "message": "taro@x.example"},
                        {"code": "taro yamada"}],
            "innerError": {"request-id": "a-1", "date": "2024-10-01T00:00:00"}}});
        let words = Words::read(&body);
        assert_eq!(words.conflict(), Some("userPrincipalName"));
        let error = GraphError::Refused {
            status: 400,
            words: Box::new(words),
        };
        assert_eq!(
            error.to_string(),
            "Microsoft Graph refuses with 400 `Request_BadRequest` `ObjectConflict` of `userPrincipalName` (request a-1)"
        );
    }

    #[test]
    fn an_error_without_a_readable_body_is_still_one() {
        for body in [
            json!(null),
            json!("x"),
            json!({"error": 5}),
            json!({"error": {}}),
        ] {
            let words = Words::read(&body);
            assert_eq!(words, Words::default(), "{body}");
            assert!(words.conflict().is_none() && !words.is_already());
        }
    }
}
