//! What a scenario begins with: people, keys, a gateway on the real time.

use std::time::Duration;

use sekisho_domain::{IssuerKey, KeyMaterial, Policy};

use super::RunError;
use crate::gateway::{Gateway, ModuleSet, Place};
use crate::on_envoy::{OnEnvoy, Surroundings};
use crate::scenario::policy::PROBER;
use crate::scenario::{Scenario, ScenarioPolicy, probe};
use crate::sidecar::{IssuedKey, Registered, Setup, Sidecar};
use crate::tokens::{self, NoKey, Signer};

/// On the real time no budget's window may end while a scenario runs.
const ROOM_IN_WINDOW: u64 = 20;

pub(super) fn start_envoy(
    policy: &ScenarioPolicy,
    setup: Setup,
    modules: ModuleSet,
    place: &Place,
    workers: usize,
) -> Result<Box<dyn Gateway>, RunError> {
    // The stub asks the log, the sidecar's policy names the stub: the probe comes first.
    let probe = crate::sidecar::LogProbe::default();
    let surroundings = Surroundings::start(&policy.upstreams(), probe.clone())?;
    let surroundings = surroundings.with_workers(workers);
    let setup = Setup {
        policy: policy.complete(surroundings.addresses())?,
        ..setup
    };
    wait_for_room(&setup.policy.policy);
    let sidecar = Sidecar::start_with(setup, probe)?;
    let scopes = policy.scopes();
    let ready = probe::request(sidecar.policy(), &scopes, &object_id(PROBER), sidecar.now())?;
    let gateway = OnEnvoy::start(modules, place, surroundings, sidecar, ready)?;
    Ok(Box::new(gateway))
}

/// Waits for the next window where the current one would end soon.
fn wait_for_room(policy: &Policy) {
    if policy.budgets.is_empty() {
        return;
    }
    let now = sekisho::clock::Clock::system().now().seconds();
    // Every window ends with a minute; only budgets per minute meet most of them.
    let per_minute = policy
        .budgets
        .iter()
        .any(|budget| budget.window == Some(sekisho_domain::WindowUnit::Minute));
    let length = if per_minute { 60 } else { 3_600 };
    let left = length - now % length;
    if left < ROOM_IN_WINDOW {
        std::thread::sleep(Duration::from_secs(left + 1));
    }
}

pub(super) fn registered(scenario: &Scenario, tenant: &str) -> Vec<Registered> {
    let people = scenario
        .people
        .iter()
        .filter(|(_, person)| person.registered);
    let registered = people.map(|(name, person)| Registered {
        id: name.clone(),
        tenant: tenant.to_owned(),
        object_id: object_id(name),
        department: person.department.clone(),
        active: person.active,
    });
    let prober = Registered {
        id: PROBER.to_owned(),
        tenant: tenant.to_owned(),
        object_id: object_id(PROBER),
        department: PROBER.to_owned(),
        active: true,
    };
    registered.chain([prober]).collect()
}

pub(super) fn issued(scenario: &Scenario) -> Vec<IssuedKey> {
    let keys = scenario.keys.iter().map(|(name, key)| IssuedKey {
        id: name.clone(),
        secret: secret(name, 1),
        department: key.department.clone(),
        user: key.user.clone(),
        scopes: key.scopes.clone(),
        networks: key.networks.clone(),
        valid_millis: key.valid_millis(),
    });
    keys.collect()
}

/// The object id of a person, the same in every run.
pub(super) fn object_id(person: &str) -> String {
    format!("oid-{}", person.to_lowercase())
}

/// What the issuer publishes of a signer's key.
pub(super) fn published(issuer: &str, signer: Signer) -> Result<IssuerKey, NoKey> {
    let (n, e) = tokens::published_by(signer)?;
    Ok(IssuerKey {
        issuer: issuer.to_owned(),
        kid: tokens::key_id(signer).to_owned(),
        material: KeyMaterial::Rsa { n, e },
        algorithm: None,
    })
}

/// The subscription key of this name, the same in every run. `number`: which of its secrets.
pub(super) fn secret(key: &str, number: u8) -> String {
    let mut random = [number.wrapping_add(0x59); 32];
    random
        .iter_mut()
        .zip(key.bytes())
        .for_each(|(to, from)| *to = from);
    sekisho_scope::new_key(random)
}
