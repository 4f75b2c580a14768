use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::*;
use sekisho_upstream::CLUSTER_HEADER;

fn policy() -> Policy {
    Policy::parse(json!({
        "version": 1, "organisation": "x", "time_zone": "Asia/Tokyo", "currency": "JPY",
        "scopes": {"all": null},
        "issuers": [{"issuer": "https://i.example", "tenant": "t", "audiences": ["a"],
                     "jwks_uri": "https://i.example/keys"}],
        "upstreams": [
            {"name": "azure", "provider": "azure_openai", "url": "https://a.example",
             "credential": {"header": {"name": "API-Key", "secret_env": "AZURE_KEY"}}},
            {"name": "openai", "provider": "openai", "url": "http://127.0.0.1:9100",
             "credential": {"header": {"name": "authorization", "prefix": "Bearer ", "secret_env": "OPENAI_KEY"}}},
            {"name": "bedrock", "provider": "bedrock", "url": "https://bedrock.example:8443",
             "credential": {"aws": {"region": "ap-northeast-1"}}},
            {"name": "plain", "provider": "openai", "url": "http://[::1]:9100"},
        ],
        "apis": [], "limits": {"request_body_bytes": 3_000_000},
    }))
    .unwrap()
}

fn bootstrap() -> Bootstrap {
    Bootstrap {
        filters: "/opt/filters".into(),
        modules: Modules::Gateway,
        listen: "127.0.0.1:10000".parse().unwrap(),
        tls: None,
        admin: "127.0.0.1:9901".parse().unwrap(),
        links: vec!["127.0.0.1:9902".parse().unwrap()],
        secrets: "/run/secrets".into(),
        ca: "/etc/ssl/certs/ca-certificates.crt".into(),
        access_log: AccessLog::Stdout,
    }
}

fn rendered(bootstrap: &Bootstrap) -> Value {
    serde_yaml_ng::from_str(&envoy(&policy(), bootstrap).unwrap()).unwrap()
}

fn manager(document: &Value, listener: usize) -> &Value {
    document
        .pointer(&format!(
            "/static_resources/listeners/{listener}/filter_chains/0/filters/0/typed_config"
        ))
        .unwrap()
}

fn cluster<'d>(document: &'d Value, name: &str) -> &'d Value {
    let clusters = document["static_resources"]["clusters"].as_array().unwrap();
    clusters
        .iter()
        .find(|cluster| cluster["name"] == name)
        .unwrap()
}

fn upstream_filters(cluster: &Value) -> &Vec<Value> {
    let options = &cluster["typed_extension_protocol_options"];
    let options = options.as_object().unwrap().values().next().unwrap();
    options["http_filters"].as_array().unwrap()
}

#[test]
fn paths_and_headers_are_cleaned_before_any_filter() {
    let document = rendered(&bootstrap());
    let manager = manager(&document, 0);
    for (setting, value) in [
        ("normalize_path", json!(true)),
        ("merge_slashes", json!(true)),
        ("path_with_escaped_slashes_action", json!("KEEP_UNCHANGED")),
        ("use_remote_address", json!(true)),
        (
            "internal_address_config",
            json!({"cidr_ranges": [{"address_prefix": "0.0.0.0", "prefix_len": 32}]}),
        ),
        ("preserve_external_request_id", json!(false)),
    ] {
        assert_eq!(manager[setting], value, "{setting}");
    }
    assert_eq!(
        manager["common_http_protocol_options"]["headers_with_underscores_action"],
        "REJECT_REQUEST"
    );
    let stripped = manager["early_header_mutation_extensions"].to_string();
    assert!(stripped.contains(r#""prefix":"x-sekisho-""#), "{stripped}");
}

#[test]
fn envoy_counts_the_hops_that_the_filter_counts() {
    let mut policy = policy();
    for hops in [0, 2] {
        policy.trusted_hops = hops;
        let document = envoy(&policy, &bootstrap()).unwrap();
        let document: Value = serde_yaml_ng::from_str(&document).unwrap();
        assert_eq!(manager(&document, 0)["xff_num_trusted_hops"], hops);
    }
}

#[test]
fn whoever_listens_on_every_ipv6_address_hears_ipv4_too() {
    for (listen, compatible) in [
        ("[::]:1", json!(true)),
        ("[::1]:1", json!(null)),
        ("0.0.0.0:1", json!(null)),
    ] {
        let document = rendered(&Bootstrap {
            listen: listen.parse().unwrap(),
            ..bootstrap()
        });
        let address = &document["static_resources"]["listeners"][0]["address"];
        assert_eq!(
            address["socket_address"]["ipv4_compat"], compatible,
            "{listen}"
        );
    }
}

#[test]
fn the_gateway_filter_can_wait_for_a_body_and_comes_back_after_a_trap() {
    let document = rendered(&bootstrap());
    let filters = manager(&document, 0)["http_filters"].as_array().unwrap();
    assert_eq!(filters.len(), 2);
    let config = &filters[0]["typed_config"]["config"];
    assert_eq!(config["allow_on_headers_stop_iteration"], true);
    assert_eq!(config["failure_policy"], "FAIL_RELOAD");
    assert_eq!(
        config["vm_config"]["code"]["local"]["filename"],
        "/opt/filters/gateway.wasm"
    );
    assert_eq!(
        config["configuration"]["value"],
        r#"{"link":{"cluster":"sekisho_sidecar"}}"#
    );
}

#[test]
fn separate_modules_stand_in_the_order_of_their_decisions_each_in_its_own_vm() {
    let separate = Bootstrap {
        modules: Modules::Separate,
        ..bootstrap()
    };
    let document = rendered(&separate);
    let filters = manager(&document, 0)["http_filters"].as_array().unwrap();
    let names: Vec<_> = filters
        .iter()
        .map(|f| f["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "sekisho_scope",
            "sekisho_quota",
            "sekisho_upstream",
            "sekisho_audit",
            "envoy.filters.http.router"
        ]
    );
    let vms: BTreeSet<_> = filters[..4]
        .iter()
        .map(|f| {
            f["typed_config"]["config"]["vm_config"]["vm_id"]
                .as_str()
                .unwrap()
        })
        .collect();
    assert_eq!(vms.len(), 4);
}

#[test]
fn only_clusters_of_the_policy_can_be_chosen_and_the_default_is_404() {
    let document = rendered(&bootstrap());
    let host = &manager(&document, 0)["route_config"]["virtual_hosts"][0];
    assert_eq!(host["request_body_buffer_limit"], 3_000_000 + 1024 * 1024);
    let routes = host["routes"].as_array().unwrap();
    let (last, chosen) = routes.split_last().unwrap();
    assert_eq!(
        last["route"]["cluster_not_found_response_code"],
        "NOT_FOUND"
    );
    let clusters: Vec<_> = chosen
        .iter()
        .map(|r| r["route"]["cluster"].as_str().unwrap())
        .collect();
    assert_eq!(clusters, ["azure", "bedrock", "openai", "plain"]);
    for route in chosen {
        let matched = &route["match"]["headers"][0];
        assert_eq!(matched["name"], CLUSTER_HEADER);
        assert_eq!(matched["string_match"]["exact"], route["route"]["cluster"]);
        let removed = route["request_headers_to_remove"].as_array().unwrap();
        assert!(removed.contains(&json!(CLUSTER_HEADER)));
        let removed = &route["response_headers_to_remove"];
        assert_eq!(
            *removed,
            json!([
                "x-sekisho-denial",
                "x-sekisho-record",
                "x-sekisho-upstream",
                "x-sekisho-attempts"
            ])
        );
    }
}

#[test]
fn no_answer_speaks_in_the_gateways_name() {
    for document in [rendered(&bootstrap()), rendered_pools()] {
        let host = &manager(&document, 0)["route_config"]["virtual_hosts"][0];
        let routes = host["routes"].as_array().unwrap();
        let mut chosen = routes
            .iter()
            .filter(|route| route["route"]["cluster_header"].is_null())
            .peekable();
        assert!(chosen.peek().is_some());
        for route in chosen {
            let removed = route["response_headers_to_remove"].as_array().unwrap();
            for name in ["x-sekisho-denial", "x-sekisho-record"] {
                assert!(removed.contains(&json!(name)), "{name} of {route}");
            }
        }
    }
}

#[test]
fn tls_to_an_upstream_checks_its_name() {
    let document = rendered(&bootstrap());
    let context = &cluster(&document, "azure")["transport_socket"]["typed_config"];
    assert_eq!(context["sni"], "a.example");
    let validation = &context["common_tls_context"]["validation_context"];
    assert_eq!(
        validation["match_typed_subject_alt_names"],
        json!([{"san_type": "DNS", "matcher": {"exact": "a.example"}}])
    );
    assert_eq!(
        validation["trusted_ca"]["filename"],
        "/etc/ssl/certs/ca-certificates.crt"
    );
    assert!(
        cluster(&document, "openai")
            .get("transport_socket")
            .is_none()
    );
}

#[test]
fn credentials_are_put_on_by_the_upstreams_own_filters() {
    let document = rendered(&bootstrap());
    let filters = upstream_filters(cluster(&document, "openai"));
    let injector = &filters[0]["typed_config"];
    assert_eq!(injector["overwrite"], true);
    assert_eq!(injector["allow_request_without_credential"], false);
    let generic = &injector["credential"]["typed_config"];
    assert_eq!(
        (&generic["header"], &generic["header_value_prefix"]),
        (&json!("authorization"), &json!("Bearer "))
    );
    assert_eq!(
        generic["credential"]["sds_config"]["path_config_source"]["path"],
        "/run/secrets/openai.yaml"
    );
    let signer = &upstream_filters(cluster(&document, "bedrock"))[0]["typed_config"];
    assert_eq!(
        (&signer["region"], &signer["host_rewrite"]),
        (&json!("ap-northeast-1"), &json!("bedrock.example:8443"))
    );
    assert_eq!(upstream_filters(cluster(&document, "plain")).len(), 1);
}

#[test]
fn a_second_listener_speaks_tls() {
    let tls = Tls {
        listen: "0.0.0.0:10443".parse().unwrap(),
        certificate: "/c.pem".into(),
        key: "/k.pem".into(),
    };
    let document = rendered(&Bootstrap {
        tls: Some(tls),
        ..bootstrap()
    });
    assert_eq!(manager(&document, 0), manager(&document, 1));
    let chain = &document["static_resources"]["listeners"][1]["filter_chains"][0];
    let common = &chain["transport_socket"]["typed_config"]["common_tls_context"];
    assert_eq!(
        common["tls_params"]["tls_minimum_protocol_version"],
        "TLSv1_2"
    );
}

#[test]
fn the_access_log_has_no_query_and_no_credential() {
    let document = rendered(&bootstrap());
    let log = manager(&document, 0)["access_log"]
        .to_string()
        .to_lowercase();
    assert!(log.contains("%path(nq:path)%"));
    assert!(
        !log.contains("authorization") && !log.contains("%req(:path"),
        "{log}"
    );
    let silent = rendered(&Bootstrap {
        access_log: AccessLog::None,
        ..bootstrap()
    });
    let log = manager(&silent, 0)["access_log"].as_array().unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0]["name"], "envoy.access_loggers.http_grpc");
}

#[test]
fn the_sidecar_is_told_of_refusals_and_of_nothing_else() {
    let document = rendered(&bootstrap());
    let logs = manager(&document, 0)["access_log"].as_array().unwrap();
    let refusals = logs.last().unwrap();
    let least = refusals.pointer("/filter/or_filter/filters/0/status_code_filter/comparison");
    assert_eq!(least.unwrap()["op"], "GE");
    assert_eq!(least.unwrap()["value"]["default_value"], 400);
    let service = refusals.pointer("/typed_config/common_config/grpc_service/envoy_grpc");
    assert_eq!(service.unwrap()["cluster_name"], SIDECAR);
}

#[test]
fn a_link_is_a_host_and_a_port_or_a_socket() {
    for (text, host, port) in [
        ("127.0.0.1:9902", "127.0.0.1", 9902),
        ("[::1]:1", "::1", 1),
        ("sidecar:8081", "sidecar", 8081),
    ] {
        assert_eq!(text.parse(), Ok(LinkTarget::HostPort(host.into(), port)));
    }
    let socket = LinkTarget::Unix("/run/link.sock".into());
    assert_eq!("unix:/run/link.sock".parse(), Ok(socket.clone()));
    for text in ["", "x", "x:0", ":1", "::1:2", "x:99999", "a b:1", "unix:"] {
        assert_eq!(text.parse::<LinkTarget>(), Err(NotALinkTarget), "{text}");
    }
    let document = rendered(&Bootstrap {
        links: vec![socket],
        ..bootstrap()
    });
    assert_eq!(cluster(&document, SIDECAR)["type"], "STATIC");
}

#[test]
fn of_several_sidecars_streams_go_to_the_one_that_answers() {
    let link = |text: &str| -> LinkTarget { text.parse().unwrap() };
    let several = Bootstrap {
        links: vec![link("sidecar-1:9902"), link("sidecar-2:9902")],
        ..bootstrap()
    };
    let document = rendered(&several);
    let rendered = cluster(&document, SIDECAR);
    let endpoints = rendered.pointer("/load_assignment/endpoints/0/lb_endpoints");
    assert_eq!(endpoints.unwrap().as_array().unwrap().len(), 2);
    assert!(
        rendered
            .pointer("/health_checks/0/grpc_health_check")
            .is_some()
    );
    let options = &rendered["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
    let timeout = "/explicit_http_config/http2_protocol_options/connection_keepalive/timeout";
    assert_eq!(options.pointer(timeout).unwrap(), "1.2s");
    let panic = "/common_lb_config/healthy_panic_threshold/value";
    assert_eq!(rendered.pointer(panic).unwrap(), 0.0);
    let window = "/common_lb_config/update_merge_window";
    assert_eq!(rendered.pointer(window).unwrap(), "0s");
    let mixed = Bootstrap {
        links: vec![link("sidecar-1:9902"), link("unix:/run/link.sock")],
        ..bootstrap()
    };
    assert!(matches!(
        envoy(&policy(), &mixed),
        Err(RenderError::SocketAmongSeveral)
    ));
}

#[test]
fn a_single_sidecar_is_not_asked_for_its_health() {
    let document = rendered(&bootstrap());
    assert!(cluster(&document, SIDECAR).get("health_checks").is_none());
}

#[test]
fn secrets_are_written_once_for_their_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("secrets");
    let environment = |name: &str| Some(format!("secret of {name}\n"));
    let written = secrets::write(&policy(), &dir, environment).unwrap();
    assert_eq!(written, secrets::Written { all: 2, changed: 2 });
    let file = secrets::path(&dir, "azure");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let content: Value = serde_yaml_ng::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(
        content["resources"][0]["generic_secret"]["secret"]["inline_string"],
        "secret of AZURE_KEY"
    );
    let again = secrets::write(&policy(), &dir, environment).unwrap();
    assert_eq!(again, secrets::Written { all: 2, changed: 0 });
}

#[test]
fn without_every_secret_none_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("secrets");
    let error = secrets::write(&policy(), &dir, |name| {
        (name == "AZURE_KEY").then(|| "x".into())
    });
    let error = error.unwrap_err().to_string();
    assert_eq!(
        error,
        "no secret in environment variable `OPENAI_KEY` (upstream `openai`)"
    );
    assert!(!dir.exists());
}

/// One model in three places, one of them under another name.
fn pooled() -> Policy {
    let mut file = json!({
        "version": 1, "organisation": "x", "time_zone": "Asia/Tokyo", "currency": "JPY",
        "scopes": {"all": null},
        "issuers": [{"issuer": "https://i.example", "tenant": "t", "audiences": ["a"],
                     "jwks_uri": "https://i.example/keys"}],
        "upstreams": [
            {"name": "tokyo", "provider": "bedrock", "url": "https://t.example", "region": "jp",
             "credential": {"aws": {"region": "ap-northeast-1"}},
             "limits": {"max_requests": 50, "max_connections": 20, "connect_timeout_millis": 1500,
                        "first_byte_timeout_millis": 20_000}},
            {"name": "osaka", "provider": "bedrock", "url": "https://o.example", "region": "jp"},
            {"name": "virginia", "provider": "bedrock", "url": "https://v.example"},
        ],
        "apis": [{"name": "bedrock", "provider": "bedrock", "operations": ["converse"], "scope": "all",
                  "models": [{"name": "claude", "upstreams": [
                      {"name": "tokyo", "weight": 3, "model": "apac.claude"}, {"name": "osaka"},
                      {"name": "virginia", "priority": 1}]}]}],
        "departments": [{"id": "home", "name": "home", "regions": ["jp"]}],
        "prices": [{"model": "claude", "from": "2024-10-01", "input_per_million": 1, "output_per_million": 1}],
    });
    file["failover"] = json!({"eject_after": 7, "eject_seconds": 600});
    Policy::parse(file).unwrap()
}

fn rendered_pools() -> Value {
    serde_yaml_ng::from_str(&envoy(&pooled(), &bootstrap()).unwrap()).unwrap()
}

const ALL: &str = "tokyo(apac.claude)*3+osaka(claude)>virginia(claude)";
const HOME: &str = "tokyo(apac.claude)*3+osaka(claude)";

fn named<'d>(list: &'d Value, name: &str) -> &'d Value {
    let mut items = list.as_array().unwrap().iter();
    items
        .find(|item| item["name"] == name)
        .unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn a_policy_without_pools_has_no_listeners_inside() {
    let document = rendered(&bootstrap());
    assert!(document.get("bootstrap_extensions").is_none());
    let listeners = document["static_resources"]["listeners"]
        .as_array()
        .unwrap();
    assert_eq!(listeners.len(), 1);
    let routes = &manager(&document, 0)["route_config"]["virtual_hosts"][0]["routes"];
    assert!(!routes.to_string().contains("retry"));
}

#[test]
fn a_pool_is_entered_by_weight_and_left_by_asking_the_next() {
    let document = rendered_pools();
    let routes = &manager(&document, 0)["route_config"]["virtual_hosts"][0]["routes"];
    let action = &named(routes, ALL)["route"];
    assert_eq!(
        action["weighted_clusters"]["clusters"],
        json!([
            {"name": format!("{ALL}/tokyo(apac.claude)"), "weight": 3},
            {"name": format!("{ALL}/osaka(claude)"), "weight": 1},
        ])
    );
    let retry = &action["retry_policy"];
    assert_eq!(retry["num_retries"], 2);
    assert_eq!(retry["retriable_status_codes"], json!([429]));
    assert_eq!(
        (&action["timeout"], &action["idle_timeout"]),
        (&json!("0s"), &json!("1820s"))
    );
    assert_eq!(
        named(routes, HOME)["route"]["retry_policy"]["num_retries"],
        1
    );
    // Only inside is it known to whom `Host` belongs.
    assert_eq!(action.get("auto_host_rewrite"), None);

    let order = cluster(&document, &format!("{ALL}/osaka(claude)"));
    let endpoints = order["load_assignment"]["endpoints"].as_array().unwrap();
    let asked: Vec<_> = endpoints
        .iter()
        .enumerate()
        .map(|(at, endpoint)| {
            assert_eq!(endpoint["priority"], at);
            let address = &endpoint["lb_endpoints"][0]["endpoint"]["address"];
            address["envoy_internal_address"]["server_listener_name"].clone()
        })
        .collect();
    assert_eq!(
        asked,
        [
            "upstream/osaka(claude)",
            "upstream/tokyo(apac.claude)",
            "upstream/virginia(claude)"
        ]
    );
    let outliers = &order["outlier_detection"];
    assert_eq!(
        (
            &outliers["consecutive_5xx"],
            &outliers["base_ejection_time"],
            &outliers["max_ejection_time"]
        ),
        (&json!(7), &json!("600s"), &json!("600s"))
    );
    assert_eq!(
        document["bootstrap_extensions"].as_array().unwrap().len(),
        1
    );
}

#[test]
fn an_upstream_of_a_pool_is_reached_as_without_one_but_under_its_own_name_of_the_model() {
    let document = rendered_pools();
    let listeners = &document["static_resources"]["listeners"];
    assert_eq!(listeners.as_array().unwrap().len(), 4);
    let inside = named(listeners, "upstream/tokyo(apac.claude)");
    assert_eq!(inside["internal_listener"], json!({}));
    let manager = &inside["filter_chains"][0]["filters"][0]["typed_config"];
    let route = &manager["route_config"]["virtual_hosts"][0]["routes"][0];
    let action = &route["route"];
    assert_eq!(action["cluster"], "tokyo");
    assert_eq!(action["auto_host_rewrite"], true);
    assert_eq!(action["regex_rewrite"]["substitution"], "\\1apac.claude\\2");
    assert_eq!(
        action["retry_policy"],
        json!({"per_try_timeout": "20.000s"})
    );
    let tells = &route["response_headers_to_add"][0];
    assert_eq!(
        tells["header"],
        json!({"key": "x-sekisho-upstream", "value": "tokyo"})
    );
    assert_eq!(tells["append_action"], "OVERWRITE_IF_EXISTS_OR_ADD");
}

#[test]
fn limits_of_an_upstream_are_its_clusters_own() {
    let document = rendered_pools();
    let tokyo = cluster(&document, "tokyo");
    let thresholds = &tokyo["circuit_breakers"]["thresholds"][0];
    assert_eq!(
        (
            &thresholds["max_connections"],
            &thresholds["max_requests"],
            &thresholds["max_pending_requests"]
        ),
        (&json!(20), &json!(50), &json!(50))
    );
    assert_eq!(tokyo["connect_timeout"], "1.500s");
    assert_eq!(cluster(&document, "osaka")["connect_timeout"], "5.000s");
    assert_eq!(
        tokyo["outlier_detection"]["split_external_local_origin_errors"],
        true
    );
}

#[test]
fn a_token_is_fetched_by_envoy_with_a_secret_that_only_its_file_has() {
    let policy = Policy::parse(json!({
        "version": 1, "organisation": "x", "time_zone": "Asia/Tokyo", "currency": "JPY",
        "scopes": {"all": null},
        "issuers": [{"issuer": "https://i.example", "tenant": "t", "audiences": ["a"],
                     "jwks_uri": "https://i.example/keys"}],
        "upstreams": [{"name": "azure", "provider": "azure_openai", "url": "https://a.example",
            "credential": {"oauth2": {"token_url": "https://login.example/t/oauth2/v2.0/token", "client_id": "c",
                "scopes": ["https://cognitiveservices.azure.com/.default"], "secret_env": "CLIENT_SECRET"}}}],
        "apis": [],
    }))
    .unwrap();
    let yaml = envoy(&policy, &bootstrap()).unwrap();
    let document: Value = serde_yaml_ng::from_str(&yaml).unwrap();
    let token = &upstream_filters(cluster(&document, "azure"))[0]["typed_config"]["credential"];
    assert_eq!(token["name"], "envoy.http.injected_credentials.oauth2");
    let oauth2 = &token["typed_config"];
    assert_eq!(oauth2["token_endpoint"]["cluster"], "token/azure");
    assert_eq!(oauth2["client_credentials"]["client_id"], "c");
    assert_eq!(
        oauth2["client_credentials"]["client_secret"]["sds_config"]["path_config_source"]["path"],
        "/run/secrets/azure.yaml"
    );
    let endpoint = cluster(&document, "token/azure");
    assert_eq!(
        endpoint["transport_socket"]["typed_config"]["sni"],
        "login.example"
    );
    let dir = tempfile::tempdir().unwrap();
    let written = secrets::write(&policy, dir.path(), |_| Some("hush".into())).unwrap();
    assert_eq!(written, secrets::Written { all: 1, changed: 1 });
    assert!(!yaml.contains("hush"));
}

#[test]
fn a_token_of_a_managed_identity_is_read_from_the_file_that_the_sidecar_renews() {
    let mut file = with_sockets();
    file["upstreams"][0]["credential"] = json!({"managed_identity": {}});
    let policy = Policy::parse(file).unwrap();
    let yaml = envoy(&policy, &bootstrap()).unwrap();
    let document: Value = serde_yaml_ng::from_str(&yaml).unwrap();
    let token = &upstream_filters(cluster(&document, "azure"))[0]["typed_config"]["credential"];
    assert_eq!(token["name"], "envoy.http.injected_credentials.generic");
    let config = &token["typed_config"];
    assert_eq!(config["header"], "authorization");
    assert_eq!(config["header_value_prefix"], "Bearer ");
    assert_eq!(
        config["credential"]["sds_config"]["path_config_source"]["path"],
        "/run/secrets/azure.yaml"
    );
    let dir = tempfile::tempdir().unwrap();
    let written = secrets::write(&policy, dir.path(), |_| None).unwrap();
    assert_eq!(written, secrets::Written { all: 0, changed: 0 });
    let file = secrets::path(dir.path(), "azure");
    assert!(file.exists(), "Envoy does not start without it");
    secrets::write_one(dir.path(), "azure", "token").unwrap();
    secrets::write(&policy, dir.path(), |_| None).unwrap();
    assert!(std::fs::read_to_string(file).unwrap().contains("\"token\""));
}

fn with_sockets() -> Value {
    json!({
        "version": 1, "organisation": "x", "time_zone": "Asia/Tokyo", "currency": "JPY",
        "scopes": {"all": null},
        "issuers": [{"issuer": "https://i.example", "tenant": "t", "audiences": ["a"],
                     "jwks_uri": "https://i.example/keys"}],
        "upstreams": [
            {"name": "azure", "provider": "azure_openai", "url": "https://a.example"},
            {"name": "other", "provider": "azure_openai", "url": "https://o.example"},
        ],
        "apis": [
            {"name": "voice", "provider": "azure_openai", "operations": ["realtime"], "scope": "all",
             "models": [{"name": "m", "upstream": "azure", "max_input_tokens": 1000}]},
        ],
        "prices": [{"model": "m", "from": "2025-01-01", "input_per_million": 0, "output_per_million": 0}],
    })
}

#[test]
fn connections_can_be_upgraded_on_the_paths_that_the_policy_opens_and_nowhere_else() {
    let document = |file: Value| -> Value {
        let policy = Policy::parse(file).unwrap();
        serde_yaml_ng::from_str(&envoy(&policy, &bootstrap()).unwrap()).unwrap()
    };
    let with = document(with_sockets());
    let manager =
        &with["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"];
    assert_eq!(
        manager["upgrade_configs"],
        json!([{"upgrade_type": "websocket", "enabled": false}])
    );
    let routes = manager["route_config"]["virtual_hosts"][0]["routes"]
        .as_array()
        .unwrap();
    let upgradable: Vec<&Value> = routes
        .iter()
        .filter(|route| route["route"]["upgrade_configs"][0]["enabled"] == true)
        .map(|route| &route["match"])
        .collect();
    assert_eq!(
        upgradable,
        [
            &json!({"path": "/openai/realtime"}),
            &json!({"path": "/openai/v1/realtime"})
        ]
    );
    let alpn = |name: &str| {
        let cluster = cluster(&with, name);
        cluster["transport_socket"]["typed_config"]["common_tls_context"]["alpn_protocols"].clone()
    };
    assert_eq!(alpn("azure"), json!(["http/1.1"]));
    assert_eq!(alpn("other"), json!(["h2", "http/1.1"]));
    let mut without = with_sockets();
    without["apis"][0]["operations"] = json!(["embeddings"]);
    assert!(!document(without).to_string().contains("upgrade"));
}
