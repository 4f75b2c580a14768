//! `batches`: every request of the input file is answered at once; the batch tells of it when it
//! is looked at again.

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use super::{Call, Dialect, files, free, list, no_such};
use crate::answer::{Answer, Payload, Refusal, Request};
use crate::objects::Object;
use crate::shape;
use crate::usage::Usage;

/// What a batch's id begins with.
const PREFIX: &str = "batch_";
const MEMBERS: [&str; 5] = [
    "completion_window",
    "endpoint",
    "input_file_id",
    "metadata",
    "output_expires_after",
];

pub(super) fn answer(
    request: &Request,
    dialect: Dialect,
    rest: &[&str],
) -> Result<Answer, Refusal> {
    let provider = dialect.provider();
    let find = |id: &str| {
        let found = request.objects.get(provider, id);
        found.ok_or_else(|| no_such("Batch", id))
    };
    match (request.method.as_str(), rest) {
        ("POST", []) => create(request, dialect),
        ("GET", []) => Ok(free(&list(&request.objects.list(provider, PREFIX)))),
        ("GET", [id]) => Ok(free(&find(id)?.described)),
        ("POST", [id, "cancel"]) => {
            let Object {
                mut described,
                content,
            } = find(id)?;
            if let Some(members) = described.as_object_mut() {
                members.insert("status".to_owned(), json!("cancelling"));
                members.insert("cancelling_at".to_owned(), json!(request.unix_seconds));
            }
            let object = Object {
                described: described.clone(),
                content,
            };
            request.objects.put(provider, id, object);
            Ok(free(&described))
        }
        _ => Err(dialect.not_found(request)),
    }
}

fn create(request: &Request, dialect: Dialect) -> Result<Answer, Refusal> {
    let members = shape::object(&request.body)?;
    shape::known_members(&members, &MEMBERS)?;
    let endpoint = shape::required_string(&members, "endpoint")?;
    let window = shape::required_string(&members, "completion_window")?;
    let input = shape::required_string(&members, "input_file_id")?;
    let file = request.objects.get(dialect.provider(), input);
    let file = file.ok_or_else(|| no_such("File", input))?;
    let run = Run::of(request, dialect, endpoint, &file.content)?;
    let output = files::keep(request, dialect, "output.jsonl", "batch_output", run.output);
    let at = request.unix_seconds;
    let id = request.id(PREFIX);
    let mut batch = json!({
        "id": id, "object": "batch", "endpoint": endpoint, "errors": null,
        "input_file_id": input, "completion_window": window, "status": "completed",
        "output_file_id": output.get("id"), "error_file_id": null, "created_at": at,
        "in_progress_at": at, "expires_at": at.saturating_add(86_400), "finalizing_at": at,
        "completed_at": at, "failed_at": null, "expired_at": null, "cancelling_at": null,
        "cancelled_at": null, "metadata": members.get("metadata"), "model": run.model,
        "request_counts": { "total": run.total, "completed": run.completed, "failed": run.total - run.completed },
        "usage": {
            "input_tokens": run.usage.input, "output_tokens": run.usage.output,
            "total_tokens": run.usage.total(),
            "input_tokens_details": { "cached_tokens": run.usage.cached_input },
            "output_tokens_details": { "reasoning_tokens": run.usage.reasoning_output },
        },
    });
    let object = Object {
        described: batch.clone(),
        content: Bytes::new(),
    };
    request.objects.put(dialect.provider(), &id, object);
    // As of now nothing has been done, as far as the caller is told.
    if let Some(members) = batch.as_object_mut() {
        members.insert("status".to_owned(), json!("validating"));
        for name in ["output_file_id", "completed_at", "in_progress_at", "usage"] {
            members.insert(name.to_owned(), Value::Null);
        }
    }
    Ok(free(&batch))
}

/// The input file's requests, answered.
#[derive(Default)]
struct Run {
    output: Bytes,
    usage: Usage,
    model: Option<String>,
    total: u64,
    completed: u64,
}

impl Run {
    fn of(
        request: &Request,
        dialect: Dialect,
        endpoint: &str,
        input: &[u8],
    ) -> Result<Self, Refusal> {
        let mut run = Self::default();
        let mut output = String::new();
        for line in input
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let line = shape::object(line)?;
            let body = line.get("body").cloned().unwrap_or_default();
            let inner = request.inner(Method::POST, endpoint, Bytes::from(body.to_string()));
            let operation: Vec<&str> = endpoint
                .trim_start_matches("/v1/")
                .trim_start_matches('/')
                .split('/')
                .collect();
            let call = Call {
                request: &inner,
                dialect,
                deployment: None,
            };
            let (status, body) = match call.answer(&operation) {
                Ok(answer) => {
                    run.usage.add(answer.usage);
                    run.completed = run.completed.saturating_add(1);
                    run.model = Some(answer.model);
                    (answer.status.as_u16(), whole(&answer.payload))
                }
                Err(refusal) => (
                    refusal.status.as_u16(),
                    super::error_body(&refusal, dialect),
                ),
            };
            run.total = run.total.saturating_add(1);
            let answered = json!({
                "id": format!("batch_req_{}", run.total), "custom_id": line.get("custom_id"),
                "response": { "status_code": status, "request_id": request.id("req_"), "body": body },
                "error": null,
            });
            output.push_str(&format!("{answered}\n"));
        }
        run.output = Bytes::from(output);
        Ok(run)
    }
}

fn whole(payload: &Payload) -> Value {
    match payload {
        Payload::Whole(bytes) => serde_json::from_slice(bytes).unwrap_or_default(),
        Payload::Pieces(_) => Value::Null,
    }
}
