//! `embedContent` and `batchEmbedContents`.

use serde_json::{Value, json};

use super::content;
use crate::answer::{Answer, Refusal};
use crate::shape::{self, Members};
use crate::usage::{Prompt, Usage};
use crate::vector;

const DIMENSIONS: u64 = 768;
const MEMBERS: [&str; 10] = [
    "autoTruncate",
    "content",
    "documentOcr",
    "embedContentConfig",
    "model",
    "outputDimensionality",
    "taskType",
    "title",
    "audioTrackExtraction",
    "requestType",
];

pub(super) fn one(members: &Members, model: &str) -> Result<Answer, Refusal> {
    let (embedding, usage) = embedded(members, "content")?;
    let body = json!({ "embedding": embedding, "usageMetadata": counted(usage) });
    Ok(Answer::json(model, usage, &body))
}

pub(super) fn batch(members: &Members, model: &str) -> Result<Answer, Refusal> {
    shape::known_members(members, &["requests", "model"])?;
    let mut embeddings = Vec::new();
    let mut usage = Usage::default();
    for (at, request) in shape::required_array(members, "requests")?
        .iter()
        .enumerate()
    {
        let name = format!("requests[{at}]");
        let (embedding, used) = embedded(shape::as_object(request, &name)?, &name)?;
        usage.add(used);
        embeddings.push(embedding);
    }
    let body = json!({ "embeddings": embeddings, "usageMetadata": counted(usage) });
    Ok(Answer::json(model, usage, &body))
}

fn embedded(members: &Members, name: &str) -> Result<(Value, Usage), Refusal> {
    shape::known_members(members, &MEMBERS)?;
    let text = members
        .get("content")
        .ok_or_else(|| shape::missing("content"))?;
    let mut prompt = Prompt::default();
    content(&mut prompt, text, name)?;
    let dimensions = shape::optional_count(members, "outputDimensionality")?;
    let values = vector::of(&text.to_string(), dimensions.unwrap_or(DIMENSIONS));
    let usage = Usage::of_input(prompt.usage().input);
    Ok((json!({ "values": values }), usage))
}

fn counted(usage: Usage) -> Value {
    json!({
        "promptTokenCount": usage.input, "totalTokenCount": usage.input,
        "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": usage.input }],
    })
}
