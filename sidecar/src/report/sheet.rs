//! A report as lines of a spreadsheet. Each line says what it is about in `part`; columns that
//! do not apply are empty.

use super::Report;
use super::answer::UsageSums;
use crate::log::sheet;

const COLUMNS: [&str; 31] = [
    "from",
    "to",
    "part",
    "day",
    "time",
    "department",
    "name",
    "user",
    "api",
    "model",
    "prices",
    "code",
    "event",
    "target",
    "record_id",
    "count",
    "requests",
    "refused",
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "audio_input_tokens",
    "image_input_tokens",
    "reasoning_output_tokens",
    "audio_output_tokens",
    "image_output_tokens",
    "bytes",
    "estimated",
    "cost",
    "currency",
];

/// What stands in a line, by column.
type Cells = Vec<(&'static str, String)>;

pub(super) fn csv(report: &Report) -> Result<Vec<u8>, csv::Error> {
    let lines = parts(report).into_iter().map(|(part, cells)| {
        let given = |column: &&str| match *column {
            "from" => report.period.from.clone(),
            "to" => report.period.to.clone(),
            "part" => part.to_owned(),
            column => {
                let mut cells = cells.iter();
                let cell = cells.find(|(name, _)| *name == column);
                cell.map_or_else(String::new, |(_, text)| text.clone())
            }
        };
        let line: Vec<String> = COLUMNS.iter().map(given).map(sheet::harmless).collect();
        line
    });
    sheet::csv(Some(&COLUMNS), lines)
}

fn parts(report: &Report) -> Vec<(&'static str, Cells)> {
    let mut parts = vec![("total", sums(report, &report.total))];
    for line in &report.days {
        let names = [("day", line.day.clone())];
        parts.push(("day", with(names, sums(report, &line.sums))));
    }
    for line in &report.departments {
        let names = [
            ("department", line.department.clone()),
            ("name", line.name.clone()),
        ];
        parts.push(("department", with(names, sums(report, &line.sums))));
    }
    for line in &report.models {
        let names = [
            ("api", line.api.clone()),
            ("model", line.model.clone()),
            ("prices", line.prices.join(" ")),
        ];
        parts.push(("model", with(names, sums(report, &line.sums))));
    }
    for line in &report.people.shown {
        let names = [
            ("user", line.user.clone()),
            ("name", line.name.clone().unwrap_or_default()),
        ];
        parts.push(("person", with(names, sums(report, &line.sums))));
    }
    parts.push(("other_people", sums(report, &report.people.others)));
    parts.extend(lists(report));
    parts
}

fn lists(report: &Report) -> Vec<(&'static str, Cells)> {
    let mut parts = Vec::new();
    for line in &report.refusals.codes {
        let cells = vec![("code", line.code.clone()), count(line.count)];
        parts.push(("refusal", cells));
    }
    for line in &report.refusals.people {
        let name = line.name.clone().unwrap_or_default();
        let cells = vec![
            ("user", line.user.clone()),
            ("name", name),
            count(line.count),
        ];
        parts.push(("refused_person", cells));
    }
    let ends = &report.unknown_ends;
    let cells = vec![
        count(ends.count),
        ("cost", ends.cost.clone()),
        money(report),
    ];
    parts.push(("unknown_ends", cells));
    for end in &ends.shown {
        let cells = vec![
            ("time", end.at.clone()),
            ("record_id", end.record_id.clone()),
            ("user", end.user.clone()),
            ("department", end.department.clone()),
            ("api", end.api.clone()),
            ("model", end.model.clone()),
            ("cost", end.cost.clone()),
            money(report),
        ];
        parts.push(("unknown_end", cells));
    }
    for line in &report.alerts.rules {
        let cells = vec![
            ("event", line.rule.clone()),
            ("code", line.severity.clone()),
            count(line.count),
        ];
        parts.push(("alerts", cells));
    }
    for alert in &report.alerts.shown {
        let cells = vec![
            ("time", alert.at.clone()),
            ("event", alert.rule.to_owned()),
            ("code", alert.severity.to_owned()),
            ("target", alert.text.clone()),
            ("record_id", alert.id.clone()),
        ];
        parts.push(("alert", cells));
    }
    for line in &report.changes.events {
        let cells = vec![("event", line.event.clone()), count(line.count)];
        parts.push(("events", cells));
    }
    for change in &report.changes.shown {
        let cells = vec![
            ("time", change.at.clone()),
            ("event", change.event.clone()),
            ("target", change.target.clone().unwrap_or_default()),
            ("user", change.by.clone()),
            ("code", change.outcome.to_owned()),
            ("name", change.source.clone()),
            ("record_id", change.record_id.clone()),
        ];
        parts.push(("event", cells));
    }
    parts
}

fn count(count: u64) -> (&'static str, String) {
    ("count", count.to_string())
}

fn money(report: &Report) -> (&'static str, String) {
    ("currency", report.currency.clone())
}

fn with<const N: usize>(names: [(&'static str, String); N], cells: Cells) -> Cells {
    names.into_iter().chain(cells).collect()
}

fn sums(report: &Report, sums: &UsageSums) -> Cells {
    let number = |name, value: u64| (name, value.to_string());
    vec![
        number("requests", sums.requests),
        number("refused", sums.refused),
        number("input_tokens", sums.input_tokens),
        number("output_tokens", sums.output_tokens),
        number("cached_input_tokens", sums.cached_input_tokens),
        number("cache_write_input_tokens", sums.cache_write_input_tokens),
        number("audio_input_tokens", sums.audio_input_tokens),
        number("image_input_tokens", sums.image_input_tokens),
        number("reasoning_output_tokens", sums.reasoning_output_tokens),
        number("audio_output_tokens", sums.audio_output_tokens),
        number("image_output_tokens", sums.image_output_tokens),
        number("bytes", sums.bytes),
        number("estimated", sums.estimated),
        ("cost", sums.cost.clone()),
        money(report),
    ]
}
