//! What a client sends.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};

use sekisho_domain::UnixMillis;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde_json::{Map, Value};

use super::format::{Bytes, Chunks, Framing, HeaderList, unhex};
use crate::gateway::Request;
use crate::tokens::{self, Algorithm, NoKey, Signer, Subject};

/// A request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestSpec {
    /// Default: POST with a body, GET without.
    method: Option<String>,
    path: String,
    /// Name of a person, or more.
    token: Option<TokenSpec>,
    /// Name of a subscription key, or more.
    key: Option<KeyUse>,
    #[serde(default)]
    headers: HeaderList,
    body: Option<BodySpec>,
    chunks: Option<Chunks>,
    framing: Option<Framing>,
    leaves_after: Option<usize>,
    /// An address of the loopback network.
    from: Option<Ipv4Addr>,
}

/// Numbers the tokens, for key ids that are all different.
static TOKENS: AtomicU64 = AtomicU64::new(0);

/// A token to be made for this request.
#[derive(Clone, Debug, Default)]
struct TokenSpec(RawToken);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawToken {
    person: Option<String>,
    /// Claims to set; `exp`, `nbf` and `iat` may be relative: `-61s`.
    #[serde(default)]
    claims: Map<String, Value>,
    /// Claims to leave out.
    #[serde(default)]
    without: Vec<String>,
    #[serde(default)]
    signed_by: Signer,
    #[serde(default)]
    algorithm: Algorithm,
    key_id: Option<String>,
    /// The credential itself, instead of all of the above.
    raw: Option<Bytes>,
    /// Headers in which it is sent; default: `authorization`.
    #[serde(default)]
    sent_in: Vec<String>,
}

/// Lets `token: taro` stand for `token: {person: taro}`.
impl<'de> Deserialize<'de> for TokenSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrMore;
        impl<'de> Visitor<'de> for NameOrMore {
            type Value = TokenSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a person, or a token's description")
            }

            fn visit_str<E>(self, person: &str) -> Result<TokenSpec, E> {
                Ok(TokenSpec(RawToken {
                    person: Some(person.to_owned()),
                    ..RawToken::default()
                }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TokenSpec, A::Error> {
                RawToken::deserialize(MapAccessDeserializer::new(map)).map(TokenSpec)
            }
        }
        deserializer.deserialize_any(NameOrMore)
    }
}

/// A subscription key as it is sent.
#[derive(Clone, Debug)]
struct KeyUse(RawKeyUse);

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKeyUse {
    name: String,
    /// Which of its secrets, from 1.
    #[serde(default = "first")]
    secret: u8,
    /// Headers in which it is sent; default: `api-key`.
    #[serde(default)]
    sent_in: Vec<String>,
}

const fn first() -> u8 {
    1
}

impl<'de> Deserialize<'de> for KeyUse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrMore;
        impl<'de> Visitor<'de> for NameOrMore {
            type Value = KeyUse;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a key, or `{name: ..., sent_in: [...]}`")
            }

            fn visit_str<E>(self, name: &str) -> Result<KeyUse, E> {
                Ok(KeyUse(RawKeyUse {
                    name: name.to_owned(),
                    secret: first(),
                    sent_in: Vec::new(),
                }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<KeyUse, A::Error> {
                RawKeyUse::deserialize(MapAccessDeserializer::new(map)).map(KeyUse)
            }
        }
        deserializer.deserialize_any(NameOrMore)
    }
}

/// A body: `json`, `text` or `hex`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BodySpec {
    json: Option<Value>,
    text: Option<String>,
    hex: Option<String>,
    /// Makes one text of `json` so long.
    fill: Option<Fill>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fill {
    /// JSON pointer (RFC 6901).
    at: String,
    bytes: usize,
}

/// What a request needs to know about its surroundings.
pub(super) struct Context<'a> {
    pub(super) now: UnixMillis,
    pub(super) issuer: &'a str,
    pub(super) tenant: &'a str,
    pub(super) audience: &'a str,
    /// Scopes of a person's tokens and the object id.
    pub(super) person: &'a dyn Fn(&str) -> (Vec<String>, String),
    pub(super) key: &'a dyn Fn(&str, u8) -> String,
}

/// A request ready to be sent, and the credential in it, which must reach no provider.
pub(super) struct Prepared {
    pub(super) request: Request,
    pub(super) credential: Option<Vec<u8>>,
}

/// Why a request cannot be made from its description.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnusableRequest {
    #[error(transparent)]
    Key(#[from] NoKey),
    #[error("`body` needs exactly one of `json`, `text` and `hex`")]
    Body,
    #[error("`fill.at` points to no text in `json`")]
    Fill,
    #[error("claim `{0}` is no time such as `-61s` or seconds since 1970")]
    Time(String),
}

impl RequestSpec {
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.method(), self.path)
    }

    fn method(&self) -> &str {
        let usual = if self.body.is_some() { "POST" } else { "GET" };
        self.method.as_deref().unwrap_or(usual)
    }

    pub(super) fn person(&self) -> Option<&str> {
        self.token.as_ref()?.0.person.as_deref()
    }

    pub(super) fn key(&self) -> Option<&str> {
        Some(&self.key.as_ref()?.0.name)
    }

    /// `pieces`: cuts the body into pieces of this size, whatever the description says.
    pub(super) fn prepare(
        &self,
        context: &Context<'_>,
        pieces: Option<usize>,
    ) -> Result<Prepared, UnusableRequest> {
        let mut headers = self.headers.clone();
        let mut credential = None;
        if let Some(token) = &self.token {
            let value = token.value(context)?;
            send_in(&mut headers, &token.0.sent_in, "authorization", &value);
            credential = Some(value);
        }
        if let Some(KeyUse(key)) = &self.key {
            let value = (context.key)(&key.name, key.secret).into_bytes();
            send_in(&mut headers, &key.sent_in, "api-key", &value);
            credential = Some(value);
        }
        let body = match &self.body {
            Some(body) => body.bytes()?,
            None => Vec::new(),
        };
        if self.body.is_some() && !headers.has("content-type") {
            let content_type = b"application/json".to_vec();
            headers.0.push(("content-type".to_owned(), content_type));
        }
        let chunks = pieces.map(Chunks::of).or_else(|| self.chunks.clone());
        let body = match &chunks {
            Some(chunks) => chunks.cut(&body),
            None if body.is_empty() => Vec::new(),
            None => vec![body],
        };
        let request = Request {
            method: self.method().to_owned(),
            path: self.path.clone(),
            headers: headers.0,
            body,
            chunked: self.framing == Some(Framing::Chunked),
            leaves_after: self.leaves_after,
            from: self.from,
        };
        Ok(Prepared {
            request,
            credential,
        })
    }
}

fn send_in(headers: &mut HeaderList, names: &[String], usual: &str, value: &[u8]) {
    let usual = [usual.to_owned()];
    let names = if names.is_empty() { &usual } else { names };
    for name in names {
        let value = match name.as_str() {
            "authorization" => [b"Bearer ", value].concat(),
            _ => value.to_vec(),
        };
        headers.0.push((name.clone(), value));
    }
}

impl TokenSpec {
    fn value(&self, context: &Context<'_>) -> Result<Vec<u8>, UnusableRequest> {
        let Self(token) = self;
        if let Some(raw) = &token.raw {
            return Ok(raw.0.clone());
        }
        let (scopes, object_id) = match &token.person {
            Some(person) => (context.person)(person),
            None => (Vec::new(), String::new()),
        };
        let subject = Subject {
            issuer: context.issuer,
            tenant: context.tenant,
            audience: context.audience,
            object_id: &object_id,
            scopes: &scopes,
        };
        let mut claims = tokens::claims(&subject, context.now);
        for (name, value) in &token.claims {
            let value = match (name.as_str(), value) {
                ("exp" | "nbf" | "iat", Value::String(text)) => {
                    let at = relative(text, context.now);
                    at.ok_or_else(|| UnusableRequest::Time(name.clone()))?
                        .into()
                }
                _ => value.clone(),
            };
            claims.insert(name.clone(), value);
        }
        for name in &token.without {
            claims.remove(name);
        }
        let usual = tokens::key_id(token.signed_by);
        let key_id = token.key_id.as_deref().unwrap_or(usual);
        let number = TOKENS.fetch_add(1, Ordering::Relaxed);
        let key_id = &key_id.replace("{n}", &number.to_string());
        let signed = tokens::sign(&claims, token.signed_by, token.algorithm, key_id)?;
        Ok(signed.into_bytes())
    }
}

/// Seconds since 1970 of `+300s` or `-61s`.
fn relative(text: &str, now: UnixMillis) -> Option<u64> {
    let seconds: i64 = text.strip_suffix('s')?.parse().ok()?;
    now.seconds().checked_add_signed(seconds)
}

impl BodySpec {
    fn bytes(&self) -> Result<Vec<u8>, UnusableRequest> {
        match (&self.json, &self.text, &self.hex) {
            (Some(json), None, None) => {
                let mut json = json.clone();
                if let Some(fill) = &self.fill {
                    let place = json.pointer_mut(&fill.at).ok_or(UnusableRequest::Fill)?;
                    *place = Value::String("a ".repeat(fill.bytes.div_ceil(2)));
                }
                Ok(json.to_string().into_bytes())
            }
            (None, Some(text), None) => Ok(text.clone().into_bytes()),
            (None, None, Some(hex)) => unhex(hex).ok_or(UnusableRequest::Body),
            _ => Err(UnusableRequest::Body),
        }
    }
}
