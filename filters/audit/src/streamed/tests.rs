mod shapes;
mod texts;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use shapes::{Shape, header};
use texts::{by_turns, chunks, planted, shapes, sizes, words};

fn redaction() -> Arc<Redaction> {
    let pattern = sekisho_domain::Pattern::parse("EMP-[0-9]{6}").unwrap();
    Arc::new(Redaction::new(vec![pattern]))
}

fn kept(framing: Framing, chunks: &[&[u8]], most: u64) -> (Vec<u8>, Option<Cut>) {
    let mut streamed = Streamed::new(redaction(), framing, most);
    let mut out = Vec::new();
    for chunk in chunks {
        if let Err(cut) = streamed.push(chunk, &mut out) {
            return (out, Some(cut));
        }
    }
    let cut = streamed.finish(&mut out).err();
    (out, cut)
}

fn whole(framing: Framing, stream: &[u8]) -> String {
    let (out, cut) = kept(framing, &[stream], 1 << 20);
    assert_eq!(cut, None);
    String::from_utf8(out).unwrap()
}

/// What is redacted of a text that comes whole.
fn redacted(text: &str) -> String {
    let mut redactor = Redactor::new(redaction());
    let mut out = Vec::new();
    redactor.push(text.as_bytes(), &mut out);
    redactor.finish(&mut out);
    String::from_utf8(out).unwrap()
}

fn sse(events: &[Value]) -> Vec<u8> {
    let events = events.iter().map(|event| format!("data: {event}\n\n"));
    events.collect::<String>().into_bytes()
}

proptest! {
    #[test]
    fn what_is_said_in_pieces_is_taken_out_as_if_it_came_whole(
        shape in shapes(),
        texts in proptest::collection::vec(planted(), 1..=3),
        piece_sizes in sizes(12),
        chunk_sizes in sizes(700),
    ) {
        let texts = if shape.has_choices() { &texts[..] } else { &texts[..1] };
        let said: Vec<String> = texts.iter().map(|(text, _)| text.clone()).collect();
        let pieces = by_turns(shape, &said, &piece_sizes);
        let stream = shape.stream(&pieces);
        let (out, cut) = kept(shape.framing(), &chunks(&stream, &chunk_sizes), 1 << 20);
        prop_assert_eq!(cut, None);
        let (told, events) = shape.told(&out);
        prop_assert_eq!(events, pieces.len());
        let (before, _) = shape.told(&stream);
        for (told, before) in told.iter().zip(&before) {
            let wanted = shape.meant(&redacted(&shape.inner(before)));
            prop_assert_eq!(told, &wanted);
        }
        for secret in texts.iter().flat_map(|(_, secrets)| secrets) {
            for told in &told {
                prop_assert!(!told.contains(secret.as_str()), "{} is left", secret);
            }
        }
    }

    #[test]
    fn where_nothing_is_secret_every_byte_stays(
        shape in shapes(),
        texts in proptest::collection::vec(words(), 1..30),
        piece_sizes in sizes(12),
        chunk_sizes in sizes(700),
    ) {
        let pieces = by_turns(shape, &[texts.concat()], &piece_sizes);
        let stream = shape.stream(&pieces);
        let (out, cut) = kept(shape.framing(), &chunks(&stream, &chunk_sizes), 1 << 20);
        prop_assert_eq!((out, cut), (stream, None));
    }

    #[test]
    fn neither_chunks_nor_a_limit_make_a_difference_to_what_is_kept(
        shape in shapes(),
        (text, secrets) in planted(),
        piece_sizes in sizes(9),
        chunk_sizes in sizes(90),
        most in 0u64..6_000,
    ) {
        let pieces = by_turns(shape, &[text], &piece_sizes);
        let stream = shape.stream(&pieces);
        let (all, _) = kept(shape.framing(), &[&stream], 1 << 20);
        let limited = kept(shape.framing(), &[&stream], most);
        let cut = kept(shape.framing(), &chunks(&stream, &chunk_sizes), most);
        prop_assert_eq!(&cut, &limited);
        let (out, why) = cut;
        prop_assert!(all.starts_with(&out) && out.len() as u64 <= most);
        prop_assert_eq!(why.is_none(), out.len() == all.len());
        if shape != Shape::GeminiArray {
            let (told, _) = shape.told(&out);
            for secret in secrets {
                prop_assert!(!told[0].contains(&secret));
            }
        }
    }

    #[test]
    fn whatever_comes_nothing_fails(
        stream in proptest::collection::vec(prop_oneof![
            Just("data: ".to_owned()), Just("\n\n".to_owned()), Just("\r\n".to_owned()),
            Just("{\"delta\":\"".to_owned()), Just("\"}".to_owned()), Just("[".to_owned()),
            Just(",".to_owned()), Just("\\".to_owned()), Just("sk-proj-0123456789abcdef".to_owned()),
            Just("\\\\\\\\\\\\\\\\\\\\\"".to_owned()), "\\PC{0,5}",
        ], 0..40),
        at in any::<prop::sample::Index>(),
    ) {
        let stream = stream.concat().into_bytes();
        let (before, after) = stream.split_at(at.index(stream.len() + 1));
        for framing in [Framing::Lines, Framing::Values, Framing::Frames] {
            let whole = kept(framing, &[&stream], 500);
            prop_assert_eq!(kept(framing, &[before, after], 500), whole);
        }
    }

    #[test]
    fn what_is_changed_stays_json(inner in "(\\\\\\\\|\\\\\"|\\\\n|password=|[a-z]|sk-[a-z]{18}|\\\\u0034|4111111111111111){0,30}") {
        let event = format!("{{\"delta\":{{\"content\":\"{inner}\"}}}}\n");
        let (out, cut) = kept(Framing::Values, &[event.as_bytes()], 1 << 20);
        prop_assert_eq!(cut, None);
        prop_assert!(serde_json::from_slice::<Value>(&out).is_ok(), "{}", String::from_utf8_lossy(&out));
    }
}

#[test]
fn a_mark_stands_in_the_event_in_which_the_secret_begins() {
    let pieces = [
        "my key: sk-ab",
        "cdefghijkl",
        "mnopqrstuv",
        "wx and",
        " more",
    ];
    let pieces = pieces.map(|text| Shape::Chat.event(0, text));
    let kept = whole(Framing::Lines, &sse(&pieces));
    let wanted = ["my key: [redacted:secret]", "", "", " and", " more"];
    let wanted = wanted.map(|text| Shape::Chat.event(0, text));
    assert_eq!(kept.as_bytes(), sse(&wanted));
}

#[test]
fn what_comes_with_every_event_is_no_text_and_holds_nothing_back() {
    let mut streamed = Streamed::new(redaction(), Framing::Lines, 1 << 20);
    let mut out = Vec::new();
    let begin = json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]});
    streamed.push(&sse(&[begin]), &mut out).unwrap();
    assert_eq!(streamed.held(), 0);
    for _ in 0..200 {
        let event = sse(&[Shape::Chat.event(0, "word ")]);
        streamed.push(&event, &mut out).unwrap();
        assert!(streamed.held() <= 2 * event.len(), "{}", streamed.held());
    }
}

#[test]
fn a_text_that_another_interrupts_for_long_is_over() {
    let mut streamed = Streamed::new(redaction(), Framing::Lines, 1 << 20);
    let mut out = Vec::new();
    let mut all = Vec::new();
    let mut push = |event: Value| {
        let event = sse(&[event]);
        streamed.push(&event, &mut out).unwrap();
        all.extend(event);
        streamed.held()
    };
    push(Shape::Chat.event(0, "I look it up for you"));
    let held: Vec<usize> = (0..200)
        .map(|at| push(Shape::ChatArguments.event(0, &format!("{at:03},"))))
        .collect();
    assert!(held[90] > 20_000 && held[120] < 1_000, "{held:?}");
    streamed.finish(&mut out).unwrap();
    assert_eq!(out, all);
}

#[test]
fn what_may_begin_a_secret_is_not_waited_for_without_end() {
    let mut streamed = Streamed::new(redaction(), Framing::Lines, 1 << 20);
    let mut out = Vec::new();
    let begin = sse(&[Shape::Chat.event(0, "it is sk-proj-abc")]);
    streamed.push(&begin, &mut out).unwrap();
    let ping = b": ping\n\n".repeat(100);
    for _ in 0..200 {
        streamed.push(&ping, &mut out).unwrap();
        assert!(streamed.held() <= MOST_BEHIND + 2 * begin.len());
    }
    // What follows is still known for the rest of it.
    let rest = sse(&[Shape::Chat.event(0, "defghijklmnopqrstuvwxyz, yes")]);
    streamed.push(&rest, &mut out).unwrap();
    streamed.finish(&mut out).unwrap();
    let (told, _) = Shape::Chat.told(&out);
    assert_eq!(told[0], "it is [redacted:open][redacted:secret], yes");
}

#[test]
fn what_is_no_event_ends_what_is_kept() {
    let event = Shape::Messages.event(0, "fine, ");
    let good = sse(std::slice::from_ref(&event));
    for bad in [
        "data: {\"delta\":\n\n",
        "data: {\"a\":\"\u{1}\"}\n\n",
        "data: [1,]\n\n",
    ] {
        let stream = [good.clone(), bad.into(), good.clone()].concat();
        let (out, cut) = kept(Framing::Lines, &[&stream], 1 << 20);
        assert_eq!((out, cut), (good.clone(), Some(Cut::Form)), "{bad}");
    }
    // One that breaks off is none, with the same reason; one without its last empty line is.
    let stream = good.repeat(2);
    let (out, cut) = kept(Framing::Lines, &[&stream[..stream.len() - 9]], 1 << 20);
    assert_eq!((out, cut), (good.clone(), Some(Cut::Form)));
    let (out, cut) = kept(Framing::Lines, &[&stream[..stream.len() - 2]], 1 << 20);
    assert_eq!((&out[..], cut), (&stream[..stream.len() - 2], None));
    let deep = format!("{}1{}", "[".repeat(80), "]".repeat(80));
    let (out, cut) = kept(
        Framing::Lines,
        &[format!("data: {deep}\n\n").as_bytes()],
        1 << 20,
    );
    assert_eq!((out.len(), cut), (0, Some(Cut::Form)));
    let mut frames = Shape::Converse.stream(&[(0, "fine, ".into()), (0, "bad".into())]);
    let at = frames.len() - 9;
    frames[at] ^= 1;
    let (out, cut) = kept(Framing::Frames, &[&frames], 1 << 20);
    assert_eq!(
        (out, cut),
        (
            Shape::Converse.stream(&[(0, "fine, ".into())]),
            Some(Cut::Form)
        )
    );
}

#[test]
fn what_does_not_fit_is_left_out_whole() {
    let event = sse(&[Shape::Chat.event(0, "word ")]);
    let stream = event.repeat(4);
    let most = event.len() as u64 * 2 + 10;
    let (out, cut) = kept(Framing::Lines, &[&stream], most);
    assert_eq!((out, cut), (event.repeat(2), Some(Cut::Limit)));
    // Nor is one waited for that cannot fit.
    let mut streamed = Streamed::new(redaction(), Framing::Lines, 100);
    let pushed = streamed.push(&[b'a'; 101], &mut Vec::new());
    assert_eq!(pushed, Err(Cut::Limit));
}

#[test]
fn what_says_the_text_once_more_goes_with_it() {
    let event = |text: &str, token: &str| {
        json!({"choices": [{"index": 0, "delta": {"content": text},
            "logprobs": {"content": [{"token": token, "logprob": -0.1, "bytes": [52, 49]}]}}]})
    };
    let stream = sse(&[
        event("Card: ", "Card: "),
        event("41111111", "41111111"),
        event("11111111", "11111111"),
        event(".", "."),
    ]);
    let kept = whole(Framing::Lines, &stream);
    let mut wanted = vec![
        event("Card: ", "Card: "),
        event("[redacted:card]", ""),
        event("", ""),
        event(".", "."),
    ];
    for at in [1, 2] {
        wanted[at]["choices"][0]["logprobs"] = Value::Null;
    }
    assert_eq!(kept.as_bytes(), sse(&wanted));
}

#[test]
fn texts_that_stand_by_themselves_are_looked_at_where_they_stand() {
    for (event, wanted) in [
        // Numbers become text.
        (
            r#"{"n": 4111111111111111, "m": 12}"#,
            r#"{"n": "[redacted:card]", "m": 12}"#,
        ),
        (
            r#"{"id": "taro@example.co.jp"}"#,
            r#"{"id": "[redacted:email]"}"#,
        ),
        (
            r#"{"4111111111111111": true}"#,
            r#"{"[redacted:card]": true}"#,
        ),
        (
            r#"{"apiKey": "12 34", "x": "12 34"}"#,
            r#"{"apiKey": "[redacted:secret]", "x": "12 34"}"#,
        ),
        (
            r#"{"secret": 12345, "max": 12345}"#,
            r#"{"secret": "[redacted:secret]", "max": 12345}"#,
        ),
        // No value of it, although a quote follows.
        (
            r#"{"delta": "the password: "}"#,
            r#"{"delta": "the password: "}"#,
        ),
        (
            r#"{"a": [], "b": {}, "c": null}"#,
            r#"{"a": [], "b": {}, "c": null}"#,
        ),
    ] {
        assert_eq!(whole(Framing::Values, event.as_bytes()), wanted);
        let line = |text: &str| format!("id: 4111111111111111\ndata: {text}\n\n");
        let wanted = line(wanted).replace("id: 4111111111111111", "id: [redacted:card]");
        assert_eq!(whole(Framing::Lines, line(event).as_bytes()), wanted);
    }
}

#[test]
fn the_first_piece_of_a_block_is_a_part_of_its_text() {
    let begin = json!({"type": "content_block_start", "index": 0,
        "content_block": {"type": "text", "text": "4111 1111 "}});
    let stream = sse(&[begin.clone(), Shape::Messages.event(0, "1111 1111")]);
    let mut wanted = begin;
    wanted["content_block"]["text"] = "[redacted:card]".into();
    let wanted = sse(&[wanted, Shape::Messages.event(0, "")]);
    assert_eq!(whole(Framing::Lines, &stream).as_bytes(), wanted);
}

#[test]
fn data_in_several_lines_are_one() {
    let stream = "\u{feff}data: {\ndata:  \"delta\": \"4111 1111 \"\ndata: }\n\ndata: {\"delta\": \"1111 1111\"}\n\n";
    let wanted = "\u{feff}data: {\ndata:  \"delta\": \"[redacted:card]\"\ndata: }\n\ndata: {\"delta\": \"\"}\n\n";
    assert_eq!(whole(Framing::Lines, stream.as_bytes()), wanted);
    let stream = "data: 12\ndata: 4111 1111\n\ndata:  1111 1111\n\n";
    let wanted = "data: 12\ndata: [redacted:card]\n\ndata: \n\n";
    assert_eq!(whole(Framing::Lines, stream.as_bytes()), wanted);
}

#[test]
fn headers_of_frames_are_looked_at_too() {
    let of = |message: &str| {
        let headers = [
            header(":message-type", "error"),
            header(":error-code", "internal"),
            header(":error-message", message),
        ];
        frame::write(&headers.concat(), b"")
    };
    let (out, cut) = kept(Framing::Frames, &[&of("of taro@example.co.jp")], 1 << 20);
    assert_eq!((out, cut), (of("of [redacted:email]"), None));
    let (out, cut) = kept(Framing::Frames, &[&of("of nobody")], 1 << 20);
    assert_eq!((out, cut), (of("of nobody"), None));
    let headers = header(":event-type", "audio");
    let (_, cut) = kept(
        Framing::Frames,
        &[&frame::write(&headers, b"\x00\x01")],
        1 << 20,
    );
    assert_eq!(cut, Some(Cut::Form));
}
