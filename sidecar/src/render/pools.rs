//! Models that run in several places. What stands before the router (a credential, TLS, the
//! provider's host, the model's name) belongs to one upstream alone, and the router that goes
//! from one to the next keeps its own for all of them. So a pool's endpoints are listeners
//! inside Envoy, one for each upstream: each leads on to its upstream as a call without a pool
//! would go.
//!
//! docs/selection.md says what else was tried.

use std::collections::BTreeMap;

use sekisho_domain::Policy;
use sekisho_domain::policy::{Failover, Upstream};
use sekisho_upstream::{ATTEMPTS_HEADER, Member, Pool, Selection, UPSTREAM_HEADER};
use serde_json::{Value, json};

use super::clusters::{HTTP_OPTIONS, thresholds, type_url};
use super::routes;

/// What an answer must be for the next upstream to be asked, and for the one that gave it to
/// count as failing.
const REFUSED_FOR_NOW: u16 = 429;
/// Calls under way in one pool: its upstreams have limits of their own.
const NO_LIMIT: u32 = 1_000_000;
/// A header more than upstreams may send, and than clients may: the way through a pool must not
/// be narrower than the way past it.
const MOST_HEADERS: u32 = 120;
const MOST_HEADER_KIB: u32 = 96;
/// Envoy leaves an upstream alone no longer than this, however often it has failed.
const LONGEST_EJECTION_SECONDS: u64 = 300;

/// The pools of a policy.
pub(super) struct Pools<'p> {
    policy: &'p Policy,
    pools: BTreeMap<String, Pool>,
}

impl<'p> Pools<'p> {
    pub(super) fn new(policy: &'p Policy) -> Self {
        Self {
            policy,
            pools: Selection::pools(policy),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pools.is_empty()
    }

    /// One cluster for each order in which a pool's members can be asked. The order is that of
    /// Envoy's priorities, one member in each, so that the first retry asks the second member
    /// and so on, and an ejected member's calls go to the next.
    pub(super) fn clusters(&self) -> Vec<Value> {
        let pools = self.pools.iter();
        pools
            .flat_map(|(name, pool)| {
                pool.orders().into_iter().map(move |(_, order)| {
                    cluster(&order_name(name, &order), &order, self.policy.failover)
                })
            })
            .collect()
    }

    /// The ways into the pools, on the gateway's own listeners.
    pub(super) fn routes(&self) -> Vec<Value> {
        let pools = self.pools.iter();
        pools.map(|(name, pool)| route(name, pool)).collect()
    }

    /// One listener inside Envoy for each upstream, under each name of a model that its paths
    /// must have there.
    pub(super) fn listeners(&self) -> Vec<Value> {
        let members = self.pools.values().flat_map(|pool| &pool.members);
        let members: BTreeMap<String, &Member> =
            members.map(|member| (member.label(), member)).collect();
        members
            .values()
            .filter_map(|member| {
                let upstream = self.policy.upstreams.get(&member.upstream)?;
                Some(listener(member, upstream))
            })
            .collect()
    }
}

/// Envoy's extension without which it has no listeners inside.
pub(super) fn bootstrap_extension() -> Value {
    const EXTENSION: &str = "envoy.extensions.bootstrap.internal_listener.v3.InternalListener";
    json!({
        "name": "envoy.bootstrap.internal_listener",
        "typed_config": {"@type": type_url(EXTENSION)},
    })
}

fn order_name(pool: &str, order: &[&Member]) -> String {
    let first = order
        .first()
        .map_or_else(String::new, |member| member.label());
    format!("{pool}/{first}")
}

fn listener_name(member: &Member) -> String {
    format!("upstream/{}", member.label())
}

fn cluster(name: &str, order: &[&Member], failover: Failover) -> Value {
    let endpoints = order.iter().enumerate().map(|(priority, member)| {
        let address = json!({"envoy_internal_address": {
            "server_listener_name": listener_name(member),
        }});
        json!({
            "priority": priority,
            "lb_endpoints": [{"endpoint": {"address": address}}],
        })
    });
    let status = |matched: Value| {
        let mut matched = matched;
        if let Some(matched) = matched.as_object_mut() {
            matched.insert("name".into(), ":status".into());
        }
        json!({"http_response_headers_match": {"headers": [matched]}})
    };
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints.collect::<Vec<_>>()},
        "circuit_breakers": thresholds(NO_LIMIT, NO_LIMIT, NO_LIMIT),
        "outlier_detection": {
            "consecutive_5xx": failover.eject_after,
            "interval": "1s",
            "base_ejection_time": format!("{}s", failover.eject_seconds),
            "max_ejection_time": format!("{}s", failover.eject_seconds.max(LONGEST_EJECTION_SECONDS)),
            // If all are, Envoy asks them all the same: better a provider's refusal than ours.
            "max_ejection_percent": 100,
            "enforcing_success_rate": 0,
        },
        "typed_extension_protocol_options": {HTTP_OPTIONS: {
            "@type": type_url(HTTP_OPTIONS),
            "common_http_protocol_options": {
                "idle_timeout": "300s",
                "max_headers_count": MOST_HEADERS,
                "max_response_headers_kb": MOST_HEADER_KIB,
            },
            "explicit_http_config": {"http_protocol_options": {}},
            "outlier_detection": {"error_matcher": {"or_match": {"rules": [
                status(json!({"string_match": {"exact": REFUSED_FOR_NOW.to_string()}})),
                status(json!({"range_match": {"start": 500, "end": 600}})),
            ]}}},
        }},
    })
}

fn route(name: &str, pool: &Pool) -> Value {
    let orders = pool.orders();
    let retries = pool.members.len().saturating_sub(1);
    let action = match orders.as_slice() {
        [(_, order)] => json!({"cluster": order_name(name, order)}),
        _ => {
            let shares = orders
                .iter()
                .map(|(share, order)| json!({"name": order_name(name, order), "weight": share}));
            json!({"weighted_clusters": {"clusters": shares.collect::<Vec<_>>()}})
        }
    };
    let mut route = routes::to(name, action, pool.members.len());
    let retry = json!({
        "retry_on": "5xx,reset,connect-failure,refused-stream,retriable-status-codes",
        "retriable_status_codes": [REFUSED_FOR_NOW],
        "num_retries": retries,
        // Somebody else is asked, who needs no time to recover.
        "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.001s"},
        "retry_priority": {
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                "update_frequency": 1,
            },
        },
    });
    if let Some(action) = route.get_mut("route").and_then(Value::as_object_mut) {
        action.insert("retry_policy".into(), retry);
    }
    if let Some(route) = route.as_object_mut() {
        route.insert(
            "response_headers_to_add".into(),
            json!([set(ATTEMPTS_HEADER, "%UPSTREAM_REQUEST_ATTEMPT_COUNT%")]),
        );
    }
    route
}

fn set(header: &str, value: &str) -> Value {
    json!({
        "header": {"key": header, "value": value},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    })
}

/// Leaves an upstream alone for as long as its `Retry-After` says. Envoy's own ejection knows no
/// such time, and a router that asks the next upstream tells nobody what the last one said.
fn rests() -> Value {
    json!({
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": include_str!("pools/rest.lua")},
        },
    })
}

/// It only hands on what the gateway's own listener has cleaned, decided and put on record.
fn listener(member: &Member, upstream: &Upstream) -> Value {
    let mut action = routes::straight(upstream);
    if let (Some(model), Some(action)) = (&member.path_model, action.as_object_mut())
        && let Some(rewrite) = sekisho_providers::path_rewrite(upstream.provider, model)
    {
        let rewrite = json!({
            "pattern": {"regex": rewrite.pattern},
            "substitution": rewrite.substitution,
        });
        action.insert("regex_rewrite".into(), rewrite);
    }
    let name = listener_name(member);
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "upstream",
        "generate_request_id": false,
        "server_header_transformation": "PASS_THROUGH",
        "scheme_header_transformation": {"match_upstream": true},
        // Times are those of the route.
        "stream_idle_timeout": "0s",
        "max_request_headers_kb": MOST_HEADER_KIB,
        "common_http_protocol_options": {"max_headers_count": MOST_HEADERS},
        "route_config": {
            "name": name,
            "virtual_hosts": [{
                "name": name,
                "domains": ["*"],
                "routes": [{
                    "match": {"prefix": "/"},
                    "route": action,
                    "request_headers_to_remove": ["x-forwarded-proto"],
                    "response_headers_to_add": [set(UPSTREAM_HEADER, &member.upstream)],
                }],
            }],
        },
        "http_filters": [rests(), routes::router()],
    });
    json!({
        "name": name,
        "internal_listener": {},
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager,
        }]}],
    })
}
