//! Everything that cases have in common.

use sekisho_domain::{
    ApiKey, FormerSecret, IssuerKey, Policy, ScopeTree, SigningAlgorithm, UnixMillis, User,
};
use sekisho_scope::{Authenticator, hash_key, new_key};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::case::Case;
use crate::keys;
use crate::token::relative;

/// The secret under which the world's subscription keys are hashed: that of the test host.
pub const PEPPER: &[u8] = b"the pepper of scenarios, 32 byte";

const FILES: &[(&str, &str)] = &[
    ("accepted", include_str!("../cases/accepted.yaml")),
    ("times", include_str!("../cases/times.yaml")),
    ("audiences", include_str!("../cases/audiences.yaml")),
    ("issuers", include_str!("../cases/issuers.yaml")),
    ("signatures", include_str!("../cases/signatures.yaml")),
    ("algorithms", include_str!("../cases/algorithms.yaml")),
    ("headers", include_str!("../cases/headers.yaml")),
    ("payloads", include_str!("../cases/payloads.yaml")),
    ("kinds", include_str!("../cases/kinds.yaml")),
    ("form", include_str!("../cases/form.yaml")),
    ("directory", include_str!("../cases/directory.yaml")),
    ("departments", include_str!("../cases/departments.yaml")),
    ("scopes", include_str!("../cases/scopes.yaml")),
    ("applications", include_str!("../cases/applications.yaml")),
    ("mfa", include_str!("../cases/mfa.yaml")),
    ("networks", include_str!("../cases/networks.yaml")),
    ("keys", include_str!("../cases/keys.yaml")),
];

/// Policy, directory, keys and cases.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    /// `sekisho.yaml` without models and upstream addresses.
    policy: Value,
    issuer_keys: Vec<PublishedKey>,
    users: Vec<PersonRow>,
    api_keys: Vec<KeyRow>,
    /// Claims that cases begin with, by name.
    pub claims: Map<String, Value>,
    /// Every case.
    #[serde(skip)]
    pub cases: Vec<Case>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishedKey {
    issuer: String,
    kid: String,
    key: String,
    #[serde(default)]
    alg: Option<SigningAlgorithm>,
}

/// A person of the directory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonRow {
    tenant: String,
    object_id: String,
    id: String,
    department: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default = "yes")]
    active: bool,
    #[serde(default)]
    tokens_valid_from: Option<String>,
}

/// A subscription key; `secret` is the byte that its 32 random bytes consist of.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRow {
    id: String,
    secret: u8,
    #[serde(default)]
    former: Option<u8>,
    #[serde(default)]
    former_until: Option<String>,
    department: String,
    #[serde(default)]
    user: Option<String>,
    /// Names of scopes.
    pub scopes: Vec<String>,
    #[serde(default)]
    networks: Vec<String>,
    #[serde(default)]
    expires: Option<String>,
    #[serde(default)]
    revoked: bool,
}

const fn yes() -> bool {
    true
}

impl World {
    /// Reads the table.
    #[must_use]
    pub fn load() -> Self {
        let world = include_str!("../cases/world.yaml");
        let mut world: Self = serde_yaml_ng::from_str(world).expect("cases/world.yaml");
        for (name, text) in FILES {
            let cases: Vec<Case> = serde_yaml_ng::from_str(text)
                .unwrap_or_else(|error| panic!("cases/{name}.yaml: {error}"));
            world.cases.extend(cases);
        }
        world
    }

    /// The case of this name.
    #[must_use]
    pub fn case(&self, name: &str) -> &Case {
        let mut cases = self.cases.iter();
        cases.find(|case| case.name == name).expect("a case")
    }

    /// The cases that are for this `directory` of the policy.
    pub fn cases_of(&self, directory: &str) -> impl Iterator<Item = &Case> {
        let of = move |case: &&Case| case.directory.as_deref().unwrap_or("required") == directory;
        self.cases.iter().filter(of)
    }

    /// The policy as a file: every API offers a model for each scope, of the scope's name, and
    /// issuers' keys stand in it.
    #[must_use]
    pub fn policy_file(&self, directory: &str) -> Value {
        let mut file = self.policy.clone();
        file["directory"] = json!(directory);
        let scopes = file["scopes"].as_object().expect("scopes").clone();
        let upstream = |api: &Value| api["provider"].as_str().expect("a provider").to_owned();
        let mut upstreams = Vec::new();
        for api in file["apis"].as_array_mut().expect("apis") {
            let models = scopes
                .keys()
                .map(|scope| json!({"name": scope, "scope": scope, "upstream": upstream(api), "price": "free"}));
            api["models"] = models.collect();
            upstreams.push(json!({"name": upstream(api), "provider": upstream(api), "url": "http://127.0.0.1:9"}));
        }
        file["upstreams"] = upstreams.into();
        for issuer in file["issuers"].as_array_mut().expect("issuers") {
            let published = self.issuer_keys.iter();
            let published = published.filter(|key| issuer["issuer"] == key.issuer.as_str());
            let keys = published.map(|key| {
                let mut jwk = keys::jwk(&key.key, &key.kid);
                if let Some(algorithm) = key.alg {
                    jwk["alg"] = json!(algorithm.as_str());
                }
                jwk
            });
            issuer["jwks"] = json!({"keys": keys.collect::<Value>()});
        }
        file["prices"] = json!([{"model": "free", "from": "2020-01-01", "input_per_million": 0,
                                 "output_per_million": 0}]);
        file
    }

    /// The policy, checked.
    #[must_use]
    pub fn policy(&self, directory: &str) -> Policy {
        Policy::parse(self.policy_file(directory)).expect("a sound policy")
    }

    /// The keys of an issuer as its key set has them.
    #[must_use]
    pub fn issuer_keys(&self, issuer: &str) -> Vec<IssuerKey> {
        let published = self.issuer_keys.iter().filter(|key| key.issuer == issuer);
        published
            .map(|key| IssuerKey {
                issuer: key.issuer.clone(),
                kid: key.kid.clone(),
                material: keys::published(&key.key),
                algorithm: key.alg,
            })
            .collect()
    }

    /// The directory.
    pub fn users(&self, now: UnixMillis) -> impl Iterator<Item = User> {
        self.users.iter().map(move |row| User {
            tenant: row.tenant.clone(),
            object_id: row.object_id.clone(),
            id: row.id.as_str().into(),
            department: row.department.as_str().into(),
            title: row.title.as_deref().map(Into::into),
            active: row.active,
            tokens_valid_from: moment(row.tokens_valid_from.as_deref(), now).unwrap_or_default(),
        })
    }

    /// Subscription keys with the names of their scopes.
    pub fn api_keys(
        &self,
        scopes: &ScopeTree,
        now: UnixMillis,
    ) -> impl Iterator<Item = (ApiKey, Vec<String>)> {
        let hash = |byte: u8| hash_key(PEPPER, new_key([byte; 32]).as_bytes());
        self.api_keys.iter().map(move |row| {
            let key = ApiKey {
                id: row.id.as_str().into(),
                hash: hash(row.secret),
                former: row.former.map(|byte| FormerSecret {
                    hash: hash(byte),
                    until: moment(row.former_until.as_deref(), now).unwrap_or_default(),
                }),
                department: row.department.as_str().into(),
                user: row.user.as_deref().map(Into::into),
                scopes: scopes.granted_by_all(row.scopes.iter().map(String::as_str)),
                networks: row
                    .networks
                    .iter()
                    .map(|text| text.parse().expect("a network"))
                    .collect(),
                expires: moment(row.expires.as_deref(), now),
                revoked: row.revoked,
            };
            (key, row.scopes.clone())
        })
    }

    /// An authenticator that knows the whole world.
    #[must_use]
    pub fn authenticator(&self, policy: &Policy, now: UnixMillis) -> Authenticator {
        let mut authenticator = Authenticator::new(policy);
        for issuer in &policy.issuers {
            let unusable =
                authenticator.set_issuer_keys(&issuer.issuer, self.issuer_keys(&issuer.issuer));
            assert_eq!(unusable, []);
        }
        authenticator.set_pepper(PEPPER);
        for user in self.users(now) {
            authenticator.upsert_user(user);
        }
        for (key, _) in self.api_keys(&policy.scopes, now) {
            authenticator.upsert_key(key);
        }
        authenticator
    }
}

fn moment(text: Option<&str>, now: UnixMillis) -> Option<UnixMillis> {
    let seconds = relative(text?, now).expect("a moment");
    Some(UnixMillis(seconds * 1000 + now.0 % 1000))
}
