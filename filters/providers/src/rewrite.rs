//! Models that several upstreams call by different names: the proxy writes each upstream's own
//! into the path, because only it knows which one takes the call in the end.

use std::collections::BTreeSet;

use sekisho_domain::policy::{Api, Model};
use sekisho_domain::{Policy, Problem, Provider};

use crate::path::encoded_model;
use crate::{ModelPlace, operations};

/// A regular expression (RE2) that matches the paths of a provider's operations that name a
/// model, and what is to be written in their place so that they name this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRewrite {
    /// Of the path without its query.
    pub pattern: String,
    /// With `\1` and `\2` for what stands before and after the model.
    pub substitution: String,
}

/// How the paths of a provider are made to name a model. None: its paths name none, or none
/// that is called so.
#[must_use]
pub fn path_rewrite(provider: Provider, model: &str) -> Option<PathRewrite> {
    let mut before = BTreeSet::new();
    let mut after = BTreeSet::new();
    let mut slash = true;
    for operation in operations(provider) {
        let Some((start, end)) = operation.template.split_once("{model}") else {
            continue;
        };
        before.insert(quoted(start));
        after.insert(quoted(end));
        slash &= operation.slash_in_model;
    }
    if before.is_empty() {
        return None;
    }
    let either = |texts: BTreeSet<String>| texts.into_iter().collect::<Vec<_>>().join("|");
    let model = encoded_model(model, slash)?;
    Some(PathRewrite {
        pattern: format!("^({})[^/]+?({})$", either(before), either(after)),
        substitution: format!("\\1{model}\\2"),
    })
}

/// Literal text; other placeholders stand for one segment.
fn quoted(template: &str) -> String {
    let mut pattern = String::new();
    let mut rest = template;
    while let Some((literal, placeholder)) = rest.split_once('{') {
        quote(literal, &mut pattern);
        pattern.push_str("[^/]+");
        rest = placeholder.split_once('}').map_or("", |(_, after)| after);
    }
    quote(rest, &mut pattern);
    pattern
}

fn quote(literal: &str, pattern: &mut String) {
    for character in literal.chars() {
        if !character.is_ascii_alphanumeric() && !matches!(character, '/' | '-' | '_' | ':') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
}

/// What a policy asks of its pools that cannot be done, at
/// `apis[i].models.NAME.upstreams`.
pub(crate) fn problems(policy: &Policy) -> Vec<Problem> {
    let apis = policy.apis.iter().enumerate();
    let models = apis.flat_map(|(at, api)| api.models.values().map(move |model| (at, api, model)));
    models
        .filter_map(|(at, api, model)| {
            let message = problem(policy, api, model)?;
            let path = format!("apis[{at}].models[{}].upstreams", model.name);
            Some(Problem { path, message })
        })
        .collect()
}

fn problem(policy: &Policy, api: &Api, model: &Model) -> Option<String> {
    let mut names = model.upstreams.iter().map(|place| place.model.as_deref());
    let first = names.next()?;
    if names.all(|name| name == first) {
        return None;
    }
    let open = operations(api.provider)
        .iter()
        .filter(|operation| api.operations.iter().any(|open| open == operation.name));
    let in_body = open
        .into_iter()
        .find(|operation| matches!(operation.model, ModelPlace::Body | ModelPlace::Query(_)));
    if let Some(operation) = in_body {
        return Some(format!(
            "must all have the same `model`: in `{}` (`{}`) the body or the query names it, which is \
             written once, whoever takes the call in the end",
            operation.name, operation.template
        ));
    }
    let mut wires = model
        .upstreams
        .iter()
        .filter_map(|place| policy.upstreams.get(&place.upstream))
        .map(|upstream| upstream.provider);
    if wires.any(|wire| wire != api.provider) {
        let text = "must all have the API's `provider` if their names of the model differ";
        return Some(text.to_owned());
    }
    let names = model.upstreams.iter().map(|place| {
        let there = place.model.as_deref();
        there.unwrap_or(&model.name)
    });
    let mut unwritable = names.filter(|name| path_rewrite(api.provider, name).is_none());
    let name = unwritable.next()?;
    Some(format!("`{name}` cannot stand in a path of this provider"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_apart_around_its_model() {
        let rewrite = path_rewrite(Provider::Bedrock, "arn:aws:x/us.claude").unwrap();
        assert_eq!(
            rewrite.pattern,
            "^(/model/)[^/]+?(/converse|/converse-stream|/count-tokens|/invoke|/invoke-with-response-stream)$"
        );
        assert_eq!(rewrite.substitution, "\\1arn%3Aaws%3Ax%2Fus.claude\\2");
    }

    #[test]
    fn what_cannot_stand_in_a_path_is_not_written_there() {
        assert_eq!(path_rewrite(Provider::Gemini, "a/b"), None);
        assert_eq!(path_rewrite(Provider::Gemini, "a%2Fb"), None);
        assert_eq!(path_rewrite(Provider::Http, "gpt-4o"), None);
        let dotted = path_rewrite(Provider::Gemini, "gemini-2.0").unwrap();
        assert!(dotted.substitution.contains("gemini-2.0"));
    }

    #[test]
    fn literals_are_quoted_and_placeholders_are_segments() {
        assert_eq!(quoted("/v1.0/p/{project}/x"), "/v1\\.0/p/[^/]+/x");
    }
}
