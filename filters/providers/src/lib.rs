//! What each provider's API looks like from outside: its endpoints, where a request
//! names model and limits, where an answer reports usage, what its errors look like.
//!
//! One file per provider holds the facts; everything else reads them:
//! [`Catalogue`] says which API a path belongs to, [`RequestScan`] reads what decisions
//! need from a request body, [`UsageMeter`] reads usage from an answer, [`error_body`]
//! words a refusal. Bodies pass by in chunks of any size; none is ever kept, and the
//! result never depends on where the chunks were cut.

mod anthropic;
mod azure_openai;
mod bedrock;
mod catalogue;
mod content;
mod edit;
mod error;
mod form;
mod gemini;
mod http;
mod json;
mod openai;
mod operation;
mod path;
mod query;
#[cfg(test)]
mod recorded;
mod request;
mod rewrite;
mod sieve;
mod socket;
mod stream;
mod swar;
mod usage;
mod vertex;

pub use catalogue::{Catalogue, Found};
pub use content::check_content;
pub use edit::{Edit, Edits};
pub use error::{ErrorBody, error_body};
pub use operation::{ModelPlace, Operation, RequestBody, opens_sockets, operations, socket_paths};
pub use path::path_with_model;
pub use query::check_query;
pub use request::{RequestFacts, RequestScan};
pub use rewrite::{PathRewrite, path_rewrite};
pub use sieve::UsageSieve;
pub use socket::{ClientEvent, ClientSide, ServerEvent, ServerSide, SocketFault};
pub use stream::{AnswerEvents, Closing, Passed, StreamWire};
pub use usage::UsageMeter;
