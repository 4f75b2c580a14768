//! `video/generations/jobs`: Azure's Sora accepts a job and answers at once.

use hyper::StatusCode;
use serde_json::json;

use crate::answer::{Answer, Refusal, Request};
use crate::shape::{self, Members};
use crate::usage::Usage;

pub(super) fn answer(request: &Request, members: &Members, model: &str) -> Result<Answer, Refusal> {
    shape::known_members(
        members,
        &[
            "model",
            "prompt",
            "width",
            "height",
            "n_seconds",
            "n_variants",
            "inpaint_items",
        ],
    )?;
    let prompt = shape::required_string(members, "prompt")?;
    let required = |name| shape::optional_count(members, name)?.ok_or_else(|| shape::missing(name));
    let (width, height) = (required("width")?, required("height")?);
    let seconds = shape::optional_count(members, "n_seconds")?.unwrap_or(5);
    if seconds > 20 {
        return Err(shape::mistyped("n_seconds", "an integer from 1 to 20"));
    }
    let variants = shape::optional_count(members, "n_variants")?.unwrap_or(1);
    let body = json!({
        "object": "video.generation.job", "id": request.id("task_"), "status": "queued",
        "created_at": request.unix_seconds, "finished_at": null, "expires_at": null,
        "generations": [], "prompt": prompt, "model": model, "n_variants": variants,
        "n_seconds": seconds, "width": width, "height": height, "inpaint_items": null,
        "failure_reason": null,
    });
    // Video is billed by seconds: there are no tokens to report.
    let answer = Answer::json(model, Usage::default(), &body);
    Ok(Answer {
        status: StatusCode::CREATED,
        ..answer
    })
}
