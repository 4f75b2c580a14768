//! `audio/transcriptions` and `audio/translations`: what was heard depends on the sound's length
//! alone.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::answer::{Answer, Payload, Refusal, data_event};
use crate::form::{Field, Form};
use crate::shape;
use crate::usage::{Completion, Prompt, Usage};

/// Of sound in 16 bits at 16 kHz.
const BYTES_PER_SECOND: f64 = 32_000.0;
const TRANSCRIPTION: [&str; 13] = [
    "chunking_strategy",
    "file",
    "include",
    "keywords",
    "known_speaker_names",
    "known_speaker_references",
    "language",
    "languages",
    "model",
    "prompt",
    "response_format",
    "stream",
    "temperature",
];
const MORE_OF_TRANSCRIPTION: &str = "timestamp_granularities";

pub(super) fn transcriptions(form: &Form, model: &str) -> Result<Answer, Refusal> {
    let known: Vec<&str> = TRANSCRIPTION
        .into_iter()
        .chain([MORE_OF_TRANSCRIPTION])
        .collect();
    form.known(&known)?;
    let heard = Heard::of(form, model)?;
    match form.text("stream") {
        Some("true") if heard.in_tokens => Ok(Answer::events(model, heard.usage(), heard.events())),
        _ => heard.answer(form, model, "transcribe"),
    }
}

pub(super) fn translations(form: &Form, model: &str) -> Result<Answer, Refusal> {
    form.known(&["file", "model", "prompt", "response_format", "temperature"])?;
    Heard::of(form, model)?.answer(form, model, "translate")
}

struct Heard {
    completion: Completion,
    seconds: f64,
    /// Newer models are paid by token, Whisper by the second.
    in_tokens: bool,
}

impl Heard {
    fn of(form: &Form, model: &str) -> Result<Self, Refusal> {
        let file = form.file("file")?;
        // The file before the prompt: the last text is the one that directs.
        let mut prompt = Prompt::default();
        prompt.sound(file.length());
        prompt.text(form.text("prompt").unwrap_or_default());
        Ok(Self {
            completion: Completion::of(&prompt, None),
            seconds: seconds(file),
            in_tokens: !model.starts_with("whisper"),
        })
    }

    /// What is billed in tokens.
    fn usage(&self) -> Usage {
        if !self.in_tokens {
            return Usage::default();
        }
        Usage {
            cached_input: 0,
            cache_write_input: 0,
            ..self.completion.usage
        }
    }

    fn answer(&self, form: &Form, model: &str, task: &str) -> Result<Answer, Refusal> {
        let text = self.completion.text();
        let plain = |content_type, text: String| {
            Answer::new(
                content_type,
                model,
                self.usage(),
                Payload::Whole(Bytes::from(text)),
            )
        };
        Ok(match form.text("response_format") {
            None | Some("json") => {
                let body = match task {
                    "translate" => json!({ "text": text }),
                    _ => json!({ "text": text, "usage": self.counted() }),
                };
                Answer::json(model, self.usage(), &body)
            }
            Some("verbose_json") => {
                let body = json!({
                    "task": task, "language": "english", "duration": self.seconds, "text": text,
                    "segments": [{
                        "id": 0, "seek": 0, "start": 0.0, "end": self.seconds, "text": text,
                        "tokens": [1], "temperature": 0.0, "avg_logprob": -0.1,
                        "compression_ratio": 1.0, "no_speech_prob": 0.01,
                    }],
                    "usage": self.counted(),
                });
                Answer::json(model, self.usage(), &body)
            }
            Some("text") => plain("text/plain; charset=utf-8", format!("{text}\n")),
            Some("srt") => plain(
                "text/plain; charset=utf-8",
                format!("1\n00:00:00,000 --> 00:00:01,000\n{text}\n\n"),
            ),
            Some("vtt") => plain(
                "text/plain; charset=utf-8",
                format!("WEBVTT\n\n00:00.000 --> 00:01.000\n{text}\n\n"),
            ),
            Some(_) => {
                let expected = "'json', 'text', 'srt', 'verbose_json' or 'vtt'";
                return Err(shape::mistyped("response_format", expected));
            }
        })
    }

    fn events(&self) -> Vec<Bytes> {
        let words = self.completion.words.iter();
        let deltas = words.map(|word| json!({ "type": "transcript.text.delta", "delta": word }));
        let done = json!({
            "type": "transcript.text.done", "text": self.completion.text(),
            "usage": self.counted(),
        });
        deltas
            .chain([done])
            .map(|event| data_event(&event))
            .collect()
    }

    fn counted(&self) -> Value {
        if !self.in_tokens {
            return json!({ "type": "duration", "seconds": self.seconds });
        }
        let usage = self.usage();
        json!({
            "type": "tokens", "input_tokens": usage.input, "output_tokens": usage.output,
            "total_tokens": usage.total(),
            "input_token_details": {
                "text_tokens": usage.input.saturating_sub(usage.audio_input),
                "audio_tokens": usage.audio_input,
            },
        })
    }
}

fn seconds(file: &Field) -> f64 {
    let bytes = u32::try_from(file.length()).unwrap_or(u32::MAX);
    (f64::from(bytes) / BYTES_PER_SECOND * 100.0).ceil() / 100.0
}
