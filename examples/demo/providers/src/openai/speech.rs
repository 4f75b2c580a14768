//! `audio/speech`: silence as long as the text takes to say.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::json;

use crate::answer::{Answer, Payload, Refusal, data_event};
use crate::shape::{self, Members};
use crate::usage::{Prompt, Usage};

/// Samples per second of `wav` and `pcm`, as OpenAI sends them.
const SAMPLE_RATE: u32 = 24_000;
/// About as long as a character takes to say.
const MILLISECONDS_PER_CHARACTER: usize = 60;
/// Of encoded sound, that are a token.
const BYTES_PER_TOKEN: usize = 400;
const MAX_CHARACTERS: usize = 4096;

pub(super) fn answer(members: &Members, model: &str) -> Result<Answer, Refusal> {
    shape::known_members(
        members,
        &[
            "model",
            "input",
            "voice",
            "response_format",
            "speed",
            "instructions",
            "stream_format",
        ],
    )?;
    let input = shape::required_string(members, "input")?;
    shape::required_string(members, "voice")?;
    let characters = input.chars().count();
    if characters > MAX_CHARACTERS {
        return Err(shape::mistyped("input", "at most 4096 characters"));
    }
    let milliseconds = characters.saturating_mul(MILLISECONDS_PER_CHARACTER);
    let (content_type, audio) = match members.get("response_format").and_then(|it| it.as_str()) {
        None | Some("mp3") => ("audio/mpeg", mp3(milliseconds)),
        Some("wav") => ("audio/wav", wav(milliseconds)),
        Some("pcm") => ("audio/pcm", silence(milliseconds)),
        Some(_) => return Err(shape::mistyped("response_format", "'mp3', 'wav' or 'pcm'")),
    };
    if members.get("stream_format").and_then(|it| it.as_str()) == Some("sse") {
        return in_events(model, input, &audio);
    }
    let pieces = audio.chunks(4096).map(Bytes::copy_from_slice).collect();
    // Paid by characters, or in tokens of which a sound has no place to tell.
    Ok(Answer::new(
        content_type,
        model,
        Usage::default(),
        Payload::Pieces(pieces),
    ))
}

/// Newer models tell of their tokens, if they are asked for events.
fn in_events(model: &str, input: &str, audio: &[u8]) -> Result<Answer, Refusal> {
    if model.starts_with("tts") {
        let expected = "'audio' for this model";
        return Err(shape::mistyped("stream_format", expected));
    }
    let tokens = |length: usize| u64::try_from(length.div_ceil(BYTES_PER_TOKEN)).unwrap_or(0);
    let audio_output = tokens(audio.len());
    let usage = Usage {
        output: audio_output,
        audio_output,
        ..Usage::of_input(Prompt::of_text(input).usage().input)
    };
    let deltas = audio
        .chunks(4096)
        .map(|piece| json!({ "type": "speech.audio.delta", "audio": STANDARD.encode(piece) }));
    let done = json!({ "type": "speech.audio.done", "usage": {
        "input_tokens": usage.input, "output_tokens": usage.output,
        "total_tokens": usage.total(),
    }});
    let events = deltas
        .chain([done])
        .map(|event| data_event(&event))
        .collect();
    Ok(Answer::events(model, usage, events))
}

fn silence(milliseconds: usize) -> Vec<u8> {
    // 24,000 samples of two bytes each second.
    vec![0; milliseconds.saturating_mul(48)]
}

fn wav(milliseconds: usize) -> Vec<u8> {
    let samples = silence(milliseconds);
    let length = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    let mut file = Vec::with_capacity(samples.len().saturating_add(44));
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&length.saturating_add(36).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&16_u32.to_le_bytes());
    // PCM, one channel.
    file.extend_from_slice(&[1, 0, 1, 0]);
    file.extend_from_slice(&SAMPLE_RATE.to_le_bytes());
    file.extend_from_slice(&(SAMPLE_RATE.saturating_mul(2)).to_le_bytes());
    // Two bytes a frame, sixteen bits a sample.
    file.extend_from_slice(&[2, 0, 16, 0]);
    file.extend_from_slice(b"data");
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(&samples);
    file
}

/// MPEG-2 layer III frames of 24 ms at 24 kHz and 32 kbit/s, mono; all-zero side
/// information decodes to silence.
fn mp3(milliseconds: usize) -> Vec<u8> {
    const FRAME_BYTES: usize = 96;
    let mut frame = vec![0xFF, 0xF3, 0x44, 0xC4];
    frame.resize(FRAME_BYTES, 0);
    frame.repeat(milliseconds.div_ceil(24))
}
