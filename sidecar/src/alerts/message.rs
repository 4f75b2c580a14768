//! What is posted of an alert.

use jiff::Timestamp;
use sekisho_domain::UnixMillis;
use serde::Serialize;

use super::alert::{RuleName, Severity, Subject};
use crate::report::Language;
use crate::store::alerts::StoredAlert;

/// The type of every such message.
pub const TYPE: &str = "alert.raised";

#[derive(Serialize)]
struct Message<'a> {
    r#type: &'static str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    id: &'a str,
    rule: RuleName,
    severity: Severity,
    subject: &'a Subject,
    #[serde(skip_serializing_if = "Option::is_none")]
    department: Option<&'a str>,
    at: String,
    window_start: String,
    window_end: String,
    count: u64,
    against: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_id: Option<String>,
    text: Texts,
}

#[derive(Serialize)]
struct Texts {
    en: String,
    ja: String,
}

/// The message as JSON: the same at each try.
///
/// # Errors
/// None that an alert can cause.
pub fn body(stored: &StoredAlert) -> Result<Vec<u8>, serde_json::Error> {
    let alert = &stored.alert;
    serde_json::to_vec(&Message {
        r#type: TYPE,
        timestamp: shown(alert.at),
        data: Data {
            id: &stored.id,
            rule: alert.rule,
            severity: alert.severity,
            subject: &alert.subject,
            department: alert.department.as_deref(),
            at: shown(alert.at),
            window_start: shown(alert.window.start),
            window_end: shown(alert.window.end),
            count: alert.count,
            against: alert.against,
            detail: alert.detail.as_deref(),
            record_id: alert.record.map(|id| id.to_string()),
            text: Texts {
                en: alert.sentence(Language::English),
                ja: alert.sentence(Language::Japanese),
            },
        },
    })
}

/// RFC 3339 in UTC.
pub(super) fn shown(moment: UnixMillis) -> String {
    let millis = i64::try_from(moment.0).unwrap_or(i64::MAX);
    let timestamp = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    timestamp.to_string()
}
