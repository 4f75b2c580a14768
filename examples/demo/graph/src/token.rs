//! The token endpoint of Entra ID, for applications.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::answer::Answer;

/// How long tokens are good, seconds.
const GOOD_SECONDS: u64 = 3_599;
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Tokens that are good.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    good: BTreeSet<String>,
    given: u64,
}

impl Tokens {
    pub(crate) fn is_good(&self, authorization: &str) -> bool {
        let token = authorization.strip_prefix("Bearer ");
        token.is_some_and(|token| self.good.contains(token))
    }

    pub(crate) fn revoke(&mut self, authorization: &str) {
        if let Some(token) = authorization.strip_prefix("Bearer ") {
            self.good.remove(token);
        }
    }

    pub(crate) const fn given(&self) -> u64 {
        self.given
    }

    /// Answers whoever asks for a token: with the secret, or with an assertion for `endpoint`.
    pub(crate) fn give(&mut self, form: &[u8], secret: &str, endpoint: &str) -> Answer {
        let form: BTreeMap<String, String> = form_urlencoded::parse(form).into_owned().collect();
        let member = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        if member("grant_type") != "client_credentials" {
            return refused("unsupported_grant_type");
        }
        if !member("scope").ends_with("/.default") {
            return refused("invalid_scope");
        }
        let known = match member("client_assertion_type") {
            "" => member("client_secret") == secret,
            ASSERTION => is_assertion(member("client_assertion"), member("client_id"), endpoint),
            _ => false,
        };
        if !known || member("client_id").is_empty() {
            return refused("invalid_client");
        }
        self.given += 1;
        let token = format!("graph-token-{}", self.given);
        self.good.insert(token.clone());
        let body = json!({"token_type": "Bearer", "expires_in": GOOD_SECONDS,
                          "ext_expires_in": GOOD_SECONDS, "access_token": token});
        Answer::new(200, body)
    }
}

/// Whether it has the form of Entra ID's. Its signature is not looked at: the public key is Entra
/// ID's to know.
fn is_assertion(assertion: &str, client_id: &str, endpoint: &str) -> bool {
    let parts: Vec<Value> = assertion
        .split('.')
        .take(2)
        .filter_map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok())
        .collect();
    let [header, claims] = parts.as_slice() else {
        return false;
    };
    let is = |value: &Value, name: &str, wanted: &str| value.get(name) == Some(&json!(wanted));
    is(header, "alg", "PS256")
        && header.get("x5t#S256").is_some_and(Value::is_string)
        && is(claims, "aud", endpoint)
        && is(claims, "iss", client_id)
        && is(claims, "sub", client_id)
        && claims.get("jti").is_some_and(Value::is_string)
        && claims.get("exp").is_some_and(Value::is_u64)
}

fn refused(code: &str) -> Answer {
    let body = json!({"error": code, "error_description": "AADSTS7000215: it is not accepted."});
    Answer::new(if code == "invalid_client" { 401 } else { 400 }, body)
}
