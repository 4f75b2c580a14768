//! Arbitrary and damaged bytes, with a fixed seed.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what is missing fails the test"
)]

mod targets;

use proptest::prelude::{any, prop};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// How often each function is called: a few seconds without optimisation.
const ROUNDS: u32 = 1_500;

/// One change of some bytes.
#[derive(Clone, Debug)]
enum Change {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let at = any::<prop::sample::Index>;
    // What means something to a parser, more often than other bytes.
    let byte = || {
        proptest::prop_oneof![
            prop::sample::select(&b"\"\\{}[]:,-;= \t\r\n\0anu019"[..]),
            any::<u8>()
        ]
    };
    let change = proptest::prop_oneof![
        (at(), byte()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (at(), byte()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        (at(), 1..40usize).prop_map(|(at, count)| Change::Remove(at, count)),
        (at(), 1..40usize).prop_map(|(at, count)| Change::Repeat(at, count)),
    ];
    prop::collection::vec(change, 1..5)
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let length = bytes.len();
        match change {
            Change::Insert(at, byte) => bytes.insert(at.index(length + 1), *byte),
            _ if length == 0 => {}
            Change::Set(at, byte) => bytes[at.index(length)] = *byte,
            Change::Remove(at, count) => {
                let from = at.index(length);
                bytes.drain(from..length.min(from + count));
            }
            Change::Repeat(at, count) => {
                let from = at.index(length);
                let piece = bytes[from..length.min(from + count)].to_vec();
                bytes.splice(from..from, piece);
            }
        }
    }
    bytes
}

/// Runs on seeds, on damaged seeds and on bytes out of nowhere.
fn run(seeds: &[&[u8]], property: fn(&[u8])) {
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.to_vec()).collect();
    seeds.iter().for_each(|seed| property(seed));
    let damaged = (prop::sample::select(seeds), changes())
        .prop_map(|(seed, changes)| changed(seed, &changes));
    let anything = prop::collection::vec(any::<u8>(), 0..200);
    let input = proptest::prop_oneof![9 => damaged, 1 => anything];
    let config = Config {
        cases: ROUNDS,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let outcome = TestRunner::new_with_rng(config, rng).run(&input, |bytes| {
        property(&bytes);
        Ok::<_, TestCaseError>(())
    });
    assert!(outcome.is_ok(), "{outcome:?}");
}

const CHAT: &[u8] = br#"{"model":"gpt-4o","messages":[{"role":"user","content":[{"type":"text","text":"\ud83d\ude00 \u95a2 x"}]}],"max_tokens":16,"n":2,"stream":true,"stream_options":{"include_usage":false}}"#;
const GEMINI: &[u8] = br#"{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"maxOutputTokens":16,"candidate_count":1,"temperature":-0.5e3}}"#;
const SSE: &[u8] = b": x\r\n\r\ndata: {\"choices\":[{\"delta\":{}}],\"usage\":null}\r\n\r\nevent: y\ndata: {\"choices\":[],\ndata: \"usage\":{\"prompt_tokens\":13,\"completion_tokens\":9,\"prompt_tokens_details\":{\"cached_tokens\":3}}}\n\ndata: [DONE]\n\n";
const ANTHROPIC: &[u8] = b"event: message_start\ndata: {\"message\":{\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\nevent: message_delta\ndata: {\"usage\":{\"output_tokens\":15}}\n\n";
const PARTS: &[u8] = br#"[{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":8,"candidatesTokenCount":6,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":4}]}}]"#;
const FORM: &[u8] = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\nID3\r\n--c\r\n--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n--b--\r\n";

/// A frame of an AWS event stream with text headers.
fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let length = |bytes: usize| u32::try_from(bytes).expect("it is short").to_be_bytes();
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).expect("it is short"));
        head.extend(name.as_bytes());
        head.push(7);
        head.extend(
            u16::try_from(value.len())
                .expect("it is short")
                .to_be_bytes(),
        );
        head.extend(value.as_bytes());
    }
    let mut frame = [length(16 + head.len() + payload.len()), length(head.len())].concat();
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame.extend(head);
    frame.extend(payload);
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame
}

fn frames() -> Vec<u8> {
    let metadata = br#"{"usage":{"inputTokens":17,"outputTokens":23,"cacheReadInputTokens":2}}"#;
    let chunk = br#"{"bytes":"eyJ1c2FnZSI6eyJpbnB1dF90b2tlbnMiOjEsIm91dHB1dF90b2tlbnMiOjJ9fQ=="}"#;
    [
        frame(
            &[(":message-type", "event"), (":event-type", "chunk")],
            chunk,
        ),
        frame(&[(":event-type", "metadata")], metadata),
        frame(
            &[(":exception-type", "x"), (":message-type", "exception")],
            b"{}",
        ),
    ]
    .concat()
}

#[test]
fn arbitrary_requests() {
    run(&[CHAT, GEMINI], targets::request);
}

#[test]
fn arbitrary_forms() {
    run(&[FORM], targets::form);
}

#[test]
fn arbitrary_answers() {
    run(&[SSE, ANTHROPIC, PARTS, &frames()], targets::answer);
}

#[test]
fn arbitrary_streams_in_a_sieve() {
    run(&[SSE], targets::sieve);
}

/// Frames of a WebSocket, masked with zeros if at all.
fn messages(mask: bool) -> Vec<u8> {
    let created = br#"{"type":"response.created"}"#;
    let done = br#"{"type":"response.done","response":{"status":"completed","usage":{"input_tokens":3,"output_tokens":4}}}"#;
    let create = br#"{"type":"response.create","session":{"model":"m","audio":{"input":{}}}}"#;
    let texts: [(u8, &[u8]); 5] = [
        (0x81, created),
        (0x01, &done[..20]),
        (0x89, b"ping"),
        (0x80, &done[20..]),
        (0x81, create),
    ];
    let mut bytes = Vec::new();
    for (first, text) in texts {
        let length = u8::try_from(text.len()).expect("it is short");
        bytes.push(first);
        bytes.push(if mask { 0x80 | length } else { length });
        if mask {
            bytes.extend([0; 4]);
        }
        bytes.extend(text);
    }
    bytes
}

#[test]
fn arbitrary_sessions() {
    run(&[&messages(true), &messages(false)], targets::session);
}
