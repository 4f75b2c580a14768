//! Reads the few members of a request body that decisions need.

use std::ops::Range;

use std::sync::Arc;

use sekisho_domain::policy::Rules;
use sekisho_domain::{DenialCode, Provider};

use crate::form::FormScan;
use crate::json::{Fault, Scanner, Visit};
use crate::{Operation, RequestBody};

mod places;

use places::Places;

/// Most bytes of a model's name.
const MAX_MODEL: usize = 256;

/// What a watched member of a request means. Numbers tell members of one meaning apart;
/// spellings of one member (`generationConfig`, `generation_config`) share a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// The model.
    Model,
    /// A limit of output tokens; the largest counts.
    MaxOutput(u8),
    /// A limit that may override another, or may be ignored: only ever raises it.
    Override(u8),
    /// How many answers.
    Choices,
    /// Whether to stream the answer.
    Stream,
    /// Whether the stream reports usage.
    IncludeUsage,
    /// A container of such members.
    Within(u8),
}

impl Field {
    const fn bit(self) -> u32 {
        1 << match self {
            Self::Model => 0,
            Self::Choices => 1,
            Self::Stream => 2,
            Self::IncludeUsage => 3,
            Self::MaxOutput(n) => 8 + n % 8,
            Self::Override(n) => 16 + n % 8,
            Self::Within(n) => 24 + n % 8,
        }
    }
}

/// What decisions need from a request body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFacts {
    /// The body's `model`. Where the path names the model, the path decides.
    pub model: Option<String>,
    /// Where the value of `model` stands in the body, in bytes, quotes included.
    pub model_span: Option<Range<u64>>,
    /// The largest limit of output tokens that the request sets for one answer.
    pub max_output_tokens: Option<u64>,
    /// Whether the body asks for a streamed answer.
    pub stream: bool,
    /// Whether it asks for usage at the end of the stream (OpenAI).
    pub include_usage: bool,
    /// How many answers it asks for, at least 1.
    pub choices: u64,
    /// Length of the body in bytes.
    pub bytes: u64,
    places: Places,
}

/// An incremental, linear scan of a request body. Keeps what [`RequestFacts`] holds and
/// nothing else; the result does not depend on where the chunks were cut.
pub struct RequestScan {
    body: Body,
    found: Found,
    fault: Option<DenialCode>,
}

enum Body {
    Json(Scanner<Field, true>),
    Form(FormScan),
    /// So many bytes.
    Opaque(u64),
}

#[derive(Default)]
struct Found {
    seen: u32,
    model: Vec<u8>,
    model_span: Option<Range<u64>>,
    max_output: Option<u64>,
    overriding: Option<u64>,
    choices: Option<u64>,
    stream: bool,
    include_usage: bool,
    places: Places,
    bounds: Option<Bounds>,
}

/// What an API's rules say of bodies, and what was seen of that.
struct Bounds {
    rules: Arc<Rules>,
    /// Members that hold a picture or a file.
    pictures: &'static [&'static str],
    /// The member of the outermost object whose value is being read holds messages.
    in_messages: bool,
    messages: u32,
    images: u32,
}

impl RequestScan {
    /// A scan of the body of a request for `operation`, of which `content_type` is said, under
    /// an API's rules.
    #[must_use]
    pub fn new(
        operation: &'static Operation,
        content_type: Option<&[u8]>,
        rules: Option<&Arc<Rules>>,
    ) -> Self {
        let mut scan = Self::unbounded(operation, content_type);
        let Some(rules) = rules else { return scan };
        if let (Body::Json(scanner), Some(most)) = (&mut scan.body, rules.max_depth) {
            scanner.limit_depth(most);
        }
        if rules.looks_at_members() {
            if let Body::Json(scanner) = &mut scan.body {
                scanner.show_keys();
            }
            scan.found.bounds = Some(Bounds {
                rules: Arc::clone(rules),
                pictures: pictures(operation.provider),
                in_messages: false,
                messages: 0,
                images: 0,
            });
        }
        scan
    }

    fn unbounded(operation: &'static Operation, content_type: Option<&[u8]>) -> Self {
        let members = operation.members;
        Self {
            body: match operation.request {
                RequestBody::Json => Body::Json(Scanner::new(members)),
                RequestBody::Form => {
                    let boundary = content_type.and_then(crate::form::boundary);
                    Body::Form(FormScan::new(members, boundary))
                }
                RequestBody::Opaque => Body::Opaque(0),
            },
            found: Found::default(),
            fault: None,
        }
    }

    /// Reads the next chunk.
    ///
    /// # Errors
    /// [`DenialCode::InvalidBody`]: not one well-formed JSON object (RFC 8259, at most
    /// 128 levels) or form (RFC 7578), or a member that decisions need has the wrong type, a
    /// name over 256 bytes, or a key that differs from the right one in case only.
    /// [`DenialCode::DuplicateMember`]: such a member occurs twice.
    /// [`DenialCode::ForbiddenParameter`], [`DenialCode::RequestOverLimit`]: the rules. After
    /// an error the scan stays at that error.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), DenialCode> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let read = match &mut self.body {
            Body::Json(scanner) => scanner.push(chunk, &mut self.found),
            Body::Form(form) => form.push(chunk, &mut self.found),
            Body::Opaque(bytes) => {
                *bytes += chunk.len() as u64;
                Ok(())
            }
        };
        read.map_err(|fault| {
            let code = match fault {
                Fault::Invalid => DenialCode::InvalidBody,
                Fault::Duplicate => DenialCode::DuplicateMember,
                Fault::Unwanted(code) => code,
            };
            self.fault = Some(code);
            code
        })
    }

    /// What was found, once the body has ended.
    ///
    /// # Errors
    /// As [`RequestScan::push`]; [`DenialCode::InvalidBody`] too if the body ended early.
    pub fn finish(self) -> Result<RequestFacts, DenialCode> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let (is_complete, bytes) = match &self.body {
            Body::Json(scanner) => (scanner.is_complete(), scanner.bytes()),
            Body::Form(form) => (form.is_complete(), form.bytes()),
            Body::Opaque(bytes) => (true, *bytes),
        };
        if !is_complete {
            return Err(DenialCode::InvalidBody);
        }
        let found = self.found;
        let model = match &found.model_span {
            Some(_) => Some(String::from_utf8(found.model).map_err(|_| DenialCode::InvalidBody)?),
            None => None,
        };
        Ok(RequestFacts {
            model,
            model_span: found.model_span,
            max_output_tokens: found
                .max_output
                .map(|limit| limit.max(found.overriding.unwrap_or(0))),
            stream: found.stream,
            include_usage: found.include_usage,
            choices: found.choices.unwrap_or(1).max(1),
            bytes,
            places: found.places,
        })
    }
}

/// Members that hold a picture or a file, wherever they stand.
fn pictures(provider: Provider) -> &'static [&'static str] {
    match provider {
        Provider::OpenAi | Provider::AzureOpenAi => {
            &["image_url", "file_id", "file_url", "file_data"]
        }
        Provider::Anthropic => &["source"],
        Provider::Bedrock => &["image", "document", "video", "source"],
        Provider::Gemini | Provider::Vertex => {
            &["inlineData", "inline_data", "fileData", "file_data"]
        }
        Provider::Http => &[],
    }
}

/// Members of the outermost object that hold messages.
const MESSAGES: [&[u8]; 3] = [b"messages", b"input", b"contents"];

impl Bounds {
    fn key(&mut self, depth: u32, key: Option<&[u8]>) -> Result<(), Fault> {
        let is = |name: &str| key == Some(name.as_bytes());
        if depth == 1 {
            if self.rules.forbidden.iter().any(|name| is(name)) {
                return Err(Fault::Unwanted(DenialCode::ForbiddenParameter));
            }
            self.in_messages = key.is_some_and(|key| MESSAGES.contains(&key));
        }
        if let Some(most) = self.rules.max_images
            && self.pictures.iter().any(|name| is(name))
        {
            self.images += 1;
            if self.images > most {
                return Err(Fault::Unwanted(DenialCode::RequestOverLimit));
            }
        }
        Ok(())
    }

    fn any_object(&mut self, depth: u32) -> Result<(), Fault> {
        // In the list that is the member's value.
        if self.in_messages && depth == 3 {
            self.messages += 1;
            if self
                .rules
                .max_messages
                .is_some_and(|most| self.messages > most)
            {
                return Err(Fault::Unwanted(DenialCode::RequestOverLimit));
            }
        }
        Ok(())
    }
}

impl Visit for Found {
    type Field = Field;

    fn member(&mut self, field: Field) -> Result<(), Fault> {
        if self.seen & field.bit() != 0 {
            return Err(Fault::Duplicate);
        }
        self.seen |= field.bit();
        Ok(())
    }

    fn text(&mut self, _field: Field, part: &[u8]) -> Result<(), Fault> {
        if self.model.len() + part.len() > MAX_MODEL {
            return Err(Fault::Invalid);
        }
        self.model.extend_from_slice(part);
        Ok(())
    }

    fn text_end(&mut self, _field: Field, span: Range<u64>) {
        self.model_span = Some(span);
    }

    fn count(&mut self, field: Field, value: u64, span: Range<u64>) {
        match field {
            Field::MaxOutput(_) => self.max_output = self.max_output.max(Some(value)),
            Field::Override(_) => self.overriding = self.overriding.max(Some(value)),
            Field::Choices => self.choices = Some(value),
            _ => {}
        }
        if let Field::MaxOutput(_) | Field::Override(_) = field {
            self.places.limit(value, span);
        }
    }

    fn flag(&mut self, field: Field, value: bool, span: Range<u64>) {
        match field {
            Field::Stream => self.stream = value,
            Field::IncludeUsage => {
                self.include_usage = value;
                self.places.include_usage = Some(span);
            }
            _ => {}
        }
    }

    fn null(&mut self, field: Field, span: Range<u64>) {
        match field {
            Field::Within(at) => self.places.null(at, span),
            Field::IncludeUsage => self.places.include_usage = Some(span),
            Field::MaxOutput(_) => self.places.no_limit(span),
            _ => {}
        }
    }

    fn object(&mut self, field: Option<Field>, inside: u64) {
        self.places.begin(
            match field {
                Some(Field::Within(at)) => Some(at),
                _ => None,
            },
            inside,
        );
    }

    fn empty_object(&mut self) {
        self.places.is_empty();
    }

    fn key(&mut self, depth: u32, key: Option<&[u8]>) -> Result<(), Fault> {
        match &mut self.bounds {
            Some(bounds) => bounds.key(depth, key),
            None => Ok(()),
        }
    }

    fn any_object(&mut self, depth: u32) -> Result<(), Fault> {
        match &mut self.bounds {
            Some(bounds) => bounds.any_object(depth),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
