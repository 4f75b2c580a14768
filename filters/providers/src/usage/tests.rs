use proptest::prelude::*;
use sekisho_domain::{Provider, Tokens};

use super::*;
use crate::operations;

fn operation(provider: Provider, name: &str) -> &'static Operation {
    let mut all = operations(provider).iter();
    all.find(|o| o.name == name).unwrap()
}

fn chat() -> &'static Operation {
    operation(Provider::OpenAi, "chat_completions")
}

fn messages() -> &'static Operation {
    operation(Provider::Anthropic, "messages")
}

fn gemini() -> &'static Operation {
    operation(Provider::Gemini, "stream_generate_content")
}

fn converse() -> &'static Operation {
    operation(Provider::Bedrock, "converse_stream")
}

fn invoke() -> &'static Operation {
    operation(Provider::Bedrock, "invoke_stream")
}

fn used(input: u64, output: u64, cached_input: u64) -> Option<Usage> {
    Some(Usage {
        input: Tokens(input),
        output: Tokens(output),
        cached_input: Tokens(cached_input),
        ..Usage::default()
    })
}

/// As [`used`], with what the cache took.
fn cached(input: u64, output: u64, read: u64, written: u64) -> Option<Usage> {
    used_and((input, output, read), |usage| {
        usage.cache_write_input = Tokens(written);
    })
}

/// As [`used`], with more that was said.
fn used_and(
    (input, output, cached_input): (u64, u64, u64),
    more: impl FnOnce(&mut Usage),
) -> Option<Usage> {
    let mut usage = used(input, output, cached_input);
    usage.as_mut().map(more);
    usage
}

fn meter_in<'c>(
    operation: &'static Operation,
    chunks: impl Iterator<Item = &'c [u8]>,
) -> Option<Usage> {
    let mut meter = UsageMeter::new(operation);
    chunks.for_each(|chunk| meter.push(chunk));
    meter.usage()
}

/// Meters the answer in chunks of several sizes and at every single cut, none of which
/// may matter.
fn meter(operation: &'static Operation, answer: impl AsRef<[u8]>) -> Option<Usage> {
    let answer = answer.as_ref();
    let whole = meter_in(operation, [answer].into_iter());
    for size in 1..20 {
        let cut = meter_in(operation, answer.chunks(size));
        assert_eq!(cut, whole, "{size}: {}", String::from_utf8_lossy(answer));
    }
    for at in 0..answer.len() {
        let (a, b) = answer.split_at(at);
        let cut = meter_in(operation, [a, b].into_iter());
        assert_eq!(cut, whole, "{at}: {}", String::from_utf8_lossy(answer));
    }
    whole
}

#[test]
fn openai_json_reports_usage_at_the_top() {
    let answer = r#"{"id":"x","choices":[{"message":{"content":"\"usage\":{\"prompt_tokens\":99} } ] {","usage":{"prompt_tokens":7}}}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 1}}}"#;
    let usage = used_and((11, 3, 2), |usage| usage.reasoning_output = Tokens(1));
    assert_eq!(meter(chat(), answer), usage);
    let azure = operation(Provider::AzureOpenAi, "chat_completions");
    assert_eq!(meter(azure, answer), usage);
}

#[test]
fn openai_tells_kinds_of_tokens_apart() {
    let answer = r#"{"usage":{"prompt_tokens":100,"completion_tokens":50,
        "prompt_tokens_details":{"audio_tokens":30,"cached_tokens":20,"cache_write_tokens":10,"image_tokens":5,"text_tokens":65},
        "completion_tokens_details":{"audio_tokens":20,"reasoning_tokens":8,"accepted_prediction_tokens":1}}}"#;
    let usage = used_and((100, 50, 20), |usage| {
        usage.cache_write_input = Tokens(10);
        usage.audio_input = Tokens(30);
        usage.image_input = Tokens(5);
        usage.reasoning_output = Tokens(8);
        usage.audio_output = Tokens(20);
    });
    assert_eq!(meter(chat(), answer), usage);
}

#[test]
fn parts_are_never_more_than_the_whole() {
    let answer = r#"{"usage":{"prompt_tokens":1,"completion_tokens":2,
        "prompt_tokens_details":{"audio_tokens":30},"completion_tokens_details":{"reasoning_tokens":8}}}"#;
    let usage = used_and((1, 2, 0), |usage| {
        usage.audio_input = Tokens(1);
        usage.reasoning_output = Tokens(2);
    });
    assert_eq!(meter(chat(), answer), usage);
}

#[test]
fn embeddings_have_input_only() {
    let answer = r#"{"object":"list","data":[{"embedding":[0.1,-2e-3,"]"]}],"usage":{"prompt_tokens":5,"total_tokens":5}}"#;
    let embeddings = operation(Provider::OpenAi, "embeddings");
    assert_eq!(meter(embeddings, answer), used(5, 0, 0));
}

#[test]
fn nothing_reported_is_not_zero_reported() {
    for answer in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"usage":null}"#,
        r#"{"usage":{}}"#,
        r#"{"usage":[{"prompt_tokens":1}]}"#,
        r#"{"usage":{"prompt_tokens":"1"}}"#,
        r#"{"usage":{"prompt_tokens":-1}}"#,
        r#"{"usage":{"prompt_tokens":1.5}}"#,
        r#"{"error":{"message":"no"}}"#,
        "<html>",
        r#"{"us\u0061ge":{"prompt_tokens":1}}"#,
    ] {
        assert_eq!(meter(chat(), answer), None, "{answer}");
    }
    let zero = r#"{"usage":{"prompt_tokens":0,"completion_tokens":0}}"#;
    assert_eq!(meter(chat(), zero), used(0, 0, 0));
    assert_eq!(meter(chat(), b"ID3\x04usage\0{\"usage\":{}}"), None);
}

#[test]
fn an_openai_stream_reports_usage_in_its_last_event() {
    let answer = concat!(
        ": hello\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}],\"usage\":null}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"data: \\\"usage\\\":{\\\"prompt_tokens\\\":1}\"}}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":2}}}\n\n",
        "data: [DONE]\n\n",
    );
    assert_eq!(meter(chat(), answer), used(11, 3, 2));
    for ending in ["\r\n", "\r"] {
        assert_eq!(meter(chat(), answer.replace('\n', ending)), used(11, 3, 2));
    }
    let without: String = answer
        .split_inclusive("\n\n")
        .filter(|e| !e.contains("[]"))
        .collect();
    assert_eq!(meter(chat(), without), None);
}

#[test]
fn data_may_have_many_lines_and_no_space() {
    let answer = "\u{feff}id: 1\ndata:{\"usage\":\nevent: x\ndata\ndata: {\"prompt_tokens\": 4,\ndata:  \"completion_tokens\":5}}\nretry: 1\n\n";
    assert_eq!(meter(chat(), answer), used(4, 5, 0));
    let other_fields = "dat: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\nxdata: {\"usage\":{\"completion_tokens\":1}}\n\n data: {\"usage\":{\"completion_tokens\":1}}\n\ndatax: {\"usage\":{\"completion_tokens\":1}}\n\n";
    assert_eq!(meter(chat(), other_fields), None);
}

#[test]
fn one_broken_event_does_not_spoil_the_next() {
    let answer = "data: {\"a\":\"\n\ndata: }}]{\n\ndata: {\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":5}}\n\n";
    assert_eq!(meter(chat(), answer), used(4, 5, 0));
}

#[test]
fn a_responses_stream_reports_usage_in_the_completed_response() {
    let responses = operation(Provider::OpenAi, "responses");
    let answer = concat!(
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"usage\":null}}\n\n",
        "event: response.output_text.delta\ndata: {\"delta\":\"usage\"}\n\n",
        "event: response.completed\ndata: {\"response\":{\"output\":[{\"usage\":{\"input_tokens\":9}}],\"usage\":{\"input_tokens\":11,",
        "\"input_tokens_details\":{\"cached_tokens\":2},\"output_tokens\":3,\"total_tokens\":14}},\"type\":\"response.completed\"}\n\n",
    );
    assert_eq!(meter(responses, answer), used(11, 3, 2));
    let json = r#"{"id":"r","usage":{"input_tokens":11,"input_tokens_details":{"cached_tokens":2},"output_tokens":3}}"#;
    assert_eq!(meter(responses, json), used(11, 3, 2));
}

const MESSAGE_START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[],\"usage\":{\"input_tokens\":11,\"cache_creation_input_tokens\":4,\"cache_read_input_tokens\":2,\"output_tokens\":1}}}\n\n";
const MESSAGE_DELTA: &str = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n";

#[test]
fn anthropic_output_is_cumulative_and_input_includes_the_cache() {
    let answer = [
        MESSAGE_START,
        "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        "event: message_delta\ndata: {\"usage\":{\"output_tokens\":5}}\n\n",
        MESSAGE_DELTA,
    ];
    assert_eq!(meter(messages(), answer.concat()), cached(17, 9, 2, 4));
    let json = r#"{"id":"m","content":[{"text":"x"}],"usage":{"input_tokens":11,"cache_creation_input_tokens":4,"cache_read_input_tokens":2,"output_tokens":9,"output_tokens_details":{"thinking_tokens":3}}}"#;
    let mut usage = cached(17, 9, 2, 4);
    usage.as_mut().unwrap().reasoning_output = Tokens(3);
    assert_eq!(meter(messages(), json), usage);
}

#[test]
fn a_stream_that_broke_off_before_its_figures_were_final_reports_nothing() {
    assert_eq!(meter(messages(), MESSAGE_START), None);
    let begun = r#"data: {"candidates":[{"content":{}}],"usageMetadata":{"promptTokenCount":11,"candidatesTokenCount":1}}"#;
    assert_eq!(meter(gemini(), format!("{begun}\n\n")), None);
}

const GEMINI: [&str; 2] = [
    r#"{"candidates":[{"content":{"parts":[{"text":"\"usage\""}]},"index":0}],"usageMetadata":{"promptTokenCount":11,"candidatesTokenCount":1,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":4}],"candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":1}]}}"#,
    r#"{"candidates":[{"content":{"finishReason":"no"},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":11,"toolUsePromptTokenCount":5,"candidatesTokenCount":3,"thoughtsTokenCount":1,"cachedContentTokenCount":2,"promptTokensDetails":[{"tokenCount":99},{"modality":"TEXT","tokenCount":1},{"modality":"AUDIO","tokenCount":4},{"tokenCount":3,"modality":"IMAGE"},{"modality":"VIDEO","tokenCount":2},{"modality":"AUDIO"}],"toolUsePromptTokensDetails":[{"modality":"IMAGE","tokenCount":1}],"candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":2},{"modality":"IMAGE","tokenCount":1}]}}"#,
];

#[test]
fn gemini_counts_thoughts_as_output_in_every_framing() {
    let [first, last] = GEMINI;
    let sse = format!("data: {first}\r\n\r\ndata: {last}\r\n\r\n");
    assert_eq!(meter(gemini(), sse), used_in_every_kind());
    assert_eq!(
        meter(gemini(), format!("[{first}\n,\r\n{last}\n]")),
        used_in_every_kind()
    );
    assert_eq!(meter(gemini(), format!("[{first}\n,")), None);
    assert_eq!(meter(gemini(), last), used_in_every_kind());
}

fn used_in_every_kind() -> Option<Usage> {
    used_and((16, 4, 2), |usage| {
        usage.audio_input = Tokens(4);
        usage.image_input = Tokens(6);
        usage.reasoning_output = Tokens(1);
        usage.audio_output = Tokens(2);
        usage.image_output = Tokens(1);
    })
}

#[test]
fn a_blocked_gemini_prompt_still_counts() {
    let answer = r#"data: {"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":8,"totalTokenCount":8}}"#;
    assert_eq!(meter(gemini(), format!("{answer}\n\n")), used(8, 0, 0));
}

/// A frame as AWS describes it.
fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap());
        head.extend(name.as_bytes());
        head.push(7);
        head.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        head.extend(value.as_bytes());
    }
    framed(&head, payload)
}

/// A frame around headers that are written out.
fn framed(head: &[u8], payload: &[u8]) -> Vec<u8> {
    let total = u32::try_from(16 + head.len() + payload.len()).unwrap();
    let mut frame = [
        total.to_be_bytes(),
        u32::try_from(head.len()).unwrap().to_be_bytes(),
    ]
    .concat();
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame.extend(head);
    frame.extend(payload);
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame
}

fn event(kind: &str, payload: &str) -> Vec<u8> {
    let headers = [
        (":event-type", kind),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    frame(&headers, payload.as_bytes())
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .map(|three| {
            let mut bits = [0; 4];
            bits[1..=three.len()].copy_from_slice(three);
            let bits = u32::from_be_bytes(bits);
            let digit = |n: usize| char::from(ALPHABET[(bits >> (18 - 6 * n)) as usize & 63]);
            (0..4)
                .map(|n| if n <= three.len() { digit(n) } else { '=' })
                .collect::<String>()
        })
        .collect()
}

fn chunk(inner: &str) -> Vec<u8> {
    let bytes = base64(inner.as_bytes()).replace('/', "\\/");
    event("chunk", &format!(r#"{{"p":"abcd","bytes":"{bytes}"}}"#))
}

const METADATA: &str = r#"{"metrics":{"latencyMs":12},"usage":{"inputTokens":11,"outputTokens":3,"totalTokens":20,"cacheReadInputTokens":2,"cacheWriteInputTokens":4}}"#;

#[test]
fn converse_reports_usage_in_json_and_in_the_metadata_event() {
    let json = METADATA.replacen(
        '{',
        r#"{"output":{"message":{"content":[{"text":"}"}]}},"#,
        1,
    );
    assert_eq!(meter(converse(), json), cached(17, 3, 2, 4));
    let answer = [
        event("messageStart", r#"{"role":"assistant"}"#),
        event(
            "contentBlockDelta",
            r#"{"usage":{"inputTokens":99,"outputTokens":99}}"#,
        ),
        frame(&[], b""),
        event("metadata", METADATA),
    ];
    assert_eq!(meter(converse(), answer.concat()), cached(17, 3, 2, 4));
}

#[test]
fn what_a_frame_says_counts_only_if_its_checksums_are_right() {
    let good = [event("messageStop", "{}"), event("metadata", METADATA)].concat();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x01;
        let usage = meter_in(converse(), bad.chunks(7));
        let harmless = (12..event("messageStop", "{}").len()).contains(&at); // nobody looks there
        assert_eq!(usage.is_some(), harmless, "byte {at}");
        if harmless {
            assert_eq!(usage, cached(17, 3, 2, 4));
        }
    }
    assert_eq!(meter(converse(), &good[..good.len() - 1]), None);
}

/// One header of each type, named by its number, in the order of the AWS SDKs' own vector.
fn headers_of_every_type() -> Vec<u8> {
    let values: [&[u8]; 10] = [
        &[],
        &[],
        &[2],
        &[0, 3],
        &[0, 0, 0, 4],
        &[0, 0, 0, 0, 0, 0, 0, 5],
        b"\0\x05bytes",
        b"\0\x04utf8",
        &[0, 0, 0, 0, 0, 0, 0, 8],
        b"0123456789abcdef",
    ];
    let header = |(kind, value): (u8, &&[u8])| [&[1, b'0' + kind, kind], *value].concat();
    (0..).zip(&values).flat_map(header).collect()
}

#[test]
fn frames_are_what_the_aws_sdks_hold_them_to_be() {
    // Checksums of prelude and message in the vectors of the SDKs' test suites.
    let text = |name: &str, value: &str| {
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        let name = [&[u8::try_from(name.len()).unwrap()], name.as_bytes()].concat();
        [&*name, &[7], &length, value.as_bytes()].concat()
    };
    let error = [
        text(":message-type", "error"),
        text(":error-code", "code"),
        text(":error-message", "message"),
    ];
    let json = text("content-type", "application/json");
    let vectors: [(Vec<u8>, &[u8], u32, u32); 6] = [
        (Vec::new(), b"", 0x05c2_48eb, 0x7d98_c8ff),
        (b"\x04byte\x02\xff".to_vec(), b"", 0x2986_0158, 0xc2f8_69dc),
        (Vec::new(), b"{'foo':'bar'}", 0xfd52_8c5a, 0xc365_3936),
        (json, b"{'foo':'bar'}", 0x07fd_8396, 0x8d9c_08b1),
        (headers_of_every_type(), b"", 0x03b5_cb9c, 0x6335_3671),
        (error.concat(), b"", 0xbf23_637e, 0x6b6c_ea3d),
    ];
    let mut all = Vec::new();
    for (head, payload, prelude, message) in &vectors {
        let frame = framed(head, payload);
        assert_eq!(frame[8..12], prelude.to_be_bytes());
        assert_eq!(frame[frame.len() - 4..], message.to_be_bytes());
        all.extend(frame);
    }
    // None of them is in the way of what comes after.
    all.extend(event("metadata", METADATA));
    assert_eq!(meter(converse(), &all), cached(17, 3, 2, 4));
    for (at, with) in [(0, 1), (4, 0xff), (7, 0x10)] {
        let mut damaged = framed(&headers_of_every_type(), b"");
        damaged[at] = with;
        damaged.extend(event("metadata", METADATA));
        assert_eq!(meter(converse(), damaged), None, "{at}");
    }
}

#[test]
fn an_exception_in_a_stream_that_began_well_is_recognised() {
    let broke_off = |answer: &[u8], size: usize| {
        let mut meter = UsageMeter::new(converse());
        answer.chunks(size).for_each(|chunk| meter.push(chunk));
        (meter.broke_off(), meter.usage())
    };
    let start = event("messageStart", "{}");
    let exception = [
        (":exception-type", "throttlingException"),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    let error = [(":error-code", "500"), (":message-type", "error")];
    for headers in [&exception[..], &error] {
        let answer = [&*start, &frame(headers, br#"{"message":"slow down"}"#)].concat();
        for size in 1..40 {
            assert_eq!(broke_off(&answer, size), (true, None), "{size}");
        }
        let mut damaged = answer;
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(broke_off(&damaged, 7), (false, None));
    }
    let answer = [start, event("metadata", METADATA)].concat();
    assert_eq!(broke_off(&answer, 7), (false, cached(17, 3, 2, 4)));
}

#[test]
fn impossible_lengths_end_the_reading() {
    for (total, headers) in [
        (0, 0),
        (15, 0),
        (16, 1),
        (u32::MAX, 0),
        (100, u32::MAX),
        (25 << 20, 0),
    ] {
        let mut answer = [u32::to_be_bytes(total), u32::to_be_bytes(headers)].concat();
        answer.extend(crc32fast::hash(&answer).to_be_bytes());
        answer.extend(event("metadata", METADATA));
        assert_eq!(meter(converse(), answer), None, "{total} {headers}");
    }
}

#[test]
fn a_frame_with_overlong_headers_is_passed_over() {
    let long = "x".repeat(5000);
    let odd = frame(
        &[(":event-type", "metadata"), ("x", &long)],
        METADATA.as_bytes(),
    );
    let after = event(
        "metadata",
        r#"{"usage":{"inputTokens":1,"outputTokens":1}}"#,
    );
    let answer = [odd, after].concat();
    assert_eq!(meter_in(converse(), answer.chunks(100)), used(1, 1, 0));
    assert_eq!(meter_in(converse(), answer.chunks(1)), used(1, 1, 0));
}

#[test]
fn an_invoke_stream_wraps_the_events_of_its_model() {
    let inner = |sse: &str| sse.split_once("data: ").unwrap().1.trim().to_owned();
    let start = chunk(&inner(MESSAGE_START));
    let text = chunk(r#"{"type":"content_block_delta","delta":{"text":"???>>>~~~"}}"#);
    let end = chunk(&inner(MESSAGE_DELTA));
    assert_eq!(
        meter(invoke(), [&*start, &*text, &*end].concat()),
        cached(17, 9, 2, 4)
    );
    assert_eq!(meter(invoke(), [&*start, &*text].concat()), None);
    let metrics = chunk(
        r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":11,"outputTokenCount":8,"cacheReadInputTokenCount":2,"cacheWriteInputTokenCount":4,"invocationLatency":5}}"#,
    );
    assert_eq!(
        meter(invoke(), [start, text, end, metrics].concat()),
        cached(17, 8, 2, 4)
    );
}

#[test]
fn broken_base64_is_read_no_further() {
    let broken = event("chunk", r#"{"bytes":"eyJ1c2Fn*ZSI6"}"#);
    let answer = [
        broken,
        chunk(r#"{"usage":{"input_tokens":1,"output_tokens":2}}"#),
    ]
    .concat();
    assert_eq!(meter(invoke(), answer), used(1, 2, 0));
}

#[test]
fn figures_beyond_reason_do_not_wrap() {
    let answer = r#"{"usage":{"input_tokens":18446744073709551615,"cache_read_input_tokens":5,"output_tokens":7}}"#;
    assert_eq!(meter(messages(), answer), used(u64::MAX, 7, 5));
    let answer = r#"{"usage":{"input_tokens":1,"output_tokens":18446744073709551616}}"#;
    assert_eq!(meter(messages(), answer), None);
}

fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "data:",
        "data: ",
        "data",
        "event: x",
        ":",
        "\n",
        "\n\n",
        "\r",
        "\r\n",
        "\r\n\r\n",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"usage\"",
        "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}",
        "\"us\\u0061ge\"",
        "{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":7}}",
        "\"response\":",
        "\"completion_tokens\":3",
        "\"x\\\"\"",
        "\"",
        "12",
        "null",
        "[DONE]",
        "\u{feff}",
        " ",
        "関",
        "data: {\"usage\":{\"completion_tokens\":9}}\n\n",
        "{\"a\":\"usage\"}",
        "{\"usageMetadata\":{\"promptTokenCount\":9,\"promptTokensDetails\":[{\"modality\":\"AUDIO\",\"tokenCount\":",
        "4},{\"tokenCount\":2,\"modality\":\"IMAGE\"}]}}",
        "{\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":3}}",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn no_cut_changes_the_figures(bytes in any_stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5)) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        for operation in [chat(), gemini(), messages()] {
            let whole = meter_in(operation, [bytes.as_slice()].into_iter());
            let cut = meter_in(operation, cuts.windows(2).map(|w| &bytes[w[0]..w[1]]));
            prop_assert_eq!(cut, whole, "{}", String::from_utf8_lossy(&bytes));
            prop_assert_eq!(meter_in(operation, bytes.chunks(1)), whole);
        }
    }

    #[test]
    fn no_cut_changes_the_figures_of_frames(
        frames in prop::collection::vec(prop_oneof![
            any::<(u64, u64)>().prop_map(|(i, o)| event("metadata", &format!(r#"{{"usage":{{"inputTokens":{i},"outputTokens":{o}}}}}"#))),
            any::<u64>().prop_map(|o| chunk(&format!(r#"{{"usage":{{"input_tokens":1,"output_tokens":{o}}}}}"#))),
            ".{0,40}".prop_map(|text| event("contentBlockDelta", &text)),
            prop::collection::vec(any::<u8>(), 0..20),
        ], 0..5),
        flip in any::<Option<prop::sample::Index>>(),
        size in 1..40usize,
    ) {
        let mut bytes = frames.concat();
        if let Some(flip) = flip && !bytes.is_empty() {
            let at = flip.index(bytes.len());
            bytes[at] ^= 0x10;
        }
        let whole = meter_in(invoke(), [bytes.as_slice()].into_iter());
        prop_assert_eq!(meter_in(invoke(), bytes.chunks(size)), whole);
        prop_assert_eq!(meter_in(invoke(), bytes.chunks(1)), whole);
    }
}
