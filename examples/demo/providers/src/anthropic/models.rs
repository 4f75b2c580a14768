//! `models`: which there are.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::usage::Usage;

const MODELS: [(&str, &str); 2] = [
    ("claude-3-5-sonnet-20240620", "Claude Sonnet 3.5 (Old)"),
    ("claude-sonnet-4-20250514", "Claude Sonnet 4"),
];

pub(super) fn answer(rest: &[&str]) -> Result<Answer, Refusal> {
    match rest {
        [] => {
            let models: Vec<Value> = MODELS.iter().map(model).collect();
            Ok(Answer::json("", Usage::default(), &super::page(&models)))
        }
        [id] => MODELS
            .iter()
            .find(|(known, _)| known == id)
            .map(|known| Answer::json(id, Usage::default(), &model(known)))
            .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, format!("model: {id}"))),
        _ => Err(Refusal::new(StatusCode::NOT_FOUND, "Not found")),
    }
}

fn model((id, display_name): &(&str, &str)) -> Value {
    json!({
        "id": id, "type": "model", "display_name": display_name,
        "created_at": "2024-06-20T00:00:00Z", "lifecycle": "active", "max_tokens": 8192,
        "max_input_tokens": 200_000,
    })
}
