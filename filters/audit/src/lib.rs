//! The decision what the record says.
//!
//! Three moments of a call are recorded: that it was admitted, that it ended, or that it
//! was refused. No record holds a token, a key, a query string, a prompt or an answer: where the
//! policy keeps bodies, a [`Keeper`] takes them, and they are stored apart.

mod digest;
mod json;
mod keeper;
mod passage;
mod redact;
mod streamed;
mod trace;
mod written;

pub use digest::Digest;
pub use keeper::{Keeper, MOST_PIECE, is_text};
pub use passage::Passage;
pub use redact::{Redaction, Redactor, without_secrets};
pub use streamed::{Framing, Streamed};
pub use trace::trace_id;
pub use written::About;

use std::borrow::Cow;

use sekisho_domain::policy::Contents;
use sekisho_domain::record::{Call, Caller};
use sekisho_domain::{
    AuditRecord, Cut, Denial, Micros, Outcome, RecordKind, UnixMillis, Usage, UsageSource,
};

/// Most bytes of a path that a record keeps.
const MAX_PATH: usize = 512;

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// How.
    pub outcome: Outcome,
    /// HTTP status that the provider gave, if it answered.
    pub status: Option<u16>,
    /// What is charged.
    pub usage: Usage,
    /// Where `usage` comes from.
    pub source: UsageSource,
    /// What it costs.
    pub cost: Micros,
    /// Size of the answer's body.
    pub response_bytes: u64,
    /// SHA-256 of the answer's body, where it is wanted.
    pub response_sha256: Option<String>,
    /// When it was let go upstream.
    pub admitted: Option<UnixMillis>,
    /// When the answer began.
    pub began: Option<UnixMillis>,
    /// Who answered, where that was not settled before.
    pub pooled: Option<Pooled>,
    /// Why the gateway itself ended it.
    pub detail: Option<String>,
    /// What was kept of its bodies.
    pub kept: Option<Kept>,
}

/// What was kept of the bodies of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// In which form.
    pub contents: Contents,
    /// Of the request: bytes, and why not all.
    pub request: (u64, Option<Cut>),
    /// Of the answer.
    pub response: (u64, Option<Cut>),
}

/// Which upstream of a pool has answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pooled {
    /// Its name; none: none has answered, or nobody knows.
    pub upstream: Option<String>,
    /// How many were asked, as far as known.
    pub attempts: Option<u32>,
}

/// The record of a call that may go upstream: with it the worst case that was reserved.
/// `about`: what [`About::new`] makes of the same passage.
#[must_use]
pub fn admit(passage: &Passage, about: &About, now: UnixMillis) -> Vec<u8> {
    let mut record = begun(RecordKind::Admit, passage, now);
    record.usage = Some(passage.worst);
    record.usage_source = Some(UsageSource::Estimated);
    record.cost_micros = Some(passage.worst_cost);
    about.record(&record)
}

/// The record of a call that has ended.
#[must_use]
pub fn complete(passage: &Passage, about: &About, ending: &Ending, now: UnixMillis) -> Vec<u8> {
    let mut record = begun(RecordKind::Complete, passage, now);
    record.outcome = Some(ending.outcome);
    record.status = ending.status;
    record.usage = Some(ending.usage);
    record.usage_source = Some(ending.source);
    record.cost_micros = Some(ending.cost);
    record.response_bytes = Some(ending.response_bytes);
    record.response_sha256 = ending.response_sha256.as_deref().map(Cow::Borrowed);
    let since = |moment: UnixMillis| moment.since(passage.received);
    record.admitted_millis = ending.admitted.map(since);
    record.first_byte_millis = ending.began.map(since);
    record.detail = ending.detail.as_deref().map(Cow::Borrowed);
    if let Some(pooled) = &ending.pooled {
        record.answered_by = pooled.upstream.as_deref().map(Cow::Borrowed);
        record.attempts = pooled.attempts;
    }
    if let Some(kept) = ending.kept {
        record.contents = Some(kept.contents);
        (record.request_kept, record.request_cut) = (Some(kept.request.0), kept.request.1);
        (record.response_kept, record.response_cut) = (Some(kept.response.0), kept.response.1);
    }
    about.record(&record)
}

/// The record of a call that was refused. After an admit it takes that back: the call
/// never went upstream and nothing is charged.
///
/// Nobody has vouched for what a refused client wrote as path or model, so what looks like a
/// secret there is taken out.
#[must_use]
pub fn refuse(passage: &Passage, denial: &Denial, now: UnixMillis) -> Vec<u8> {
    let mut passage = passage.clone();
    for text in [
        &mut passage.path,
        &mut passage.model,
        &mut passage.asked_model,
    ] {
        if let Cow::Owned(clean) = without_secrets(text) {
            *text = clean;
        }
    }
    let record = begun(RecordKind::Refuse, &passage, now).refused(denial);
    About::new(&passage).record(&record)
}

/// A record but for who and what, which [`About`] has.
fn begun(kind: RecordKind, passage: &Passage, now: UnixMillis) -> AuditRecord<'_> {
    AuditRecord {
        price_from: given(&passage.price_from),
        request_bytes: Some(passage.request_bytes),
        request_sha256: given(&passage.request_sha256),
        duration_millis: Some(now.since(passage.received)),
        ..AuditRecord::new(kind, passage.record_id, now)
    }
}

fn caller(passage: &Passage) -> Caller<'_> {
    Caller {
        tenant: given(&passage.tenant),
        object_id: given(&passage.object_id),
        user: given(&passage.user),
        department: given(&passage.department),
        application: given(&passage.application),
        key: given(&passage.key),
        address: given(&passage.address),
    }
}

fn call(passage: &Passage) -> Call<'_> {
    Call {
        method: given(&passage.method),
        path: given(clip(&passage.path)),
        api: given(&passage.api),
        operation: given(&passage.operation),
        model: given(&passage.model),
        asked_model: given(&passage.asked_model),
        sent_model: given(&passage.sent_model),
        upstream: given(&passage.upstream),
        stream: (!passage.operation.is_empty()).then_some(passage.stream),
        request_id: given(&passage.request_id),
        trace_id: given(&passage.trace_id),
    }
}

/// Cuts at a character's border.
fn clip(path: &str) -> &str {
    let mut end = path.len().min(MAX_PATH);
    while !path.is_char_boundary(end) {
        end -= 1;
    }
    path.get(..end).unwrap_or_default()
}

fn given(text: &str) -> Option<Cow<'_, str>> {
    (!text.is_empty()).then_some(Cow::Borrowed(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_domain::{DenialCode, RecordId};

    fn passage() -> Passage {
        Passage {
            record_id: RecordId([1; 16]),
            received: UnixMillis(1_000),
            method: "POST".into(),
            path: "/v1/messages".into(),
            department: "sales".into(),
            ..Passage::default()
        }
    }

    #[test]
    fn a_refusal_says_why_and_by_which_decision() {
        let bytes = refuse(
            &passage(),
            &DenialCode::MissingScope.into(),
            UnixMillis(1_004),
        );
        let record: AuditRecord<'_> = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(record.denial, Some(DenialCode::MissingScope));
        assert_eq!(record.status, Some(403));
        assert_eq!(record.duration_millis, Some(4));
        assert_eq!(record.caller.department.as_deref(), Some("sales"));
        assert_eq!(record.usage, None);
    }

    #[test]
    fn a_refusal_does_not_repeat_secrets_that_stand_where_none_should() {
        let passage = Passage {
            path: "/v1/sk-abcdefghijklmnop/4111111111111111".into(),
            model: "taro@example.co.jp".into(),
            ..passage()
        };
        let bytes = refuse(
            &passage,
            &DenialCode::UnknownEndpoint.into(),
            UnixMillis(1_004),
        );
        let record: AuditRecord<'_> = serde_json::from_slice(&bytes).unwrap();
        let path = record.call.path.unwrap();
        assert_eq!(path, "/v1/[redacted:secret]");
        assert_eq!(record.call.model.unwrap(), "[redacted:email]");
    }

    #[test]
    fn absent_members_are_absent() {
        let bytes = refuse(
            &passage(),
            &DenialCode::UnknownEndpoint.into(),
            UnixMillis(1_004),
        );
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("null") && !text.contains("\"\""), "{text}");
    }

    #[test]
    fn a_long_path_is_cut_at_a_characters_border() {
        let long = format!("{}{}", "a".repeat(MAX_PATH - 1), "関");
        assert_eq!(clip(&long).len(), MAX_PATH - 1);
    }
}
