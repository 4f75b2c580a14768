//! A record as a row: plain columns, so that questions need no parsing. `docs/siem.md` has the
//! table. Pure.

use jiff::Timestamp;
use sekisho_domain::{AuditRecord, RecordKind};
use serde::Serialize;

use crate::siem::Entry;
use crate::siem::ocsf::{Context, Result};

/// The columns, in the order in which `docs/siem.md` has them.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Row<'a> {
    time_generated: String,
    log_name: &'a str,
    sequence: u64,
    record_id: Option<String>,
    kind: Option<&'a str>,
    result: Option<&'a str>,
    denial: Option<&'a str>,
    stage: Option<&'a str>,
    detail: Option<&'a str>,
    status: Option<u16>,
    tenant: Option<&'a str>,
    object_id: Option<&'a str>,
    user: Option<&'a str>,
    department: Option<&'a str>,
    application: Option<&'a str>,
    key: Option<&'a str>,
    client_address: Option<&'a str>,
    method: Option<&'a str>,
    path: Option<&'a str>,
    api: Option<&'a str>,
    operation: Option<&'a str>,
    model: Option<&'a str>,
    upstream: Option<&'a str>,
    request_id: Option<&'a str>,
    event: Option<&'a str>,
    source: Option<&'a str>,
    target: Option<&'a str>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cost_micros: Option<u64>,
    price_from: Option<&'a str>,
    request_bytes: Option<u64>,
    response_bytes: Option<u64>,
    duration_millis: Option<u64>,
    asked_model: Option<&'a str>,
    sent_model: Option<&'a str>,
    trace_id: Option<&'a str>,
    admitted_millis: Option<u64>,
    first_byte_millis: Option<u64>,
    request_sha256: Option<&'a str>,
    response_sha256: Option<&'a str>,
}

/// The row of an entry.
pub(super) fn json(entry: &Entry, context: &Context) -> Vec<u8> {
    let record = serde_json::from_slice::<AuditRecord<'_>>(&entry.body).ok();
    let row = match &record {
        Some(record) => row(record, entry, context),
        None => Row {
            time_generated: Timestamp::UNIX_EPOCH.to_string(),
            log_name: &context.log,
            sequence: entry.seq,
            result: Some("unreadable"),
            ..Row::default()
        },
    };
    serde_json::to_vec(&row).unwrap_or_default()
}

fn row<'a>(record: &'a AuditRecord<'_>, entry: &Entry, context: &'a Context) -> Row<'a> {
    let millis = i64::try_from(record.at.0).unwrap_or(i64::MAX);
    let at = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    let (caller, call) = (&record.caller, &record.call);
    let event = record.event.as_deref();
    let used = record.usage.filter(|_| record.kind == RecordKind::Complete);
    Row {
        time_generated: at.to_string(),
        log_name: &context.log,
        sequence: entry.seq,
        record_id: Some(record.record_id.to_string()),
        kind: Some(record.kind.as_str()),
        result: Some(Result::of(record).as_str()),
        denial: record.denial.map(|code| code.as_str()),
        stage: record.stage.map(|stage| stage.as_str()),
        detail: event
            .and_then(|event| event.detail.as_deref())
            .or(record.detail.as_deref()),
        status: record.status,
        tenant: caller.tenant.as_deref(),
        object_id: caller.object_id.as_deref(),
        user: caller.user.as_deref(),
        department: caller.department.as_deref(),
        application: caller.application.as_deref(),
        key: caller.key.as_deref(),
        client_address: caller.address.as_deref(),
        method: call.method.as_deref(),
        path: call.path.as_deref(),
        api: call.api.as_deref(),
        operation: call.operation.as_deref(),
        model: call.model.as_deref(),
        upstream: call.upstream.as_deref(),
        request_id: call.request_id.as_deref(),
        event: event.map(|event| event.name.as_ref()),
        source: event.map(|event| event.source.as_ref()),
        target: event.and_then(|event| event.target.as_deref()),
        input_tokens: used.map(|usage| usage.input.0),
        output_tokens: used.map(|usage| usage.output.0),
        cost_micros: entry.cost_micros,
        price_from: record.price_from.as_deref(),
        request_bytes: record.request_bytes,
        response_bytes: record.response_bytes,
        duration_millis: record.duration_millis,
        asked_model: call.asked_model.as_deref(),
        sent_model: call.sent_model.as_deref(),
        trace_id: call.trace_id.as_deref(),
        admitted_millis: record.admitted_millis,
        first_byte_millis: record.first_byte_millis,
        request_sha256: record.request_sha256.as_deref(),
        response_sha256: record.response_sha256.as_deref(),
    }
}
