//! Refusals as HTTP answers.

use proxy_wasm::hostcalls;
use sekisho_domain::{Denial, DenialCode, Provider, RecordId};

/// Tells the caller which refusal it was, in a form that programs can read.
const DENIAL_HEADER: &str = "x-sekisho-denial";
/// The call's record, for asking an auditor about it.
pub(crate) const RECORD_HEADER: &str = "x-sekisho-record";

/// Answers the stream of the effective context.
pub(crate) fn send(
    denial: &Denial,
    provider: Option<Provider>,
    record_id: &RecordId,
    more: &[(&'static str, String)],
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
    if denial.code.status() == 401 {
        let challenge = match denial.code {
            DenialCode::MissingCredential => "Bearer realm=\"sekisho\"",
            _ => "Bearer realm=\"sekisho\", error=\"invalid_token\"",
        };
        headers.push(("www-authenticate", challenge));
    }
    let status = u32::from(denial.code.status());
    if hostcalls::send_http_response(status, headers, Some(&error.body)).is_err() {
        log::error!("a refusal could not be sent");
    }
}
