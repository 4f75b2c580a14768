//! What keeps the proxy itself healthy and observable.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{AccessLog, SIDECAR, socket_address};
use crate::link::{RECORD_HEADER, TRAPPED};

/// Connections beyond this are refused.
const MOST_CONNECTIONS: u32 = 10_000;
/// Bytes of heap from which Envoy first gives memory back, then refuses requests.
const HEAP: u64 = 2 * 1024 * 1024 * 1024;

pub(super) fn admin(address: SocketAddr) -> Value {
    json!({"address": socket_address(address)})
}

pub(super) fn overload_manager() -> Value {
    const HEAP_MONITOR: &str = "envoy.resource_monitors.fixed_heap";
    let action = |name: &str, threshold: f64| {
        json!({
            "name": name,
            "triggers": [{"name": HEAP_MONITOR, "threshold": {"value": threshold}}],
        })
    };
    json!({
        "refresh_interval": "0.25s",
        "resource_monitors": [
            {
                "name": HEAP_MONITOR,
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
                    "max_heap_size_bytes": HEAP,
                },
            },
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    "max_active_downstream_connections": MOST_CONNECTIONS,
                },
            },
        ],
        "actions": [
            action("envoy.overload_actions.shrink_heap", 0.9),
            action("envoy.overload_actions.disable_http_keepalive", 0.95),
            action("envoy.overload_actions.stop_accepting_requests", 0.98),
        ],
    })
}

/// Only statistics that somebody looks at: each one costs memory per worker.
pub(super) fn stats() -> Value {
    let patterns: Vec<Value> = [
        "cluster.",
        "http.sekisho.",
        "listener.",
        "overload.",
        "sekisho",
        "server.",
        "wasm",
    ]
    .iter()
    .map(|prefix| json!({"prefix": prefix}))
    .collect();
    json!({"stats_matcher": {"inclusion_list": {"patterns": patterns}}})
}

/// Tells the sidecar what was refused with an error and is not on record yet: the filters
/// mark whatever they have recorded with a header. Everything else costs nothing.
pub(super) fn refusals_log() -> Value {
    json!({
        "name": "envoy.access_loggers.http_grpc",
        "filter": {"or_filter": {"filters": [
            {"status_code_filter": {"comparison": {
                "op": "GE",
                "value": {"default_value": 400, "runtime_key": "sekisho.refusals_log.least_status"},
            }}},
            // An answer that had begun is cut when its filter traps, and keeps its status.
            {"extension_filter": {
                "name": "envoy.access_loggers.extension_filters.cel",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                    "expression": format!("response.code_details == '{TRAPPED}'"),
                },
            }},
        ]}},
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
            "common_config": {
                "log_name": "sekisho",
                "transport_api_version": "V3",
                "grpc_service": {"envoy_grpc": {"cluster_name": SIDECAR}},
                "buffer_flush_interval": "0.2s",
            },
            "additional_request_headers_to_log": ["traceparent"],
            "additional_response_headers_to_log": [RECORD_HEADER],
        },
    })
}

/// One line of JSON per request, written by Envoy itself: it also tells of requests that
/// no filter saw the end of. Without query strings, where some clients put their keys.
pub(super) fn access_log(to: &AccessLog) -> Vec<Value> {
    let format = json!({"json_format": {
        "time": "%START_TIME%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ:PATH)%",
        "protocol": "%PROTOCOL%",
        "status": "%RESPONSE_CODE%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "flags": "%RESPONSE_FLAGS%",
        "denial": "%RESP(X-SEKISHO-DENIAL)%",
        "upstream": "%UPSTREAM_CLUSTER%",
        "duration_millis": "%DURATION%",
        "request_bytes": "%BYTES_RECEIVED%",
        "response_bytes": "%BYTES_SENT%",
        "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    }});
    match to {
        AccessLog::None => Vec::new(),
        AccessLog::Stdout => vec![json!({
            "name": "envoy.access_loggers.stdout",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
                "log_format": format,
            },
        })],
        AccessLog::File(path) => vec![json!({
            "name": "envoy.access_loggers.file",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": path,
                "log_format": format,
            },
        })],
    }
}
