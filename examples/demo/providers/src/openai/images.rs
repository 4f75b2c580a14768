//! `images/generations` and `images/edits`: the same small picture for every prompt.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::answer::{Answer, Refusal, Request, named_event};
use crate::form::Form;
use crate::shape::{self, Members};
use crate::usage::{Prompt, Usage};

/// A PNG of one grey pixel, in base64.
const PICTURE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==";
const SIZE: &str = "1024x1024";
const MEMBERS: [&str; 18] = [
    "background",
    "image",
    "input_fidelity",
    "mask",
    "model",
    "moderation",
    "n",
    "output_compression",
    "output_format",
    "partial_images",
    "prompt",
    "quality",
    "response_format",
    "safety_identifier",
    "size",
    "stream",
    "style",
    "user",
];

pub(super) fn generations(
    request: &Request,
    members: &Members,
    model: &str,
) -> Result<Answer, Refusal> {
    shape::known_members(members, &MEMBERS)?;
    let prompt = Prompt::of_text(shape::required_string(members, "prompt")?);
    let order = Order {
        pictures: shape::optional_count(members, "n")?.unwrap_or(1),
        quality: members.get("quality").and_then(Value::as_str),
        partial: partial(members.get("partial_images").and_then(Value::as_u64)),
        streamed: shape::optional_bool(members, "stream")?,
        events: "image_generation",
    };
    Ok(order.answer(request, &prompt, model))
}

pub(super) fn edits(request: &Request, form: &Form, model: &str) -> Result<Answer, Refusal> {
    form.known(&MEMBERS)?;
    let text = form
        .text("prompt")
        .ok_or_else(|| shape::missing("prompt"))?;
    let mut prompt = Prompt::of_text(text);
    form.file("image")?;
    for image in form.files("image") {
        prompt.picture(image.length());
    }
    let number = |name: &str| form.text(name).and_then(|text| text.parse().ok());
    let order = Order {
        pictures: number("n").unwrap_or(1),
        quality: form.text("quality"),
        partial: partial(number("partial_images")),
        streamed: form.text("stream") == Some("true"),
        events: "image_edit",
    };
    Ok(order.answer(request, &prompt, model))
}

/// At most three, as OpenAI allows.
fn partial(wanted: Option<u64>) -> u64 {
    wanted.unwrap_or(0).min(3)
}

struct Order<'a> {
    pictures: u64,
    quality: Option<&'a str>,
    /// Pictures in the making that a stream shows first.
    partial: u64,
    streamed: bool,
    /// What a stream's events begin with.
    events: &'static str,
}

impl Order<'_> {
    fn answer(&self, request: &Request, prompt: &Prompt, model: &str) -> Answer {
        let output = self.pictures.saturating_mul(self.tokens());
        let usage = Usage {
            output,
            image_output: output,
            // Pictures are made anew: nothing is cached.
            cached_input: 0,
            cache_write_input: 0,
            ..prompt.usage()
        };
        if self.streamed {
            return Answer::events(model, usage, self.stream(request, usage));
        }
        let picture = json!({ "b64_json": PICTURE });
        let pictures = usize::try_from(self.pictures).unwrap_or(1);
        let body = json!({
            "created": request.unix_seconds, "background": "opaque", "output_format": "png",
            "quality": self.quality(), "size": SIZE,
            "data": vec![picture; pictures], "usage": counted(usage),
        });
        Answer::json(model, usage, &body)
    }

    fn stream(&self, request: &Request, usage: Usage) -> Vec<Bytes> {
        let event = |name: &str, mut data: Value| {
            let name = format!("{}.{name}", self.events);
            if let Some(members) = data.as_object_mut() {
                members.extend([
                    ("type".to_owned(), json!(name)),
                    ("b64_json".to_owned(), json!(PICTURE)),
                    ("created_at".to_owned(), json!(request.unix_seconds)),
                    ("background".to_owned(), json!("opaque")),
                    ("output_format".to_owned(), json!("png")),
                    ("quality".to_owned(), json!(self.quality())),
                    ("size".to_owned(), json!(SIZE)),
                ]);
            }
            named_event(&name, &data)
        };
        let shown = (0..self.partial)
            .map(|at| event("partial_image", json!({ "partial_image_index": at })));
        shown
            .chain([event("completed", json!({ "usage": counted(usage) }))])
            .collect()
    }

    fn quality(&self) -> &str {
        match self.quality {
            Some(quality @ ("low" | "high")) => quality,
            _ => "medium",
        }
    }

    /// As OpenAI publishes them for a picture of 1024 by 1024.
    fn tokens(&self) -> u64 {
        match self.quality() {
            "low" => 272,
            "high" => 4160,
            _ => 1056,
        }
    }
}

fn counted(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input, "output_tokens": usage.output,
        "total_tokens": usage.total(),
        "input_tokens_details": {
            "text_tokens": usage.input.saturating_sub(usage.image_input),
            "image_tokens": usage.image_input,
        },
        "output_tokens_details": { "text_tokens": 0, "image_tokens": usage.image_output },
    })
}
