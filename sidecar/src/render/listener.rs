//! The way in: what Envoy checks and cleans before the filters, the filters, the routes.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use sekisho_domain::Policy;
use serde_json::{Value, json};

use super::operations::{access_log, refusals_log};
use super::{Bootstrap, SIDECAR, Tls, routes, socket_address};

/// How much of one connection waits in memory before Envoy stops reading from it.
pub(super) const CONNECTION_BUFFER: u64 = 1024 * 1024;
/// A client gets this long to send its headers, and this long for the whole request.
const HEADERS_TIMEOUT: &str = "10s";
const REQUEST_TIMEOUT: &str = "60s";
/// Before a route is chosen, a silent stream gets no longer.
const IDLE_BEFORE_ROUTE: &str = "60s";

pub(super) fn plain(policy: &Policy, bootstrap: &Bootstrap, routes: &Value) -> Value {
    listener(policy, bootstrap, routes, "gateway", bootstrap.listen, None)
}

pub(super) fn tls(policy: &Policy, bootstrap: &Bootstrap, routes: &Value, tls: &Tls) -> Value {
    let socket = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                "tls_certificates": [{
                    "certificate_chain": {"filename": tls.certificate},
                    "private_key": {"filename": tls.key},
                }],
            },
        },
    });
    listener(
        policy,
        bootstrap,
        routes,
        "gateway_tls",
        tls.listen,
        Some(socket),
    )
}

fn listener(
    policy: &Policy,
    bootstrap: &Bootstrap,
    routes: &Value,
    name: &str,
    address: SocketAddr,
    transport_socket: Option<Value>,
) -> Value {
    let mut chain = json!({"filters": [{
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": connection_manager(policy, bootstrap, routes),
    }]});
    let mut listener_filters = Vec::new();
    if let (Some(socket), Some(chain)) = (transport_socket, chain.as_object_mut()) {
        chain.insert("transport_socket".into(), socket);
        // A peer that never finishes its handshake.
        chain.insert("transport_socket_connect_timeout".into(), "10s".into());
        listener_filters.push(json!({
            "name": "envoy.filters.listener.tls_inspector",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"},
        }));
    }
    json!({
        "name": name,
        "address": listening_address(address),
        "per_connection_buffer_limit_bytes": CONNECTION_BUFFER,
        "listener_filters": listener_filters,
        "filter_chains": [chain],
    })
}

/// Whoever listens on every IPv6 address means IPv4, too.
fn listening_address(address: SocketAddr) -> Value {
    let mut at = socket_address(address);
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        && let Some(socket) = at
            .pointer_mut("/socket_address")
            .and_then(Value::as_object_mut)
    {
        socket.insert("ipv4_compat".into(), true.into());
    }
    at
}

fn connection_manager(policy: &Policy, bootstrap: &Bootstrap, routes: &Value) -> Value {
    let mut http_filters: Vec<Value> = bootstrap
        .modules
        .names()
        .iter()
        .map(|name| wasm(bootstrap, name))
        .collect();
    http_filters.push(routes::router());
    let mut access_logs = access_log(&bootstrap.access_log);
    access_logs.push(refusals_log());
    let mut manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "sekisho",
        // The peer's address is the client's, or that which so many proxies before it appended;
        // what a client says about itself is not believed. The filter counts the same hops.
        "use_remote_address": true,
        "xff_num_trusted_hops": policy.trusted_hops,
        // Nobody is trusted for being near. (An empty list would mean Envoy's own: loopback and
        // private networks, whose request ids are kept and whose addresses the filter is not told.)
        "internal_address_config": {"cidr_ranges": [{"address_prefix": "0.0.0.0", "prefix_len": 32}]},
        "normalize_path": true,
        "merge_slashes": true,
        // boto3 sends the ARN of a model with `%2F`; the filter decides where that may be.
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "common_http_protocol_options": {
            "headers_with_underscores_action": "REJECT_REQUEST",
            "idle_timeout": "3600s",
            "max_headers_count": 100,
        },
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 256 * 1024,
            "initial_connection_window_size": 1024 * 1024,
        },
        "request_headers_timeout": HEADERS_TIMEOUT,
        "request_timeout": REQUEST_TIMEOUT,
        "stream_idle_timeout": IDLE_BEFORE_ROUTE,
        "generate_request_id": true,
        "preserve_external_request_id": false,
        "always_set_request_id_in_response": true,
        "scheme_header_transformation": {"match_upstream": true},
        "server_name": "sekisho",
        "server_header_transformation": "OVERWRITE",
        "early_header_mutation_extensions": [{
            "name": "envoy.http.early_header_mutation.header_mutation",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                "mutations": [
                    {"remove_on_match": {"key_matcher": {"prefix": "x-sekisho-"}}},
                    {"remove_on_match": {"key_matcher": {"prefix": "x-envoy-"}}},
                ],
            },
        }],
        "access_log": access_logs,
        "route_config": routes,
        "http_filters": http_filters,
    });
    if !sekisho_providers::socket_paths(policy).is_empty()
        && let Some(manager) = manager.as_object_mut()
    {
        let upgrades = json!([{"upgrade_type": routes::WEBSOCKET, "enabled": false}]);
        manager.insert("upgrade_configs".into(), upgrades);
    }
    manager
}

fn wasm(bootstrap: &Bootstrap, module: &str) -> Value {
    let name = format!("sekisho_{module}");
    let configuration = json!({"link": {"cluster": SIDECAR}});
    json!({
        "name": name,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": name,
                "root_id": name,
                // A filter that trapped comes back; until then its requests are refused.
                "failure_policy": "FAIL_RELOAD",
                // Without it a request whose model stands in its body would hang.
                "allow_on_headers_stop_iteration": true,
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": configuration.to_string(),
                },
                "vm_config": {
                    "vm_id": name,
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": bootstrap.filters.join(format!("{module}.wasm"))}},
                },
            },
        },
    })
}
