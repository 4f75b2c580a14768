//! People, subscription keys and signing keys, from the wire and onto it.
//!
//! What cannot be read never grants more than was meant: such a key is refused, such a
//! signing key verifies nothing.

use prost::bytes::Bytes;
use sekisho_domain::{
    ApiKey, Budget, Counting, FormerSecret, IssuerKey, KeyId, KeyMaterial, Meter, Modality, Mode,
    Payer, ScopeTree, SigningAlgorithm, StreamCut, Subject, Tokens, UnixMillis, User,
};

use crate::v1;
use crate::v1::signing_key::Material;

/// Why a key of the sidecar is not used as it came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A subscription key: its hash has not 32 bytes, or a network is none.
    #[error("subscription key `{id}` cannot be read and is refused; release mismatch?")]
    ApiKey {
        /// Its public id.
        id: KeyId,
    },
    /// A signing key of a kind or algorithm that this release does not know.
    #[error("signing key `{kid}` of `{issuer}` cannot be read; release mismatch?")]
    SigningKey {
        /// Whose.
        issuer: String,
        /// Which.
        kid: String,
    },
    /// A budget of a kind that this release does not know. Nothing may pass it by.
    #[error("budget `{counter}` cannot be read; release mismatch?")]
    Budget {
        /// Which.
        counter: String,
    },
}

/// A person.
#[must_use]
pub fn user(user: &v1::User) -> User {
    User {
        tenant: user.tenant.clone(),
        object_id: user.object_id.clone(),
        id: user.id.as_str().into(),
        department: user.department.as_str().into(),
        title: (!user.title.is_empty()).then(|| user.title.as_str().into()),
        active: user.active,
        tokens_valid_from: UnixMillis(user.tokens_valid_from),
    }
}

/// A subscription key; its scopes are those of `scopes`. One that cannot be read comes as a
/// revoked one, with the reason.
#[must_use]
pub fn api_key(key: &v1::ApiKey, scopes: &ScopeTree) -> (ApiKey, Option<Unreadable>) {
    let id = KeyId::from(key.id.as_str());
    let read = readable(key, &id, scopes);
    let problem = read
        .is_none()
        .then(|| Unreadable::ApiKey { id: id.clone() });
    let read = read.unwrap_or_else(|| ApiKey {
        hash: hash(&key.hash).unwrap_or_default(),
        former: None,
        department: key.department.as_str().into(),
        user: None,
        scopes: scopes.granted_by_all(std::iter::empty()),
        networks: Vec::new(),
        expires: None,
        revoked: true,
        id,
    });
    (read, problem)
}

fn readable(key: &v1::ApiKey, id: &KeyId, scopes: &ScopeTree) -> Option<ApiKey> {
    let former = match key.former_hash.as_ref() {
        [] => None,
        bytes => Some(FormerSecret {
            hash: hash(bytes)?,
            until: UnixMillis(key.former_until),
        }),
    };
    let networks = key.networks.iter().map(|network| network.parse().ok());
    Some(ApiKey {
        id: id.clone(),
        hash: hash(&key.hash)?,
        former,
        department: key.department.as_str().into(),
        user: (!key.user.is_empty()).then(|| key.user.as_str().into()),
        scopes: scopes.granted_by_all(key.scopes.iter().map(String::as_str)),
        networks: networks.collect::<Option<_>>()?,
        expires: (key.expires > 0).then_some(UnixMillis(key.expires)),
        revoked: key.revoked,
    })
}

/// A budget, as far as a worker needs to know it.
///
/// # Errors
/// [`Unreadable::Budget`]: calls that it may cover must not pass.
pub fn budget(budget: &v1::Budget) -> Result<Counting, Unreadable> {
    let read = || {
        let payer = match budget.payer.as_ref()? {
            v1::budget::Payer::Organisation(_) => Payer::Organisation,
            v1::budget::Payer::Department(id) => Payer::Department(id.as_str().into()),
            v1::budget::Payer::User(id) => Payer::User(id.as_str().into()),
            v1::budget::Payer::Key(id) => Payer::Key(id.as_str().into()),
        };
        let subject = match &budget.subject {
            None => Subject::Everything,
            Some(v1::budget::Subject::Api(id)) => Subject::Api(id.as_str().into()),
            Some(v1::budget::Subject::Model(name)) => Subject::Model(name.clone()),
            Some(v1::budget::Subject::Modality(name)) => Subject::Modality(Modality::parse(name)?),
        };
        Some(Counting {
            counter: budget.counter.as_str().into(),
            payer,
            subject,
            meter: Meter::parse(&budget.meter)?,
            mode: match budget.estimate_tokens {
                0 => Mode::Strict,
                estimate => Mode::StreamCut(StreamCut {
                    estimate: Tokens(estimate),
                    ahead: Tokens(budget.ahead_tokens),
                }),
            },
        })
    };
    read().ok_or_else(|| Unreadable::Budget {
        counter: budget.counter.clone(),
    })
}

/// A budget for the wire.
#[must_use]
pub fn budget_on_wire(budget: &Budget) -> v1::Budget {
    let payer = match &budget.payer {
        Payer::Organisation => v1::budget::Payer::Organisation(true),
        Payer::Department(id) => v1::budget::Payer::Department(id.0.clone()),
        Payer::User(id) => v1::budget::Payer::User(id.0.clone()),
        Payer::Key(id) => v1::budget::Payer::Key(id.0.clone()),
    };
    let subject = match &budget.subject {
        Subject::Everything => None,
        Subject::Api(id) => Some(v1::budget::Subject::Api(id.0.clone())),
        Subject::Model(name) => Some(v1::budget::Subject::Model(name.clone())),
        Subject::Modality(modality) => {
            Some(v1::budget::Subject::Modality(modality.as_str().to_owned()))
        }
    };
    let cut = budget.mode.stream_cut();
    v1::Budget {
        counter: budget.id.0.clone(),
        removed: false,
        payer: Some(payer),
        subject,
        meter: budget.meter.as_str().to_owned(),
        estimate_tokens: cut.map_or(0, |cut| cut.estimate.0),
        ahead_tokens: cut.map_or(0, |cut| cut.ahead.0),
    }
}

fn hash(bytes: &[u8]) -> Option<[u8; 32]> {
    bytes.try_into().ok()
}

/// The signing keys of a set, and what is wrong with those that cannot be read.
#[must_use]
pub fn issuer_keys(set: &v1::IssuerKeySet) -> (Vec<IssuerKey>, Vec<Unreadable>) {
    let mut keys = Vec::with_capacity(set.keys.len());
    let mut unreadable = Vec::new();
    for key in &set.keys {
        match signing_key(&set.issuer, key) {
            Some(key) => keys.push(key),
            None => unreadable.push(Unreadable::SigningKey {
                issuer: set.issuer.clone(),
                kid: key.kid.clone(),
            }),
        }
    }
    (keys, unreadable)
}

fn signing_key(issuer: &str, key: &v1::SigningKey) -> Option<IssuerKey> {
    let material = match key.material.as_ref()? {
        Material::Rsa(v1::RsaKey { n, e }) => KeyMaterial::Rsa {
            n: n.to_vec(),
            e: e.to_vec(),
        },
        Material::P256(v1::P256Key { x, y }) => KeyMaterial::P256 {
            x: x.to_vec(),
            y: y.to_vec(),
        },
    };
    let algorithm = match key.alg.as_str() {
        "" => None,
        name => Some(SigningAlgorithm::parse(name)?),
    };
    Some(IssuerKey {
        issuer: issuer.to_owned(),
        kid: key.kid.clone(),
        material,
        algorithm,
    })
}

/// A key set for the wire.
#[must_use]
pub fn key_set(issuer: &str, keys: &[IssuerKey]) -> v1::IssuerKeySet {
    let bytes = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    let keys = keys.iter().map(|key| v1::SigningKey {
        kid: key.kid.clone(),
        material: Some(match &key.material {
            KeyMaterial::Rsa { n, e } => Material::Rsa(v1::RsaKey {
                n: bytes(n),
                e: bytes(e),
            }),
            KeyMaterial::P256 { x, y } => Material::P256(v1::P256Key {
                x: bytes(x),
                y: bytes(y),
            }),
        }),
        alg: key
            .algorithm
            .map_or_else(String::new, |algorithm| algorithm.as_str().to_owned()),
    });
    v1::IssuerKeySet {
        issuer: issuer.to_owned(),
        keys: keys.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_domain::Policy;

    fn scopes() -> ScopeTree {
        let policy = serde_json::json!({
            "version": 1, "organisation": "x", "time_zone": "UTC", "currency": "JPY",
            "scopes": {"all": null}, "apis": [],
            "issuers": [{"issuer": "https://i.example", "tenant": "t", "audiences": ["a"],
                         "jwks_uri": "https://i.example/keys"}],
        });
        Policy::parse(policy).unwrap().scopes
    }

    fn on_wire() -> v1::ApiKey {
        v1::ApiKey {
            id: "key-1".into(),
            hash: Bytes::from_static(&[1; 32]),
            department: "sales".into(),
            scopes: vec!["all".into()],
            user: "001".into(),
            networks: vec!["10.0.0.0/8".into()],
            former_hash: Bytes::from_static(&[2; 32]),
            former_until: 5,
            ..v1::ApiKey::default()
        }
    }

    #[test]
    fn a_subscription_key_is_read_with_all_that_binds_it() {
        let (key, problem) = api_key(&on_wire(), &scopes());
        assert_eq!(problem, None);
        assert_eq!(key.user, Some("001".into()));
        assert_eq!(key.networks, ["10.0.0.0/8".parse().unwrap()]);
        let former = key.former.unwrap();
        assert_eq!((former.hash, former.until), ([2; 32], UnixMillis(5)));
        assert!(!key.revoked && key.expires.is_none());
    }

    #[test]
    fn a_subscription_key_that_cannot_be_read_is_refused() {
        let wrong = [
            v1::ApiKey {
                networks: vec!["10.0.0.0/8".into(), "everywhere".into()],
                ..on_wire()
            },
            v1::ApiKey {
                hash: Bytes::from_static(b"short"),
                ..on_wire()
            },
            v1::ApiKey {
                former_hash: Bytes::from_static(b"short"),
                ..on_wire()
            },
        ];
        for wrong in wrong {
            let (key, problem) = api_key(&wrong, &scopes());
            assert!(key.revoked, "{wrong:?}");
            assert_eq!(problem, Some(Unreadable::ApiKey { id: key.id }));
        }
    }

    #[test]
    fn a_key_set_comes_back_from_the_wire_as_it_went() {
        let key = |kid: &str, material, algorithm| IssuerKey {
            issuer: "https://i.example".into(),
            kid: kid.into(),
            material,
            algorithm,
        };
        let (n, e) = (vec![5, 6], vec![1, 0, 1]);
        let (x, y) = (vec![7; 32], vec![8; 32]);
        let keys = vec![
            key("r", KeyMaterial::Rsa { n, e }, None),
            key(
                "e",
                KeyMaterial::P256 { x, y },
                Some(SigningAlgorithm::Es256),
            ),
        ];
        let set = key_set("https://i.example", &keys);
        assert_eq!(issuer_keys(&set), (keys, Vec::new()));
    }

    #[test]
    fn a_budget_comes_back_from_the_wire_as_it_went() {
        let payers = [
            Payer::Organisation,
            Payer::Department("sales".into()),
            Payer::User("001".into()),
            Payer::Key("key-1".into()),
        ];
        let subjects = [
            Subject::Everything,
            Subject::Api("azure".into()),
            Subject::Model("gpt-4o".into()),
            Subject::Modality(Modality::Audio),
        ];
        let cut = Mode::StreamCut(StreamCut {
            estimate: Tokens(7),
            ahead: Tokens(0),
        });
        let modes = [Mode::Strict, cut, Mode::Strict, cut];
        for ((payer, subject), mode) in payers.iter().zip(&subjects).zip(modes) {
            for meter in Meter::EVERY {
                let went = Budget {
                    id: "b#2".into(),
                    payer: payer.clone(),
                    subject: subject.clone(),
                    meter: *meter,
                    window: None,
                    limit: 5,
                    mode,
                };
                let came = budget(&budget_on_wire(&went)).unwrap();
                assert_eq!((&came.counter, came.meter), (&went.id, went.meter));
                assert_eq!((&came.payer, &came.subject), (payer, subject));
                assert_eq!(came.mode, mode);
            }
        }
    }

    #[test]
    fn a_budget_of_an_unknown_kind_is_no_budget() {
        let known = v1::Budget {
            counter: "b".into(),
            payer: Some(v1::budget::Payer::Organisation(true)),
            meter: "requests".into(),
            ..v1::Budget::default()
        };
        assert!(budget(&known).is_ok());
        let other_modality = v1::budget::Subject::Modality("smell".into());
        for unknown in [
            v1::Budget {
                meter: "joules".into(),
                ..known.clone()
            },
            v1::Budget {
                payer: None,
                ..known.clone()
            },
            v1::Budget {
                subject: Some(other_modality),
                ..known.clone()
            },
        ] {
            let counter = unknown.counter.clone();
            assert_eq!(budget(&unknown), Err(Unreadable::Budget { counter }));
        }
    }

    #[test]
    fn a_signing_key_of_an_unknown_kind_or_algorithm_is_left_out() {
        let unknown = v1::SigningKey {
            kid: "k".into(),
            ..v1::SigningKey::default()
        };
        let other = v1::SigningKey {
            kid: "l".into(),
            material: Some(Material::Rsa(v1::RsaKey::default())),
            alg: "RS512".into(),
        };
        let set = v1::IssuerKeySet {
            issuer: "i".into(),
            keys: vec![unknown, other],
        };
        let (keys, unreadable) = issuer_keys(&set);
        assert_eq!((keys.len(), unreadable.len()), (0, 2));
    }
}
