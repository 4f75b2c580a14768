//! `embeddings`: unit vectors that depend on the text alone.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::shape::{self, Members};
use crate::usage::{Prompt, Usage};
use crate::vector;

const DIMENSIONS: u64 = 1536;

pub(super) fn answer(members: &Members, model: &str) -> Result<Answer, Refusal> {
    shape::known_members(
        members,
        &[
            "model",
            "input",
            "encoding_format",
            "dimensions",
            "user",
            "input_type",
        ],
    )?;
    let texts = texts(members)?;
    let dimensions = shape::optional_count(members, "dimensions")?.unwrap_or(DIMENSIONS);
    if dimensions > DIMENSIONS {
        return Err(shape::mistyped("dimensions", "an integer up to 1536"));
    }
    let in_base64 = match members.get("encoding_format").and_then(Value::as_str) {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => return Err(shape::mistyped("encoding_format", "'float' or 'base64'")),
    };
    let data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = vector::of(text, dimensions);
            let embedding = if in_base64 {
                in_bytes(&vector)
            } else {
                json!(vector)
            };
            json!({ "object": "embedding", "index": index, "embedding": embedding })
        })
        .collect();
    let mut prompt = Prompt::default();
    texts.iter().for_each(|text| prompt.text(text));
    let usage = Usage::of_input(prompt.usage().input);
    let body = json!({
        "object": "list", "data": data, "model": model,
        "usage": { "prompt_tokens": usage.input, "total_tokens": usage.input },
    });
    Ok(Answer::json(model, usage, &body))
}

fn texts(members: &Members) -> Result<Vec<String>, Refusal> {
    match members.get("input") {
        None => Err(shape::missing("input")),
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(texts)) if !texts.is_empty() => texts
            .iter()
            .map(|text| text.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| shape::mistyped("input", "a string or an array of strings")),
        Some(_) => Err(shape::mistyped("input", "a string or an array of strings")),
    }
}

fn in_bytes(vector: &[f32]) -> Value {
    let bytes: Vec<u8> = vector
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    json!(STANDARD.encode(bytes))
}
