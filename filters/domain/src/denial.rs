//! Refusals. Codes are public interface: stable, `snake_case`, listed in `docs/denials.md`.

use serde::{Deserialize, Serialize};

use crate::UnixMillis;

/// Which decision refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Reading the request.
    Request,
    /// Who is calling and may they.
    Scope,
    /// Does the budget allow it.
    Quota,
    /// Where to.
    Upstream,
    /// Is it on record.
    Audit,
    /// The proxy's own, around the decisions.
    Proxy,
}

impl Stage {
    /// The name in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Scope => "scope",
            Self::Quota => "quota",
            Self::Upstream => "upstream",
            Self::Audit => "audit",
            Self::Proxy => "proxy",
        }
    }
}

macro_rules! denials {
    ($($code:ident $text:literal $status:literal $stage:ident $meaning:literal $remedy:literal;)*) => {
        /// Why a request was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum DenialCode {
            $(#[doc = $meaning] #[serde(rename = $text)] $code,)*
        }

        impl DenialCode {
            /// Every code, in the order of `docs/denials.md`.
            pub const EVERY: &[Self] = &[$(Self::$code),*];

            /// The public code.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => $text,)* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$code => $status,)* }
            }

            /// The decision that gives it.
            #[must_use]
            pub const fn stage(self) -> Stage {
                match self { $(Self::$code => Stage::$stage,)* }
            }

            /// What it means, one sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$code => $meaning,)* }
            }

            /// What the caller or administrator can do, one sentence.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$code => $remedy,)* }
            }
        }
    };
}

denials! {
    UnknownEndpoint "unknown_endpoint" 404 Request
        "No API of the policy has this method and path."
        "Check the path, or add the operation to an API of the policy.";
    AmbiguousPath "ambiguous_path" 400 Request
        "The path has an encoded slash, backslash, NUL, double encoding or parameter where none may be."
        "Send the path in its plain form.";
    UnexpectedQuery "unexpected_query" 400 Request
        "The query has a parameter that this operation does not take, has one twice, or has an odd value."
        "Send only the parameters of the API's documentation; credentials stand in headers.";
    UnsupportedContent "unsupported_content" 415 Request
        "The body is compressed, or its content type is not what the operation takes: `application/json` in UTF-8, or `multipart/form-data` with a plain boundary."
        "Send it uncompressed, with its content type.";
    InvalidBody "invalid_body" 400 Request
        "The body is not one well-formed JSON object or form, or is nested deeper than it may be."
        "Send a JSON object, or a form as browsers and SDKs write it.";
    DuplicateMember "duplicate_member" 400 Request
        "The body names a member twice that the gateway decides by."
        "Name each member once.";
    ForbiddenParameter "forbidden_parameter" 400 Request
        "The body has a member that the API's rules forbid."
        "Leave it out, or have an administrator allow it.";
    RequestOverLimit "request_over_limit" 400 Request
        "The request has more messages or pictures than the API's rules let pass, or asks for more output."
        "Send or ask for less; an administrator sets `apis[].rules`.";
    BodyTooLarge "body_too_large" 413 Request
        "The body is larger than `limits.request_body_bytes`, or than the API's rules let pass."
        "Send less, or raise the limit in the policy.";
    UpgradeRefused "upgrade_refused" 400 Request
        "The operation is a WebSocket and this is no request for one, or not one that can be held to the policy; the message says why."
        "Connect with a WebSocket client over HTTP/1.1, with the credential in a header.";
    SessionOverLimit "session_over_limit" 400 Request
        "A WebSocket session lasted longer or moved more bytes than the API's rules let pass, or asked for too many answers at once."
        "Connect again; an administrator sets `apis[].rules.session_seconds` and `session_bytes`.";
    UnmeteredSession "unmetered_session" 400 Request
        "A WebSocket session said what cannot be held to the policy: another model, a transcription by another model, compressed or binary frames."
        "Leave it out; the record's `detail` says what it was.";
    MissingCredential "missing_credential" 401 Scope
        "The request carries neither a bearer token nor a subscription key."
        "Send `Authorization: Bearer <token>` or a subscription key.";
    MalformedCredential "malformed_credential" 401 Scope
        "The credential is not a signed token or a key of this gateway."
        "Get an access token for this gateway's audience.";
    UnsupportedToken "unsupported_token" 401 Scope
        "The token is of a kind that is never accepted; the message names the kind."
        "Send the access token itself: signed, not encrypted or nested, and not an id token.";
    UnknownIssuer "unknown_issuer" 401 Scope
        "The token's issuer and tenant are not trusted here."
        "Sign in to the company's tenant.";
    UnknownSigningKey "unknown_signing_key" 401 Scope
        "The token names a signing key that its issuer does not publish."
        "Get a new token; right after a key rotation, retry in a moment.";
    BadSignature "bad_signature" 401 Scope
        "The token's signature is wrong, or its algorithm is not allowed."
        "Get a new token.";
    WrongAudience "wrong_audience" 401 Scope
        "The token was issued for another API."
        "Request a token for this gateway's audience.";
    ExpiredToken "expired_token" 401 Scope
        "The token's time is over, or it has no end."
        "Refresh the token.";
    TokenNotYetValid "token_not_yet_valid" 401 Scope
        "The token's time has not begun."
        "Check the clocks.";
    RevokedSession "revoked_session" 401 Scope
        "The token was issued before the person's sessions were revoked."
        "Sign in again.";
    MfaRequired "mfa_required" 401 Scope
        "This call needs multi-factor authentication, which the credential does not show."
        "Sign in again with a second factor; applications and subscription keys cannot make this call.";
    UnknownKey "unknown_key" 401 Scope
        "No such subscription key."
        "Check the key, or have one issued.";
    RevokedKey "revoked_key" 401 Scope
        "The subscription key was revoked."
        "Have a new key issued.";
    ExpiredKey "expired_key" 401 Scope
        "The subscription key's time is over."
        "Have a new key issued.";
    UnknownUser "unknown_user" 403 Scope
        "The directory has no such person."
        "Have the account registered.";
    InactiveUser "inactive_user" 403 Scope
        "The person's account is disabled."
        "Ask an administrator to enable it.";
    NoDepartment "no_department" 403 Scope
        "The caller belongs to no department that the policy knows."
        "Have a department assigned.";
    MissingScope "missing_scope" 403 Scope
        "The caller does not hold the scope that this API needs."
        "Request the scope; the message names it.";
    NotEntitled "not_entitled" 403 Scope
        "The caller's department or title is not entitled to this API."
        "Ask for the entitlement; the message says whose is missing.";
    ApplicationNotAllowed "application_not_allowed" 403 Scope
        "The token was issued to an application that may not call this API."
        "Use an allowed application, or add its client id to `applications` of the API.";
    NetworkNotAllowed "network_not_allowed" 403 Scope
        "The call comes from outside the networks of the API, the department or the key."
        "Call from an allowed network; behind proxies, check `client_address.trusted_hops`.";
    NoPermit "no_permit" 403 Scope
        "No scope decision stands before this filter."
        "Load the scope filter before the others.";
    BudgetExhausted "budget_exhausted" 429 Quota
        "A budget that covers this call is used up or cannot hold its worst case."
        "Wait until the window ends, ask for less output, or have the budget raised.";
    ConcurrencyExhausted "concurrency_exhausted" 429 Quota
        "As many calls are under way as a budget allows at the same time."
        "Wait until one of them has ended, or have the budget raised.";
    UnboundedCost "unbounded_cost" 400 Quota
        "The worst case of this call cannot be bounded, or exceeds what the model may produce."
        "Lower the output limit of the call; an administrator sets `max_output_tokens` and a price, or `rules.response_body_bytes` for a budget of bytes.";
    UnknownModel "unknown_model" 404 Upstream
        "The API does not offer this model."
        "Use a model that the policy lists.";
    RegionNotAllowed "region_not_allowed" 403 Upstream
        "None of the upstreams of this call stands in a region that the department is bound to."
        "Use a model that is offered in an allowed region; an administrator sets `departments[].regions` and `upstreams[].region`.";
    NoUpstream "no_upstream" 503 Upstream
        "No upstream can take this call now."
        "Retry later.";
    RecordUnavailable "record_unavailable" 503 Audit
        "The call could not be put on durable record in time."
        "Retry after the time given; administrators check the sidecar.";
    PolicyUnavailable "policy_unavailable" 503 Audit
        "The gateway has no policy yet."
        "Retry after the time given; administrators check the sidecar.";
    RefusedByProxy "refused_by_proxy" 400 Proxy
        "Envoy refused the request itself: it is not HTTP as it should be, too large, too slow, or a filter has failed."
        "Only records have this code; their `detail` is Envoy's response code detail, their `status` what the client got.";
}

/// A refusal: the code, and what this caller may be told beyond it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Why.
    pub code: DenialCode,
    /// One sentence for the caller. Never holds what the token or body said.
    pub message: String,
    /// When a retry makes sense, milliseconds from now.
    pub retry_after_millis: Option<u64>,
    /// What the client has to ask its identity provider for, as base64 of an OpenID Connect
    /// claims request (OpenID Connect Core 1.0, section 5.5): only for clients that declared
    /// that they can.
    pub claims: Option<String>,
}

impl Denial {
    /// A refusal that says what its code means.
    #[must_use]
    pub fn new(code: DenialCode) -> Self {
        Self {
            code,
            message: code.meaning().to_owned(),
            retry_after_millis: None,
            claims: None,
        }
    }

    /// A refusal with a sentence of its own.
    #[must_use]
    pub fn with(code: DenialCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after_millis: None,
            claims: None,
        }
    }

    /// Says when a retry makes sense.
    #[must_use]
    pub fn retry_after(mut self, millis: u64) -> Self {
        self.retry_after_millis = Some(millis);
        self
    }

    /// Says what to ask the identity provider for: base64 of a claims request.
    #[must_use]
    pub fn asking_for(mut self, claims: Option<String>) -> Self {
        self.claims = claims;
        self
    }

    /// Says that a retry makes sense at `at`.
    #[must_use]
    pub fn retry_at(self, at: UnixMillis, now: UnixMillis) -> Self {
        self.retry_after(at.since(now))
    }
}

impl From<DenialCode> for Denial {
    fn from(code: DenialCode) -> Self {
        Self::new(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of `docs/denials.md`.
    fn table() -> String {
        let mut text = String::from(
            "| code | status | stage | meaning | what to do |\n| --- | --- | --- | --- | --- |\n",
        );
        for code in DenialCode::EVERY {
            let (name, status, stage) = (code.as_str(), code.status(), code.stage().as_str());
            let (meaning, remedy) = (code.meaning(), code.remedy());
            text.push_str(&format!(
                "| `{name}` | {status} | {stage} | {meaning} | {remedy} |\n"
            ));
        }
        text
    }

    /// `SEKISHO_UPDATE=1 cargo test -p sekisho-domain` writes the table anew.
    #[test]
    fn the_documentation_lists_every_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/denials.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (before, _) = text.split_once("| code |").unwrap();
        let fresh = format!("{before}{}", table());
        if std::env::var_os("SEKISHO_UPDATE").is_some() {
            std::fs::write(path, &fresh).unwrap();
        }
        assert!(
            text == fresh,
            "docs/denials.md is stale: run with SEKISHO_UPDATE=1"
        );
    }

    #[test]
    fn codes_are_unique_and_snake_case() {
        let mut seen = std::collections::HashSet::new();
        for code in DenialCode::EVERY {
            assert!(seen.insert(code.as_str()), "{code:?}");
            assert!(
                code.as_str()
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_')
            );
            assert!((400..=599).contains(&code.status()));
        }
    }
}
