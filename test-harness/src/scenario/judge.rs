//! Holding what happened against what was expected.

use serde_json::Value;

use super::expect::{
    BodyExpectation, EndExpectation, Expectation, HeaderExpectation, KeptExpectation,
    UpstreamExpectation,
};
use super::subset::differences;
use crate::gateway::{Exchange, Response, SECRET_PREFIX, Seen};

/// What every gateway puts on a refusal.
const DENIAL: &str = "x-sekisho-denial";
/// Headers of ours, which no provider may see.
const INTERNAL: &str = "x-sekisho-";

/// The first value of a header.
pub(super) fn header<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a [u8]> {
    let found = headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_slice())
}

/// Everything about the exchange that is not as it must be; records apart.
pub(super) fn exchange(expect: &Expectation, exchange: &Exchange, left: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    match &exchange.response {
        Some(response) => answer(expect, response, left, &mut wrong),
        None if expect.status.is_some() || expect.denial.is_some() => {
            wrong.push("the client got no answer".to_owned());
        }
        None => {}
    }
    if let Some(upstream) = &expect.upstream {
        asked(upstream, &exchange.seen, &mut wrong);
    }
    let asked: Vec<&str> = exchange.seen.iter().map(|s| s.cluster.as_str()).collect();
    match &expect.asked {
        Some(expected) if *expected != asked => {
            wrong.push(format!("asked were {asked:?}, expected {expected:?}"));
        }
        None if asked.len() > 1 => wrong.push(format!("one request became {}", asked.len())),
        _ => {}
    }
    match (expect.end, &exchange.waited) {
        (Some(EndExpectation::Waits), None) => {
            wrong.push("the answer ended without waiting for its record".to_owned());
        }
        (Some(EndExpectation::AtOnce), Some(_)) => {
            wrong.push("the answer's end waited, though nobody has to wait".to_owned());
        }
        _ => {}
    }
    if let (Some(expected), Some(had)) = (&expect.while_waiting, &exchange.waited) {
        body(
            "the client, while the end waited,",
            expected,
            had,
            &mut wrong,
        );
    }
    if let (Some(most), Some(grown)) = (expect.grows_at_most, exchange.grown)
        && grown > most
    {
        wrong.push(format!(
            "the modules' memory has grown by {grown} bytes, expected at most {most}"
        ));
    }
    if let Some(within) = expect.within
        && exchange.took > within.0
    {
        let (took, most) = (exchange.took.as_millis(), within.0.as_millis());
        wrong.push(format!("it took {took} ms, at most {most} ms are allowed"));
    }
    wrong
}

/// What holds for every request, whatever a scenario says.
pub(super) fn laws(exchange: &Exchange, credential: Option<&[u8]>) -> Vec<String> {
    let mut wrong = Vec::new();
    for seen in &exchange.seen {
        for (name, value) in &seen.headers {
            if name.starts_with(INTERNAL) {
                wrong.push(format!("the provider saw the internal header `{name}`"));
            }
            let secret = credential.filter(|secret| secret.len() >= 8);
            if secret.is_some_and(|secret| value.windows(secret.len()).any(|part| part == secret)) {
                wrong.push(format!(
                    "the provider saw the client's credential in `{name}`"
                ));
            }
        }
        if let Some(length) = header(&seen.headers, "content-length")
            && length != seen.body.len().to_string().as_bytes()
        {
            let (said, is) = (String::from_utf8_lossy(length), seen.body.len());
            wrong.push(format!("the provider was told {said} bytes and got {is}"));
        }
    }
    wrong
}

fn answer(expect: &Expectation, response: &Response, left: bool, wrong: &mut Vec<String>) {
    let denial = header(&response.headers, DENIAL).map(String::from_utf8_lossy);
    if let Some(status) = expect.status
        && status != response.status
    {
        let why = denial.as_ref().map_or_else(
            || format!(", body {}", excerpt(&response.body)),
            |code| format!(" ({code}), body {}", excerpt(&response.body)),
        );
        wrong.push(format!(
            "status is {}{why}, expected {status}",
            response.status
        ));
    }
    if let Some(expected) = &expect.denial {
        let actual = denial.as_deref().unwrap_or("none");
        if actual != expected {
            wrong.push(format!("denial is {actual}, expected {expected}"));
        }
    }
    headers("the answer", &expect.headers, &response.headers, wrong);
    if let Some(expected) = &expect.body {
        body("the answer", expected, &response.body, wrong);
    }
    if response.complete != expect.complete.unwrap_or(!left) {
        wrong.push(if response.complete {
            "the answer ended, though it should not".to_owned()
        } else {
            "the answer did not end as it should".to_owned()
        });
    }
}

fn asked(expect: &UpstreamExpectation, seen: &[Seen], wrong: &mut Vec<String>) {
    let expected = match (expect, seen) {
        (UpstreamExpectation::None, []) => return,
        (UpstreamExpectation::None, [seen, ..]) => {
            wrong.push(format!(
                "`{}` was asked {} {}",
                seen.cluster, seen.method, seen.path
            ));
            return;
        }
        (UpstreamExpectation::Asked(_), []) => {
            wrong.push("no provider was asked".to_owned());
            return;
        }
        (UpstreamExpectation::Asked(expected), _) => expected,
    };
    let Some(seen) = seen.last() else { return };
    for (what, expected, actual) in [
        ("cluster", &expected.cluster, &seen.cluster),
        ("method", &expected.method, &seen.method),
        ("path", &expected.path, &seen.path),
    ] {
        if let Some(expected) = expected
            && expected != actual
        {
            wrong.push(format!(
                "the provider's {what} was `{actual}`, expected `{expected}`"
            ));
        }
    }
    headers("the provider", &expected.headers, &seen.headers, wrong);
    if let Some(expected) = &expected.body {
        body("the provider", expected, &seen.body, wrong);
    }
}

fn headers(
    whose: &str,
    expect: &HeaderExpectation,
    actual: &[(String, Vec<u8>)],
    wrong: &mut Vec<String>,
) {
    let text = |name: &str| header(actual, name).map(String::from_utf8_lossy);
    for (name, expected) in &expect.equal.0 {
        if header(actual, name) != Some(expected) {
            let is = text(name).unwrap_or("missing".into());
            let expected = String::from_utf8_lossy(expected);
            wrong.push(format!(
                "{whose}: header `{name}` is `{is}`, expected `{expected}`"
            ));
        }
    }
    for (name, part) in &expect.contain {
        if !text(name).is_some_and(|value| value.contains(part)) {
            let is = text(name).unwrap_or("missing".into());
            wrong.push(format!(
                "{whose}: header `{name}` is `{is}`, expected `{part}` in it"
            ));
        }
    }
    for name in &expect.present {
        if text(name).is_none() {
            wrong.push(format!("{whose}: header `{name}` is missing"));
        }
    }
    for name in &expect.absent {
        if let Some(value) = text(name) {
            wrong.push(format!("{whose}: header `{name}` is there: `{value}`"));
        }
    }
}

fn body(whose: &str, expect: &BodyExpectation, actual: &[u8], wrong: &mut Vec<String>) {
    let text = String::from_utf8_lossy(actual);
    if let Some(expected) = &expect.text
        && *expected != text
    {
        wrong.push(format!(
            "{whose}: body is {}, expected `{expected}`",
            excerpt(actual)
        ));
    }
    for part in &expect.contains {
        if !text.contains(part.as_str()) {
            wrong.push(format!(
                "{whose}: body is {}, expected `{part}` in it",
                excerpt(actual)
            ));
        }
    }
    for part in &expect.lacks {
        if text.contains(part.as_str()) {
            wrong.push(format!(
                "{whose}: body has `{part}` in it, which it must not"
            ));
        }
    }
    if let Some(bytes) = expect.bytes
        && bytes != actual.len()
    {
        wrong.push(format!(
            "{whose}: body has {} bytes, expected {bytes}",
            actual.len()
        ));
    }
    if let Some(expected) = &expect.json {
        match serde_json::from_slice::<Value>(actual) {
            Ok(json) => wrong.extend(
                differences(expected, &json)
                    .into_iter()
                    .map(|difference| format!("{whose}: in the body, {difference}")),
            ),
            Err(_) => wrong.push(format!("{whose}: body is no JSON: {}", excerpt(actual))),
        }
    }
}

fn excerpt(body: &[u8]) -> String {
    const MOST: usize = 300;
    let text: String = String::from_utf8_lossy(body).chars().take(MOST).collect();
    let more = if text.chars().count() == MOST {
        "..."
    } else {
        ""
    };
    format!("`{text}{more}`")
}

/// How the records of a call differ from what they must say.
pub(super) fn kept(expect: &KeptExpectation, [request, response]: [&[u8]; 2]) -> Vec<String> {
    let mut wrong = Vec::new();
    body(
        "what was kept of the request",
        &expect.request,
        request,
        &mut wrong,
    );
    body(
        "what was kept of the answer",
        &expect.response,
        response,
        &mut wrong,
    );
    wrong
}

pub(super) fn records(expect: &[Value], actual: &[Value]) -> Vec<String> {
    let mut wrong = Vec::new();
    if expect.len() != actual.len() {
        let kinds: Vec<&str> = actual
            .iter()
            .map(|record| record.get("kind").and_then(Value::as_str).unwrap_or("?"))
            .collect();
        let (expected, are) = (expect.len(), kinds.join(", "));
        wrong.push(format!(
            "the log has the records [{are}] of the call, expected {expected}"
        ));
    }
    for (at, (expected, actual)) in expect.iter().zip(actual).enumerate() {
        for difference in differences(expected, actual) {
            wrong.push(format!("record {at}: {difference}"));
        }
    }
    let out_of_order = actual.iter().filter(|record| !is_in_order(record));
    wrong.extend(out_of_order.map(|record| format!("its moments are out of order: {record}")));
    wrong
}

/// Whether an answer that was passed on whole says when the call was let go upstream, when the
/// answer began and when it ended, one after the other.
fn is_in_order(record: &Value) -> bool {
    let millis = |name: &str| record.get(name).and_then(Value::as_u64);
    if millis("status").is_none_or(|status| status == 101) || record.get("outcome").is_none() {
        return true; // no answer, or a session: which has many
    }
    let moments = ["admitted_millis", "first_byte_millis", "duration_millis"].map(millis);
    record.get("outcome").is_some_and(|end| end == "unknown")
        || (moments.iter().all(Option::is_some) && moments.is_sorted())
}

/// Which of these texts have a provider's secret; none of them may.
pub(super) fn given_away(exposed: &[(&str, String)]) -> Vec<String> {
    let found = exposed
        .iter()
        .filter(|(_, text)| text.contains(SECRET_PREFIX));
    found
        .map(|(place, _)| format!("{place} has a provider's secret"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_that_are_missing_or_out_of_order_are_seen() {
        let record = |first: Option<u64>| {
            serde_json::json!({"outcome": "answered", "status": 200, "admitted_millis": 1,
                "first_byte_millis": first, "duration_millis": 9})
        };
        assert!(is_in_order(&record(Some(1))));
        assert!(!is_in_order(&record(None)) && !is_in_order(&record(Some(10))));
    }

    #[test]
    fn a_secret_is_seen_where_it_stands() {
        let texts = [
            ("the one", "Bearer secret-of-azure_key".to_owned()),
            ("the other", "Bearer [redacted]".to_owned()),
        ];
        assert_eq!(given_away(&texts), ["the one has a provider's secret"]);
    }
}
