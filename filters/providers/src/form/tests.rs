use proptest::prelude::*;
use sekisho_domain::{DenialCode, Provider};

use super::*;
use crate::{Operation, RequestFacts, RequestScan, operations};

const TYPE: &[u8] = b"multipart/form-data; boundary=x-1";

fn transcription() -> &'static Operation {
    let mut all = operations(Provider::OpenAi).iter();
    all.find(|o| o.name == "audio_transcriptions").unwrap()
}

fn scan_in<'c>(chunks: impl Iterator<Item = &'c [u8]>) -> Result<RequestFacts, DenialCode> {
    let mut scan = RequestScan::new(transcription(), Some(TYPE), None);
    for chunk in chunks {
        scan.push(chunk)?;
    }
    scan.finish()
}

/// Scans in every cut, none of which may matter.
fn scan(body: &str) -> Result<RequestFacts, DenialCode> {
    let body = body.as_bytes();
    let whole = scan_in([body].into_iter());
    for at in 0..body.len() {
        let (a, b) = body.split_at(at);
        assert_eq!(scan_in([a, b].into_iter()), whole, "{at}");
    }
    assert_eq!(scan_in(body.chunks(1)), whole);
    whole
}

fn part(name: &str, value: &str) -> String {
    format!("--x-1\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

const FILE: &str = "--x-1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"model\"\r\nContent-Type: audio/mpeg\r\n\r\nID3\0\r\n--x-\r\n\r\r\n--x\r\n--x-2 name=\"model\"\r\n";

fn form(parts: &[&str]) -> String {
    format!("{}--x-1--\r\n", parts.concat())
}

#[test]
fn the_model_is_a_part_of_the_form() {
    let body = form(&[FILE, &part("model", "whisper-1"), &part("stream", "true")]);
    let facts = scan(&body).unwrap();
    assert_eq!(facts.model.as_deref(), Some("whisper-1"));
    let span = facts.model_span.unwrap();
    let span = usize::try_from(span.start).unwrap()..usize::try_from(span.end).unwrap();
    assert_eq!(body.get(span), Some("whisper-1"));
    assert!(facts.stream);
    assert_eq!(facts.bytes, body.len() as u64);
}

#[test]
fn names_may_be_tokens() {
    let file = "--x-1\r\nContent-Disposition: form-data; name=file; filename=a.mp3; filename*=utf-8''%E9.mp3\r\n\r\nID3\r\n";
    let model = "--x-1\r\nContent-Disposition: form-data; name=model\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nwhisper-1\r\n";
    let facts = scan(&form(&[file, model])).unwrap();
    assert_eq!(facts.model.as_deref(), Some("whisper-1"));
}

#[test]
fn other_parts_are_anybodys() {
    let facts = scan(&form(&[FILE, &part("prompt", "model=x")])).unwrap();
    assert_eq!(facts.model, None);
    assert_eq!(scan(&form(&[])).unwrap().model, None);
}

#[test]
fn a_model_that_is_named_twice_is_refused() {
    let twice = form(&[&part("model", "a"), &part("model", "a")]);
    assert_eq!(scan(&twice), Err(DenialCode::DuplicateMember));
}

#[test]
fn what_two_readers_could_read_differently_is_no_form() {
    let model = |head: &str| format!("--x-1\r\n{head}\r\n\r\nwhisper-1\r\n--x-1--\r\n");
    for body in [
        // The disposition.
        model("Content-Disposition: form-data; name=\"Model\""),
        model("Content-Disposition: form-data; name=mod el"),
        model("Content-Disposition: form-data; name="),
        model("Content-Disposition: form-data; name=\"x\"; name=\"model\""),
        model("Content-Disposition: form-data; name*=utf-8''model"),
        model("Content-Disposition: form-data; name=\"m%6fdel\""),
        model("Content-Disposition: form-data; name=\"m\\odel\""),
        model(
            "Content-Disposition: form-data; name=\"x\"\r\nContent-Disposition: form-data; name=\"model\"",
        ),
        model("Content-Disposition: form-data;\r\n name=\"model\""),
        model("Content-Disposition: form-data; name=\"model\"; filename=\"a\""),
        model("Content-Disposition: attachment; name=\"model\""),
        model("Content-Type: text/plain"),
        model("Content-Disposition: form-data; name=\"x\"\r\nContent-Transfer-Encoding: base64"),
        model("Content-Disposition : form-data; name=\"model\""),
        model(&format!(
            "Content-Disposition: form-data; name=\"{}\"",
            "x".repeat(5000)
        )),
        model("\r\nContent-Disposition: form-data; name=\"model\""),
        // The frame.
        format!("preamble\r\n{}", form(&[&part("model", "a")])),
        form(&[&part("model", "a")]).replace("\r\n", "\n"),
        form(&[&part("model", "a")]).replace("--x-1--", "--x-1 --"),
        format!("{}epilogue", form(&[&part("model", "a")])),
        format!("{}{}", form(&[&part("model", "a")]), part("model", "b")),
        part("model", "a"),
        String::new(),
        // The values.
        form(&[&part("model", &"m".repeat(300))]),
        form(&[&part("stream", "perhaps")]),
        form(&[&part("stream", &"true".repeat(20))]),
    ] {
        assert_eq!(scan(&body), Err(DenialCode::InvalidBody), "{body}");
    }
}

#[test]
fn a_boundary_is_plain_and_alone() {
    for (said, expected) in [
        ("multipart/form-data; boundary=abc", Some("abc")),
        (
            "Multipart/Form-Data;boundary=\"a-b_c.d+e'\"",
            Some("a-b_c.d+e'"),
        ),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/form-data; boundary=a b", None),
        ("multipart/form-data; boundary=a; boundary=b", None),
        ("multipart/form-data; charset=utf-8; boundary=a", None),
        ("multipart/mixed; boundary=a", None),
        ("application/json", None),
    ] {
        assert_eq!(
            boundary(said.as_bytes()),
            expected.map(str::as_bytes),
            "{said}"
        );
    }
    let long = format!("multipart/form-data; boundary={}", "a".repeat(71));
    assert_eq!(boundary(long.as_bytes()), None);
}

proptest! {
    #[test]
    fn no_cut_changes_what_a_form_says(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "--x-1", "--", "\r\n", "\r", "\n", "-", "x-1", "Content-Disposition: form-data; name=\"model\"",
            "Content-Disposition: form-data; name=\"file\"; filename=\"f\"", "\r\n\r\n", "gpt", "\r\n--x-1", "\r\n--x-1--\r\n",
            "--x-1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n", "--x-1\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n",
        ]), 0..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let bytes = pieces.concat().into_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let whole = scan_in([bytes.as_slice()].into_iter());
        prop_assert_eq!(&scan_in(cuts.windows(2).map(|w| &bytes[w[0]..w[1]])), &whole);
        prop_assert_eq!(&scan_in(bytes.chunks(1)), &whole);
    }
}
