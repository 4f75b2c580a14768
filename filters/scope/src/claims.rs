//! The payload of a token (RFC 7519, section 4), and what only other kinds of tokens say.

use serde_json::{Map, Value};

use crate::json::strict_object;
use crate::refusal::Refusal;

/// Largest whole number that every JSON parser reads alike: 2^53.
const MAX_INTEGER: u64 = 1 << 53;

const TEXTS: &[&str] = &[
    "iss", "sub", "jti", "tid", "oid", "azp", "appid", "idtyp", "scp", "ver",
];
const INTEGERS: &[&str] = &["exp", "nbf", "iat"];
const TEXT_LISTS: &[&str] = &["roles"];
const TEXTS_OR_LISTS: &[&str] = &["aud", "amr", "acrs", "groups", "xms_cc"];

/// Claims that are in other kinds of tokens only.
const OF_OTHER_KINDS: &[(&str, &str)] = &[
    // OpenID Connect Core 1.0, sections 2 and 3.3.2.11.
    ("nonce", ID_TOKEN),
    ("at_hash", ID_TOKEN),
    ("c_hash", ID_TOKEN),
    // RFC 8417, section 2.2: logout tokens are of that kind, too.
    (
        "events",
        "The token tells of a security event; it is not an access token.",
    ),
    // RFC 7800: whoever holds such a token only has proved nothing yet.
    (
        "cnf",
        "The token is bound to a key of the client and cannot be a bearer token.",
    ),
];

pub(crate) const ID_TOKEN: &str =
    "This is an id token. It tells the application who signed in; send an access token.";

const MALFORMED: Refusal = Refusal::malformed("The token's claims are not of the right types.");

/// The claims; those that we read have the right types.
pub(crate) struct Claims(Map<String, Value>);

impl Claims {
    /// # Errors
    /// `MalformedCredential`.
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, Refusal> {
        let claims = strict_object(payload).ok_or(MALFORMED)?;
        let all = |names: &[&str], sound: fn(&Value) -> bool| {
            let mut present = names.iter().filter_map(|name| claims.get(*name));
            present.all(sound)
        };
        let is_sound = all(TEXTS, Value::is_string)
            && all(INTEGERS, is_integer)
            && all(TEXT_LISTS, is_text_list)
            && all(TEXTS_OR_LISTS, |value| {
                value.is_string() || is_text_list(value)
            });
        is_sound.then_some(Self(claims)).ok_or(MALFORMED)
    }

    /// # Errors
    /// `UnsupportedToken` for what can be told not to be an access token by a single claim.
    pub(crate) fn check_kind(&self) -> Result<(), Refusal> {
        let foreign = OF_OTHER_KINDS
            .iter()
            .find(|(name, _)| self.0.contains_key(*name));
        foreign.map_or(Ok(()), |(_, sentence)| Err(Refusal::unsupported(sentence)))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A claim that is one text; of a list with one text in it (directory extensions
    /// come as lists), that text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            Value::String(text) => Some(text),
            Value::Array(items) => match items.as_slice() {
                [Value::String(text)] => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// A claim in seconds since 1970.
    pub(crate) fn seconds(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_u64()
    }

    /// A claim that is one text or a list of them.
    pub(crate) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        let value = self.0.get(name);
        let one = value.and_then(Value::as_str);
        let many = value.and_then(Value::as_array).into_iter().flatten();
        one.into_iter().chain(many.filter_map(Value::as_str))
    }

    /// Whether there were more groups than the token has room for: then it names none, or
    /// not all.
    pub(crate) fn groups_are_elsewhere(&self) -> bool {
        let elsewhere = self.0.get("_claim_names");
        elsewhere.is_some_and(|names| names.get("groups").is_some()) || self.has("hasgroups")
    }
}

fn is_integer(value: &Value) -> bool {
    value.as_u64().is_some_and(|n| n <= MAX_INTEGER)
}

fn is_text_list(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|items| items.iter().all(Value::is_string))
}
