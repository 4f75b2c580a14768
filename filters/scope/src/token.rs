//! Reading a compact token (RFC 7515, section 7.1; RFC 7519) without believing it.
//!
//! Everything about the token's form is settled here, before its signature is looked at:
//! so an implementation of [`crate::Rs256`] that reads the token itself has nothing left
//! to disagree about.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sekisho_domain::DenialCode;
use serde_json::{Map, Value};

use crate::json::strict_object;

/// Longest token that is read at all, bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Largest whole number that every JSON parser reads alike: 2^53.
const MAX_INTEGER: u64 = 1 << 53;

/// Members of the header that bring keys along, or demand or change what a signature
/// covers. `salt` is an extension of jwt-simple.
const REFUSED_HEADERS: &[&str] = &["crit", "b64", "jwk", "jku", "x5u", "x5c", "salt"];
const TEXT_HEADERS: &[&str] = &["alg", "kid", "typ", "cty", "x5t", "x5t#S256"];
const TEXT_CLAIMS: &[&str] = &[
    "iss", "sub", "jti", "nonce", "tid", "oid", "azp", "appid", "idtyp", "scp",
];
const INTEGER_CLAIMS: &[&str] = &["exp", "nbf", "iat"];

/// A well-formed token. Nothing in it is true until its signature is verified.
pub(crate) struct Token<'a> {
    /// What the signature covers.
    pub(crate) signed: &'a [u8],
    pub(crate) signature: Vec<u8>,
    pub(crate) kid: String,
    pub(crate) claims: Claims,
}

/// The payload; registered members have the right types.
pub(crate) struct Claims(Map<String, Value>);

/// # Errors
/// `BadSignature` for an algorithm other than RS256, otherwise `MalformedCredential`.
pub(crate) fn parse(token: &[u8]) -> Result<Token<'_>, DenialCode> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(DenialCode::MalformedCredential);
    }
    parse_parts(token)
        .ok_or(DenialCode::MalformedCredential)?
        .ok_or(DenialCode::BadSignature)
}

/// `None`: malformed; `Some(None)`: an algorithm that is not allowed.
fn parse_parts(token: &[u8]) -> Option<Option<Token<'_>>> {
    let mut parts = token.split(|byte| *byte == b'.');
    let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || [header, payload, signature].iter().any(|p| p.is_empty()) {
        return None;
    }
    let mut members = strict_object(&URL_SAFE_NO_PAD.decode(header).ok()?)?;
    let claims = Claims(strict_object(&URL_SAFE_NO_PAD.decode(payload).ok()?)?);
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    if !header_is_sound(&members) || !claims.are_sound() {
        return None;
    }
    if members.get("alg")?.as_str()? != "RS256" {
        return Some(None);
    }
    let Some(Value::String(kid)) = members.remove("kid") else {
        return None;
    };
    Some(Some(Token {
        signed: token.get(..header.len() + 1 + payload.len())?,
        signature,
        kid,
        claims,
    }))
}

fn header_is_sound(header: &Map<String, Value>) -> bool {
    let typ_is_sound = header.get("typ").and_then(Value::as_str).is_none_or(|typ| {
        // RFC 7519, section 5.1; RFC 9068, section 2.1.
        ["JWT", "at+jwt", "application/at+jwt"]
            .iter()
            .any(|known| typ.eq_ignore_ascii_case(known))
    });
    typ_is_sound
        && header.contains_key("alg")
        && all(header, TEXT_HEADERS, Value::is_string)
        && !REFUSED_HEADERS
            .iter()
            .any(|name| header.contains_key(*name))
}

/// Whether those of the members that are there are as they should be.
fn all(members: &Map<String, Value>, names: &[&str], sound: impl Fn(&Value) -> bool) -> bool {
    names
        .iter()
        .filter_map(|name| members.get(*name))
        .all(sound)
}

fn is_text_list(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|items| items.iter().all(Value::is_string))
}

impl Claims {
    fn are_sound(&self) -> bool {
        let is_integer = |value: &Value| value.as_u64().is_some_and(|n| n <= MAX_INTEGER);
        all(&self.0, TEXT_CLAIMS, Value::is_string)
            && all(&self.0, INTEGER_CLAIMS, is_integer)
            && all(&self.0, &["roles"], is_text_list)
            && all(&self.0, &["aud"], |aud| {
                aud.is_string() || is_text_list(aud)
            })
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
}
