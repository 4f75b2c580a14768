//! The report for people.

use std::fmt::Write as _;

use super::{Goal, Report};

pub(super) fn render(report: &Report) -> String {
    let mut text = String::from(
        "| row | CPU per request, µs | added, µs | added to native | p50, ms | p99, ms | sidecar CPU, µs |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for row in &report.rows {
        let to_native = row
            .added_to_native
            .map_or("-".into(), |ratio| format!("{ratio:.2} x"));
        let sidecar = row
            .sidecar_cpu_us
            .map_or("-".into(), |us| format!("{us:.1}"));
        let spread = &row.spread;
        line(
            &mut text,
            format_args!(
                "| {} | {:.1} ({:.1} to {:.1}) | {:.1} ({:.1} to {:.1}) | {to_native} | {:.2} ({:.2} to {:.2}) | {:.2} ({:.2} to {:.2}) | {sidecar} |",
                row.name,
                row.cpu_us,
                spread.cpu_us.min,
                spread.cpu_us.max,
                row.added_us,
                spread.added_us.min,
                spread.added_us.max,
                row.p50_ms,
                spread.p50_ms.min,
                spread.p50_ms.max,
                row.p99_ms,
                spread.p99_ms.min,
                spread.p99_ms.max,
            ),
        );
    }
    let method = &report.method;
    line(
        &mut text,
        format_args!(
            "\nMedian (least to most) of {} interleaved rounds by `{}`. CPU: user and system time of \
             the Envoy process, one worker, {} requests per round over {} connections at saturation. \
             Latency: {} requests per second, {} requests per round, from the moment each was due. \
             Each request: {} bytes with one of {} RS256 tokens in turn, all verified before; answered by \
             a local upstream. Envoy {}; {}.\n",
            method.rounds,
            method.command,
            method.requests,
            method.connections,
            method.rate,
            method.paced_requests,
            method.request_bytes,
            method.tokens,
            method.envoy,
            report.machine,
        ),
    );
    for (name, goal) in &report.goals {
        line(&mut text, format_args!("- {}", sentence(name, goal)));
    }
    text
}

fn sentence(name: &str, goal: &Goal) -> String {
    let words = match name {
        "relaxed_added_to_native" => "relaxed adds at most so many times what native adds",
        "strict_added_to_native" => "strict adds at most so many times what native adds",
        "strict_added_p50_ms" => "strict adds at most so many ms to p50",
        "strict_added_p99_ms" => "strict adds at most so many ms to p99",
        other => other,
    };
    let verdict = if goal.holds { "holds" } else { "missed" };
    format!("{words}: {:.2} of {:.1}, {verdict}", goal.value, goal.limit)
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _: Result<(), std::fmt::Error> = writeln!(text, "{arguments}");
}
