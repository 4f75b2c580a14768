//! Subscription keys, beyond the table.

use sekisho_domain::{ApiKey, ScopeSet};
use sekisho_scope::{Authenticator, Credential, hash_key, new_key};

use crate::world::{Host, NOW, PEPPER, code, world};

fn show(authenticator: &mut Authenticator, byte: u8) -> Result<(), &'static str> {
    let key = new_key([byte; 32]);
    let outcome = authenticator.authenticate(&Credential::Key(key.as_bytes()), &Host, NOW);
    code(outcome.map(|_| ()))
}

fn issued(id: &str, byte: u8) -> ApiKey {
    ApiKey {
        id: id.into(),
        hash: hash_key(PEPPER, new_key([byte; 32]).as_bytes()),
        former: None,
        department: "sales".into(),
        user: None,
        scopes: ScopeSet::NONE,
        networks: Vec::new(),
        expires: None,
        revoked: false,
    }
}

#[test]
fn under_another_pepper_no_key_is_known() {
    let world = world();
    let policy = world.policy("required");
    let mut authenticator = world.authenticator(&policy);
    assert_eq!(show(&mut authenticator, 1), Ok(()));
    authenticator.set_pepper(b"another");
    assert_eq!(show(&mut authenticator, 1), Err("unknown_key"));
    authenticator.set_pepper(PEPPER);
    assert_eq!(show(&mut authenticator, 1), Ok(()));
}

#[test]
fn without_a_pepper_no_key_is_known_not_even_one_hashed_under_none() {
    let policy = world().policy("required");
    let mut authenticator = Authenticator::new(&policy);
    let mut key = issued("k", 1);
    key.hash = hash_key(b"", new_key([1; 32]).as_bytes());
    authenticator.upsert_key(key);
    assert_eq!(show(&mut authenticator, 1), Err("unknown_key"));
    authenticator.set_pepper(b"");
    assert_eq!(show(&mut authenticator, 1), Err("unknown_key"));
}

#[test]
fn revoking_a_key_takes_effect_at_once() {
    let policy = world().policy("required");
    let mut authenticator = Authenticator::new(&policy);
    authenticator.set_pepper(PEPPER);
    authenticator.upsert_key(issued("k", 1));
    assert_eq!(show(&mut authenticator, 1), Ok(()));
    authenticator.upsert_key(ApiKey {
        revoked: true,
        ..issued("k", 1)
    });
    assert_eq!(show(&mut authenticator, 1), Err("revoked_key"));
}

#[test]
fn a_new_secret_under_an_id_replaces_the_old_one() {
    let policy = world().policy("required");
    let mut authenticator = Authenticator::new(&policy);
    authenticator.set_pepper(PEPPER);
    authenticator.upsert_key(issued("k", 1));
    authenticator.upsert_key(issued("k", 2));
    assert_eq!(show(&mut authenticator, 1), Err("unknown_key"));
    assert_eq!(show(&mut authenticator, 2), Ok(()));
}

#[test]
fn clearing_the_directory_forgets_keys() {
    let world = world();
    let policy = world.policy("required");
    let mut authenticator = world.authenticator(&policy);
    authenticator.clear_directory();
    assert_eq!(show(&mut authenticator, 1), Err("unknown_key"));
}
