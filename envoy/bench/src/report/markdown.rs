//! The report for people.

use std::fmt::Write as _;

use super::{FirstSeen, Goal, Report};
use crate::row::Kind;

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
             Requests to whole chains: a chat completion of {} bytes with one of {} RS256 tokens in turn, all verified \
             before; answered by a local upstream. Envoy {}; {}.\n",
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
    tokens(&mut text, report);
    payloads(&mut text, report);
    for (name, goal) in &report.goals {
        line(&mut text, format_args!("- {}", sentence(name, goal)));
    }
    text
}

/// How the rows were made that only check tokens.
fn tokens(text: &mut String, report: &Report) {
    let method = &report.method;
    let is_token = |name: &str| Kind::of(name) != Kind::Chain;
    if report.rows.iter().any(|row| is_token(&row.name)) {
        line(
            text,
            format_args!(
                "The check of a token alone: `token-cached` and `token-first-seen` are scope.wasm with its \
                 policy in the plugin's configuration (no sidecar, no directory), `native-cached` and \
                 `native-first-seen` are jwt_authn with and without its cache, asking for the same issuer and \
                 audience and passing the token on, as scope.wasm does. They are compared with `token-bare` \
                 and with each other. Each request is a POST of {} bytes without a body to an operation that \
                 names its model in the path, so that no filter has a body to wait for or to read. scope.wasm \
                 also finds the operation and checks department, scope and entitlement; jwt_authn does none of \
                 that. It is told that no other module follows, so that it hands nothing on.\n",
                method.token_request_bytes,
            ),
        );
    }
    if let Some(first_seen) = &method.first_seen {
        memory(text, report, first_seen);
    }
}

/// What the rows are that tell what bodies cost.
fn payloads(text: &mut String, report: &Report) {
    let mut rows = report.rows.iter();
    if rows.any(|row| matches!(Kind::of(&row.name), Kind::Payload(_))) {
        text.push_str(
            "Forms of bodies: the rows `json-*`, `sse-*` and `upload-*` are `gateway-relaxed`, those that end in \
             `-bare` are `bare`. Fewer and slower requests the larger they are; latency is that of the \
             first byte of the answer's body, from the moment the request was due. `json-100k` has 100 KiB in the \
             request and in the answer, `sse-200` an answer of 200 events that are sent one by one, `upload-20m` a \
             request of 20 MB.\n\n",
        );
    }
}

/// What never-seen tokens do to the memory of a process.
fn memory(text: &mut String, report: &Report, first_seen: &FirstSeen) {
    line(
        text,
        format_args!(
            "In the rows `*-first-seen` no token is sent twice: {} requests per round at saturation, {} for \
             latency. Memory of the Envoy process after the rounds at saturation, which is after {} such tokens:\n",
            first_seen.requests,
            first_seen.paced_requests,
            list((1..=report.method.rounds).map(|round| {
                format!("{}", round * (first_seen.warm_up + first_seen.requests))
            })),
        ),
    );
    let rows = report.rows.iter();
    for row in rows.filter(|row| Kind::of(&row.name) == Kind::FirstSeenToken) {
        let figures = list(row.resident_mib.iter().map(|mib| format!("{mib:.1}")));
        line(text, format_args!("- {}: {figures} MiB", row.name));
    }
    text.push('\n');
}

fn list(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

fn sentence(name: &str, goal: &Goal) -> String {
    let words = match name {
        "relaxed_added_to_native" => "relaxed adds at most so many times what native adds",
        "strict_added_to_native" => "strict adds at most so many times what native adds",
        "strict_added_p50_ms" => "strict adds at most so many ms to p50",
        "strict_added_p99_ms" => "strict adds at most so many ms to p99",
        "token_cached_over_native_us" => {
            "token-cached takes at most so many µs more than native-cached"
        }
        "token_first_seen_over_native_us" => {
            "token-first-seen takes at most so many µs more than native-first-seen"
        }
        other => other,
    };
    let verdict = if goal.holds { "holds" } else { "missed" };
    format!("{words}: {:.2} of {:.1}, {verdict}", goal.value, goal.limit)
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _: Result<(), std::fmt::Error> = writeln!(text, "{arguments}");
}
