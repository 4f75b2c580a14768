//! The ways out: the sidecar, and every upstream with its credential.

use sekisho_domain::Policy;
use sekisho_domain::policy::{Api, Credential, Upstream};
use serde_json::{Value, json};

use super::upstream_url::{Origin, origin};
use super::{Bootstrap, LinkTarget, RenderError, SIDECAR, secrets};

pub(super) const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

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
    // A machine that vanished sends no reset, and keeps the streams that it has: pings end them.
    // Of several sidecars, health checks have to find it out before the first ping does, or the
    // next stream goes to the same machine and ends a second later still.
    let keepalive = match links.len() {
        0 | 1 => json!({"interval": "5s", "timeout": "5s"}),
        _ => json!({"interval": "0.3s", "timeout": "1.2s"}),
    };
    let mut cluster = json!({
        "name": SIDECAR,
        "type": kind,
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": "0.25s",
        "load_assignment": load_assignment(SIDECAR, endpoints),
        "circuit_breakers": thresholds(1_000_000, 1_000_000, 0),
        "typed_extension_protocol_options": {
            HTTP_OPTIONS: {
                "@type": type_url(HTTP_OPTIONS),
                "explicit_http_config": {"http2_protocol_options": {
                    "initial_stream_window_size": 4 * 1024 * 1024,
                    "initial_connection_window_size": 16 * 1024 * 1024,
                    "connection_keepalive": keepalive,
                }},
            },
        },
    });
    if let (2.., Some(cluster)) = (links.len(), cluster.as_object_mut()) {
        cluster.extend(only_the_active_one());
    }
    Ok(cluster)
}

/// New streams go to the one sidecar that answers health checks: those that stand by refuse
/// connections, one that hangs or vanished answers nothing.
fn only_the_active_one() -> serde_json::Map<String, Value> {
    // Twice this and twice the timeout, 0.9 s, is less than a ping's timeout.
    let often = "0.15s";
    let members = [
        (
            "health_checks",
            json!([{
                "grpc_health_check": {},
                "timeout": "0.3s",
                "interval": often,
                "no_traffic_interval": often,
                "unhealthy_interval": often,
                "initial_jitter": "0.05s",
                // One that is missed may have been on its way behind a long commit.
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
            }]),
        ),
        // Never any other, also while there is none: a stream to a machine that hangs is found
        // out by its pings alone, a second later, while the next one has long begun.
        // And at once: Envoy holds a change for a second if there was another one just before, as
        // there is whenever one sidecar goes and the next one comes.
        (
            "common_lb_config",
            json!({"healthy_panic_threshold": {"value": 0.0}, "update_merge_window": "0s"}),
        ),
    ];
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// An upstream, and what its credential needs besides.
pub(super) fn upstream(
    upstream: &Upstream,
    bootstrap: &Bootstrap,
) -> Result<Vec<Value>, RenderError> {
    if upstream.name == SIDECAR {
        return Err(RenderError::ReservedName);
    }
    let here = origin(&upstream.name, &upstream.url)?;
    let mut http_filters: Vec<Value> = credential(upstream, &here, bootstrap).into_iter().collect();
    http_filters.push(json!({
        "name": "envoy.filters.http.upstream_codec",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"},
    }));
    let limits = &upstream.limits;
    let mut cluster = outward(&upstream.name, &here, bootstrap);
    if let Some(cluster) = cluster.as_object_mut() {
        let connect_timeout = super::seconds(limits.connect_timeout_millis);
        cluster.insert("connect_timeout".into(), connect_timeout.into());
        let thresholds = thresholds(limits.max_connections, limits.max_requests, 3);
        cluster.insert("circuit_breakers".into(), thresholds);
        cluster.insert("outlier_detection".into(), dead_addresses());
    }
    let options = cluster
        .pointer_mut("/typed_extension_protocol_options")
        .and_then(|options| options.get_mut(HTTP_OPTIONS))
        .and_then(Value::as_object_mut);
    if let Some(options) = options {
        options.insert("http_filters".into(), http_filters.into());
    }
    let mut clusters = vec![cluster];
    if let Credential::OAuth2 { token_url, .. } = &upstream.credential {
        let endpoint = origin(&upstream.name, token_url)?;
        clusters.push(outward(
            &token_cluster(&upstream.name),
            &endpoint,
            bootstrap,
        ));
    }
    Ok(clusters)
}

/// Whether a policy opens WebSockets to an upstream.
pub(super) fn takes_sockets(policy: &Policy, upstream: &Upstream) -> bool {
    let opens = |api: &&Api| sekisho_providers::opens_sockets(api);
    let mut models = policy
        .apis
        .iter()
        .filter(opens)
        .flat_map(|api| api.models.values());
    models.any(|model| {
        let mut places = model.upstreams.iter();
        places.any(|place| place.upstream == upstream.name)
    })
}

/// HTTP/1.1 and nothing else: a WebSocket over HTTP/2 is another method (RFC 8441), which
/// providers need not know, and Envoy has one kind of connection for all calls of a cluster.
pub(super) fn only_http1(cluster: &mut Value) {
    let options = cluster
        .pointer_mut("/typed_extension_protocol_options")
        .and_then(|options| options.get_mut(HTTP_OPTIONS))
        .and_then(Value::as_object_mut);
    if let Some(options) = options {
        options.remove("auto_config");
        let http1 = json!({"http_protocol_options": {}});
        options.insert("explicit_http_config".into(), http1);
    }
    let offered = "/transport_socket/typed_config/common_tls_context/alpn_protocols";
    if let Some(offered) = cluster.pointer_mut(offered) {
        *offered = json!(["http/1.1"]);
    }
}

/// Where an upstream's tokens come from. No upstream can be called so.
fn token_cluster(upstream: &str) -> String {
    format!("token/{upstream}")
}

/// Of a name's several addresses, those to which no connection can be made are left alone. What
/// an upstream answers is judged where there is another one to go to.
fn dead_addresses() -> Value {
    json!({
        "split_external_local_origin_errors": true,
        "consecutive_local_origin_failure": 3,
        "interval": "1s",
        "base_ejection_time": "10s",
        "max_ejection_percent": 100,
        "enforcing_consecutive_5xx": 0,
        "enforcing_success_rate": 0,
        "enforcing_local_origin_success_rate": 0,
    })
}

/// A cluster of one name or address outside.
fn outward(name: &str, origin: &Origin, bootstrap: &Bootstrap) -> Value {
    let mut options = json!({
        "@type": type_url(HTTP_OPTIONS),
        "common_http_protocol_options": {"idle_timeout": "300s"},
    });
    let protocols = if origin.tls {
        (
            "auto_config",
            json!({"http_protocol_options": {}, "http2_protocol_options": {}}),
        )
    } else {
        ("explicit_http_config", json!({"http_protocol_options": {}}))
    };
    if let Some(options) = options.as_object_mut() {
        options.insert(protocols.0.into(), protocols.1);
    }
    let mut cluster = json!({
        "name": name,
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": "5s",
        "load_assignment": load_assignment(name, [json!({
            "address": socket_address(&origin.host, origin.port),
            // What the route puts into `Host`.
            "hostname": origin.authority,
        })]),
        "typed_extension_protocol_options": {HTTP_OPTIONS: options},
    });
    if let (true, Some(cluster)) = (origin.tls, cluster.as_object_mut()) {
        cluster.insert("transport_socket".into(), tls(origin, bootstrap));
    }
    cluster
}

/// A filter of the upstream's own chain: it runs last, so that nothing the client sent
/// and no filter before can replace or read the credential.
fn credential(upstream: &Upstream, origin: &Origin, bootstrap: &Bootstrap) -> Option<Value> {
    match &upstream.credential {
        Credential::None => None,
        Credential::ManagedIdentity { .. } => Some(injector(
            "envoy.http.injected_credentials.generic",
            &json!({
                "@type": "type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic",
                "header": "authorization",
                "header_value_prefix": "Bearer ",
                "credential": secret(upstream, bootstrap),
            }),
        )),
        Credential::Header { name, prefix, .. } => {
            let mut generic = json!({
                "@type": "type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic",
                "header": name,
                "credential": secret(upstream, bootstrap),
            });
            if let (false, Some(generic)) = (prefix.is_empty(), generic.as_object_mut()) {
                generic.insert("header_value_prefix".into(), json!(prefix));
            }
            Some(injector(
                "envoy.http.injected_credentials.generic",
                &generic,
            ))
        }
        Credential::OAuth2 {
            token_url,
            client_id,
            scopes,
            ..
        } => Some(injector(
            "envoy.http.injected_credentials.oauth2",
            &json!({
                "@type": "type.googleapis.com/envoy.extensions.http.injected_credentials.oauth2.v3.OAuth2",
                "token_endpoint": {
                    "cluster": token_cluster(&upstream.name),
                    "uri": token_url,
                    "timeout": "10s",
                },
                "scopes": scopes,
                "client_credentials": {
                    "client_id": client_id,
                    "client_secret": secret(upstream, bootstrap),
                    "auth_type": "URL_ENCODED_BODY",
                },
                "token_fetch_retry_interval": "2s",
            }),
        )),
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

fn injector(name: &str, config: &Value) -> Value {
    json!({
        "name": "envoy.filters.http.credential_injector",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
            "overwrite": true,
            "allow_request_without_credential": false,
            "credential": {"name": name, "typed_config": config},
        },
    })
}

/// Where Envoy reads an upstream's secret, and watches for another.
fn secret(upstream: &Upstream, bootstrap: &Bootstrap) -> Value {
    json!({
        "name": upstream.name,
        "sds_config": {"path_config_source": {
            "path": secrets::path(&bootstrap.secrets, &upstream.name),
            "watched_directory": {"path": bootstrap.secrets},
        }},
    })
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

pub(super) fn thresholds(connections: u32, requests: u32, retries: u32) -> Value {
    json!({"thresholds": [{
        "max_connections": connections,
        "max_pending_requests": requests,
        "max_requests": requests,
        "max_retries": retries,
    }]})
}

pub(super) fn type_url(message: &str) -> String {
    format!("type.googleapis.com/{message}")
}
