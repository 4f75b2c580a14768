//! Reading a compact token (RFC 7515, section 7.1; RFC 7519) without believing it.
//!
//! Everything about the token's form is settled here, before its signature is looked at,
//! along the lines of RFC 8725. What a token brings along to be verified with, or what
//! changes the meaning of its signature, is refused by name.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sekisho_domain::{DenialCode, SigningAlgorithm};
use serde_json::{Map, Value};

use crate::json::strict_object;
use crate::refusal::Refusal;

/// Longest token that is read at all, bytes. Entra ID puts up to 200 groups into one, which
/// makes 11 KiB.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// Longest name of a key, bytes.
const MAX_KID_BYTES: usize = 256;

const MALFORMED: Refusal = Refusal::malformed(
    "The credential is not a signed token in its compact form, nor a key of this gateway.",
);

/// Members of a header that are refused, each with what to tell the caller.
const REFUSED_HEADERS: &[(&str, &str)] = &[
    ("crit", "The token demands extensions (`crit`)."),
    ("b64", "The token's payload is not encoded (`b64`)."),
    ("jwk", "The token brings its own key (`jwk`)."),
    (
        "jku",
        "The token brings the address of its own keys (`jku`).",
    ),
    ("x5c", "The token brings its own certificate (`x5c`)."),
    (
        "x5u",
        "The token brings the address of its own certificate (`x5u`).",
    ),
    ("enc", "The token is encrypted."),
    ("epk", "The token is encrypted."),
    ("zip", "The token is compressed (`zip`)."),
];
const TEXT_HEADERS: &[&str] = &["alg", "kid", "typ", "cty", "x5t", "x5t#S256"];

/// Types of access tokens (RFC 7519, section 5.1; RFC 9068, section 2.1).
const ACCESS_TOKEN_TYPES: &[&str] = &["JWT", "at+jwt", "application/at+jwt"];

/// A well-formed signed token. Nothing in it is true until its signature is verified.
pub(crate) struct Token<'a> {
    /// What the signature covers.
    pub(crate) signed: &'a [u8],
    pub(crate) signature: Vec<u8>,
    pub(crate) algorithm: SigningAlgorithm,
    pub(crate) kid: String,
    /// The payload, decoded.
    pub(crate) payload: Vec<u8>,
}

/// Reads the form and the header of a token.
///
/// # Errors
/// `UnsupportedToken` for kinds that are never accepted, `BadSignature` for algorithms that
/// are none of ours, otherwise `MalformedCredential`.
pub(crate) fn parse(token: &[u8]) -> Result<Token<'_>, Refusal> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Refusal::malformed("The token is longer than 16 KiB."));
    }
    let [header, payload, signature] = parts(token)?;
    let decode = |part: &[u8]| URL_SAFE_NO_PAD.decode(part).map_err(|_| MALFORMED);
    let mut members = strict_object(&decode(header)?).ok_or(MALFORMED)?;
    check_header(&members)?;
    if payload.is_empty() {
        return Err(Refusal::unsupported("The token's payload is detached."));
    }
    let payload_bytes = decode(payload)?;
    let signature = decode(signature)?;
    let algorithm = members
        .get("alg")
        .and_then(Value::as_str)
        .ok_or(MALFORMED)
        .and_then(|name| {
            SigningAlgorithm::parse(name).ok_or(Refusal::from(DenialCode::BadSignature))
        })?;
    let kid = match members.remove("kid") {
        Some(Value::String(kid)) if kid.len() <= MAX_KID_BYTES => kid,
        _ => {
            return Err(Refusal::malformed(
                "The token does not name its key (`kid`).",
            ));
        }
    };
    let signed = header.len() + 1 + payload.len();
    Ok(Token {
        signed: token.get(..signed).ok_or(MALFORMED)?,
        signature,
        algorithm,
        kid,
        payload: payload_bytes,
    })
}

fn parts(token: &[u8]) -> Result<[&[u8]; 3], Refusal> {
    let mut parts = token.split(|byte| *byte == b'.');
    let mut next = || parts.next();
    match (next(), next(), next(), next(), next(), next()) {
        (Some(header), Some(payload), Some(signature), None, ..)
            if !header.is_empty() && !signature.is_empty() =>
        {
            Ok([header, payload, signature])
        }
        // RFC 7516, section 7.1. With some algorithms the second part is empty.
        (Some(header), _, _, _, Some(_), None) if !header.is_empty() => {
            Err(Refusal::unsupported("The token is encrypted."))
        }
        _ => Err(MALFORMED),
    }
}

fn check_header(header: &Map<String, Value>) -> Result<(), Refusal> {
    let refused = REFUSED_HEADERS
        .iter()
        .find(|(name, _)| header.contains_key(*name));
    if let Some((_, sentence)) = refused {
        return Err(Refusal::unsupported(sentence));
    }
    let texts = TEXT_HEADERS.iter().filter_map(|name| header.get(*name));
    if !texts.into_iter().all(Value::is_string) {
        return Err(MALFORMED);
    }
    let text = |name: &str| header.get(name).and_then(Value::as_str);
    if text("typ").is_some_and(|typ| !is_any(typ, ACCESS_TOKEN_TYPES)) {
        return Err(Refusal::unsupported(
            "The token's `typ` is not that of an access token.",
        ));
    }
    // RFC 7519, section 5.2.
    if text("cty").is_some_and(|cty| is_any(cty, &["JWT", "application/jwt"])) {
        return Err(Refusal::unsupported("The token has another token in it."));
    }
    Ok(())
}

/// Media types count in any case.
fn is_any(text: &str, known: &[&str]) -> bool {
    known.iter().any(|known| text.eq_ignore_ascii_case(known))
}
