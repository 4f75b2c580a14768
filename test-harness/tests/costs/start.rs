//! Gateways with the policies of `scripts/bench`.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sekisho::policy_file;
use sekisho_domain::{IssuerKey, KeyMaterial, UnixMillis};
use sekisho_link::directory::key_set;
use sekisho_test_harness::gateway::{ModuleSet, Place};
use sekisho_test_harness::host::{FailPolicy, Host, PluginSpec, RequestHead, UnixNanos};
use sekisho_test_harness::on_host::OnHost;
use sekisho_test_harness::sidecar::{Registered, Setup, Sidecar};
use sekisho_test_harness::tokens::{self, Algorithm, KEY_ID, Signer, Subject};
use serde_json::{Value, json};

/// 2026-01-15T10:00:05+09:00.
const STANDS_AT: UnixMillis = UnixMillis(1_768_438_805_000);
const TENANT: &str = "8f3a1c52-6b7e-4d0f-9a21-5e6c7d8091ab";
const ISSUER: &str = "https://login.bench.example/8f3a1c52-6b7e-4d0f-9a21-5e6c7d8091ab/v2.0";
const AUDIENCE: &str = "api://sekisho";
const OBJECT_ID: &str = "5e6c7d80-91ab-4f00-8a00-000000000001";

/// Whether calls wait for their records.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    Relaxed,
    Strict,
}

/// `gateway.wasm` with its sidecar, and the first so many of five budgets in force.
pub(crate) fn gateway(mode: Mode, budgets: usize) -> OnHost {
    OnHost::start(ModuleSet::Gateway, &place(), sidecar(mode, budgets)).unwrap()
}

/// The same on a host that takes the time of VMs.
pub(crate) fn timed(mode: Mode, budgets: usize) -> OnHost {
    OnHost::start_timed(ModuleSet::Gateway, &place(), sidecar(mode, budgets)).unwrap()
}

fn sidecar(mode: Mode, budgets: usize) -> Sidecar {
    let mode = match mode {
        Mode::Relaxed => "relaxed",
        Mode::Strict => "strict",
    };
    let budget = |meter: &str, window: &str, limit: u64| json!({"id": format!("sales-{meter}"), "department": "sales", "meter": meter, "window": window, "limit": limit});
    let mut policy = policy(json!({"jwks_uri": "http://127.0.0.1:9/keys"}));
    policy["upstreams"] =
        json!([{"name": "llm", "provider": "openai", "url": "http://127.0.0.1:9"}]);
    policy["apis"] = json!([{
        "name": "openai",
        "provider": "openai",
        "operations": ["chat_completions"],
        "scope": "text_apis",
        "models": [{"name": "gpt-4o", "scope": "gpt_api", "upstream": "llm"}],
    }]);
    let mut of_model = budget("requests", "day", 1_000_000_000_000);
    (of_model["id"], of_model["model"]) = ("sales-model".into(), "gpt-4o".into());
    let all = [
        budget("requests", "minute", 100_000_000),
        budget("tokens", "day", 1_000_000_000_000),
        budget("cost", "month", 1_000_000_000),
        budget("output_tokens", "hour", 1_000_000_000_000),
        of_model,
    ];
    policy["budgets"] = all.into_iter().take(budgets).collect();
    policy["prices"] = json!([
        {"model": "gpt-4o", "from": "2024-10-01", "input_per_million": 375, "output_per_million": 1500},
    ]);
    policy["audit"] = json!({"mode": mode});
    // Longer than in production: machines that run tests are slow and busy.
    policy["limits"] = json!({"ack_timeout_millis": 5000});
    let (n, e) = tokens::published().unwrap();
    let key = IssuerKey {
        issuer: ISSUER.to_owned(),
        kid: KEY_ID.to_owned(),
        material: KeyMaterial::Rsa { n, e },
        algorithm: None,
    };
    let setup = Setup {
        policy: policy_file::parse(&policy.to_string()).unwrap(),
        people: vec![Registered {
            id: "0001".to_owned(),
            tenant: TENANT.to_owned(),
            object_id: OBJECT_ID.to_owned(),
            department: "sales".to_owned(),
            active: true,
        }],
        keys: Vec::new(),
        issuer_keys: key_set(ISSUER, &[key]),
        stands_at: Some(STANDS_AT),
    };
    Sidecar::start(setup).unwrap()
}

/// `scope.wasm` with its policy in its configuration.
pub(crate) fn alone() -> Host {
    let (n, e) = tokens::published().unwrap();
    let encode = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
    let key = json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "n": encode(n), "e": encode(e)});
    let mut policy = policy(json!({"jwks": {"keys": [key]}, "department_claim": "department"}));
    policy["directory"] = "none".into();
    policy["upstreams"] =
        json!([{"name": "llm", "provider": "azure_openai", "url": "http://127.0.0.1:9"}]);
    policy["apis"] = json!([{
        "name": "speech",
        "provider": "azure_openai",
        "operations": ["audio_transcriptions"],
        "scope": "text_apis",
        "models": [{"name": "whisper", "scope": "gpt_api", "upstream": "llm"}],
    }]);
    policy["prices"] = json!([
        {"model": "whisper", "from": "2024-10-01", "input_per_million": 0, "output_per_million": 0, "per_request": 1},
    ]);
    let json = policy_file::parse(&policy.to_string()).unwrap().json;
    let policy: Value = serde_json::from_slice(&json).unwrap();
    let configuration = json!({"policy": policy, "standalone": true});
    let wasm = std::fs::read(place().filters.join("scope.wasm")).unwrap();
    let plugin = PluginSpec {
        name: "sekisho_scope".to_owned(),
        module: "scope".to_owned(),
        vm_id: "sekisho_scope".to_owned(),
        configuration: configuration.to_string().into_bytes(),
        allow_on_headers_stop_iteration: true,
        fail_policy: FailPolicy::FailReload,
        ..PluginSpec::default()
    };
    let host = Host::builder()
        .starts_at(UnixNanos(STANDS_AT.0 * 1_000_000))
        .module("scope", wasm)
        .plugin(plugin);
    host.build().unwrap()
}

/// A request without a body, as Envoy shows it to a filter.
pub(crate) fn upload() -> RequestHead {
    let path = "/openai/deployments/whisper/audio/transcriptions";
    let mut head = RequestHead::post(path)
        .header("authorization", bearer())
        .header("content-length", "0")
        .header("user-agent", "costs")
        .header("x-forwarded-for", "192.0.2.2")
        .header("x-forwarded-proto", "http")
        .header("x-envoy-external-address", "127.0.0.1")
        .header("x-request-id", "00000000-0000-4000-8000-000000000001");
    head.end_of_stream = true;
    head
}

/// The header of the one person's token.
pub(crate) fn bearer() -> String {
    static TOKEN: OnceLock<String> = OnceLock::new();
    let token = TOKEN.get_or_init(|| {
        let subject = Subject {
            issuer: ISSUER,
            tenant: TENANT,
            audience: AUDIENCE,
            object_id: OBJECT_ID,
            scopes: &["text_apis".to_owned()],
        };
        let mut claims = tokens::claims(&subject, STANDS_AT);
        claims.insert("department".to_owned(), "営業部".into());
        tokens::sign(&claims, Signer::Issuer, Algorithm::RS256, KEY_ID).unwrap()
    });
    format!("Bearer {token}")
}

fn policy(more_of_issuer: Value) -> Value {
    let mut issuer = json!({"issuer": ISSUER, "tenant": TENANT, "audiences": [AUDIENCE]});
    for (name, value) in more_of_issuer.as_object().unwrap() {
        issuer[name] = value.clone();
    }
    json!({
        "version": 1,
        "organisation": "Bench K.K.",
        "time_zone": "Asia/Tokyo",
        "currency": "JPY",
        "scopes": {"all_apis": null, "text_apis": "all_apis", "gpt_api": "text_apis"},
        "issuers": [issuer],
        "departments": [{"id": "sales", "name": "営業部", "entitlements": ["text_apis"]}],
    })
}

fn place() -> Place {
    Place {
        envoy: None,
        ..Place::of_this_checkout()
    }
}
