//! `models`: which there are.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{Dialect, free, list};
use crate::answer::{Answer, Refusal};
use crate::usage::Usage;

const AZURE_DEPLOYMENTS: [&str; 11] = [
    "gpt-4.1",
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4o-mini-tts",
    "gpt-4o-transcribe",
    "gpt-image-1",
    "sora",
    "text-embedding-3-small",
    "tts",
    "tts-hd",
    "whisper",
];
const OPENAI_MODELS: [&str; 10] = [
    "claude-sonnet",
    "gemini-flash",
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4o-mini-tts",
    "gpt-4o-transcribe",
    "gpt-image-1",
    "text-embedding-3-small",
    "tts-1",
    "whisper-1",
];

impl Dialect {
    fn models(self) -> &'static [&'static str] {
        match self {
            Self::Azure => &AZURE_DEPLOYMENTS,
            Self::OpenAi => &OPENAI_MODELS,
        }
    }
}

/// Refuses a model that nobody has.
pub(super) fn check(dialect: Dialect, model: &str) -> Result<(), Refusal> {
    if dialect.models().contains(&model) {
        return Ok(());
    }
    let not_found = |message| Refusal::new(StatusCode::NOT_FOUND, message);
    Err(match dialect {
        Dialect::Azure => not_found(
            "The API deployment for this resource does not exist. If you created the deployment \
             within the last 5 minutes, please wait a moment and try again."
                .to_owned(),
        )
        .with_code("DeploymentNotFound"),
        Dialect::OpenAi => not_found(format!(
            "The model `{model}` does not exist or you do not have access to it."
        ))
        .with_code("model_not_found"),
    })
}

pub(super) fn answer(dialect: Dialect, rest: &[&str]) -> Result<Answer, Refusal> {
    match rest {
        [] => {
            let models: Vec<Value> = dialect.models().iter().map(|id| model(id)).collect();
            Ok(free(&list(&models)))
        }
        [id] => check(dialect, id).map(|()| Answer::json(id, Usage::default(), &model(id))),
        _ => Err(Refusal::new(StatusCode::NOT_FOUND, "Resource not found")),
    }
}

fn model(id: &str) -> Value {
    json!({ "id": id, "object": "model", "created": 1_715_367_049, "owned_by": "demo" })
}
