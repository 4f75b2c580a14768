//! What an identity endpoint answers.

use std::time::Duration;

use sekisho_domain::UnixMillis;
use serde::Deserialize;
use serde_json::Value;

/// Before its end a token is renewed so early.
const EARLY_MILLIS: u64 = 5 * 60 * 1_000;
/// Longer ones at half their time, so that an endpoint that is down is noticed in time.
const LONG_MILLIS: u64 = 2 * 60 * 60 * 1_000;
/// Never more often.
const LEAST_REST_MILLIS: u64 = 1_000;

/// Not a token, or one without an end.
#[derive(Debug, thiserror::Error)]
#[error("the identity endpoint's answer is no bearer token with an end")]
pub struct Unreadable;

/// An access token.
#[derive(Clone)]
pub(crate) struct Token {
    secret: String,
    expires: UnixMillis,
    /// From when on the endpoint has another.
    refresh: Option<UnixMillis>,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: String,
    /// Seconds since 1970, as a number or as text.
    expires_on: Option<Value>,
    /// Seconds.
    expires_in: Option<Value>,
    refresh_in: Option<Value>,
}

fn number(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    }
}

impl Token {
    pub(super) fn read(body: &[u8], now: UnixMillis) -> Result<Self, Unreadable> {
        let answer: Answer = serde_json::from_slice(body).map_err(|_| Unreadable)?;
        let after = |seconds: u64| now.plus_millis(seconds.saturating_mul(1_000));
        let expires = number(answer.expires_on.as_ref())
            .map(|seconds| UnixMillis(seconds.saturating_mul(1_000)))
            .or_else(|| number(answer.expires_in.as_ref()).map(after));
        let is_sound = !answer.access_token.is_empty()
            && answer.access_token.bytes().all(|b| b.is_ascii_graphic())
            && answer.token_type.eq_ignore_ascii_case("bearer");
        match expires {
            Some(expires) if is_sound && expires > now => Ok(Self {
                secret: answer.access_token,
                expires,
                refresh: number(answer.refresh_in.as_ref()).map(after),
            }),
            _ => Err(Unreadable),
        }
    }

    /// The token itself.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// How long it need not be renewed.
    pub(crate) fn rest(&self, now: UnixMillis) -> Duration {
        let left = self.expires.since(now);
        let usual = match left {
            LONG_MILLIS.. => left / 2,
            _ => left.saturating_sub(EARLY_MILLIS.min(left / 2)),
        };
        let told = self.refresh.map_or(u64::MAX, |refresh| refresh.since(now));
        Duration::from_millis(usual.min(told).max(LEAST_REST_MILLIS))
    }
}

/// The endpoint's word for why there is none; descriptions may tell more than logs should.
pub(super) fn error_code(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let code = body.get("error")?.as_str()?;
    let plain = code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    plain.then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    fn read(answer: &Value) -> Option<Token> {
        Token::read(answer.to_string().as_bytes(), NOW).ok()
    }

    #[test]
    fn a_token_is_renewed_before_it_ends() {
        for (answer, seconds) in [
            (json!({"expires_in": 3_600}), 3_300),
            (
                json!({"expires_on": "1700003600", "expires_in": "9"}),
                3_300,
            ),
            (json!({"expires_in": "86400"}), 43_200),
            (json!({"expires_in": 86_400, "refresh_in": 600}), 600),
            (json!({"expires_in": 60}), 30),
            (json!({"expires_in": 1}), 1),
        ] {
            let mut answer = answer;
            answer["access_token"] = "a.b.c".into();
            answer["token_type"] = "Bearer".into();
            let token = read(&answer).unwrap();
            assert_eq!(token.rest(NOW), Duration::from_secs(seconds), "{answer}");
        }
    }

    #[test]
    fn what_is_no_token_is_not_taken_for_one() {
        for answer in [
            json!({"access_token": "a", "token_type": "Bearer"}),
            json!({"access_token": "a", "token_type": "Bearer", "expires_on": 1}),
            json!({"access_token": "", "token_type": "Bearer", "expires_in": 60}),
            json!({"access_token": "a\nb", "token_type": "Bearer", "expires_in": 60}),
            json!({"access_token": "a", "token_type": "pop", "expires_in": 60}),
            json!({"error": "invalid_request"}),
        ] {
            assert!(read(&answer).is_none(), "{answer}");
        }
        let told = error_code(br#"{"error": "invalid_request", "error_description": "secret"}"#);
        assert_eq!(told.as_deref(), Some("invalid_request"));
        assert_eq!(error_code(br#"{"error": "a b"}"#), None);
    }
}
