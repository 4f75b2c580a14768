//! One operation of a provider's API, as data.

use std::collections::BTreeSet;

use sekisho_domain::policy::Api;
use sekisho_domain::{Modality, Policy, Provider};

use crate::json::Member;
use crate::query::Parameter;
use crate::request::Field;
use crate::usage::Answer;
use crate::{anthropic, azure_openai, bedrock, gemini, http, openai, vertex};

/// Where a request names its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelPlace {
    /// In the path, at `{model}`.
    Path,
    /// In the body: the top-level member `model`, or the part `model` of a form.
    Body,
    /// In the query, as this parameter.
    Query(&'static str),
    /// Nowhere: the operation concerns no model, or more than one.
    Nowhere,
}

/// What a request's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestBody {
    /// One JSON object.
    Json,
    /// A form (RFC 7578), with files in it.
    Form,
    /// Anything else, or nothing; only its length is known.
    Opaque,
}

/// One operation of a provider's API. Versions of a path are operations of one name.
pub struct Operation {
    /// The name in the policy file: `chat_completions`.
    pub name: &'static str,
    /// Whose wire it is.
    pub provider: Provider,
    /// What it handles.
    pub modality: Modality,
    /// HTTP method, exact.
    pub method: &'static str,
    /// Path; `{model}` stands for one segment or for its beginning, `{id}`, `{project}` and
    /// `{location}` for one segment each.
    pub template: &'static str,
    /// Where the model is named.
    pub model: ModelPlace,
    /// What the body is.
    pub request: RequestBody,
    /// Whether it generates output tokens, at most as many as the request's limit allows.
    pub generates: bool,
    /// Whether the path alone asks for a streamed answer.
    pub path_streams: bool,
    /// Whether it is a WebSocket (RFC 6455) that outlives the request for it.
    pub is_socket: bool,
    /// Whether the provider charges nothing for it.
    pub free: bool,
    /// Whether bodies count as usage: for APIs that are no provider's, the policy says.
    pub counts_bytes: bool,
    /// Whether `%2F` may stand in the model's segment (Bedrock ARNs).
    pub slash_in_model: bool,
    /// The header that all its requests have, where another provider has an operation at the
    /// same path whose requests do not have it.
    pub told_by: Option<&'static str>,
    /// Where a limit of output tokens stands: its name, or an object's and its name in there.
    pub(crate) limit: Option<&'static [&'static str]>,
    /// The option, so named, by which a stream reports usage; none: it does so unasked.
    pub(crate) usage_option: Option<&'static [&'static str]>,
    /// The parameters that its query may have.
    pub(crate) query: &'static [Parameter],
    /// The members of the body that decisions need.
    pub(crate) members: &'static [Member<Field>],
    /// Where the answer reports usage.
    pub(crate) answer: &'static Answer,
}

impl Operation {
    /// Whether its use is counted in tokens: `per_token` says whether the model's price has
    /// any. What makes or hears pictures and sound may be paid per call instead.
    #[must_use]
    pub fn counts_tokens(&self, per_token: impl FnOnce() -> bool) -> bool {
        self.model != ModelPlace::Nowhere
            && !self.free
            && (self.modality == Modality::Text || per_token())
    }
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operation")
            .field("provider", &self.provider)
            .field("name", &self.name)
            .field("method", &self.method)
            .field("template", &self.template)
            .finish_non_exhaustive()
    }
}

/// Whether an API opens WebSockets.
#[must_use]
pub fn opens_sockets(api: &Api) -> bool {
    sockets(api).next().is_some()
}

fn sockets(api: &Api) -> impl Iterator<Item = &'static Operation> {
    let operations = operations(api.provider).iter();
    operations.filter(|operation| {
        operation.is_socket && api.operations.iter().any(|open| open == operation.name)
    })
}

/// The paths on which a policy opens WebSockets, each once, in order.
#[must_use]
pub fn socket_paths(policy: &Policy) -> BTreeSet<&'static str> {
    let opened = policy.apis.iter().flat_map(sockets);
    opened.map(|operation| operation.template).collect()
}

/// The operations of a provider.
#[must_use]
pub fn operations(provider: Provider) -> &'static [Operation] {
    match provider {
        Provider::OpenAi => openai::OPERATIONS,
        Provider::AzureOpenAi => azure_openai::OPERATIONS,
        Provider::Anthropic => anthropic::OPERATIONS,
        Provider::Bedrock => bedrock::OPERATIONS,
        Provider::Gemini => gemini::OPERATIONS,
        Provider::Vertex => vertex::OPERATIONS,
        Provider::Http => http::OPERATIONS,
    }
}
