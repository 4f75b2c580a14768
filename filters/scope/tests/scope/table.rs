//! Runs `cases.yaml`.

use sekisho_domain::{DenialCode, Policy};
use sekisho_scope::{
    Asked, Authenticator, Credential, Principal, Rs256, authorise, find_credential, new_key,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::tokens::{self, Then};
use crate::world::{BOTH, NOW, World, world};

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// `required` (default) or `none`.
    pub(crate) directory: Option<String>,
    pub(crate) claims: Option<String>,
    pub(crate) set: Map<String, Value>,
    pub(crate) drop: Vec<String>,
    pub(crate) header: Map<String, Value>,
    pub(crate) drop_header: Vec<String>,
    pub(crate) header_text: Option<String>,
    pub(crate) payload_text: Option<String>,
    pub(crate) sign: Option<String>,
    pub(crate) then: Then,
    /// Bytes that the token shall have.
    pub(crate) grow_to: Option<usize>,
    /// The token itself.
    pub(crate) raw: Option<String>,
    /// Subscription key of 32 of these bytes.
    pub(crate) key: Option<u8>,
    /// The subscription key itself.
    pub(crate) raw_key: Option<String>,
    pub(crate) requires: Option<String>,
    pub(crate) expect: Option<String>,
    pub(crate) who: Map<String, Value>,
}

enum Shown {
    Token(Vec<u8>),
    Key(Vec<u8>),
}

impl Shown {
    fn of(world: &World, case: &Case) -> Self {
        match (case.key, &case.raw_key, &case.raw) {
            (Some(byte), ..) => Self::Key(new_key([byte; 32]).into_bytes()),
            (_, Some(key), _) => Self::Key(key.clone().into_bytes()),
            (.., Some(token)) => Self::Token(token.clone().into_bytes()),
            _ => Self::Token(tokens::token(world, case)),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Token(bytes) | Self::Key(bytes) => bytes,
        }
    }

    fn credential(&self) -> Credential<'_> {
        match self {
            Self::Token(token) => Credential::Bearer(token),
            Self::Key(key) => Credential::Key(key),
        }
    }
}

#[test]
fn every_case_comes_out_as_it_should_with_both_implementations_and_from_memory() {
    let world = world();
    assert!(world.cases.len() > 100);
    let mut wrong = Vec::new();
    for case in &world.cases {
        let policy = world.policy(case.directory.as_deref().unwrap_or("required"));
        let shown = Shown::of(&world, case);
        for (implementation, rs256) in BOTH {
            let mut authenticator = world.authenticator(&policy);
            for time in ["first", "second"] {
                let outcome = decide(case, &policy, &mut authenticator, &shown, rs256);
                if let Err(problem) = outcome {
                    wrong.push(format!(
                        "{} ({implementation}, {time} time): {problem}",
                        case.name
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// As the filter does it: find, authenticate, authorise.
fn decide(
    case: &Case,
    policy: &Policy,
    authenticator: &mut Authenticator,
    shown: &Shown,
    rs256: &dyn Rs256,
) -> Result<(), String> {
    let expected = case.expect.as_deref().unwrap_or("ok");
    let value = [b"Bearer ", shown.bytes()].concat();
    let headers = [(&b"authorization"[..], value.as_slice())];
    if let Err(code) = find_credential(headers.into_iter())
        && expected != code.as_str()
    {
        return Err(format!("in a header it is {}", code.as_str()));
    }
    let principal = authenticator.authenticate(&shown.credential(), rs256, NOW);
    let outcome = principal.and_then(|principal| {
        let Some(scope) = &case.requires else {
            return Ok(principal);
        };
        let scope = policy.scopes.id(scope).unwrap();
        let asked = Asked {
            api: &policy.apis[0],
            scope,
            address: None,
        };
        authorise(&principal, policy, &asked).map(|()| principal)
    });
    let actual = outcome.as_ref().map_or_else(|d| d.code.as_str(), |_| "ok");
    if actual != expected {
        return Err(format!("{actual}, not {expected}"));
    }
    match outcome {
        Ok(principal) => is_who(&principal, &case.who),
        Err(denial) => match (denial.code, &case.requires) {
            (DenialCode::MissingScope | DenialCode::NotEntitled, Some(scope))
                if !denial.message.contains(&format!("`{scope}`")) =>
            {
                Err(format!("`{}` does not name the scope", denial.message))
            }
            _ => Ok(()),
        },
    }
}

fn is_who(principal: &Principal, who: &Map<String, Value>) -> Result<(), String> {
    let actual = json!({
        "tenant": principal.tenant,
        "object_id": principal.object_id,
        "user": principal.user,
        "department": principal.department,
        "application": principal.application,
        "key": principal.key,
        "roles": principal.roles,
    });
    for (name, expected) in who {
        if actual[name] != *expected {
            return Err(format!("{name} is {}, not {expected}", actual[name]));
        }
    }
    Ok(())
}
