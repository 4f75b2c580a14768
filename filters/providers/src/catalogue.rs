//! Which request is which operation of which API of the policy.

use sekisho_domain::{DenialCode, Policy, Problem, Provider};

use crate::path::{Segment, decode_model, model_of, plain, segments, split_query};
use crate::{Operation, operations, rewrite};

/// The operations that a policy opens.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// By number of segments.
    entries: Vec<Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    segments: Vec<Segment>,
    api: usize,
    operation: &'static Operation,
}

/// What a request is.
#[derive(Clone, Debug)]
pub struct Found {
    /// The API: index in the policy's `apis`.
    pub api: usize,
    /// The operation.
    pub operation: &'static Operation,
    /// The model that the path names, decoded.
    pub path_model: Option<String>,
    /// Whether the path asks for a streamed answer.
    pub path_streams: bool,
}

impl Catalogue {
    /// Compiles the APIs of a policy.
    ///
    /// # Errors
    /// Every [`Problem`]: at `apis[i].operations[j]` a name that the provider has no operation
    /// of, or an operation that is open already; at `apis[i].models[NAME].upstreams` names that
    /// cannot be written for each upstream.
    pub fn new(policy: &Policy) -> Result<Self, Vec<Problem>> {
        let apis = policy.apis.iter();
        let catalogue =
            Self::of(apis.map(|api| (api.id.as_str(), api.provider, api.operations.as_slice())));
        let pools = rewrite::problems(policy);
        match catalogue {
            Ok(catalogue) if pools.is_empty() => Ok(catalogue),
            Ok(_) => Err(pools),
            Err(problems) => Err(problems.into_iter().chain(pools).collect()),
        }
    }

    fn of<'p>(
        apis: impl Iterator<Item = (&'p str, Provider, &'p [String])>,
    ) -> Result<Self, Vec<Problem>> {
        let mut catalogue = Self::default();
        let mut names = Vec::new();
        let mut problems = Vec::new();
        for (at, (name, provider, opened)) in apis.enumerate() {
            names.push(name);
            for (nth, opened) in opened.iter().enumerate() {
                let mut known = operations(provider)
                    .iter()
                    .filter(|operation| operation.name == opened)
                    .peekable();
                let message = if known.peek().is_none() {
                    Some(unknown(provider, opened))
                } else {
                    known
                        .filter_map(|operation| catalogue.add(at, operation, &names))
                        .next()
                };
                problems.extend(message.map(|message| Problem {
                    path: format!("apis[{at}].operations[{nth}]"),
                    message,
                }));
            }
        }
        if problems.is_empty() {
            Ok(catalogue)
        } else {
            Err(problems)
        }
    }

    /// Adds an operation, or says why it cannot be added.
    fn add(&mut self, api: usize, operation: &'static Operation, names: &[&str]) -> Option<String> {
        let entry = Entry {
            segments: segments(operation.template).collect(),
            api,
            operation,
        };
        let length = entry.segments.len();
        if self.entries.len() <= length {
            self.entries.resize_with(length + 1, Vec::new);
        }
        let entries = self.entries.get_mut(length)?;
        let open = entries.iter().find(|other| other.overlaps(&entry));
        let message = open.map(|other| {
            format!(
                "`{} {}` is already open in API `{}`",
                operation.method,
                operation.template,
                names.get(other.api).copied().unwrap_or_default()
            )
        });
        if message.is_none() {
            entries.push(entry);
        }
        message
    }

    /// What a request is, by method and raw path. What its query may have, [`crate::check_query`] says.
    ///
    /// # Errors
    /// [`DenialCode::AmbiguousPath`]: the path may mean something else to somebody else:
    /// dot or empty segments, `;`, `\`, control or non-ASCII bytes, any of these or `%`
    /// percent-encoded, or an encoded slash outside of a model's name that may have one.
    /// [`DenialCode::UnknownEndpoint`]: the policy opens no such operation.
    pub fn find(&self, method: &[u8], raw_path_and_query: &[u8]) -> Result<Found, DenialCode> {
        let plain = plain(split_query(raw_path_and_query).0)?;
        let entries = self.entries.get(plain.segments).map(Vec::as_slice);
        for entry in entries.unwrap_or_default() {
            if entry.operation.method.as_bytes() != method {
                continue;
            }
            let Some(model) = entry.matches(plain.path) else {
                continue;
            };
            let path_model = model.map(decode_model).transpose()?;
            let slashes = path_model.as_deref().map_or(0, |model| {
                if entry.operation.slash_in_model {
                    model.bytes().filter(|b| *b == b'/').count()
                } else {
                    0
                }
            });
            if slashes != plain.slashes {
                return Err(DenialCode::AmbiguousPath);
            }
            return Ok(Found {
                api: entry.api,
                operation: entry.operation,
                path_model,
                path_streams: entry.operation.path_streams,
            });
        }
        Err(if plain.slashes > 0 {
            DenialCode::AmbiguousPath
        } else {
            DenialCode::UnknownEndpoint
        })
    }
}

impl Entry {
    /// Whether the path (after its first slash, of as many segments) is this one; then
    /// the raw name of the model, if it has one.
    fn matches<'p>(&self, path: &'p [u8]) -> Option<Option<&'p [u8]>> {
        let mut model = None;
        for (expected, raw) in self.segments.iter().zip(path.split(|b| *b == b'/')) {
            match expected {
                Segment::Literal(literal) if literal.as_bytes() == raw => {}
                Segment::Literal(_) => return None,
                Segment::Model(suffix) => model = Some(model_of(raw, suffix)?),
            }
        }
        Some(model)
    }

    /// Whether some path of as many segments could be both.
    fn overlaps(&self, other: &Self) -> bool {
        use Segment::{Literal, Model};
        self.operation.method == other.operation.method
            && self
                .segments
                .iter()
                .zip(&other.segments)
                .all(|pair| match pair {
                    (Literal(a), Literal(b)) => a == b,
                    (Literal(a), Model(b)) | (Model(b), Literal(a)) => a.ends_with(b),
                    (Model(a), Model(b)) => a.ends_with(b) || b.ends_with(a),
                })
    }
}

fn unknown(provider: Provider, name: &str) -> String {
    let mut known: Vec<&str> = operations(provider).iter().map(|o| o.name).collect();
    known.dedup();
    format!(
        "`{name}` is no operation of `{}`; there are: {}",
        provider.as_str(),
        known.join(", ")
    )
}

#[cfg(test)]
mod tests;
