//! `messages/batches`: every request is answered at once; the batch has ended when it is looked at
//! again.

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::{completion, message, model};
use crate::answer::{Answer, Payload, Refusal, Request};
use crate::clock::rfc3339;
use crate::objects::Object;
use crate::provider::Provider;
use crate::shape;
use crate::usage::Usage;

/// What a batch's id begins with.
const PREFIX: &str = "msgbatch_";
const DAY_SECONDS: u64 = 86_400;

pub(super) fn answer(request: &Request, rest: &[&str]) -> Result<Answer, Refusal> {
    let find = |id: &str| {
        let found = request.objects.get(Provider::Anthropic, id);
        found.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, format!("batch: {id}")))
    };
    match (request.method.as_str(), rest) {
        ("POST", []) => create(request),
        ("GET", []) => {
            let batches = request.objects.list(Provider::Anthropic, PREFIX);
            Ok(free(&super::page(&batches)))
        }
        ("GET", [id]) => Ok(free(&find(id)?.described)),
        ("GET", [id, "results"]) => Ok(Answer::new(
            "application/x-jsonl",
            "",
            Usage::default(),
            Payload::Whole(find(id)?.content),
        )),
        ("POST", [id, "cancel"]) => {
            let mut batch = find(id)?;
            let at = rfc3339(request.unix_seconds);
            if let Some(members) = batch.described.as_object_mut() {
                members.insert("processing_status".to_owned(), json!("canceling"));
                members.insert("cancel_initiated_at".to_owned(), json!(at));
            }
            request.objects.put(Provider::Anthropic, id, batch.clone());
            Ok(free(&batch.described))
        }
        ("DELETE", [id]) => {
            find(id)?;
            request.objects.remove(Provider::Anthropic, id);
            Ok(free(&json!({ "id": id, "type": "message_batch_deleted" })))
        }
        _ => Err(Refusal::new(StatusCode::NOT_FOUND, "Not found")),
    }
}

fn create(request: &Request) -> Result<Answer, Refusal> {
    let members = shape::object(&request.body)?;
    shape::known_members(&members, &["requests"])?;
    let requests = shape::required_array(&members, "requests")?;
    let mut results = String::new();
    for (at, each) in requests.iter().enumerate() {
        let name = format!("requests.{at}");
        let each = shape::as_object(each, &name)?;
        shape::known_members(each, &["custom_id", "params"])?;
        let custom_id = shape::required_string(each, "custom_id")?;
        let params = each.get("params").unwrap_or(&Value::Null);
        let params = shape::as_object(params, &format!("{name}.params"))?;
        let id = format!("{}_{at}", request.id("msg_"));
        let message = message(&id, model(params)?, &completion(params)?);
        let result = json!({
            "custom_id": custom_id, "result": { "type": "succeeded", "message": message },
        });
        results.push_str(&format!("{result}\n"));
    }
    let id = request.id(PREFIX);
    let described = described(request, &id, requests.len(), false);
    let object = Object {
        described: self::described(request, &id, requests.len(), true),
        content: Bytes::from(results),
    };
    request.objects.put(Provider::Anthropic, &id, object);
    Ok(free(&described))
}

fn described(request: &Request, id: &str, requests: usize, ended: bool) -> Value {
    let at = request.unix_seconds;
    let (processing, succeeded) = if ended { (0, requests) } else { (requests, 0) };
    // The SDKs take the results from here, by whatever name the caller knows this provider.
    let results = format!(
        "http://{}/v1/messages/batches/{id}/results",
        request.authority
    );
    json!({
        "id": id, "type": "message_batch",
        "processing_status": if ended { "ended" } else { "in_progress" },
        "request_counts": {
            "processing": processing, "succeeded": succeeded, "errored": 0, "canceled": 0,
            "expired": 0,
        },
        "created_at": rfc3339(at), "expires_at": rfc3339(at.saturating_add(DAY_SECONDS)),
        "ended_at": ended.then(|| rfc3339(at)), "archived_at": null,
        "cancel_initiated_at": null, "results_url": ended.then_some(results),
    })
}

fn free(body: &Value) -> Answer {
    Answer::json("", Usage::default(), body)
}
