//! What an API opens: operations, paths, names of models.

use std::collections::{HashMap, HashSet};

use super::Check;
use crate::Provider;
use crate::policy::raw::{RawApi, RawModel, RawRules};
use crate::policy::{HttpPath, Place, Rules};

/// Methods that a path can have. `CONNECT` and `TRACE` are about the connection.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

impl Check<'_> {
    /// Project and location of a Vertex API; others have none.
    pub(super) fn cloud_place(&mut self, path: &str, api: &RawApi) -> Option<Place> {
        let mut member = |name: &str, value: &Option<String>| {
            let at = format!("{path}.{name}");
            match (api.provider, value) {
                (Provider::Vertex, Some(value)) => {
                    self.name(&at, value);
                    return Some(value.clone());
                }
                (Provider::Vertex, None) => self.problem(at, "is needed for `vertex`"),
                (_, Some(_)) => self.problem(at, "only APIs of `vertex` have one"),
                (_, None) => {}
            }
            None
        };
        let project = member("project", &api.project);
        let location = member("location", &api.location);
        Some(Place {
            project: project?,
            location: location?,
        })
    }

    /// The paths of an `http` API; others have operations.
    pub(super) fn paths(&mut self, path: &str, api: &RawApi) -> Vec<HttpPath> {
        let is_http = api.provider == Provider::Http;
        let (missing, foreign, of) = if is_http {
            (api.paths.is_empty(), !api.operations.is_empty(), "paths")
        } else {
            (
                api.operations.is_empty(),
                !api.paths.is_empty(),
                "operations",
            )
        };
        if missing {
            let text = format!("must name at least one of its {of}");
            self.problem(format!("{path}.{of}"), text);
        }
        if foreign {
            let other = if is_http { "operations" } else { "paths" };
            let text = format!("an API of `{}` has `{of}`", api.provider.as_str());
            self.problem(format!("{path}.{other}"), text);
        }
        if is_http && !api.models.is_empty() {
            self.problem(format!("{path}.models"), "an API of `http` has none");
        }
        let mut paths = Vec::new();
        for (at, raw) in api.paths.iter().enumerate() {
            let path = format!("{path}.paths[{at}]");
            if !METHODS.contains(&raw.method.as_str()) {
                let text = format!("must be one of {}", METHODS.join(", "));
                self.problem(format!("{path}.method"), text);
            }
            if !is_template(&raw.template) {
                self.problem(
                    format!("{path}.template"),
                    "must be a path such as `/weather/{city}`: segments of letters, digits, `-`, `_`, `.`, `~`, `:` and `@`, or one name in braces",
                );
            }
            paths.push(HttpPath {
                method: raw.method.clone(),
                template: raw.template.clone(),
                meter: raw.meter,
            });
        }
        paths
    }

    /// What requests and answers must keep to.
    pub(super) fn rules(&mut self, path: &str, raw: RawRules) -> Rules {
        let mut some = |member: &str, value: Option<u64>, most: u64| {
            if let Some(value) = value {
                self.some(&format!("{path}.{member}"), value, most);
            }
        };
        some("max_output_tokens", raw.max_output_tokens, 10_000_000);
        some("max_messages", raw.max_messages.map(u64::from), 1_000_000);
        some("max_depth", raw.max_depth.map(u64::from), 128);
        some("request_body_bytes", raw.request_body_bytes, 64 << 20);
        some("response_body_bytes", raw.response_body_bytes, 1 << 40);
        some("session_seconds", raw.session_seconds, 3_600);
        some("session_bytes", raw.session_bytes, 1 << 40);
        for (at, name) in raw.forbidden.iter().enumerate() {
            if name.is_empty() || name.len() > 40 {
                self.problem(
                    format!("{path}.forbidden[{at}]"),
                    "must be the name of a member, 1 to 40 bytes",
                );
            }
        }
        Rules {
            max_output_tokens: raw.max_output_tokens,
            over_limit: raw.over_limit,
            forbidden: raw.forbidden,
            max_messages: raw.max_messages,
            max_images: raw.max_images,
            max_depth: raw.max_depth,
            request_body_bytes: raw.request_body_bytes,
            response_body_bytes: raw.response_body_bytes,
            session_seconds: raw.session_seconds,
            session_bytes: raw.session_bytes,
            ask_usage: raw.ask_usage,
        }
    }

    /// Other names of models, each with the one under which it is offered.
    pub(super) fn aliases(&mut self, path: &str, models: &[RawModel]) -> HashMap<String, String> {
        let names: HashSet<&str> = models.iter().map(|model| model.name.as_str()).collect();
        let mut aliases = HashMap::new();
        for (m, model) in models.iter().enumerate() {
            for (a, alias) in model.aliases.iter().enumerate() {
                let at = format!("{path}.models[{m}].aliases[{a}]");
                if alias.is_empty() || alias.len() > 256 {
                    self.problem(&at, "must be 1 to 256 bytes");
                }
                let known = aliases.insert(alias.clone(), model.name.clone());
                if known.is_some() || names.contains(alias.as_str()) {
                    self.problem(at, format!("`{alias}` is defined twice"));
                }
            }
        }
        aliases
    }
}

fn is_template(template: &str) -> bool {
    let Some(path) = template.strip_prefix('/') else {
        return false;
    };
    let is_plain = |text: &str| {
        !text.is_empty()
            && !matches!(text, "." | "..")
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.~:@".contains(&b))
    };
    path.split('/').all(|segment| {
        let named = segment
            .strip_prefix('{')
            .and_then(|segment| segment.strip_suffix('}'));
        is_plain(named.unwrap_or(segment))
    })
}
