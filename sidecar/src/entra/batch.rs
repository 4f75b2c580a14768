//! Many calls in one: JSON batches. Pure.
//!
//! Source: `learn.microsoft.com/graph/json-batching`: up to 20 requests, answered in any order,
//! each with a status and headers of its own.

use std::collections::HashMap;
use std::time::Duration;

use sekisho_domain::UnixMillis;
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Call, Reply};
use super::fault::GraphError;
use crate::forward::http;

/// Most calls of one batch.
pub(super) const MOST: usize = 20;

/// The body of the batch.
pub(super) fn body(calls: &[Call]) -> Value {
    let requests = calls.iter().enumerate().map(|(at, call)| {
        let mut request = json!({
            "id": at.to_string(), "method": call.method.as_str(), "url": call.path,
        });
        if let (Some(body), Some(request)) = (&call.body, request.as_object_mut()) {
            request.insert("body".into(), body.clone());
            let headers = json!({"Content-Type": "application/json"});
            request.insert("headers".into(), headers);
        }
        request
    });
    json!({"requests": requests.collect::<Vec<_>>()})
}

#[derive(Deserialize)]
struct Answers {
    responses: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    id: String,
    status: u16,
    #[serde(default)]
    headers: HashMap<String, String>,
    #[serde(default)]
    body: Value,
}

/// The replies in the order of the calls. A call that has none, or two, is lost.
pub(super) fn replies(
    body: Value,
    calls: usize,
    now: UnixMillis,
) -> Result<Vec<Option<Reply>>, GraphError> {
    let answers: Answers = serde_json::from_value(body).map_err(|_| GraphError::Unreadable)?;
    let mut replies: Vec<Vec<Reply>> = vec![Vec::new(); calls];
    for answer in answers.responses {
        let place = answer.id.parse::<usize>().ok();
        let Some(place) = place.and_then(|at| replies.get_mut(at)) else {
            continue;
        };
        place.push(Reply {
            status: answer.status,
            retry_after: retry_after(&answer.headers, now),
            body: answer.body,
        });
    }
    let one = |mut replies: Vec<Reply>| match replies.len() {
        1 => replies.pop(),
        _ => None,
    };
    Ok(replies.into_iter().map(one).collect())
}

fn retry_after(headers: &HashMap<String, String>, now: UnixMillis) -> Option<Duration> {
    let mut headers = headers.iter();
    let found = headers.find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
    found.and_then(|(_, value)| http::after(value, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_goes_with_its_type_and_a_call_without_one_has_neither() {
        let calls = [
            Call::get("/users/1".into()),
            Call::post("/users".into(), Some(json!({"displayName": "山田太郎"}))),
        ];
        let expected = json!({"requests": [
            {"id": "0", "method": "GET", "url": "/users/1"},
            {"id": "1", "method": "POST", "url": "/users", "body": {"displayName": "山田太郎"},
             "headers": {"Content-Type": "application/json"}},
        ]});
        assert_eq!(body(&calls), expected);
    }

    #[test]
    fn answers_come_in_any_order_each_with_its_own_retry_after() {
        let body = json!({"responses": [
            {"id": "2", "status": 429, "headers": {"retry-After": "7"}, "body": {}},
            {"id": "0", "status": 204},
            {"id": "3", "status": 200}, {"id": "3", "status": 500},
            {"id": "9", "status": 200}, {"id": "x", "status": 200},
        ]});
        let replies = replies(body, 4, UnixMillis(0)).unwrap();
        assert_eq!(replies[0].as_ref().unwrap().status, 204);
        assert!(replies[1].is_none(), "no answer");
        let throttled = replies[2].as_ref().unwrap();
        assert_eq!(throttled.retry_after, Some(Duration::from_secs(7)));
        assert!(replies[3].is_none(), "two answers");
        assert!(super::replies(json!({"value": []}), 1, UnixMillis(0)).is_err());
    }
}
