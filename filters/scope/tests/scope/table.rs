//! Runs the table of cases.

use std::collections::HashSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sekisho_domain::{Denial, Policy};
use sekisho_scope::{
    Asked, Authenticator, Credential, Principal, SignatureVerifier, authorise, find_credential,
};
use sekisho_scope_cases::{Case, Shown};
use serde_json::{Map, Value, json};

use crate::world::{BOTH, NOW, world};

#[test]
fn the_table_is_large_and_its_names_differ() {
    let world = world();
    let mut names = HashSet::new();
    for case in &world.cases {
        assert!(names.insert(case.name.as_str()), "{}", case.name);
    }
    let accepted = world.cases.iter().filter(|case| case.expected() == "ok");
    let accepted = accepted.count();
    assert!(accepted >= 40, "{accepted} accepted");
    assert!(names.len() - accepted >= 150, "{} in all", names.len());
}

#[test]
fn the_cases_that_the_readme_names_are_there() {
    let world = world();
    let readme = include_str!("../../cases/README.md");
    let rows = readme.lines().filter(|line| line.starts_with('|'));
    let named = rows.flat_map(|row| row.split('*').skip(1).step_by(2));
    let mut count = 0;
    for name in named {
        assert!(world.cases.iter().any(|case| case.name == name), "{name}");
        count += 1;
    }
    assert!(count > 25);
}

#[test]
fn every_case_comes_out_as_it_should_with_both_implementations_and_from_memory() {
    let world = world();
    let mut wrong = Vec::new();
    for directory in ["required", "none"] {
        let policy = world.policy(directory);
        for (implementation, verifier) in BOTH {
            let mut authenticator = world.authenticator(&policy);
            for case in world.cases_of(directory) {
                let shown = case.shown(&world, NOW);
                for time in ["first", "second"] {
                    let outcome = decide(case, &policy, &mut authenticator, &shown, verifier);
                    if let Err(problem) = judge(case, outcome) {
                        wrong.push(format!(
                            "{} ({implementation}, {time} time): {problem}",
                            case.name
                        ));
                    }
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
    verifier: &dyn SignatureVerifier,
) -> Result<Arc<Principal>, Denial> {
    let headers = [(shown.header.as_bytes(), shown.value.as_slice())];
    let found = find_credential(headers.into_iter()).inspect_err(|_| {
        // What no header can carry is not accepted otherwise either.
        let bearer = Credential::Bearer(&shown.credential);
        let accepted = authenticator.authenticate(&bearer, verifier, NOW).is_ok();
        assert!(
            !accepted || shown.header != "authorization",
            "{}",
            case.name
        );
    })?;
    let principal = authenticator.authenticate(&found, verifier, NOW)?;
    let mut apis = policy.apis.iter();
    let asked = Asked {
        api: apis.find(|api| api.id.as_str() == case.api()).unwrap(),
        scope: policy.scopes.id(case.requires()).unwrap(),
        address: case.address(),
    };
    authorise(&principal, policy, &asked).map(|()| principal)
}

fn judge(case: &Case, outcome: Result<Arc<Principal>, Denial>) -> Result<(), String> {
    let expected = case.expected();
    match outcome {
        Ok(principal) if expected == "ok" => is_who(&principal, &case.who),
        Ok(_) => Err(format!("ok, not {expected}")),
        Err(denial) if denial.code.as_str() != expected => {
            Err(format!("{}, not {expected}", denial.code.as_str()))
        }
        Err(denial) => says(case, &denial),
    }
}

fn says(case: &Case, denial: &Denial) -> Result<(), String> {
    let said = case.says.as_deref().unwrap_or("");
    if !denial.message.contains(said) {
        return Err(format!("`{}` does not say {said}", denial.message));
    }
    let claims = denial.claims.as_ref().map(|claims| {
        let json = STANDARD.decode(claims).unwrap();
        serde_json::from_slice::<Value>(&json).unwrap()
    });
    if claims != case.challenge {
        return Err(format!("the challenge is {claims:?}"));
    }
    Ok(())
}

fn is_who(principal: &Principal, who: &Map<String, Value>) -> Result<(), String> {
    let actual = json!({
        "tenant": principal.tenant,
        "object_id": principal.object_id,
        "user": principal.user,
        "department": principal.department,
        "title": principal.title,
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
