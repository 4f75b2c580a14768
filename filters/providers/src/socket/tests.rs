use sekisho_domain::{Tokens, Usage};
use serde_json::json;

use super::*;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// One frame.
fn frame(first: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    let mark = if masked { 0x80 } else { 0 };
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(mark | length as u8),
        length @ 126..65536 => {
            frame.push(mark | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(mark | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    if masked {
        frame.extend(MASK);
    }
    let mask = |(at, byte): (usize, &u8)| if masked { byte ^ MASK[at % 4] } else { *byte };
    frame.extend(payload.iter().enumerate().map(mask));
    frame
}

fn says(message: &serde_json::Value, masked: bool) -> Vec<u8> {
    frame(0x81, message.to_string().as_bytes(), masked)
}

fn client(bytes: &[u8], piece: usize) -> Result<Vec<ClientEvent>, SocketFault> {
    let mut side = ClientSide::new(vec!["gpt-realtime".to_owned()]);
    let mut events = Vec::new();
    for piece in bytes.chunks(piece) {
        side.push(piece, |event| events.push(event))?;
    }
    Ok(events)
}

fn server(bytes: &[u8], piece: usize) -> Result<Vec<ServerEvent>, SocketFault> {
    let mut side = ServerSide::default();
    let mut events = Vec::new();
    for piece in bytes.chunks(piece) {
        side.push(piece, |event| events.push(event))?;
    }
    Ok(events)
}

fn done() -> serde_json::Value {
    json!({"type": "response.done", "event_id": "event_1", "response": {
        "id": "resp_1", "status": "completed", "output": [{"usage": {"input_tokens": 9}}],
        "usage": {
            "total_tokens": 275, "input_tokens": 127, "output_tokens": 148,
            "input_token_details": {
                "text_tokens": 119, "audio_tokens": 8, "cached_tokens": 64,
                "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0},
            },
            "output_token_details": {"text_tokens": 36, "audio_tokens": 112},
        },
    }})
}

fn used() -> Usage {
    Usage {
        input: Tokens(127),
        output: Tokens(148),
        cached_input: Tokens(64),
        audio_input: Tokens(8),
        audio_output: Tokens(112),
        ..Usage::default()
    }
}

#[test]
fn a_session_reads_the_same_wherever_its_bytes_are_cut() {
    let mut heard = says(&json!({"type": "session.created"}), false);
    heard.extend(says(
        &json!({"type": "response.created", "response": {"status": "in_progress", "usage": null}}),
        false,
    ));
    let delta = json!({"type": "response.output_audio.delta", "delta": "A".repeat(70_000)});
    heard.extend(says(&delta, false));
    heard.extend(frame(0x89, b"ping", false));
    // One message in three frames, a pong among them.
    let done = done().to_string().into_bytes();
    heard.extend(frame(0x01, &done[..100], false));
    heard.extend(frame(0x8a, b"", false));
    heard.extend(frame(0x00, &done[100..200], false));
    heard.extend(frame(0x80, &done[200..], false));
    heard.extend(frame(0x88, &[3, 232], false));
    let wanted = vec![
        ServerEvent::ResponseBegins,
        ServerEvent::ResponseEnds(Some(used())),
    ];
    for piece in [1, 2, 3, 7, 1_000, heard.len()] {
        assert_eq!(server(&heard, piece), Ok(wanted.clone()), "{piece}");
    }
    let mut said = says(
        &json!({"type": "input_audio_buffer.append", "audio": "A".repeat(300)}),
        true,
    );
    said.extend(says(
        &json!({"response": {"type": "x"}, "type": "response.create"}),
        true,
    ));
    said.extend(frame(0x81, b"{\"type\":\"resp\\u006fnse.create\"}", true));
    said.extend(frame(0x88, &[3, 232], true));
    for piece in [1, 2, 3, 5, 64, said.len()] {
        assert_eq!(
            client(&said, piece),
            Ok(vec![ClientEvent::AsksForResponse; 2]),
            "{piece}"
        );
    }
}

#[test]
fn what_is_not_reported_is_told_apart_from_nothing() {
    let ends = |message: serde_json::Value| server(&says(&message, false), 9).unwrap();
    let done = |response: serde_json::Value| json!({"type": "response.done", "response": response});
    assert_eq!(
        ends(done(json!({"status": "cancelled"}))),
        [ServerEvent::ResponseEnds(None)]
    );
    assert_eq!(
        ends(done(
            json!({"status": "completed", "usage": {"input_tokens": 4}})
        )),
        [ServerEvent::ResponseEnds(None)]
    );
    assert_eq!(
        ends(done(json!({"status": "failed"}))),
        [ServerEvent::ResponseEnds(Some(Usage::default()))]
    );
    let zero = json!({"status": "cancelled", "usage": {"input_tokens": 0, "output_tokens": 0}});
    assert_eq!(
        ends(done(zero)),
        [ServerEvent::ResponseEnds(Some(Usage::default()))]
    );
    let busy =
        json!({"type": "error", "error": {"code": "conversation_already_has_active_response"}});
    assert_eq!(ends(busy), [ServerEvent::ResponseRefused]);
    assert_eq!(
        ends(json!({"type": "error", "error": {"code": "other"}})),
        []
    );
    assert_eq!(server(&frame(0x81, b"no json", false), 3), Ok(vec![]));
}

#[test]
fn what_cannot_be_read_or_held_to_the_policy_ends_the_session() {
    let plain = json!({"type": "session.update", "session": {"model": "gpt-realtime",
        "input_audio_transcription": null, "audio": {"input": {"transcription": null}}}});
    assert_eq!(client(&says(&plain, true), 5), Ok(vec![]));
    let fault = |message: serde_json::Value| client(&says(&message, true), 5).unwrap_err();
    for session in [
        json!({"input_audio_transcription": {"model": "whisper-1"}}),
        json!({"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}}),
        json!({"audio": {"input": {"transcription": {}}}}),
    ] {
        let update = json!({"type": "session.update", "session": session});
        assert_eq!(fault(update), SocketFault::Transcription);
    }
    assert_eq!(
        fault(json!({"type": "transcription_session.update"})),
        SocketFault::Transcription
    );
    assert_eq!(
        fault(json!({"type": "session.update", "session": {"model": "gpt-5"}})),
        SocketFault::OtherModel
    );
    assert_eq!(fault(json!([1])), SocketFault::Message);
    let twice = br#"{"type":"a","type":"response.create"}"#;
    assert_eq!(
        client(&frame(0x81, twice, true), 64),
        Err(SocketFault::Message)
    );
    let cased = br#"{"Type":"response.create"}"#;
    assert_eq!(
        client(&frame(0x81, cased, true), 64),
        Err(SocketFault::Message)
    );
    assert_eq!(
        client(&frame(0x81, b"{", true), 64),
        Err(SocketFault::Message)
    );
    for (first, payload) in [
        (0xc1, &b"{}"[..]), // compressed
        (0x82, b"{}"),      // binary
        (0x80, b"{}"),      // continues nothing
        (0x83, b"{}"),      // no such frame
        (0x09, b""),        // a ping in pieces
    ] {
        let frame = frame(first, payload, true);
        assert_eq!(client(&frame, 64), Err(SocketFault::Frames), "{first:x}");
    }
    assert_eq!(
        client(&frame(0x89, &[0; 126], true), 64),
        Err(SocketFault::Frames)
    );
    let mut endless = vec![0x81, 0xff];
    endless.extend([0xff; 8]);
    assert_eq!(client(&endless, 64), Err(SocketFault::Frames));
    assert_eq!(
        client(&frame(0x81, b"{}", false), 64),
        Err(SocketFault::Frames)
    );
    assert_eq!(
        server(&frame(0x81, b"{}", true), 64),
        Err(SocketFault::Frames)
    );
    let mut begun_twice = frame(0x01, b"{", true);
    begun_twice.extend(frame(0x01, b"}", true));
    assert_eq!(client(&begun_twice, 64), Err(SocketFault::Frames));
}
