//! Where clients put their credential.

use sekisho_domain::DenialCode;

use crate::key::KEY_PREFIX;

/// What a client shows, as it stands in the request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// A signed token.
    Bearer(&'a [u8]),
    /// A subscription key.
    Key(&'a [u8]),
}

/// Names the kind only: the value is a secret.
impl std::fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(..)",
            Self::Key(_) => "Key(..)",
        })
    }
}

/// Every header, in lower case, in which a client may have put something that proves who
/// it is. None of them may reach a provider.
pub const CREDENTIAL_HEADERS: &[&str] = &[
    "authorization",
    "api-key",
    "ocp-apim-subscription-key",
    "x-api-key",
    "x-goog-api-key",
    "cookie",
    "proxy-authorization",
    "x-amz-security-token",
    "x-goog-iam-authorization-token",
];

/// Finds the one credential among a request's headers: lower-case names, raw values.
///
/// It stands in `authorization` after `Bearer` (RFC 6750, section 2.1; the scheme in any
/// case, RFC 9110, section 11.1), or in `api-key`, `ocp-apim-subscription-key`,
/// `x-api-key` or `x-goog-api-key`. Some SDKs can send their credential in a key header
/// only, so a token is taken there, too; and others in `authorization` only, so a key is
/// taken there. The Azure SDK sends the same value in both: that is one credential.
///
/// Whether a bearer token is one word is not looked at yet: tokens are long, every call brings
/// one, and for one that was verified before it is known.
///
/// # Errors
/// `MissingCredential` if there is none; `MalformedCredential` for two different ones, another
/// authorization scheme, or a key that has anything but one word in it.
pub fn find_credential<'a>(
    headers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<Credential<'a>, DenialCode> {
    let mut found: Option<Credential<'a>> = None;
    for (name, value) in headers {
        let credential = match name {
            b"authorization" => Some(in_authorization(value.trim_ascii())?),
            b"api-key" | b"x-api-key" | b"x-goog-api-key" => {
                in_key_header(value.trim_ascii(), true)?
            }
            b"ocp-apim-subscription-key" => in_key_header(value.trim_ascii(), false)?,
            _ => continue,
        };
        match (found, credential) {
            (None, _) => found = credential,
            (Some(first), Some(second)) if first != second => {
                return Err(DenialCode::MalformedCredential);
            }
            (Some(_), _) => {}
        }
    }
    found.ok_or(DenialCode::MissingCredential)
}

fn in_authorization(value: &[u8]) -> Result<Credential<'_>, DenialCode> {
    let (scheme, rest) = value
        .iter()
        .position(|byte| *byte == b' ')
        .and_then(|space| value.split_at_checked(space))
        .ok_or(DenialCode::MalformedCredential)?;
    let token = rest.trim_ascii_start();
    if !scheme.eq_ignore_ascii_case(b"bearer") || token.is_empty() {
        return Err(DenialCode::MalformedCredential);
    }
    if !token.starts_with(KEY_PREFIX.as_bytes()) {
        Ok(Credential::Bearer(token))
    } else if is_one_word(token) {
        Ok(Credential::Key(token))
    } else {
        Err(DenialCode::MalformedCredential)
    }
}

/// An empty key header is what an SDK sends whose key was left empty: nothing.
fn in_key_header(value: &[u8], or_token: bool) -> Result<Option<Credential<'_>>, DenialCode> {
    if value.is_empty() {
        return Ok(None);
    }
    if !is_one_word(value) {
        return Err(DenialCode::MalformedCredential);
    }
    Ok(Some(if or_token && looks_like_token(value) {
        Credential::Bearer(value)
    } else {
        Credential::Key(value)
    }))
}

/// `token68` (RFC 9110, section 11.2).
pub(crate) fn is_one_word(value: &[u8]) -> bool {
    let odd = |byte: &u8| !TOKEN68.get(usize::from(*byte)).copied().unwrap_or(false);
    !value.is_empty() && !value.iter().any(odd)
}

/// The bytes of `token68`, as a table: tokens are long.
static TOKEN68: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0u8;
    loop {
        let listed = matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
        if let Some(entry) = table
            .as_mut_slice()
            .split_at_mut(byte as usize)
            .1
            .first_mut()
        {
            *entry = listed || byte.is_ascii_alphanumeric();
        }
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    table
};

fn looks_like_token(value: &[u8]) -> bool {
    let mut parts = 0usize;
    for part in value.split(|byte| *byte == b'.') {
        if part.is_empty() {
            return false;
        }
        parts += 1;
    }
    parts == 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(
        headers: &'static [(&'static str, &'static str)],
    ) -> Result<Credential<'static>, &'static str> {
        find_credential(
            headers
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_bytes())),
        )
        .map_err(DenialCode::as_str)
    }

    const MALFORMED: Result<Credential<'static>, &str> = Err("malformed_credential");

    #[test]
    fn a_bearer_token_is_found_whatever_the_case_of_its_scheme() {
        for value in [
            "Bearer a.b.c",
            "bearer a.b.c",
            "BEARER   a.b.c",
            " Bearer a.b.c\t",
        ] {
            let headers = [
                (&b"host"[..], &b"x"[..]),
                (b"authorization", value.as_bytes()),
            ];
            assert_eq!(
                find_credential(headers.into_iter()),
                Ok(Credential::Bearer(b"a.b.c")),
                "{value}"
            );
        }
    }

    #[test]
    fn a_request_without_credential_has_none() {
        assert_eq!(find(&[]), Err("missing_credential"));
        assert_eq!(
            find(&[("host", "x"), ("cookie", "a=b")]),
            Err("missing_credential")
        );
        assert_eq!(find(&[("api-key", "")]), Err("missing_credential"));
    }

    #[test]
    fn whatever_is_not_one_bearer_token_is_malformed() {
        for value in [
            "",
            "Bearer",
            "Bearer ",
            "Bearera.b.c",
            "Basic dXNlcjpwYXNz",
            "Bearer a.b.c d.e.f",
            "Bearer a.b.c,d.e.f",
            "Bearer a.b.c, Bearer d.e.f",
            "Bearer \"a.b.c\"",
            "Bearer a.b\u{0}.c",
            "Bearer a.\r\nb.c",
            "Bearer a.b.ü",
            "AWS4-HMAC-SHA256 Credential=AKIA/20250101/us-east-1/bedrock/aws4_request",
            "Bearer\ta.b.c",
        ] {
            let headers = [(&b"authorization"[..], value.as_bytes())];
            let found = find_credential(headers.into_iter());
            let is_word = |found| matches!(found, Credential::Bearer(token) if is_one_word(token));
            assert_ne!(found.map(is_word), Ok(true), "{value:?}");
            assert_ne!(found, Err(DenialCode::MissingCredential), "{value:?}");
        }
    }

    #[test]
    fn every_key_header_takes_a_key() {
        for name in [
            "api-key",
            "ocp-apim-subscription-key",
            "x-api-key",
            "x-goog-api-key",
        ] {
            let headers = [(name.as_bytes(), &b"sk-sekisho-x"[..])];
            assert_eq!(
                find_credential(headers.into_iter()),
                Ok(Credential::Key(b"sk-sekisho-x")),
                "{name}"
            );
        }
        assert_eq!(
            find(&[("authorization", "Bearer sk-sekisho-x")]),
            Ok(Credential::Key(b"sk-sekisho-x"))
        );
    }

    #[test]
    fn a_token_in_a_key_header_is_a_token() {
        for name in ["api-key", "x-api-key", "x-goog-api-key"] {
            let headers = [(name.as_bytes(), &b"aa.bb.cc"[..])];
            assert_eq!(
                find_credential(headers.into_iter()),
                Ok(Credential::Bearer(b"aa.bb.cc")),
                "{name}"
            );
        }
        assert_eq!(
            find(&[("ocp-apim-subscription-key", "aa.bb.cc")]),
            Ok(Credential::Key(b"aa.bb.cc"))
        );
        assert_eq!(
            find(&[("api-key", "aa..cc")]),
            Ok(Credential::Key(b"aa..cc"))
        );
        assert_eq!(find(&[("api-key", "a b")]), MALFORMED);
    }

    #[test]
    fn the_same_credential_twice_is_one() {
        assert_eq!(
            find(&[
                ("api-key", "sk-sekisho-x"),
                ("authorization", "Bearer sk-sekisho-x")
            ]),
            Ok(Credential::Key(b"sk-sekisho-x"))
        );
        assert_eq!(
            find(&[("authorization", "Bearer a.b.c"), ("api-key", "a.b.c")]),
            Ok(Credential::Bearer(b"a.b.c"))
        );
    }

    #[test]
    fn two_different_credentials_are_malformed() {
        assert_eq!(
            find(&[
                ("authorization", "Bearer a.b.c"),
                ("api-key", "sk-sekisho-x")
            ]),
            MALFORMED
        );
        assert_eq!(
            find(&[
                ("authorization", "Bearer a.b.c"),
                ("authorization", "Bearer a.b.d")
            ]),
            MALFORMED
        );
        assert_eq!(
            find(&[("api-key", "sk-sekisho-x"), ("x-api-key", "sk-sekisho-y")]),
            MALFORMED
        );
        assert_eq!(
            find(&[("api-key", "sk-sekisho-x"), ("authorization", "Basic eDp5")]),
            MALFORMED
        );
    }

    #[test]
    fn a_credential_never_shows_in_debug_output() {
        assert_eq!(format!("{:?}", Credential::Bearer(b"a.b.c")), "Bearer(..)");
    }
}
