use sekisho_domain::{Denial, DenialCode, RecordId};
use serde_json::{Value, json};

use super::*;
use crate::operations;

fn operation(provider: Provider, name: &str) -> &'static Operation {
    let mut all = operations(provider).iter();
    all.find(|operation| operation.name == name).unwrap()
}

fn sse(events: &[Value]) -> Vec<u8> {
    let events = events.iter().map(|event| format!("data: {event}\n\n"));
    events.collect::<String>().into_bytes()
}

fn words(count: usize) -> Vec<Value> {
    let word = |at| {
        json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "gpt-4o",
            "choices": [{"index": 0, "delta": {"content": format!("w{at:03}")}, "finish_reason": null}],
        })
    };
    (0..count).map(word).collect()
}

/// Passes an answer in pieces of a size through a limit; what came through, and whether it was cut.
fn through(wire: StreamWire, answer: &[u8], size: usize, limit: u64) -> (Vec<u8>, u64, Passed) {
    let mut events = AnswerEvents::new(wire);
    let (mut out, mut shown) = (Vec::new(), 0);
    let pieces: Vec<&[u8]> = answer.chunks(size).collect();
    for (at, piece) in pieces.iter().enumerate() {
        let passed = events.push(piece, at + 1 == pieces.len(), |tokens| {
            let fits = shown + tokens <= limit;
            if fits {
                shown += tokens;
            }
            fits
        });
        out.extend_from_slice(&passed.bytes);
        if passed.is_cut {
            return (out, shown, passed);
        }
    }
    (out, shown, Passed::default())
}

fn of(wire: StreamWire, event: Value) -> u64 {
    shown::of_event(wire, &event)
}

#[test]
fn an_answer_passes_in_whole_events_however_it_was_cut_and_stops_between_two() {
    let mut answer = sse(&words(10));
    answer.extend_from_slice(b": a comment\r\n\r\ndata: [DONE]\n\n");
    for size in [1, 2, 3, 7, 50, 199, 10_000] {
        let (out, shown, end) = through(StreamWire::Chat, &answer, size, u64::MAX);
        assert_eq!(out, answer, "pieces of {size}");
        // Four bytes each, and one for what may not be seen.
        assert_eq!((shown, end.is_cut), (50, false));
        let (out, shown, end) = through(StreamWire::Chat, &answer, size, 34);
        assert_eq!(out, sse(&words(6)), "pieces of {size}");
        assert_eq!((shown, end.is_cut, end.is_broken), (30, true, false));
    }
}

#[test]
fn what_is_no_stream_counts_by_its_bytes_and_cannot_be_ended() {
    for answer in [br#"{"choices": []}"#.as_slice(), b"[{}]", b"no events"] {
        let (out, shown, _) = through(StreamWire::Chat, answer, 4, u64::MAX);
        assert_eq!((out.as_slice(), shown), (answer, answer.len() as u64));
        let (out, _, end) = through(StreamWire::Chat, answer, 2, 3);
        assert!(out.len() <= 3 && end.is_cut && end.is_broken, "{end:?}");
    }
}

#[test]
fn an_event_that_is_too_long_to_be_held_passes_as_it_comes_and_counts_whole() {
    let long = "x".repeat(MOST_HELD + 10_000);
    let answer = format!("data: {long}\n\n");
    let (out, shown, _) = through(StreamWire::Chat, answer.as_bytes(), 4096, u64::MAX);
    assert_eq!((out.len(), shown), (answer.len(), answer.len() as u64));
}

#[test]
fn text_counts_by_its_bytes_and_what_nobody_generated_does_not_count() {
    let deltas = [
        (
            StreamWire::Chat,
            json!({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "関所"}}],
                   "usage": {"prompt_tokens": 5}, "obfuscation": "xxxxxxxx", "system_fingerprint": "fp_1"}),
            6,
        ),
        (
            StreamWire::Chat,
            json!({"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "call_1", "type": "function",
                   "function": {"name": "pay", "arguments": "{\"yen\":1}"}}]}}]}),
            3 + 9,
        ),
        (
            StreamWire::Responses,
            json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0,
                   "content_index": 0, "delta": "hello", "sequence_number": 4}),
            5,
        ),
        (
            StreamWire::Responses,
            json!({"type": "response.output_text.done", "text": "hello, all of it again"}),
            0,
        ),
        (
            StreamWire::Messages,
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}),
            2,
        ),
        (
            StreamWire::Messages,
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{\"a\""}}),
            4,
        ),
        (
            StreamWire::Messages,
            json!({"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 9}}}),
            0,
        ),
        (
            StreamWire::Gemini,
            json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "abc"}]}, "index": 0}],
                   "usageMetadata": {"promptTokenCount": 4}, "modelVersion": "gemini-2.0"}),
            3,
        ),
        (
            StreamWire::Bedrock,
            json!({"contentBlockIndex": 0, "delta": {"text": "four"}, "p": "abcdefghij"}),
            4,
        ),
        (StreamWire::Bedrock, json!({"generation": "llama"}), 5),
    ];
    for (wire, event, shown) in deltas {
        assert_eq!(of(wire, event.clone()), shown + 1, "{event}");
    }
}

#[test]
fn what_is_not_known_counts_whole_with_its_names() {
    let call = json!({"candidates": [{"content": {"parts": [
        {"functionCall": {"name": "pay", "args": {"id": 12345, "to": "x"}}}]}}]});
    let written = r#"{"name":"pay","args":{"id":12345,"to":"x"}}"#.len() as u64;
    assert!(of(StreamWire::Gemini, call) >= written);
    let new = json!({"choices": [{"delta": {"hologram": {"id": "abc"}}}]});
    assert!(of(StreamWire::Chat, new) >= 3 + 8);
}

#[test]
fn only_what_streams_as_events_is_followed() {
    for (provider, name, path, wire) in [
        (
            Provider::OpenAi,
            "chat_completions",
            "/v1/chat/completions",
            Some(StreamWire::Chat),
        ),
        (
            Provider::AzureOpenAi,
            "responses",
            "/openai/v1/responses",
            Some(StreamWire::Responses),
        ),
        (
            Provider::Anthropic,
            "messages",
            "/v1/messages?beta=true",
            Some(StreamWire::Messages),
        ),
        (
            Provider::Gemini,
            "stream_generate_content",
            "/v1/models/m:x?alt=sse",
            Some(StreamWire::Gemini),
        ),
        (
            Provider::Gemini,
            "stream_generate_content",
            "/v1/models/m:x?alt=json",
            None,
        ),
        (
            Provider::Gemini,
            "stream_generate_content",
            "/v1/models/alt=sse:x",
            None,
        ),
        (
            Provider::Bedrock,
            "converse_stream",
            "/model/m/converse-stream",
            Some(StreamWire::Bedrock),
        ),
        (Provider::Bedrock, "converse", "/model/m/converse", None),
        (
            Provider::OpenAi,
            "image_generations",
            "/v1/images/generations",
            None,
        ),
    ] {
        let found = StreamWire::of(operation(provider, name), path.as_bytes());
        assert_eq!(found, wire, "{name} {path}");
    }
}

fn denial() -> Denial {
    Denial::with(DenialCode::BudgetExhausted, "budget `b` has nothing left")
}

fn closing(wire: StreamWire, answer: &[u8]) -> Vec<u8> {
    let mut events = AnswerEvents::new(wire);
    events.push(answer, false, |_| true);
    events.closing().bytes(2, &denial(), &RecordId([7; 16]))
}

/// The data of each event.
fn read(bytes: &[u8]) -> Vec<Value> {
    let mut rest = bytes;
    let mut events = Vec::new();
    while let Some(length) = sse::event_length(rest, 0) {
        let (event, after) = rest.split_at(length);
        events.push(serde_json::from_slice(&data_of(event)).unwrap_or(json!("[DONE]")));
        rest = after;
    }
    assert!(rest.is_empty());
    events
}

#[test]
fn openais_answers_end_for_their_length() {
    let events = read(&closing(StreamWire::Chat, &sse(&words(1))));
    let reasons: Vec<&Value> = events[0]["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["finish_reason"])
        .collect();
    assert_eq!(reasons, ["length", "length"]);
    assert_eq!(
        (&events[0]["id"], &events[0]["created"]),
        (&json!("chatcmpl-1"), &json!(7))
    );
    assert_eq!(events[1], "[DONE]");
    let begun = json!({"type": "response.created", "sequence_number": 3,
                       "response": {"id": "resp_1", "created_at": 9, "model": "gpt-4o"}});
    let events = read(&closing(StreamWire::Responses, &sse(&[begun])));
    assert_eq!(events[0]["sequence_number"], 4);
    let response = &events[0]["response"];
    assert_eq!(
        (&response["id"], &response["status"]),
        (&json!("resp_1"), &json!("incomplete"))
    );
    assert_eq!(
        response["incomplete_details"]["reason"],
        "max_output_tokens"
    );
}

#[test]
fn others_are_told_the_length_and_then_an_error_of_their_own() {
    let begun = json!({"type": "content_block_start", "index": 3, "content_block": {"type": "text", "text": ""}});
    let events = read(&closing(StreamWire::Messages, &sse(&[begun])));
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "content_block_stop",
            "message_delta",
            "message_stop",
            "error"
        ]
    );
    assert_eq!(events[0]["index"], 3);
    assert_eq!(events[1]["delta"]["stop_reason"], "max_tokens");
    assert_eq!(events[3]["error"]["type"], "rate_limit_error");
    let events = read(&closing(StreamWire::Gemini, b"data: {}\r\n\r\n"));
    assert_eq!(events[0]["candidates"][1]["finishReason"], "MAX_TOKENS");
    assert_eq!(events[1]["error"]["status"], "RESOURCE_EXHAUSTED");
}

#[test]
fn frames_end_with_what_the_length_is_called_there_and_an_exception() {
    let delta = |text: &str| {
        let payload = json!({"contentBlockIndex": 0, "delta": {"text": text}}).to_string();
        frame::write(
            &[
                (":event-type", "contentBlockDelta"),
                (":message-type", "event"),
            ],
            payload.as_bytes(),
        )
    };
    let answer = [delta("abcd"), delta("efgh"), delta("ijkl")].concat();
    for size in [1, 5, 64, 1000] {
        let (out, shown, end) = through(StreamWire::Bedrock, &answer, size, 12);
        assert_eq!(out, answer[..2 * delta("abcd").len()], "pieces of {size}");
        assert_eq!((shown, end.is_cut, end.is_broken), (10, true, false));
    }
    let frames = closing(StreamWire::Bedrock, &answer);
    let mut rest = frames.as_slice();
    let mut said = Vec::new();
    while !rest.is_empty() {
        let (one, after) = rest.split_at(frame::length(rest).unwrap());
        let (body, checksum) = one.split_at(one.len() - 4);
        assert_eq!(checksum, crc32fast::hash(body).to_be_bytes());
        assert_eq!(&one[8..12], crc32fast::hash(&one[..8]).to_be_bytes());
        said.push(frame::event(one).unwrap());
        rest = after;
    }
    assert_eq!(said[1], json!({"stopReason": "max_tokens"}));
    assert!(
        said[2]["message"]
            .as_str()
            .unwrap()
            .contains("nothing left")
    );
    assert!(
        frames
            .windows(19)
            .any(|part| part == b"throttlingException")
    );
    // The frames of a model's family are what they wrap.
    let inner = r#"{"generation":"llama"}"#;
    let wrapped = json!({"bytes": "eyJnZW5lcmF0aW9uIjoibGxhbWEifQ=="}).to_string();
    let wrapped = frame::write(&[(":event-type", "chunk")], wrapped.as_bytes());
    assert_eq!(frame::event(&wrapped).unwrap().to_string(), inner);
}
