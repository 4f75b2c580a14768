//! Envoy's own filters.

use serde_json::{Value, json};

const FILTERS: &str = "type.googleapis.com/envoy.extensions.filters.http";
/// Verified tokens that Envoy keeps: more than are used in turn.
const CACHED_TOKENS: u32 = 1000;
/// Requests per minute: a limit that is counted and never reached.
const LIMIT: u32 = 100_000_000;

/// What is asked of a token.
pub(super) struct Caller<'a> {
    /// Its `iss`.
    pub(super) issuer: &'a str,
    /// Its `aud`.
    pub(super) audience: &'a str,
    /// The issuer's JSON Web Key Set.
    pub(super) jwks: &'a str,
}

/// What comes closest to all of Sekisho: a verified token, a scope, a limit.
pub(super) fn chain(caller: &Caller<'_>, scope: &str) -> Vec<Value> {
    let always = json!({"default_value": {"numerator": 100, "denominator": "HUNDRED"}});
    vec![
        jwt_authn(&json!({
            "issuer": caller.issuer,
            "audiences": [caller.audience],
            "local_jwks": {"inline_string": caller.jwks},
            "jwt_cache_config": {"jwt_cache_size": CACHED_TOKENS},
            // Cheaper than the payload as metadata: that is copied for every request.
            "claim_to_headers": [{"header_name": "x-claim-scp", "claim_name": "scp"}],
        })),
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

/// The check of a token and nothing else. The token is passed on, as scope.wasm alone does, so
/// that both send the same request.
pub(super) fn token_check(caller: &Caller<'_>, has_cache: bool) -> Value {
    let mut provider = json!({
        "issuer": caller.issuer,
        "audiences": [caller.audience],
        "local_jwks": {"inline_string": caller.jwks},
        "forward": true,
    });
    if let (true, Some(provider)) = (has_cache, provider.as_object_mut()) {
        let cache = json!({"jwt_cache_size": CACHED_TOKENS});
        provider.insert("jwt_cache_config".to_owned(), cache);
    }
    jwt_authn(&provider)
}

fn jwt_authn(provider: &Value) -> Value {
    json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": format!("{FILTERS}.jwt_authn.v3.JwtAuthentication"),
            "providers": {"issuer": provider},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "issuer"}}],
        },
    })
}
