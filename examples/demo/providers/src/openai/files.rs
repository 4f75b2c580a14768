//! `files`: kept as long as the process lives.

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::{Dialect, form, free, list, no_such};
use crate::answer::{Answer, Payload, Refusal, Request};
use crate::objects::Object;
use crate::shape;
use crate::usage::Usage;

/// What a file's id begins with.
const PREFIX: &str = "file-";

pub(super) fn answer(
    request: &Request,
    dialect: Dialect,
    rest: &[&str],
) -> Result<Answer, Refusal> {
    let provider = dialect.provider();
    let find = |id: &str| {
        let found = request.objects.get(provider, id);
        found.ok_or_else(|| no_such("File", id))
    };
    match (request.method.as_str(), rest) {
        ("POST", []) => upload(request, dialect),
        ("GET", []) => Ok(free(&list(&request.objects.list(provider, PREFIX)))),
        ("GET", [id]) => Ok(free(&find(id)?.described)),
        ("DELETE", [id]) => {
            find(id)?;
            request.objects.remove(provider, id);
            Ok(free(
                &json!({ "id": id, "object": "file", "deleted": true }),
            ))
        }
        ("GET", [id, "content"]) => Ok(Answer::new(
            "application/octet-stream",
            "",
            Usage::default(),
            Payload::Whole(find(id)?.content),
        )),
        _ => Err(dialect.not_found(request)),
    }
}

fn upload(request: &Request, dialect: Dialect) -> Result<Answer, Refusal> {
    let form = form(request)?;
    form.known(&["file", "purpose", "expires_after"])?;
    let file = form.file("file")?;
    let purpose = form
        .text("purpose")
        .ok_or_else(|| shape::missing("purpose"))?;
    let described = keep(
        request,
        dialect,
        file.file_name(),
        purpose,
        file.content.clone(),
    );
    let answer = free(&described);
    // Azure says 201, OpenAI 200.
    Ok(Answer {
        status: match dialect {
            Dialect::Azure => StatusCode::CREATED,
            Dialect::OpenAi => StatusCode::OK,
        },
        ..answer
    })
}

/// Keeps a file under an id of its own, and describes it.
pub(super) fn keep(
    request: &Request,
    dialect: Dialect,
    name: &str,
    purpose: &str,
    content: Bytes,
) -> Value {
    // A batch's output is made by the same request as its batch, but for another purpose.
    let id = match purpose {
        "batch_output" => request.id("file-output-"),
        _ => request.id(PREFIX),
    };
    let described = json!({
        "id": id, "object": "file", "bytes": content.len(), "created_at": request.unix_seconds,
        "filename": name, "purpose": purpose, "status": "processed", "status_details": null,
        "expires_at": null,
    });
    let object = Object {
        described: described.clone(),
        content,
    };
    request.objects.put(dialect.provider(), &id, object);
    described
}
