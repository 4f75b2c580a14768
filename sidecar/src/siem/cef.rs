//! Records in ArcSight's Common Event Format, version 0 ("Implementing ArcSight Common Event
//! Format (CEF)"), each in a message of RFC 5424. `docs/siem.md` has the mapping. Pure.

use std::fmt::Write as _;

use jiff::Timestamp;
use sekisho_domain::{AuditRecord, RecordKind};

use super::Entry;
use super::ocsf::Result;

/// Facility `log audit`.
const FACILITY: u8 = 13;

/// The message of an entry, without a frame around it. `host`: the name of this machine.
pub(super) fn message(entry: &Entry, host: &str) -> String {
    let record = serde_json::from_slice::<AuditRecord<'_>>(&entry.body).ok();
    let result = record.as_ref().map(Result::of);
    // Warning or informational (RFC 5424, section 6.2.1).
    let severity = match result {
        Some(Result::Done | Result::Admitted | Result::Answered) => 6,
        _ => 4,
    };
    let millis = record.as_ref().map_or(0, |record| record.at.0);
    let at = Timestamp::from_millisecond(i64::try_from(millis).unwrap_or(0)).unwrap_or_default();
    let kind = record.as_ref().map_or("-", |record| record.kind.as_str());
    let mut text = format!(
        "<{}>1 {at:.3} {host} sekisho - {kind} - ",
        FACILITY * 8 + severity
    );
    match (&record, result) {
        (Some(record), Some(result)) => write_record(&mut text, record, result, entry),
        _ => write_unreadable(&mut text, entry),
    }
    text
}

fn write_record(text: &mut String, record: &AuditRecord<'_>, result: Result, entry: &Entry) {
    let denial = record.denial.map(|code| code.as_str());
    let event = record.event.as_deref();
    let class = event.map(|event| event.name.as_ref()).or(denial);
    let class = class.unwrap_or(record.kind.as_str());
    let name = match result {
        _ if event.is_some() => "Event",
        Result::Refused => "API call refused",
        Result::Done => "Event",
        Result::Admitted => "API call admitted",
        Result::Answered => "API call answered",
        Result::Failed => "API call failed",
        Result::Unknown => "API call with unknown end",
    };
    let level = match result {
        Result::Done | Result::Admitted | Result::Answered => 1,
        Result::Failed => 3,
        Result::Refused => 5,
        Result::Unknown => 6,
    };
    header(text, class, name, level);
    let (caller, call) = (&record.caller, &record.call);
    let mut line = Extension { text, first: true };
    line.number("rt", Some(record.at.0));
    line.text("cat", Some(record.kind.as_str()));
    line.text("externalId", Some(&record.record_id.to_string()));
    line.number("fileId", Some(entry.seq));
    line.text("outcome", Some(result.as_str()));
    let refused = result == Result::Refused;
    line.text("act", Some(if refused { "denied" } else { "allowed" }));
    line.text("reason", denial);
    let detail = event.and_then(|event| event.detail.as_deref());
    line.text("msg", detail.or(record.detail.as_deref()));
    line.text("src", caller.address.as_deref());
    line.text("suid", caller.object_id.as_deref());
    line.text("suser", caller.user.as_deref());
    line.text("sntdom", caller.tenant.as_deref());
    line.text("sourceServiceName", caller.application.as_deref());
    line.text("requestMethod", call.method.as_deref());
    line.text("request", call.path.as_deref());
    line.text("destinationServiceName", call.upstream.as_deref());
    line.number("in", record.request_bytes);
    line.number("out", record.response_bytes);
    line.labelled("cs1", "department", caller.department.as_deref());
    let source = event.map(|event| event.source.as_ref());
    match event {
        Some(event) => line.labelled("cs4", "target", event.target.as_deref()),
        None => line.labelled("cs4", "model", call.model.as_deref()),
    }
    match source {
        Some(source) => line.labelled("cs2", "source", Some(source)),
        None => line.labelled("cs2", "api", call.api.as_deref()),
    }
    line.labelled("cs3", "operation", call.operation.as_deref());
    line.labelled("cs5", "key", caller.key.as_deref());
    let status = record.status.map(|status| status.to_string());
    line.labelled("flexString1", "traceId", call.trace_id.as_deref());
    line.labelled("cs6", "status", status.as_deref());
    let used = record.usage.filter(|_| record.kind == RecordKind::Complete);
    let number = |figure: Option<u64>| figure.map(|figure| figure.to_string());
    let input = number(used.map(|usage| usage.input.0));
    line.labelled("cn1", "inputTokens", input.as_deref());
    let output = number(used.map(|usage| usage.output.0));
    line.labelled("cn2", "outputTokens", output.as_deref());
    line.labelled("cn3", "costMicros", number(entry.cost_micros).as_deref());
}

fn write_unreadable(text: &mut String, entry: &Entry) {
    header(text, "unreadable", "Record that cannot be read", 6);
    let mut line = Extension { text, first: true };
    line.number("fileId", Some(entry.seq));
}

fn header(text: &mut String, class: &str, name: &str, level: u8) {
    let version = env!("CARGO_PKG_VERSION");
    let class: String = class
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '|' | '\\'))
        .collect();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "CEF:0|Sekisho|Sekisho|{version}|{class}|{name}|{level}|"
    );
}

/// The members after the header.
struct Extension<'t> {
    text: &'t mut String,
    first: bool,
}

impl Extension<'_> {
    fn text(&mut self, key: &str, value: Option<&str>) {
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return;
        };
        if !self.first {
            self.text.push(' ');
        }
        self.first = false;
        self.text.push_str(key);
        self.text.push('=');
        for c in value.chars() {
            match c {
                '\\' | '=' => self.text.extend(['\\', c]),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                c if c.is_control() => self.text.push(' '),
                c => self.text.push(c),
            }
        }
    }

    fn number(&mut self, key: &str, value: Option<u64>) {
        self.text(key, value.map(|value| value.to_string()).as_deref());
    }

    fn labelled(&mut self, key: &str, label: &str, value: Option<&str>) {
        if value.is_some_and(|value| !value.is_empty()) {
            self.text(key, value);
            self.text(&format!("{key}Label"), Some(label));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(record: &serde_json::Value, cost_micros: Option<u64>) -> String {
        let entry = Entry {
            seq: 7,
            body: record.to_string().into_bytes(),
            cost_micros,
        };
        message(&entry, "gw1")
    }

    #[test]
    fn a_refusal_is_a_line_with_nothing_that_could_be_another() {
        let record = json!({
            "schema": "sekisho.audit.v1", "kind": "refuse", "at": 1_727_708_400_123u64,
            "record_id": "019a9c3e-5b1c-7d3a-8f00-2b1c3d4e5f60",
            "caller": {"user": "001", "department": "sales", "address": "10.1.2.3"},
            "call": {"method": "POST", "path": "/v1/a=b\\c\nCEF:0|x", "api": "azure"},
            "denial": "missing_scope", "stage": "scope", "status": 403,
        });
        assert_eq!(
            of(&record, None),
            format!(
                "<108>1 2024-09-30T15:00:00.123Z gw1 sekisho - refuse - \
                 CEF:0|Sekisho|Sekisho|{}|missing_scope|API call refused|5|\
                 rt=1727708400123 cat=refuse externalId=019a9c3e-5b1c-7d3a-8f00-2b1c3d4e5f60 \
                 fileId=7 outcome=refused act=denied reason=missing_scope src=10.1.2.3 suser=001 \
                 requestMethod=POST request=/v1/a\\=b\\\\c\\nCEF:0|x cs1=sales cs1Label=department \
                 cs2=azure cs2Label=api cs6=403 cs6Label=status",
                env!("CARGO_PKG_VERSION")
            )
        );
    }

    #[test]
    fn a_completion_says_what_it_used_and_cost() {
        let record = json!({
            "schema": "sekisho.audit.v1", "kind": "complete", "at": 0,
            "record_id": "019a9c3e-5b1c-7d3a-8f00-2b1c3d4e5f60", "outcome": "answered",
            "status": 200, "usage": {"input": 3, "output": 4},
        });
        let text = of(&record, Some(17));
        assert!(
            text.starts_with("<110>1 1970-01-01T00:00:00.000Z gw1 "),
            "{text}"
        );
        let used =
            "cn1=3 cn1Label=inputTokens cn2=4 cn2Label=outputTokens cn3=17 cn3Label=costMicros";
        assert!(text.ends_with(used), "{text}");
    }

    #[test]
    fn an_event_says_what_was_done_to_what() {
        let record = json!({
            "schema": "sekisho.audit.v1", "kind": "event", "at": 0,
            "record_id": "019a9c3e-5b1c-7d3a-8f00-2b1c3d4e5f60",
            "caller": {"tenant": "t", "object_id": "o"},
            "event": {"source": "sekisho", "name": "apikey.revoke", "target": "k1",
                      "before": {"hidden": 1}, "outcome": "success"},
        });
        let text = of(&record, None);
        assert!(text.contains("|apikey.revoke|Event|1|"), "{text}");
        assert!(
            text.contains("cs4=k1 cs4Label=target cs2=sekisho cs2Label=source"),
            "{text}"
        );
        assert!(!text.contains("hidden"), "{text}");
    }

    #[test]
    fn what_is_no_record_is_told_as_such() {
        let text = of(&json!({"kind": "dream"}), None);
        assert!(
            text.contains("|unreadable|") && text.ends_with("fileId=7"),
            "{text}"
        );
    }
}
