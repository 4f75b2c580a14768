//! The audit record, as it is stored: one JSON object, whose bytes are a leaf of the
//! log's tree.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::kept::{Cut, Sealed};
use crate::policy::Contents;
use crate::{Denial, DenialCode, Micros, RecordId, Stage, UnixMillis, Usage, UsageSource};

/// The version of this schema, in every record.
pub const SCHEMA: &str = "sekisho.audit.v1";

/// Which moment of a call a record tells, or that it tells of something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// The call was admitted and may go upstream.
    Admit,
    /// The call has ended.
    Complete,
    /// The call was refused.
    Refuse,
    /// Something happened that is no call. Only the sidecar writes such records.
    Event,
    /// What was kept of a call's bodies is stored, encrypted. Only the sidecar writes such
    /// records.
    Contents,
}

impl RecordKind {
    /// The name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Complete => "complete",
            Self::Refuse => "refuse",
            Self::Event => "event",
            Self::Contents => "contents",
        }
    }
}

/// How an admitted call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The provider's answer was passed on whole.
    Answered,
    /// The client or the provider broke off.
    Aborted,
    /// Nobody knows: the gateway fell silent. Charged at its worst case.
    Unknown,
}

impl Outcome {
    /// The name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Aborted => "aborted",
            Self::Unknown => "unknown",
        }
    }
}

/// One record. Absent members are unknown or do not apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord<'a> {
    /// Always [`SCHEMA`].
    #[serde(borrow)]
    pub schema: Cow<'a, str>,
    /// Which moment.
    pub kind: RecordKind,
    /// The call.
    pub record_id: RecordId,
    /// When this moment was, by the gateway's clock.
    pub at: UnixMillis,
    /// Who called.
    #[serde(default, skip_serializing_if = "Caller::is_unknown")]
    pub caller: Caller<'a>,
    /// What was called.
    #[serde(default)]
    pub call: Call<'a>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denial: Option<DenialCode>,
    /// Which decision refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// More about the refusal, in the proxy's words; or why the gateway ended a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Cow<'a, str>>,
    /// HTTP status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What it used; in an admit, the worst case that was reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Where `usage` comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_source: Option<UsageSource>,
    /// What it cost; in an admit, at worst.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micros: Option<Micros>,
    /// The price that was applied: first day of its validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_from: Option<Cow<'a, str>>,
    /// Size of the request's body as the client sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_bytes: Option<u64>,
    /// Size of the answer's body as the provider sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_bytes: Option<u64>,
    /// SHA-256 of the request's body as the client sent it, hexadecimal, where the policy wants it
    /// and all of it has been seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_sha256: Option<Cow<'a, str>>,
    /// SHA-256 of the answer's body as the provider sent it, as far as it came, hexadecimal, where
    /// the policy wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_sha256: Option<Cow<'a, str>>,
    /// Milliseconds from arrival to this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_millis: Option<u64>,
    /// Milliseconds from arrival until the call was let go upstream; of completions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admitted_millis: Option<u64>,
    /// Milliseconds from arrival until the answer's headers came; of completions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_millis: Option<u64>,
    /// Upstream that gave the answer, where the call went to a pool of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<Cow<'a, str>>,
    /// How many upstreams of the pool were asked. What those that failed have done is not
    /// charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// What was kept of the bodies, where that is more than their digests: `redacted` or `full`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contents: Option<Contents>,
    /// Bytes that were kept of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_kept: Option<u64>,
    /// Why that is not all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_cut: Option<Cut>,
    /// Bytes that were kept of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_kept: Option<u64>,
    /// Why that is not all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_cut: Option<Cut>,
    /// How it was stored; of `contents` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Box<Sealed>>,
    /// What happened; of events alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Box<Event<'a>>>,
}

/// Who called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller<'a> {
    /// Directory tenant of the token.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Cow<'a, str>>,
    /// Object id of the person or application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_id: Option<Cow<'a, str>>,
    /// The company's id of the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Cow<'a, str>>,
    /// Who pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<Cow<'a, str>>,
    /// The client application of the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<Cow<'a, str>>,
    /// The subscription key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Cow<'a, str>>,
    /// Source address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Cow<'a, str>>,
}

impl Caller<'_> {
    /// Whether nothing is known of the caller.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// What was called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call<'a> {
    /// HTTP method.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Cow<'a, str>>,
    /// Path without its query (a query may carry secrets), at most 512 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Cow<'a, str>>,
    /// API of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<Cow<'a, str>>,
    /// Operation of the provider's catalogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Cow<'a, str>>,
    /// Model that was asked for, by the name under which the policy offers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Cow<'a, str>>,
    /// The name that the client wrote, where it is another than `model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_model: Option<Cow<'a, str>>,
    /// The name by which the upstream was asked, where it is another than `model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_model: Option<Cow<'a, str>>,
    /// Upstream that was chosen, or pool: `a*3+b>c` is `a` and `b`, 3 to 1, and after them `c`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Cow<'a, str>>,
    /// Whether the answer was asked for as a stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Envoy's `x-request-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Cow<'a, str>>,
    /// The trace that the call is a part of (W3C Trace Context): 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Cow<'a, str>>,
}

impl<'a> AuditRecord<'a> {
    /// A record that says nothing yet but which call and when.
    #[must_use]
    pub fn new(kind: RecordKind, record_id: RecordId, at: UnixMillis) -> Self {
        Self {
            schema: Cow::Borrowed(SCHEMA),
            kind,
            record_id,
            at,
            caller: Caller::default(),
            call: Call::default(),
            denial: None,
            stage: None,
            detail: None,
            status: None,
            outcome: None,
            usage: None,
            usage_source: None,
            cost_micros: None,
            price_from: None,
            request_bytes: None,
            response_bytes: None,
            request_sha256: None,
            response_sha256: None,
            duration_millis: None,
            admitted_millis: None,
            first_byte_millis: None,
            answered_by: None,
            attempts: None,
            contents: None,
            request_kept: None,
            request_cut: None,
            response_kept: None,
            response_cut: None,
            sealed: None,
            event: None,
        }
    }

    /// Notes why and by whom the call was refused.
    #[must_use]
    pub fn refused(mut self, denial: &Denial) -> Self {
        self.denial = Some(denial.code);
        self.stage = Some(denial.code.stage());
        self.status = Some(denial.code.status());
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::EventOutcome;

    /// A record with every member.
    fn full() -> AuditRecord<'static> {
        let some = || Some(Cow::Borrowed("x"));
        AuditRecord {
            caller: Caller {
                tenant: some(),
                object_id: some(),
                user: some(),
                department: some(),
                application: some(),
                key: some(),
                address: some(),
            },
            call: Call {
                method: some(),
                path: some(),
                api: some(),
                operation: some(),
                model: some(),
                asked_model: some(),
                sent_model: some(),
                upstream: some(),
                stream: Some(true),
                request_id: some(),
                trace_id: some(),
            },
            schema: Cow::Borrowed(SCHEMA),
            kind: RecordKind::Complete,
            record_id: RecordId([1; 16]),
            at: UnixMillis(1),
            denial: Some(DenialCode::MissingScope),
            stage: Some(Stage::Scope),
            detail: some(),
            status: Some(200),
            outcome: Some(Outcome::Answered),
            usage: Some(Usage::default()),
            usage_source: Some(UsageSource::Reported),
            cost_micros: Some(Micros(1)),
            price_from: some(),
            request_bytes: Some(1),
            response_bytes: Some(1),
            request_sha256: some(),
            response_sha256: some(),
            duration_millis: Some(1),
            admitted_millis: Some(1),
            first_byte_millis: Some(1),
            answered_by: some(),
            attempts: Some(1),
            contents: Some(Contents::Full),
            request_kept: Some(1),
            request_cut: Some(Cut::Limit),
            response_kept: Some(1),
            response_cut: Some(Cut::Limit),
            sealed: Some(Box::default()),
            event: Some(Box::new(Event {
                source: Cow::Borrowed("x"),
                name: Cow::Borrowed("x"),
                target: None,
                occurred_at: None,
                before: None,
                after: None,
                outcome: EventOutcome::Success,
                detail: None,
            })),
        }
    }

    #[test]
    fn every_member_is_in_the_table_and_nothing_else() {
        let record = serde_json::to_value(full()).unwrap();
        let mut members = BTreeSet::new();
        for (name, value) in record.as_object().unwrap() {
            match (name.as_str(), value) {
                ("caller" | "call", Value::Object(inside)) => {
                    members.extend(inside.keys().map(|inner| format!("{name}.{inner}")));
                }
                _ => {
                    members.insert(name.clone());
                }
            }
        }
        let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/record.md"));
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
        let named: BTreeSet<String> = rows
            .filter_map(|row| row.split('`').next().map(str::to_owned))
            .collect();
        assert_eq!(named, members, "docs/record.md has other members");
    }
}
