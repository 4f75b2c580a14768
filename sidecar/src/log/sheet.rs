//! Records as lines of a spreadsheet (RFC 4180).

use sekisho_domain::AuditRecord;

use super::search::Found;

/// The columns.
pub const COLUMNS: [&str; 36] = [
    "seq",
    "time",
    "kind",
    "record_id",
    "tenant",
    "object_id",
    "user",
    "department",
    "application",
    "key",
    "address",
    "method",
    "path",
    "api",
    "operation",
    "model",
    "upstream",
    "request_id",
    "status",
    "denial",
    "outcome",
    "input_tokens",
    "output_tokens",
    "cost",
    "source",
    "event",
    "target",
    "detail",
    "duration_millis",
    "asked_model",
    "sent_model",
    "trace_id",
    "admitted_millis",
    "first_byte_millis",
    "request_sha256",
    "response_sha256",
];

/// The line of a record, each cell safe to open in a spreadsheet.
#[must_use]
pub fn line(found: &Found) -> [String; 36] {
    let Ok(record) = serde_json::from_slice::<AuditRecord<'_>>(&found.body) else {
        // It is in the log, so it is in the sheet: `sekisho audit verify` says more.
        let mut line = [const { String::new() }; 36];
        line[0] = found.seq.to_string();
        line[2] = "unreadable".to_owned();
        return line;
    };
    let text = |text: &Option<std::borrow::Cow<'_, str>>| {
        text.as_deref().map(str::to_owned).unwrap_or_default()
    };
    let number = |number: Option<u64>| number.map(|n| n.to_string()).unwrap_or_default();
    let (caller, call) = (&record.caller, &record.call);
    let event = record.event.as_deref();
    let outcome = event.map(|event| event.outcome.as_str());
    let outcome = outcome.or(record.outcome.map(sekisho_domain::Outcome::as_str));
    let detail = event.and_then(|event| event.detail.as_deref());
    let cost = found.cost_micros.map(sekisho_domain::Micros);
    let cells = [
        found.seq.to_string(),
        time(record.at),
        record.kind.as_str().to_owned(),
        record.record_id.to_string(),
        text(&caller.tenant),
        text(&caller.object_id),
        text(&caller.user),
        text(&caller.department),
        text(&caller.application),
        text(&caller.key),
        text(&caller.address),
        text(&call.method),
        text(&call.path),
        text(&call.api),
        text(&call.operation),
        text(&call.model),
        text(&call.upstream),
        text(&call.request_id),
        number(record.status.map(u64::from)),
        record
            .denial
            .map(|code| code.as_str().to_owned())
            .unwrap_or_default(),
        outcome.unwrap_or_default().to_owned(),
        number(record.usage.map(|usage| usage.input.0)),
        number(record.usage.map(|usage| usage.output.0)),
        cost.map(|cost| cost.to_string()).unwrap_or_default(),
        event
            .map(|event| event.source.clone().into_owned())
            .unwrap_or_default(),
        event
            .map(|event| event.name.clone().into_owned())
            .unwrap_or_default(),
        event.map(|event| text(&event.target)).unwrap_or_default(),
        detail.map_or_else(|| text(&record.detail), str::to_owned),
        number(record.duration_millis),
        text(&call.asked_model),
        text(&call.sent_model),
        text(&call.trace_id),
        number(record.admitted_millis),
        number(record.first_byte_millis),
        text(&record.request_sha256),
        text(&record.response_sha256),
    ];
    cells.map(harmless)
}

fn time(at: sekisho_domain::UnixMillis) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    time.to_string()
}

/// A cell that a spreadsheet shows and does not compute: what would begin a formula gets an
/// apostrophe before it.
#[must_use]
pub fn harmless(cell: String) -> String {
    let begins = cell.trim_start_matches(|c: char| c.is_whitespace() || c.is_control());
    let first = begins.chars().next();
    let is_formula = first.is_some_and(begins_formula);
    if is_formula || cell.starts_with(['\t', '\r', '\n']) {
        return format!("'{cell}");
    }
    cell
}

/// `=`, `+`, `-`, `@` and whatever NFKC makes of one of them (Unicode 16), such as the full-width
/// forms; and the minus sign, which spreadsheets read as one.
const fn begins_formula(first: char) -> bool {
    matches!(
        first,
        '=' | '+'
            | '-'
            | '@'
            | '\u{207a}'
            | '\u{207c}'
            | '\u{208a}'
            | '\u{208c}'
            | '\u{2212}'
            | '\u{2a75}'
            | '\u{2a76}'
            | '\u{fb29}'
            | '\u{fe62}'
            | '\u{fe63}'
            | '\u{fe66}'
            | '\u{fe6b}'
            | '\u{ff0b}'
            | '\u{ff0d}'
            | '\u{ff1d}'
            | '\u{ff20}'
    )
}

/// Lines as bytes, with a head over the first.
///
/// # Errors
/// None that can happen in memory.
pub fn csv(
    head: Option<&[&str]>,
    lines: impl IntoIterator<Item = impl IntoIterator<Item = String>>,
) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    if let Some(head) = head {
        writer.write_record(head)?;
    }
    for line in lines {
        writer.write_record(line)?;
    }
    writer
        .into_inner()
        .map_err(|error| error.into_error().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_begins_a_formula() {
        for cell in [
            "=1+1",
            "+1",
            "-1",
            "@a",
            "＝1",
            "＋1",
            "－1",
            "＠a",
            " =1",
            "\u{3000}＝1",
            "−1",
            "\tx",
            "\u{0}=1",
        ] {
            assert_eq!(harmless(cell.to_owned()), format!("'{cell}"), "{cell:?}");
        }
        for cell in ["", "E001", "a=b", "営業部", "2026-11-23T00:00:00Z"] {
            assert_eq!(harmless(cell.to_owned()), cell);
        }
    }

    #[test]
    fn what_is_no_record_has_its_line_all_the_same() {
        let found = Found {
            seq: 7,
            body: b"{}".to_vec(),
            cost_micros: None,
        };
        let line = line(&found);
        assert_eq!((line[0].as_str(), line[2].as_str()), ("7", "unreadable"));
    }
}
