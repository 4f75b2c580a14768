//! Gateways that know the world of the cases.

use sekisho::clock::Clock;
use sekisho::policy_file::{self, PolicyFile};
use sekisho_domain::{ApiKey, UnixMillis, User};
use sekisho_link::{directory, v1};
use sekisho_scope_cases::{Case, World};
use sekisho_test_harness::gateway::{Gateway, ModuleSet, Place};
use sekisho_test_harness::on_envoy::{OnEnvoy, Surroundings};
use sekisho_test_harness::on_host::OnHost;
use sekisho_test_harness::sidecar::{LogProbe, PEPPER, Setup, Sidecar};
use serde_json::{Value, json};

use crate::call;

/// 2026-01-15T10:00:05.500+09:00.
const STANDS_AT: UnixMillis = UnixMillis(1_768_438_805_500);

/// What the modules run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    Host,
    /// A host that lacks `verify_signature`.
    HostWithoutCrypto,
    Envoy,
}

pub(crate) struct Running(Box<dyn Gateway>);

impl Running {
    pub(crate) fn gateway(&self) -> &dyn Gateway {
        self.0.as_ref()
    }

    pub(crate) fn gateway_mut(&mut self) -> &mut dyn Gateway {
        self.0.as_mut()
    }
}

pub(crate) fn start(
    world: &World,
    directory: &str,
    on: Where,
    modules: ModuleSet,
    place: &Place,
) -> Running {
    assert_eq!(PEPPER, sekisho_scope_cases::PEPPER);
    let mut file = world.policy_file(directory);
    let probe = LogProbe::default();
    let gateway: Box<dyn Gateway> = if on == Where::Envoy {
        let upstreams = file["upstreams"].as_array().unwrap();
        let names = upstreams
            .iter()
            .map(|u| u["name"].as_str().unwrap().to_owned());
        let names: Vec<String> = names.collect();
        let surroundings = Surroundings::start(&names, probe.clone()).unwrap();
        for upstream in file["upstreams"].as_array_mut().unwrap() {
            let address = surroundings.addresses()[upstream["name"].as_str().unwrap()];
            upstream["url"] = json!(format!("http://{address}"));
        }
        // The real time passes, also while the machine does other things.
        file["limits"]["ack_timeout_millis"] = json!(5_000);
        let sidecar = sidecar(world, &file, None, probe);
        let ready = call::request(world, &Case::default(), sidecar.now());
        Box::new(OnEnvoy::start(modules, place, surroundings, sidecar, Some(ready)).unwrap())
    } else {
        let sidecar = sidecar(world, &file, Some(STANDS_AT), probe);
        let lacking: &[&str] = match on {
            Where::HostWithoutCrypto => &["verify_signature"],
            _ => &[],
        };
        Box::new(OnHost::start_lacking(lacking, modules, place, sidecar, 1).unwrap())
    };
    Running(gateway)
}

fn sidecar(world: &World, file: &Value, stands_at: Option<UnixMillis>, probe: LogProbe) -> Sidecar {
    let policy: PolicyFile = policy_file::parse(&file.to_string()).unwrap();
    let first = policy.policy.issuers[0].issuer.clone();
    let scopes = policy.policy.scopes.clone();
    let setup = Setup {
        policy,
        people: Vec::new(),
        keys: Vec::new(),
        issuer_keys: directory::key_set(&first, &world.issuer_keys(&first)),
        stands_at,
    };
    let sidecar = Sidecar::start_with(setup, probe).unwrap();
    let now = stands_at.unwrap_or_else(|| Clock::system().now());
    let hub = sidecar.hub().unwrap();
    hub.upsert_users(world.users(now).map(person_on_wire).collect());
    let keys = world.api_keys(&scopes, now);
    hub.upsert_keys(
        keys.map(|(key, scopes)| key_on_wire(&key, scopes))
            .collect(),
    );
    sidecar
}

fn person_on_wire(user: User) -> v1::User {
    v1::User {
        tenant: user.tenant.to_lowercase(),
        object_id: user.object_id.to_lowercase(),
        id: user.id.0,
        department: user.department.0,
        title: user.title.map(|title| title.0).unwrap_or_default(),
        active: user.active,
        tokens_valid_from: user.tokens_valid_from.0,
    }
}

fn key_on_wire(key: &ApiKey, scopes: Vec<String>) -> v1::ApiKey {
    let bytes = |hash: &[u8; 32]| hash.to_vec().into();
    v1::ApiKey {
        id: key.id.0.clone(),
        hash: bytes(&key.hash),
        department: key.department.0.clone(),
        scopes,
        expires: key.expires.map_or(0, |expires| expires.0),
        revoked: key.revoked,
        user: key
            .user
            .as_ref()
            .map(|user| user.0.clone())
            .unwrap_or_default(),
        networks: key.networks.iter().map(ToString::to_string).collect(),
        former_hash: key
            .former
            .map(|former| bytes(&former.hash))
            .unwrap_or_default(),
        former_until: key.former.map_or(0, |former| former.until.0),
    }
}
