//! The ways out of the gateway's own listeners.

use sekisho_domain::Policy;
use sekisho_domain::policy::Upstream;
use sekisho_upstream::{ATTEMPTS_HEADER, CLUSTER_HEADER, UPSTREAM_HEADER};
use serde_json::{Value, json};

use super::pools::Pools;
use crate::link::RECORD_HEADER;

/// A model may think this long between two pieces of its answer...
const IDLE_UPSTREAM_SECONDS: u64 = 600;
/// ...and no call takes longer than this.
const LONGEST_CALL: &str = "3600s";
/// The header by which the filters say why they refused.
const DENIAL_HEADER: &str = "x-sekisho-denial";
/// Nobody can send this header: early header mutation removes the prefix.
const NO_CLUSTER_HEADER: &str = "x-sekisho-none";
/// What the filters can follow, on the paths where the policy opens it.
pub(super) const WEBSOCKET: &str = "websocket";
/// What every connection waits in memory besides.
const SLACK: u64 = super::listener::CONNECTION_BUFFER;

/// The filter names the cluster in a header; only upstreams and pools of the policy are
/// followed.
pub(super) fn all(policy: &Policy, upstreams: &[&Upstream], pools: &Pools<'_>) -> Value {
    let straight = upstreams
        .iter()
        .map(|upstream| to(&upstream.name, straight(upstream), 1));
    let mut routes: Vec<Value> = straight.chain(pools.routes()).collect();
    // Not a `direct_response`: that has no body limit, and it is the route on which a body
    // waits until the filter has found the model in it.
    let nowhere = json!({
        "cluster_header": NO_CLUSTER_HEADER,
        "cluster_not_found_response_code": "NOT_FOUND",
    });
    // Whether a connection may be upgraded, Envoy decides before the filters, by the route that
    // the request has then: no other path can be upgraded.
    routes.extend(sekisho_providers::socket_paths(policy).iter().map(|path| {
        let mut nowhere = nowhere.clone();
        if let Some(route) = nowhere.as_object_mut() {
            route.insert(
                "upgrade_configs".into(),
                json!([{"upgrade_type": WEBSOCKET, "enabled": true}]),
            );
        }
        json!({"name": "socket", "match": {"path": path}, "route": nowhere})
    }));
    routes.push(json!({"name": "nowhere", "match": {"prefix": "/"}, "route": nowhere}));
    json!({
        "name": "sekisho",
        "internal_only_headers": [CLUSTER_HEADER],
        "virtual_hosts": [{
            "name": "sekisho",
            "domains": ["*"],
            // How much of a body can wait for a decision, or for another upstream to be asked. A
            // little more than the policy allows: so the filter refuses what is too large, in the
            // API's words and on record, before Envoy would.
            "request_body_buffer_limit": policy.request_body_bytes.saturating_add(SLACK),
            "routes": routes,
        }],
    })
}

/// Straight to an upstream.
pub(super) fn straight(upstream: &Upstream) -> Value {
    let mut action = json!({
        "cluster": upstream.name,
        "auto_host_rewrite": true,
    });
    with_times(&mut action, 1);
    let first_byte = upstream.limits.first_byte_timeout_millis;
    if first_byte < IDLE_UPSTREAM_SECONDS * 1_000
        && let Some(action) = action.as_object_mut()
    {
        // Ends where the answer begins. Without `retry_on` there is one try.
        action.insert(
            "retry_policy".into(),
            json!({"per_try_timeout": super::seconds(first_byte)}),
        );
    }
    action
}

fn with_times(action: &mut Value, upstreams: usize) {
    let Some(action) = action.as_object_mut() else {
        return;
    };
    let upstreams = u64::try_from(upstreams).unwrap_or(u64::MAX);
    // Where several can be silent one after the other, the last of them shall have its time.
    let idle = IDLE_UPSTREAM_SECONDS.saturating_mul(upstreams) + 10 * (upstreams - 1);
    // The whole of a streamed answer has no time limit of its own.
    action.insert("timeout".into(), "0s".into());
    action.insert("idle_timeout".into(), format!("{idle}s").into());
    action.insert(
        "max_stream_duration".into(),
        json!({"max_stream_duration": LONGEST_CALL}),
    );
}

/// The route of what the filter calls by this name; `upstreams`: how many may be asked.
pub(super) fn to(name: &str, mut action: Value, upstreams: usize) -> Value {
    with_times(&mut action, upstreams);
    // Only the gateway refuses in the gateway's name and names records: the log of refusals is
    // believed. Only a pool says who has answered. Envoy removes them before a filter sees the answer.
    let removed: &[&str] = match upstreams {
        1 => &[
            DENIAL_HEADER,
            RECORD_HEADER,
            UPSTREAM_HEADER,
            ATTEMPTS_HEADER,
        ],
        _ => &[DENIAL_HEADER, RECORD_HEADER],
    };
    json!({
        "name": name,
        "match": {
            "prefix": "/",
            "headers": [{"name": CLUSTER_HEADER, "string_match": {"exact": name}}],
        },
        "route": action,
        "request_headers_to_remove": [
            CLUSTER_HEADER,
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-envoy-external-address",
            "x-envoy-internal",
        ],
        "response_headers_to_remove": removed,
    })
}

pub(super) fn router() -> Value {
    json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            "suppress_envoy_headers": true,
        },
    })
}
