//! Records as events of the Open Cybersecurity Schema Framework, version 1.8.0: class 6003
//! (API Activity) of category 6 (Application Activity), with the profiles `security_control`
//! and, where a model was asked, `ai_operation`. `docs/siem.md` has the mapping. Pure.

use std::borrow::Cow;
use std::collections::HashMap;

use sekisho_domain::{AuditRecord, Event, EventOutcome, Outcome, Policy, RecordKind};
use serde_json::{Map, Value, json};

use super::Entry;

/// The version of the schema.
pub const VERSION: &str = "1.8.0";
const CLASS: u64 = 6003;
/// Activity `Other`: a call of a model creates, reads, updates and deletes nothing.
const OTHER: u64 = 99;

/// What events say that no record does.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The name of the log.
    pub log: String,
    /// Providers by API.
    providers: HashMap<String, &'static str>,
}

impl Context {
    /// `log`: the name of the log.
    #[must_use]
    pub fn new(log: &str, policy: &Policy) -> Self {
        let apis = policy.apis.iter();
        Self {
            log: log.to_owned(),
            providers: apis
                .map(|api| (api.id.as_str().to_owned(), api.provider.as_str()))
                .collect(),
        }
    }
}

/// How a record went, in the words of more than one format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Result {
    /// Something that is no call was done.
    Done,
    /// Admitted; nobody knows yet.
    Admitted,
    /// The answer was passed on.
    Answered,
    /// The provider or the client broke off, or the provider refused; or it was not done.
    Failed,
    /// Nobody knows: the gateway fell silent.
    Unknown,
    /// We refused.
    Refused,
}

impl Result {
    pub(super) fn of(record: &AuditRecord<'_>) -> Self {
        if let Some(event) = &record.event {
            return match event.outcome {
                EventOutcome::Success => Self::Done,
                EventOutcome::Failure => Self::Failed,
                EventOutcome::Unknown => Self::Unknown,
            };
        }
        match (record.kind, record.outcome) {
            (RecordKind::Refuse, _) => Self::Refused,
            _ if record.denial.is_some() => Self::Refused,
            (RecordKind::Admit, _) => Self::Admitted,
            (_, Some(Outcome::Unknown)) => Self::Unknown,
            (_, Some(Outcome::Aborted)) => Self::Failed,
            _ if record.status.is_some_and(|status| status >= 400) => Self::Failed,
            _ => Self::Answered,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Admitted => "admitted",
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
        }
    }

    /// `severity_id` and `severity`.
    const fn severity(self) -> (u64, &'static str) {
        match self {
            Self::Done | Self::Admitted | Self::Answered => (1, "Informational"),
            Self::Failed | Self::Refused => (2, "Low"),
            Self::Unknown => (3, "Medium"),
        }
    }

    /// `status_id` and `status`.
    const fn status(self) -> (u64, &'static str) {
        match self {
            Self::Done | Self::Answered => (1, "Success"),
            Self::Failed | Self::Refused => (2, "Failure"),
            Self::Unknown => (0, "Unknown"),
            Self::Admitted => (99, "Admitted"),
        }
    }
}

/// The event of an entry as one line of JSON, without the line break.
#[must_use]
pub fn line(entry: &Entry, context: &Context) -> Vec<u8> {
    let event = match serde_json::from_slice::<AuditRecord<'_>>(&entry.body) {
        Ok(record) => event(&record, entry, context),
        Err(_) => unreadable(entry, context),
    };
    serde_json::to_vec(&event).unwrap_or_default()
}

fn event(record: &AuditRecord<'_>, entry: &Entry, context: &Context) -> Value {
    let result = Result::of(record);
    let refused = result == Result::Refused;
    let (caller, call) = (&record.caller, &record.call);
    let (severity_id, severity) = result.severity();
    let (status_id, status) = result.status();
    let denial = record.denial.map(|code| code.as_str());
    let told = record.event.as_deref();
    let operation = told
        .map(|event| event.name.as_ref())
        .or(call.operation.as_deref())
        .or(call.method.as_deref())
        .unwrap_or("unknown");
    let http_status = record.status;
    let ai = ai_operation(record, context);
    let mut profiles = vec!["security_control"];
    if ai.is_some() {
        profiles.push("ai_operation");
    }
    let (model, messages) = ai.unwrap_or_default();
    let (activity_id, activity) = told.map_or((OTHER, record.kind.as_str()), activity);
    without_nothing(json!({
        "activity_id": activity_id,
        "activity_name": activity,
        "category_uid": 6,
        "category_name": "Application Activity",
        "class_uid": CLASS,
        "class_name": "API Activity",
        "type_uid": CLASS * 100 + activity_id,
        "time": record.at.0,
        "start_time": record.duration_millis.map(|millis| record.at.0.saturating_sub(millis)),
        "duration": record.duration_millis,
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "status_code": denial.map(str::to_owned).or_else(|| http_status.map(|code| code.to_string())),
        "status_detail": told.and_then(|event| event.detail.as_ref()).or(record.detail.as_ref()),
        "action_id": if refused { 2 } else { 1 },
        "action": if refused { "Denied" } else { "Allowed" },
        "disposition_id": if refused { 2 } else { 1 },
        "disposition": if refused { "Blocked" } else { "Allowed" },
        "metadata": metadata(entry, context, &profiles, Some(record)),
        "actor": actor(record),
        "src_endpoint": match &caller.address {
            Some(address) => json!({"ip": address}),
            None => json!({"name": "unknown"}),
        },
        "api": {
            "operation": operation,
            "service": call.api.as_ref().or(told.map(|event| &event.source)).map(|name| json!({"name": name})),
            "request": call.request_id.as_ref().map(|id| json!({"uid": id})),
        },
        "resources": told.and_then(|event| event.target.as_ref()).map(|target| json!([{"name": target}])),
        "http_request": {
            "http_method": call.method,
            "url": call.path.as_ref().map(|path| json!({"path": path})),
            "uid": call.request_id,
            "body_length": record.request_bytes,
        },
        "http_response": http_status.map(|code| json!({
            "code": code,
            "body_length": record.response_bytes,
            "latency": record.duration_millis,
        })),
        "ai_model": model,
        "message_context": messages,
        "unmapped": unmapped(record, entry),
    }))
}

/// What the schema has no place for.
fn unmapped(record: &AuditRecord<'_>, entry: &Entry) -> Value {
    let call = &record.call;
    json!({
        "cost_micros": entry.cost_micros.or(record.cost_micros.map(|cost| cost.0)),
        "price_from": record.price_from,
        "usage": record.usage,
        "usage_source": record.usage_source,
        "outcome": record.outcome,
        "stage": record.stage.map(|stage| stage.as_str()),
        "upstream": call.upstream,
        "answered_by": record.answered_by,
        "attempts": record.attempts,
        "request_sha256": record.request_sha256,
        "response_sha256": record.response_sha256,
        "asked_model": call.asked_model,
        "sent_model": call.sent_model,
        "trace_id": call.trace_id,
        "admitted_millis": record.admitted_millis,
        "first_byte_millis": record.first_byte_millis,
        "stream": call.stream,
        "occurred_at": record.event.as_deref().and_then(|event| event.occurred_at),
    })
}

/// `activity_id` and `activity_name` of something that is no call: whether it made, changed or
/// removed something.
const fn activity(event: &Event<'_>) -> (u64, &'static str) {
    match (event.before.is_some(), event.after.is_some()) {
        (false, true) => (1, "Create"),
        (true, true) => (3, "Update"),
        (true, false) => (4, "Delete"),
        (false, false) => (OTHER, "event"),
    }
}

fn metadata(
    entry: &Entry,
    context: &Context,
    profiles: &[&str],
    record: Option<&AuditRecord<'_>>,
) -> Value {
    let uid = record.map(|record| format!("{}-{}", record.record_id, record.kind.as_str()));
    json!({
        "version": VERSION,
        "product": {
            "name": "Sekisho",
            "vendor_name": "Sekisho",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "profiles": profiles,
        "uid": uid.unwrap_or_else(|| entry.seq.to_string()),
        "correlation_uid": record.map(|record| record.record_id.to_string()),
        "sequence": entry.seq,
        "event_code": record.map(|record| record.kind.as_str()),
        "log_name": context.log,
        "log_version": record.map(|record| record.schema.clone()),
        "tenant_uid": record.and_then(|record| record.caller.tenant.clone()),
    })
}

fn actor(record: &AuditRecord<'_>) -> Value {
    let caller = &record.caller;
    let uid = [&caller.object_id, &caller.user, &caller.key];
    let uid = uid.into_iter().find_map(Option::as_deref);
    let Some(uid) = uid.or(caller.department.as_deref()) else {
        // The schema wants one, and there is none.
        return json!({"app_name": "unknown"});
    };
    json!({
        "user": {
            "uid": uid,
            "uid_alt": caller.user,
            "name": caller.user,
            "credential_uid": caller.key,
            "groups": caller.department.as_ref().map(|department| {
                json!([{"name": department, "type": "department"}])
            }),
        },
        "app_uid": caller.application,
    })
}

/// `ai_model` and `message_context`, where a model was asked.
fn ai_operation(record: &AuditRecord<'_>, context: &Context) -> Option<(Value, Value)> {
    let name = record.call.model.as_deref()?;
    let api = record.call.api.as_deref();
    let provider = api.and_then(|api| context.providers.get(api).copied());
    let model = json!({"name": name, "ai_provider": provider.unwrap_or("unknown")});
    let used = record
        .usage
        .filter(|_| record.kind == RecordKind::Complete)
        .map(|usage| (usage.input.0, usage.output.0, usage.total().0));
    let messages = json!({
        "uid": record.record_id.to_string(),
        "service": {"name": api.map_or(Cow::Borrowed("unknown"), Cow::Borrowed)},
        "prompt_tokens": used.map(|used| used.0),
        "completion_tokens": used.map(|used| used.1),
        "total_tokens": used.map(|used| used.2),
    });
    Some((model, messages))
}

/// What is told of an entry that is no record that this release reads.
fn unreadable(entry: &Entry, context: &Context) -> Value {
    without_nothing(json!({
        "activity_id": 0,
        "category_uid": 6,
        "class_uid": CLASS,
        "type_uid": CLASS * 100,
        "time": 0,
        "severity_id": 3,
        "message": "a record of the log cannot be read: `sekisho audit verify` says more",
        "metadata": metadata(entry, context, &[], None),
        "actor": {"app_name": "unknown"},
        "src_endpoint": {"name": "unknown"},
        "api": {"operation": "unknown"},
    }))
}

/// Without members that say nothing.
fn without_nothing(value: Value) -> Value {
    let Value::Object(members) = value else {
        return value;
    };
    let members = members
        .into_iter()
        .map(|(name, member)| (name, without_nothing(member)))
        .filter(|(_, member)| !is_nothing(member));
    Value::Object(members.collect::<Map<_, _>>())
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
