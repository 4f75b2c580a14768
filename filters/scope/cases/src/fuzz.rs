//! What must hold whatever bytes come: nothing traps, nothing is accepted. The fuzz targets of
//! `fuzz/` and a test with a fixed seed run these functions.

use std::cell::RefCell;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sekisho_domain::policy::raw::RawJwks;
use sekisho_domain::{DenialCode, IssuerKey, Policy, SigningAlgorithm, UnixMillis};
use sekisho_providers::{Catalogue, path_with_model};
use sekisho_scope::{
    Asked, Authenticator, CREDENTIAL_HEADERS, Credential, MAX_TOKEN_BYTES, PureRust,
    SignatureVerifier, VerifyingKey, authorise, find_credential,
};

use crate::case::{Case, Shown};
use crate::world::World;

/// 2025-07-01T00:00:00Z and half a second.
pub const NOW: UnixMillis = UnixMillis(1_751_328_000_500);

struct Standing {
    world: World,
    policy: Policy,
    catalogue: Catalogue,
    /// A token that is accepted, and the number of the case's key.
    token: Vec<u8>,
}

fn standing() -> &'static Standing {
    static STANDING: OnceLock<Standing> = OnceLock::new();
    STANDING.get_or_init(|| {
        let world = World::load();
        let policy = world.policy("required");
        Standing {
            catalogue: Catalogue::new(&policy).expect("a catalogue"),
            token: crate::token(&world, &Case::default(), NOW),
            policy,
            world,
        }
    })
}

/// The credentials of the table's cases, made once: PSS signs differently every time.
fn shown() -> &'static [Shown] {
    static SHOWN: OnceLock<Vec<Shown>> = OnceLock::new();
    SHOWN.get_or_init(|| {
        let Standing { world, .. } = standing();
        let required = world.cases_of("required");
        required.map(|case| case.shown(world, NOW)).collect()
    })
}

/// What the credential headers of the table's cases say: where to begin from.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    shown().iter().map(|shown| shown.value.clone()).collect()
}

/// Whether one of the table's own credentials stands in this value.
fn is_good(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    let mut own = shown().iter().map(|shown| &shown.credential);
    value.len() > 10 && own.any(|own| !own.is_empty() && value.ends_with(own))
}

thread_local! {
    // One for each function: what it remembers is its own.
    static BELIEVING: RefCell<Authenticator> = RefCell::new({
        let Standing { world, policy, .. } = standing();
        world.authenticator(policy, NOW)
    });
    static KEYLESS: RefCell<Authenticator> = RefCell::new({
        let Standing { world, policy, .. } = standing();
        world.authenticator(policy, NOW)
    });
    static AUTHENTICATOR: RefCell<Authenticator> = RefCell::new({
        let Standing { world, policy, .. } = standing();
        world.authenticator(policy, NOW)
    });
}

/// An arbitrary value of every credential header names nobody.
///
/// # Panics
/// If it does.
pub fn authorization(value: &[u8]) {
    for name in CREDENTIAL_HEADERS {
        let headers = [(name.as_bytes(), value)];
        let Ok(credential) = find_credential(headers.into_iter()) else {
            continue;
        };
        let accepted = AUTHENTICATOR.with_borrow_mut(|authenticator| {
            let _ = authenticator.missing_key(&credential);
            authenticator
                .authenticate(&credential, &PureRust, NOW)
                .is_ok()
        });
        assert!(!accepted || is_good(value), "accepted in {name}");
    }
    // Whatever a header can carry, and more.
    AUTHENTICATOR.with_borrow_mut(|authenticator| {
        for credential in [Credential::Bearer(value), Credential::Key(value)] {
            let accepted = authenticator.authenticate(&credential, &PureRust, NOW);
            assert!(accepted.is_err() || is_good(value), "accepted");
        }
    });
}

/// Believes every signature, so that what comes after it is reached.
struct Believing;

impl SignatureVerifier for Believing {
    fn verify(&self, _: &VerifyingKey, _: SigningAlgorithm, _: &[u8], _: &[u8]) -> bool {
        true
    }
}

/// An arbitrary payload under a good signature traps nothing, and whoever it names is somebody
/// whom the directory has.
///
/// # Panics
/// If it does, or is not.
pub fn payload(payload: &[u8]) {
    let Standing { policy, .. } = standing();
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","kid":"kid-1"}"#);
    let token = format!("{header}.{}.AAAA", URL_SAFE_NO_PAD.encode(payload));
    let credential = Credential::Bearer(token.as_bytes());
    let outcome = BELIEVING
        .with_borrow_mut(|authenticator| authenticator.authenticate(&credential, &Believing, NOW));
    if let Ok(principal) = outcome {
        assert!(
            principal.user.is_some()
                || principal.application.is_some()
                || principal.roles.is_empty()
        );
        assert!(token.len() <= MAX_TOKEN_BYTES);
        for api in &policy.apis {
            let asked = Asked {
                api,
                scope: api.scope,
                address: None,
            };
            let _ = authorise(&principal, policy, &asked);
        }
    }
}

/// Arbitrary bytes as a key set trap nothing, and no key of it verifies what another signed.
///
/// # Panics
/// If they do, or one does.
pub fn key_set(body: &[u8]) {
    let Standing {
        world,
        policy,
        token,
        ..
    } = standing();
    let Ok(set) = serde_json::from_slice::<RawJwks>(body) else {
        return;
    };
    let issuer = &policy.issuers[0].issuer;
    let keys = set.keys.iter().take(100);
    let keys: Vec<IssuerKey> = keys
        .filter_map(|jwk| IssuerKey::from_jwk(issuer, jwk).ok())
        .collect();
    let own = world.issuer_keys(issuer);
    let has_own = keys
        .iter()
        .any(|key| own.iter().any(|own| own.material == key.material));
    let accepted = KEYLESS.with_borrow_mut(|authenticator| {
        authenticator.set_issuer_keys(issuer, keys);
        authenticator.authenticate(&Credential::Bearer(token), &PureRust, NOW)
    });
    assert!(
        accepted.is_err() || has_own,
        "a strange key has verified a token"
    );
}

/// An arbitrary path traps nothing, and what it names stands in the policy.
///
/// # Panics
/// If it does, or does not.
pub fn path(path: &[u8]) {
    let Standing {
        policy, catalogue, ..
    } = standing();
    for method in [&b"POST"[..], b"GET"] {
        let found = match catalogue.find(method, path, |_| false) {
            Ok(found) => found,
            Err(code) => {
                let known = [DenialCode::UnknownEndpoint, DenialCode::AmbiguousPath];
                assert!(known.contains(&code), "{code:?}");
                continue;
            }
        };
        let api = policy.apis.get(found.api).expect("an API of the policy");
        assert!(
            api.operations
                .iter()
                .any(|open| open == found.operation.name)
        );
        let before = path.split(|byte| *byte == b'?').next().unwrap_or_default();
        assert!(before.is_ascii() && !before.contains(&b'\\') && !before.contains(&b';'));
        let _ = path_with_model(found.operation, path, "another/model");
    }
}
