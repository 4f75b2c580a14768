//! Which request is which operation of which API of the policy.

use std::borrow::Cow;
use std::collections::BTreeSet;

use sekisho_domain::policy::{Api, HttpPath, Place};
use sekisho_domain::{DenialCode, Policy, Problem, Provider};

use crate::path::{
    Segment, decode_model, is_id, model_of, plain, policy_segments, segments, split_query,
};
use crate::query::query_value;
use crate::{ModelPlace, Operation, http, operations, rewrite};

/// The operations that a policy opens.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// By number of segments.
    entries: Vec<Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    method: Cow<'static, str>,
    segments: Vec<Segment>,
    api: usize,
    operation: &'static Operation,
    /// Project and location that its path must name, if it names any.
    place: Option<Place>,
}

/// What a request is.
#[derive(Clone, Debug)]
pub struct Found {
    /// The API: index in the policy's `apis`.
    pub api: usize,
    /// The operation.
    pub operation: &'static Operation,
    /// The model that path or query names, decoded.
    pub path_model: Option<String>,
    /// Whether the path asks for a streamed answer.
    pub path_streams: bool,
}

impl Catalogue {
    /// Compiles the APIs of a policy.
    ///
    /// # Errors
    /// Every [`Problem`]: at `apis[i].operations[j]` a name that the provider has no
    /// operation of, or an operation that is open already, as at `apis[i].paths[j]`; at
    /// `apis[i].models` or `apis[i].upstream` that they are missing; at
    /// `apis[i].models[NAME].upstreams` names that cannot be written for each upstream.
    pub fn new(policy: &Policy) -> Result<Self, Vec<Problem>> {
        let mut catalogue = Self::default();
        let mut problems = Vec::new();
        for (at, api) in policy.apis.iter().enumerate() {
            let mut opened: Vec<&'static Operation> = Vec::new();
            for (nth, name) in api.operations.iter().enumerate() {
                let known = operations(api.provider).iter();
                let known: Vec<_> = known.filter(|known| known.name == name).collect();
                let entries = known.iter().map(|operation| Entry::new(operation, at, api));
                let message = match known.as_slice() {
                    [] => Some(unknown(api.provider, name)),
                    _ => catalogue.add_all(entries, policy),
                };
                problems.extend(message.map(|message| Problem {
                    path: format!("apis[{at}].operations[{nth}]"),
                    message,
                }));
                opened.extend(known);
            }
            for (nth, path) in api.paths.iter().enumerate() {
                let entry = Entry::of_policy(path, at);
                opened.push(entry.operation);
                let message = catalogue.add_all([entry].into_iter(), policy);
                problems.extend(message.map(|message| Problem {
                    path: format!("apis[{at}].paths[{nth}]"),
                    message,
                }));
            }
            problems.extend(missing(at, api, &opened));
        }
        problems.extend(rewrite::problems(policy));
        if problems.is_empty() {
            Ok(catalogue)
        } else {
            Err(problems)
        }
    }

    /// Adds entries; says why one of them cannot be added.
    fn add_all(&mut self, entries: impl Iterator<Item = Entry>, policy: &Policy) -> Option<String> {
        let mut open = entries.filter_map(|entry| self.add(entry, policy));
        open.next()
    }

    /// Adds an entry, or says why it cannot be added.
    fn add(&mut self, entry: Entry, policy: &Policy) -> Option<String> {
        let length = entry.segments.len();
        if self.entries.len() <= length {
            self.entries.resize_with(length + 1, Vec::new);
        }
        let entries = self.entries.get_mut(length)?;
        let open = entries.iter().find(|other| other.overlaps(&entry));
        let message = open.map(|other| {
            let api = policy.apis.get(other.api);
            format!(
                "`{} {}` is already open in API `{}`",
                entry.method,
                entry.template(),
                api.map(|api| api.id.as_str()).unwrap_or_default()
            )
        });
        match (&message, entry.operation.told_by) {
            (Some(_), _) => {}
            (None, Some(_)) => entries.insert(0, entry),
            (None, None) => entries.push(entry),
        }
        message
    }

    /// What a request is, by method and raw path; where two providers have the same, by which
    /// headers there are. What its query may have, [`crate::check_query`] says.
    ///
    /// # Errors
    /// [`DenialCode::AmbiguousPath`]: the path may mean something else to somebody else:
    /// dot or empty segments, `;`, `\`, control or non-ASCII bytes, any of these or `%`
    /// percent-encoded, or an encoded slash outside of a model's name that may have one.
    /// [`DenialCode::UnknownEndpoint`]: the policy opens no such operation.
    pub fn find(
        &self,
        method: &[u8],
        raw_path_and_query: &[u8],
        has_header: impl Fn(&str) -> bool,
    ) -> Result<Found, DenialCode> {
        let plain = plain(split_query(raw_path_and_query).0)?;
        let entries = self.entries.get(plain.segments).map(Vec::as_slice);
        let mut unlikely = None;
        for entry in entries.unwrap_or_default() {
            if entry.method.as_bytes() != method {
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
            let path_model = match entry.operation.model {
                ModelPlace::Query(name) => query_value(raw_path_and_query, name),
                _ => path_model,
            };
            let found = Found {
                api: entry.api,
                operation: entry.operation,
                path_model,
                path_streams: entry.operation.path_streams,
            };
            // Behind it may stand the one that it shares its path with.
            match entry.operation.told_by {
                Some(header) if !has_header(header) => unlikely = Some(found),
                _ => return Ok(found),
            }
        }
        if let Some(found) = unlikely {
            return Ok(found);
        }
        Err(if plain.slashes > 0 {
            DenialCode::AmbiguousPath
        } else {
            DenialCode::UnknownEndpoint
        })
    }
}

impl Entry {
    fn new(operation: &'static Operation, api: usize, policy: &Api) -> Self {
        Self {
            method: Cow::Borrowed(operation.method),
            segments: segments(operation.template).collect(),
            api,
            operation,
            place: policy.place.clone(),
        }
    }

    fn of_policy(path: &HttpPath, api: usize) -> Self {
        Self {
            method: Cow::Owned(path.method.clone()),
            segments: policy_segments(&path.template).collect(),
            api,
            operation: http::operation(path.meter),
            place: None,
        }
    }

    /// As the catalogue or the policy writes it, but for the names in braces.
    fn template(&self) -> String {
        let segments = self.segments.iter().map(|segment| match segment {
            Segment::Literal(literal) => format!("/{literal}"),
            Segment::Model(suffix) => format!("/{{model}}{suffix}"),
            Segment::Id => "/{id}".to_owned(),
            Segment::Project => "/{project}".to_owned(),
            Segment::Location => "/{location}".to_owned(),
            Segment::Any => "/{}".to_owned(),
        });
        segments.collect()
    }

    /// Whether the path (after its first slash, of as many segments) is this one; then
    /// the raw name of the model, if it has one.
    fn matches<'p>(&self, path: &'p [u8]) -> Option<Option<&'p [u8]>> {
        let mut model = None;
        for (expected, raw) in self.segments.iter().zip(path.split(|b| *b == b'/')) {
            match expected {
                Segment::Literal(literal) if literal.as_bytes() == raw => {}
                Segment::Literal(_) => return None,
                Segment::Model(suffix) => model = Some(model_of(raw, suffix)?),
                Segment::Id if is_id(raw) => {}
                Segment::Id => return None,
                Segment::Project if self.is_at(raw, |place| &place.project) => {}
                Segment::Location if self.is_at(raw, |place| &place.location) => {}
                Segment::Project | Segment::Location => return None,
                Segment::Any if raw.is_empty() => return None,
                Segment::Any => {}
            }
        }
        Some(model)
    }

    fn is_at(&self, raw: &[u8], member: impl Fn(&Place) -> &String) -> bool {
        let place = self.place.as_ref();
        place.is_some_and(|place| member(place).as_bytes() == raw)
    }

    /// Whether some request with a path of as many segments could be both.
    fn overlaps(&self, other: &Self) -> bool {
        use Segment::{Any, Id, Literal, Location, Model, Project};
        let is_elsewhere = self.place.is_some() && other.place.is_some();
        self.method == other.method
            && self.operation.told_by == other.operation.told_by
            && self
                .segments
                .iter()
                .zip(&other.segments)
                .all(|pair| match pair {
                    (Literal(a), Literal(b)) => a == b,
                    (Literal(a), Model(b)) | (Model(b), Literal(a)) => a.ends_with(b),
                    (Model(a), Model(b)) => a.ends_with(b) || b.ends_with(a),
                    (Literal(a), Id) | (Id, Literal(a)) => is_id(a.as_bytes()),
                    (Project, Project) if is_elsewhere => {
                        self.place.as_ref().map(|place| &place.project)
                            == other.place.as_ref().map(|place| &place.project)
                    }
                    (Location, Location) if is_elsewhere => {
                        self.place.as_ref().map(|place| &place.location)
                            == other.place.as_ref().map(|place| &place.location)
                    }
                    (Any | Id | Project | Location, _) | (_, Any | Id | Project | Location) => true,
                })
    }
}

/// What the opened operations need and the API does not have.
fn missing(at: usize, api: &Api, opened: &[&Operation]) -> Vec<Problem> {
    let first = |wanted: fn(&Operation) -> bool| opened.iter().find(|o| wanted(o));
    let mut problems = Vec::new();
    let needs_model = first(|operation| operation.model != ModelPlace::Nowhere);
    if let Some(operation) = needs_model.filter(|_| api.models.is_empty()) {
        problems.push(Problem {
            path: format!("apis[{at}].models"),
            message: format!("must name at least one model for `{}`", operation.name),
        });
    }
    if opened.iter().any(|operation| operation.is_socket) {
        let mut models: Vec<_> = api.models.values().collect();
        models.sort_by(|one, other| one.name.cmp(&other.name));
        let boundless = models
            .into_iter()
            .filter(|model| model.max_input_tokens.is_none());
        problems.extend(boundless.map(|model| Problem {
            path: format!("apis[{at}].models[{}].max_input_tokens", model.name),
            message: "is needed where `realtime` is open: every answer of a session is charged for all \
                      that was said before"
                .to_owned(),
        }));
    }
    let needs_none = first(|operation| operation.model == ModelPlace::Nowhere);
    if let Some(operation) = needs_none.filter(|_| api.upstream.is_none()) {
        problems.push(Problem {
            path: format!("apis[{at}].upstream"),
            message: format!(
                "is needed: `{}` concerns no model, whose upstream it could go to",
                operation.name
            ),
        });
    }
    problems
}

fn unknown(provider: Provider, name: &str) -> String {
    let known: BTreeSet<&str> = operations(provider).iter().map(|o| o.name).collect();
    let known: Vec<&str> = known.into_iter().collect();
    format!(
        "`{name}` is no operation of `{}`; there are: {}",
        provider.as_str(),
        known.join(", ")
    )
}

#[cfg(test)]
pub(crate) mod tests;
