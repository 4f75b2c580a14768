//! Reads the few members of a request body that decisions need.

use std::ops::Range;

use sekisho_domain::DenialCode;

use crate::json::{Fault, Scanner, Visit};
use crate::{Operation, RequestBody};

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
}

/// An incremental, linear scan of a request body. Keeps what [`RequestFacts`] holds and
/// nothing else; the result does not depend on where the chunks were cut.
pub struct RequestScan {
    /// None: the body is opaque.
    scanner: Option<Scanner<Field, true>>,
    opaque_bytes: u64,
    found: Found,
    fault: Option<DenialCode>,
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
}

impl RequestScan {
    /// A scan of the body of a request for `operation`.
    #[must_use]
    pub fn new(operation: &'static Operation) -> Self {
        Self {
            scanner: match operation.request {
                RequestBody::Json => Some(Scanner::new(operation.members)),
                RequestBody::Opaque => None,
            },
            opaque_bytes: 0,
            found: Found::default(),
            fault: None,
        }
    }

    /// Reads the next chunk.
    ///
    /// # Errors
    /// [`DenialCode::InvalidBody`]: not one well-formed JSON object (RFC 8259, at most
    /// 128 levels), or a member that decisions need has the wrong type, a name over 256
    /// bytes, or a key that differs from the right one in case only.
    /// [`DenialCode::DuplicateMember`]: such a member occurs twice. After an error the
    /// scan stays at that error.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), DenialCode> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let Some(scanner) = &mut self.scanner else {
            self.opaque_bytes += chunk.len() as u64;
            return Ok(());
        };
        scanner.push(chunk, &mut self.found).map_err(|fault| {
            let code = match fault {
                Fault::Invalid => DenialCode::InvalidBody,
                Fault::Duplicate => DenialCode::DuplicateMember,
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
        let Some(scanner) = self.scanner else {
            return Ok(RequestFacts {
                choices: 1,
                bytes: self.opaque_bytes,
                ..RequestFacts::default()
            });
        };
        if !scanner.is_complete() {
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
            bytes: scanner.bytes(),
        })
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

    fn count(&mut self, field: Field, value: u64) {
        match field {
            Field::MaxOutput(_) => self.max_output = self.max_output.max(Some(value)),
            Field::Override(_) => self.overriding = self.overriding.max(Some(value)),
            Field::Choices => self.choices = Some(value),
            _ => {}
        }
    }

    fn flag(&mut self, field: Field, value: bool) {
        match field {
            Field::Stream => self.stream = value,
            Field::IncludeUsage => self.include_usage = value,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
