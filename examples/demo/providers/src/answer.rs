//! What a provider is asked and what it answers, before anything is sent.

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::Value;

use crate::form::Form;
use crate::objects::Objects;
use crate::usage::Usage;

/// One request, read whole.
pub(crate) struct Request {
    pub(crate) method: Method,
    /// As sent: percent-encoding is part of it, and of what Bedrock signs.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    /// From the `Host` header, or `:authority` in HTTP/2.
    pub(crate) authority: String,
    pub(crate) body: Bytes,
    /// The body, if it is a form.
    pub(crate) form: Option<Form>,
    /// What was made by earlier requests.
    pub(crate) objects: Arc<Objects>,
    /// Counts requests since the start; identifiers in answers are made from it.
    pub(crate) serial: u64,
    /// When the request arrived, in seconds since 1970.
    pub(crate) unix_seconds: u64,
}

impl Request {
    /// A header's value, if it is there and is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The value of the first query parameter of that name, not decoded.
    pub(crate) fn query_parameter(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find_map(|(key, value)| (key == name).then_some(value))
    }

    /// A request that stands in this one's body.
    pub(crate) fn inner(&self, method: Method, path: &str, body: Bytes) -> Self {
        Self {
            method,
            path: path.to_owned(),
            query: String::new(),
            headers: HeaderMap::new(),
            authority: self.authority.clone(),
            body,
            form: None,
            objects: Arc::clone(&self.objects),
            serial: self.serial,
            unix_seconds: self.unix_seconds,
        }
    }

    /// An identifier in the provider's manner, different for every request.
    pub(crate) fn id(&self, prefix: &str) -> String {
        format!("{prefix}{:016x}", self.serial)
    }
}

pub(crate) enum Payload {
    Whole(Bytes),
    /// Sent one by one; a stream may be slowed down or cut between them.
    Pieces(Vec<Bytes>),
}

/// A successful answer and what it used.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) payload: Payload,
    pub(crate) model: String,
    pub(crate) usage: Usage,
}

impl Answer {
    pub(crate) fn json(model: &str, usage: Usage, body: &Value) -> Self {
        let payload = Payload::Whole(Bytes::from(body.to_string()));
        Self::new("application/json", model, usage, payload)
    }

    pub(crate) fn events(model: &str, usage: Usage, events: Vec<Bytes>) -> Self {
        Self::new(
            "text/event-stream; charset=utf-8",
            model,
            usage,
            Payload::Pieces(events),
        )
    }

    pub(crate) fn new(
        content_type: &'static str,
        model: &str,
        usage: Usage,
        payload: Payload,
    ) -> Self {
        Self {
            status: StatusCode::OK,
            content_type,
            headers: Vec::new(),
            payload,
            model: model.to_owned(),
            usage,
        }
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }
}

/// Why a provider refuses; each provider writes it in its own error body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    /// The member of the request that is at fault.
    pub(crate) param: Option<String>,
    /// The provider's own code, where it has one beyond the status.
    pub(crate) code: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            param: None,
            code: None,
        }
    }

    pub(crate) fn invalid(param: &str, message: impl Into<String>) -> Self {
        let param = Some(param.to_owned());
        Self {
            param,
            ..Self::new(StatusCode::BAD_REQUEST, message)
        }
    }

    pub(crate) fn with_code(self, code: &'static str) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }
}

/// One server-sent event without a name: `data: …`.
pub(crate) fn data_event(data: &Value) -> Bytes {
    Bytes::from(format!("data: {data}\n\n"))
}

/// One server-sent event with its name, which is also the data's `type`.
pub(crate) fn named_event(name: &str, data: &Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}
