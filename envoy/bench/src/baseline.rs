//! What Sekisho is compared with: the same listener, connection manager, route and upstream
//! as `sekisho render envoy` makes them, with Envoy's own filters or none in place of ours.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

const CONNECTION_MANAGER: &str =
    "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
const FILTERS: &str = "type.googleapis.com/envoy.extensions.filters.http";
/// Verified tokens that Envoy keeps: more than the run has.
const CACHED_TOKENS: u32 = 1000;
/// Requests per minute: a limit that is counted and never reached.
const LIMIT: u32 = 100_000_000;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The configuration that `sekisho render envoy` printed
    #[arg(long, value_name = "FILE")]
    rendered: PathBuf,
    /// The cluster that takes every request
    #[arg(long, value_name = "NAME")]
    cluster: String,
    /// Put jwt_authn with its token cache, rbac and local_ratelimit before the router
    #[arg(long, requires_all = ["issuer", "audience", "jwks", "scope"])]
    native: bool,
    /// The tokens' `iss`
    #[arg(long)]
    issuer: Option<String>,
    /// The tokens' `aud`
    #[arg(long)]
    audience: Option<String>,
    /// File with the issuer's JSON Web Key Set
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// What the tokens' `scp` must contain
    #[arg(long)]
    scope: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum BaselineError {
    #[error("`{}` cannot be read: {source}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the rendered configuration is not YAML: {0}")]
    NotYaml(#[from] serde_yaml_ng::Error),
    #[error(
        "the rendered configuration has no `{0}`; `sekisho render envoy` makes another shape now"
    )]
    Missing(String),
    #[error("the configuration cannot be printed: {0}")]
    Unprintable(#[from] std::io::Error),
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, BaselineError> {
    let mut config: Value = serde_yaml_ng::from_str(&read(&arguments.rendered)?)?;
    let filters = match (
        arguments.native,
        &arguments.issuer,
        &arguments.audience,
        &arguments.jwks,
        &arguments.scope,
    ) {
        (true, Some(issuer), Some(audience), Some(jwks), Some(scope)) => {
            native(issuer, audience, &read(jwks)?, scope)
        }
        _ => Vec::new(),
    };
    replace(&mut config, filters, &arguments.cluster)?;
    // JSON is YAML.
    std::io::stdout().write_all(format!("{config:#}\n").as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<String, BaselineError> {
    std::fs::read_to_string(path).map_err(|source| BaselineError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// Puts `filters` where the wasm filters stand, and sends everything to `cluster`.
fn replace(config: &mut Value, filters: Vec<Value>, cluster: &str) -> Result<(), BaselineError> {
    let missing = |what: &str| BaselineError::Missing(what.to_owned());
    let manager = config
        .pointer_mut(CONNECTION_MANAGER)
        .ok_or_else(|| missing(CONNECTION_MANAGER))?;
    let chain = manager
        .pointer_mut("/http_filters")
        .and_then(Value::as_array_mut)
        .ok_or_else(|| missing("http_filters"))?;
    chain.retain(|filter| filter.pointer("/typed_config/config/vm_config").is_none());
    chain.splice(0..0, filters);
    let host = manager
        .pointer_mut("/route_config/virtual_hosts/0/routes")
        .and_then(Value::as_array_mut)
        .ok_or_else(|| missing("routes"))?;
    host.retain(|route| route.pointer("/route/cluster").and_then(Value::as_str) == Some(cluster));
    let route = host
        .first_mut()
        .and_then(|route| route.pointer_mut("/match"))
        .ok_or_else(|| missing(&format!("route to `{cluster}`")))?;
    *route = json!({"prefix": "/"});
    let clusters = config
        .pointer_mut("/static_resources/clusters")
        .and_then(Value::as_array_mut)
        .ok_or_else(|| missing("clusters"))?;
    clusters.retain(|known| known.get("name").and_then(Value::as_str) == Some(cluster));
    Ok(())
}

/// Envoy's own filters that come closest: a verified token, a scope, a limit.
fn native(issuer: &str, audience: &str, jwks: &str, scope: &str) -> Vec<Value> {
    let always = json!({"default_value": {"numerator": 100, "denominator": "HUNDRED"}});
    vec![
        json!({
            "name": "envoy.filters.http.jwt_authn",
            "typed_config": {
                "@type": format!("{FILTERS}.jwt_authn.v3.JwtAuthentication"),
                "providers": {"issuer": {
                    "issuer": issuer,
                    "audiences": [audience],
                    "local_jwks": {"inline_string": jwks},
                    "jwt_cache_config": {"jwt_cache_size": CACHED_TOKENS},
                    // Cheaper than the payload as metadata: that is copied for every request.
                    "claim_to_headers": [{"header_name": "x-claim-scp", "claim_name": "scp"}],
                }},
                "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "issuer"}}],
            },
        }),
        json!({
            "name": "envoy.filters.http.rbac",
            "typed_config": {
                "@type": format!("{FILTERS}.rbac.v3.RBAC"),
                "rules": {"action": "ALLOW", "policies": {"callers": {
                    "permissions": [{"and_rules": {"rules": [
                        {"header": {"name": ":method", "string_match": {"exact": "POST"}}},
                        {"url_path": {"path": {"prefix": "/v1/"}}},
                    ]}}],
                    "principals": [{"header": {"name": "x-claim-scp", "string_match": {"contains": scope}}}],
                }}},
            },
        }),
        json!({
            "name": "envoy.filters.http.local_ratelimit",
            "typed_config": {
                "@type": format!("{FILTERS}.local_ratelimit.v3.LocalRateLimit"),
                "stat_prefix": "limit",
                "token_bucket": {"max_tokens": LIMIT, "tokens_per_fill": LIMIT, "fill_interval": "60s"},
                "filter_enabled": always,
                "filter_enforced": always,
            },
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered() -> Value {
        let route = |name: &str| {
            json!({
                "match": {"prefix": "/", "headers": [{"name": "x-cluster"}]},
                "route": {"cluster": name, "timeout": "0s"},
            })
        };
        json!({"static_resources": {
            "listeners": [{"filter_chains": [{"filters": [{"typed_config": {
                "http_filters": [
                    {"name": "wasm", "typed_config": {"config": {"vm_config": {}}}},
                    {"name": "router", "typed_config": {}},
                ],
                "route_config": {"virtual_hosts": [{"routes": [route("other"), route("llm")]}]},
            }}]}]}],
            "clusters": [{"name": "sidecar"}, {"name": "other"}, {"name": "llm"}],
        }})
    }

    #[test]
    fn only_our_filters_and_other_upstreams_are_taken_out() {
        let mut config = rendered();
        replace(&mut config, Vec::new(), "llm").unwrap();
        let manager = config.pointer(CONNECTION_MANAGER).unwrap();
        assert_eq!(
            manager["http_filters"],
            json!([{"name": "router", "typed_config": {}}])
        );
        assert_eq!(
            manager["route_config"]["virtual_hosts"][0]["routes"],
            json!([{"match": {"prefix": "/"}, "route": {"cluster": "llm", "timeout": "0s"}}])
        );
        assert_eq!(
            config["static_resources"]["clusters"],
            json!([{"name": "llm"}])
        );
    }

    #[test]
    fn native_filters_stand_before_the_router() {
        let mut config = rendered();
        replace(&mut config, native("iss", "aud", "{}", "text"), "llm").unwrap();
        let filters = config
            .pointer(CONNECTION_MANAGER)
            .and_then(|manager| manager["http_filters"].as_array())
            .unwrap();
        let names: Vec<_> = filters.iter().filter_map(|f| f["name"].as_str()).collect();
        assert_eq!(names.len(), 4);
        assert_eq!(names.last(), Some(&"router"));
    }

    #[test]
    fn an_unknown_cluster_is_an_error() {
        let error = replace(&mut rendered(), Vec::new(), "elsewhere").unwrap_err();
        assert!(error.to_string().contains("`elsewhere`"), "{error}");
    }
}
