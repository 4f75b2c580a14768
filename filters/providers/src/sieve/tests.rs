use proptest::prelude::*;

use super::*;

fn sifted_in<'c>(chunks: impl Iterator<Item = &'c [u8]>) -> Vec<u8> {
    let mut sieve = UsageSieve::new();
    let mut out = Vec::new();
    for chunk in chunks {
        match sieve.push(chunk, false) {
            Some(instead) => out.extend(instead),
            None => out.extend(chunk),
        }
    }
    out.extend(sieve.push(b"", true).unwrap_or_default());
    out
}

/// Sifts in every cut, none of which may matter.
fn sifted(answer: &str) -> String {
    let answer = answer.as_bytes();
    let whole = sifted_in([answer].into_iter());
    for size in 1..20 {
        assert_eq!(sifted_in(answer.chunks(size)), whole, "{size}");
    }
    for at in 0..answer.len() {
        let (a, b) = answer.split_at(at);
        assert_eq!(sifted_in([a, b].into_iter()), whole, "{at}");
    }
    String::from_utf8(whole).unwrap()
}

const BEFORE: &str = concat!(
    ": a comment with \"choices\":[]\n\n",
    "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"choices\\\":[],\\\"usage\\\":{}\"}}],\"usage\":null}\n\n",
    "data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":1}}\n\n",
);
const REPORT: &str = "data: {\"id\":\"x\",\"choices\": [ ],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":3}}\n\n";
const AFTER: &str = "data: [DONE]\n\n";

#[test]
fn the_report_of_usage_is_left_out_and_nothing_else() {
    assert_eq!(
        sifted(&[BEFORE, REPORT, AFTER].concat()),
        [BEFORE, AFTER].concat()
    );
    assert_eq!(sifted(&[BEFORE, AFTER].concat()), [BEFORE, AFTER].concat());
    assert_eq!(sifted(REPORT), "");
}

#[test]
fn lines_may_end_in_every_way() {
    for ending in ["\r\n", "\r"] {
        let all = [BEFORE, REPORT, AFTER].concat().replace('\n', ending);
        assert_eq!(sifted(&all), [BEFORE, AFTER].concat().replace('\n', ending));
    }
}

#[test]
fn a_report_may_have_several_lines_and_fields() {
    let report =
        "event: x\nid: 7\ndata: {\"choices\":\ndata: [],\ndata:\"usage\":{}}\nretry: 1\n\n";
    // An array that is empty only once its lines are put together is not looked for.
    assert_eq!(sifted(report), report);
    let report = "event: x\nid: 7\ndata: {\"choices\":[],\ndata:\"usage\":{}}\nretry: 1\n\n";
    assert_eq!(sifted(&[report, AFTER].concat()), AFTER);
}

#[test]
fn whatever_is_no_report_passes() {
    for other in [
        "",
        "{\"choices\":[],\"usage\":{}}",
        " [1]\n\n",
        "data: {\"choices\":[],\"usage\":null}\n\n",
        "data: {\"choices\":[],\"usage\":3}\n\n",
        "data: {\"choices\":[]}\n\n",
        "data: {\"a\":{\"choices\":[],\"usage\":{}}}\n\n",
        "data: {\"choices\":[],\"usage\":{}\n\n",
        "data: {\"choices\":[],\"usage\":{}}",
        "data: {\"choices\":[],\"usage\":{}}\n",
        "\n\n\n\r\r\n\r\n\n",
        "xdata: {\"choices\":[],\"usage\":{}}\n\n",
    ] {
        assert_eq!(sifted(other), other, "{other:?}");
    }
    let long = format!(
        "data: {{\"x\":\"{}\",\"choices\":[],\"usage\":{{}}}}\n\n",
        "x".repeat(MAX_HELD)
    );
    assert_eq!(sifted_in([long.as_bytes()].into_iter()), long.as_bytes());
    assert_eq!(sifted_in(long.as_bytes().chunks(100)), long.as_bytes());
    let then = [&long, REPORT, AFTER].concat();
    assert_eq!(
        sifted_in(then.as_bytes().chunks(100)),
        [&long, AFTER].concat().as_bytes()
    );
}

#[test]
fn an_event_that_is_over_is_not_held_back() {
    let mut sieve = UsageSieve::new();
    let event = b"data: {\"choices\":[{}]}\n\n";
    assert_eq!(sieve.push(event, false), None);
    let (a, b) = event.split_at(10);
    assert_eq!(sieve.push(a, false), Some(Vec::new()));
    assert_eq!(sieve.push(b, false), Some(event.to_vec()));
    assert_eq!(sieve.push(event, true), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_cut_changes_what_is_left_out(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "data:", "data: ", "\n", "\r", "\r\n", "\n\n", ": x", "{\"choices\":[]", ",\"usage\":{}}", "{\"choices\":[],\"usage\":{}}",
            "data: {\"choices\":[],\"usage\":{\"a\":1}}\n\n", "data: {\"choices\":[],\"usage\":{}}\r\n\r\n", "data: {\"choices\":[1]}\n\n", "[DONE]", "x",
        ]), 0..16),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let bytes = pieces.concat().into_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let whole = sifted_in([bytes.as_slice()].into_iter());
        prop_assert_eq!(&sifted_in(cuts.windows(2).map(|w| &bytes[w[0]..w[1]])), &whole);
        prop_assert_eq!(&sifted_in(bytes.chunks(1)), &whole);
    }
}
