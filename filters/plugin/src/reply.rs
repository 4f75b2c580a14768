//! Refusals as HTTP answers.

use sekisho_domain::{Denial, DenialCode, Provider, RecordId};

use crate::limits::Header;

/// Tells the caller which refusal it was, in a form that programs can read.
const DENIAL_HEADER: &str = "x-sekisho-denial";
/// The call's record, for asking an auditor about it.
pub(crate) const RECORD_HEADER: &str = "x-sekisho-record";

/// Answers the stream of the effective context.
pub(crate) fn send(
    denial: &Denial,
    provider: Option<Provider>,
    record_id: &RecordId,
    more: &[Header],
) {
    let error = sekisho_providers::error_body(provider, denial, record_id);
    let record = record_id.to_string();
    let mut headers: Vec<(&str, &str)> = vec![
        ("content-type", error.content_type),
        (DENIAL_HEADER, denial.code.as_str()),
        (RECORD_HEADER, &record),
    ];
    headers.extend(
        error
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_ref())),
    );
    headers.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
    let retry_after = denial
        .retry_after_millis
        .map(|millis| millis.div_ceil(1000).max(1).to_string());
    if let Some(seconds) = &retry_after {
        headers.push(("retry-after", seconds));
    }
    let challenge = challenge(denial);
    if let Some(challenge) = &challenge {
        headers.push(("www-authenticate", challenge));
    }
    let status = u32::from(denial.code.status());
    if sekisho_hostcalls::reply(status, &headers, &error.body).is_err() {
        log::error!("a refusal could not be sent");
    }
}

/// The challenge of a 401 (RFC 6750, section 3). With a claims request it is the one that
/// Microsoft's libraries answer by asking Entra ID for such a token: parameters parted by
/// comma and space, all quoted.
fn challenge(denial: &Denial) -> Option<String> {
    if denial.code.status() != 401 {
        return None;
    }
    let error = match (denial.code, &denial.claims) {
        (DenialCode::MissingCredential, _) => "",
        (_, Some(_)) => ", error=\"insufficient_claims\"",
        // RFC 9470, section 3.
        (DenialCode::MfaRequired, None) => ", error=\"insufficient_user_authentication\"",
        _ => ", error=\"invalid_token\"",
    };
    let claims = denial.claims.as_ref();
    let claims = claims.map_or_else(String::new, |claims| format!(", claims=\"{claims}\""));
    Some(format!("Bearer realm=\"sekisho\"{error}{claims}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_401_challenges_and_each_says_what_is_wrong() {
        for (code, challenge_is) in [
            (
                DenialCode::MissingCredential,
                Some("Bearer realm=\"sekisho\""),
            ),
            (
                DenialCode::ExpiredToken,
                Some("Bearer realm=\"sekisho\", error=\"invalid_token\""),
            ),
            (
                DenialCode::MfaRequired,
                Some("Bearer realm=\"sekisho\", error=\"insufficient_user_authentication\""),
            ),
            (DenialCode::MissingScope, None),
        ] {
            assert_eq!(challenge(&code.into()).as_deref(), challenge_is, "{code:?}");
        }
    }

    #[test]
    fn a_claims_request_goes_along() {
        let denial = Denial::new(DenialCode::MfaRequired).asking_for(Some("e30=".into()));
        assert_eq!(
            challenge(&denial).unwrap(),
            "Bearer realm=\"sekisho\", error=\"insufficient_claims\", claims=\"e30=\""
        );
    }
}
