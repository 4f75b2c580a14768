//! Somebody who may call, for tests that are no scenarios.

use std::collections::BTreeMap;
use std::path::Path;

use sekisho_domain::{IssuerKey, KeyMaterial, UnixMillis};
use sekisho_link::directory::key_set;
use sekisho_test_harness::scenario::ScenarioPolicy;
use sekisho_test_harness::sidecar::{IssuedKey, LogProbe, Registered, Setup, Sidecar};
use sekisho_test_harness::tokens::{self, Algorithm, KEY_ID, Signer, Subject};

const OBJECT_ID: &str = "00000000-0000-4000-8000-000000000001";

/// Somebody who may call, and what is known of the issuer.
pub(crate) struct Caller {
    pub(crate) token: String,
    issuer: String,
    tenant: String,
    audience: String,
    now: UnixMillis,
}

impl Caller {
    /// A token for an account of this name.
    pub(crate) fn sign(&self, object_id: &str, signer: Signer) -> String {
        let scopes = ["all_apis".to_owned()];
        let subject = Subject {
            issuer: &self.issuer,
            tenant: &self.tenant,
            audience: &self.audience,
            object_id,
            scopes: &scopes,
        };
        let claims = tokens::claims(&subject, self.now);
        tokens::sign(&claims, signer, Algorithm::RS256, KEY_ID).unwrap()
    }
}

/// What a sidecar begins with.
pub(crate) struct World {
    setup: Setup,
    caller: Caller,
}

impl World {
    pub(crate) fn new(
        policy: &str,
        at: &BTreeMap<String, std::net::SocketAddr>,
        stands_at: Option<UnixMillis>,
    ) -> Self {
        let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/policies");
        let file = policies.join(policy);
        let policy = ScenarioPolicy::load(&file).unwrap().complete(at).unwrap();
        let trusted = policy.policy.issuers.first().unwrap().clone();
        let (n, e) = tokens::published().unwrap();
        let published = IssuerKey {
            issuer: trusted.issuer.clone(),
            kid: KEY_ID.to_owned(),
            material: KeyMaterial::Rsa { n, e },
            algorithm: None,
        };
        let person = Registered {
            id: "001".to_owned(),
            tenant: trusted.tenant.clone(),
            object_id: OBJECT_ID.to_owned(),
            department: "systems".to_owned(),
            active: true,
        };
        let caller = Caller {
            token: String::new(),
            issuer: trusted.issuer.clone(),
            tenant: trusted.tenant.clone(),
            audience: trusted.audiences.first().unwrap().clone(),
            now: stands_at.unwrap_or_default(),
        };
        let setup = Setup {
            policy,
            people: vec![person],
            keys: Vec::<IssuedKey>::new(),
            issuer_keys: key_set(&trusted.issuer, &[published]),
            stands_at,
        };
        Self { setup, caller }
    }

    pub(crate) fn start(self, probe: LogProbe) -> (Sidecar, Caller) {
        let sidecar = Sidecar::start_with(self.setup, probe).unwrap();
        let mut caller = self.caller;
        caller.now = sidecar.now();
        caller.token = caller.sign(OBJECT_ID, Signer::Issuer);
        (sidecar, caller)
    }
}
