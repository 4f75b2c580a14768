//! The ways out: the sidecar, and every upstream with its credential.

use sekisho_domain::policy::{Credential, Upstream};
use serde_json::{Value, json};

use super::upstream_url::{Origin, origin};
use super::{Bootstrap, LinkTarget, RenderError, SIDECAR, secrets};

const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// The sidecar is near and answers at once, or counts as down. Of several, one is active.
pub(super) fn sidecar(links: &[LinkTarget]) -> Result<Value, RenderError> {
    let sockets = links
        .iter()
        .filter(|link| matches!(link, LinkTarget::Unix(_)));
    let kind = match (sockets.count(), links.len()) {
        (0, _) => "STRICT_DNS",
        (1, 1) => "STATIC",
        _ => return Err(RenderError::SocketAmongSeveral),
    };
    let endpoints = links.iter().map(|link| match link {
        LinkTarget::HostPort(host, port) => json!({"address": socket_address(host, *port)}),
        LinkTarget::Unix(path) => json!({"address": {"pipe": {"path": path}}}),
    });
    let mut cluster = json!({
        "name": SIDECAR,
        "type": kind,
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": "0.25s",
        "load_assignment": load_assignment(SIDECAR, endpoints),
        "circuit_breakers": thresholds(1_000_000, 0),
        "typed_extension_protocol_options": {
            HTTP_OPTIONS: {
                "@type": type_url(HTTP_OPTIONS),
                "explicit_http_config": {"http2_protocol_options": {
                    "initial_stream_window_size": 4 * 1024 * 1024,
                    "initial_connection_window_size": 16 * 1024 * 1024,
                    // A machine that vanished sends no reset.
                    "connection_keepalive": {"interval": "5s", "timeout": "5s"},
                }},
            },
        },
    });
    if let (2.., Some(cluster)) = (links.len(), cluster.as_object_mut()) {
        cluster.extend(only_the_active_one());
    }
    Ok(cluster)
}

/// Streams go to the one sidecar that answers health checks, and leave it when it does not:
/// those that stand by refuse connections, one that hangs or vanished answers nothing.
fn only_the_active_one() -> serde_json::Map<String, Value> {
    let often = "0.25s";
    let members = [
        (
            "health_checks",
            json!([{
                "grpc_health_check": {},
                "timeout": "0.4s",
                "interval": often,
                "no_traffic_interval": often,
                "unhealthy_interval": often,
                "initial_jitter": "0.05s",
                // One that is missed may have been on its way behind a long commit.
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
            }]),
        ),
        ("close_connections_on_host_health_failure", json!(true)),
        // Never one that stands by, also while most do.
        (
            "common_lb_config",
            json!({"healthy_panic_threshold": {"value": 0.0}}),
        ),
    ];
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

pub(super) fn upstream(upstream: &Upstream, bootstrap: &Bootstrap) -> Result<Value, RenderError> {
    if upstream.name == SIDECAR {
        return Err(RenderError::ReservedName);
    }
    let origin = origin(upstream)?;
    let mut http_filters: Vec<Value> = credential(upstream, &origin, bootstrap)
        .into_iter()
        .collect();
    http_filters.push(json!({
        "name": "envoy.filters.http.upstream_codec",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"},
    }));
    let mut options = json!({
        "@type": type_url(HTTP_OPTIONS),
        "common_http_protocol_options": {"idle_timeout": "300s"},
        "http_filters": http_filters,
    });
    let protocols = if origin.tls {
        (
            "auto_config",
            json!({"http_protocol_options": {}, "http2_protocol_options": {}}),
        )
    } else {
        ("explicit_http_config", json!({"http_protocol_options": {}}))
    };
    let mut cluster = json!({
        "name": upstream.name,
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": "5s",
        "load_assignment": load_assignment(&upstream.name, [json!({
            "address": socket_address(&origin.host, origin.port),
            // What the route puts into `Host`.
            "hostname": origin.authority,
        })]),
        "circuit_breakers": thresholds(4096, 3),
    });
    if let Some(options) = options.as_object_mut() {
        options.insert(protocols.0.into(), protocols.1);
    }
    if let Some(cluster) = cluster.as_object_mut() {
        cluster.insert(
            "typed_extension_protocol_options".into(),
            json!({HTTP_OPTIONS: options}),
        );
        if origin.tls {
            cluster.insert("transport_socket".into(), tls(&origin, bootstrap));
        }
    }
    Ok(cluster)
}

/// A filter of the upstream's own chain: it runs last, so that nothing the client sent
/// and no filter before can replace or read the credential.
fn credential(upstream: &Upstream, origin: &Origin, bootstrap: &Bootstrap) -> Option<Value> {
    match &upstream.credential {
        Credential::None => None,
        Credential::Header { name, prefix, .. } => {
            let file = secrets::path(&bootstrap.secrets, &upstream.name);
            let mut generic = json!({
                "@type": "type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic",
                "header": name,
                "credential": {
                    "name": upstream.name,
                    "sds_config": {"path_config_source": {
                        "path": file,
                        "watched_directory": {"path": bootstrap.secrets},
                    }},
                },
            });
            if let (false, Some(generic)) = (prefix.is_empty(), generic.as_object_mut()) {
                generic.insert("header_value_prefix".into(), json!(prefix));
            }
            Some(json!({
                "name": "envoy.filters.http.credential_injector",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
                    "overwrite": true,
                    "allow_request_without_credential": false,
                    "credential": {
                        "name": "envoy.http.injected_credentials.generic",
                        "typed_config": generic,
                    },
                },
            }))
        }
        Credential::AwsSigV4 { region } => Some(json!({
            "name": "envoy.filters.http.aws_request_signing",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.aws_request_signing.v3.AwsRequestSigning",
                "service_name": "bedrock",
                "region": region,
                // The signature covers `Host`, which the route rewrites only after this.
                "host_rewrite": origin.authority,
                // Headers that a proxy on the way may change or add.
                "match_excluded_headers": [
                    {"prefix": "x-envoy-"},
                    {"prefix": "x-forwarded-"},
                    {"exact": "x-request-id"},
                    {"exact": "traceparent"},
                    {"exact": "tracestate"},
                ],
            },
        })),
    }
}

fn tls(origin: &Origin, bootstrap: &Bootstrap) -> Value {
    let kind = if origin.address.is_some() {
        "IP_ADDRESS"
    } else {
        "DNS"
    };
    let mut context = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "alpn_protocols": ["h2", "http/1.1"],
            "validation_context": {
                "trusted_ca": {"filename": bootstrap.ca},
                "match_typed_subject_alt_names": [
                    {"san_type": kind, "matcher": {"exact": origin.host}},
                ],
            },
        },
    });
    if let (None, Some(context)) = (origin.address, context.as_object_mut()) {
        context.insert("sni".into(), json!(origin.host));
    }
    json!({"name": "envoy.transport_sockets.tls", "typed_config": context})
}

fn load_assignment(cluster: &str, endpoints: impl IntoIterator<Item = Value>) -> Value {
    let endpoints = endpoints.into_iter();
    let endpoints: Vec<Value> = endpoints
        .map(|endpoint| json!({"endpoint": endpoint}))
        .collect();
    json!({
        "cluster_name": cluster,
        "endpoints": [{"lb_endpoints": endpoints}],
    })
}

fn socket_address(host: &str, port: u16) -> Value {
    json!({"socket_address": {"address": host, "port_value": port}})
}

fn thresholds(most: u32, retries: u32) -> Value {
    json!({"thresholds": [{
        "max_connections": most,
        "max_pending_requests": most,
        "max_requests": most,
        "max_retries": retries,
    }]})
}

fn type_url(message: &str) -> String {
    format!("type.googleapis.com/{message}")
}
