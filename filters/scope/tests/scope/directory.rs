//! What the sidecar pushes counts at once, also for tokens that were verified before.

use std::sync::Arc;

use sekisho_domain::{UnixMillis, User};
use sekisho_scope_cases::Case;

use crate::world::{Counting, NOW, bearer, world};

fn taro(department: &str, active: bool) -> User {
    User {
        tenant: "aaaaaaaa-0000-4000-8000-000000000001".into(),
        object_id: "00000000-0000-4000-8000-0000000000aa".into(),
        id: "taro".into(),
        department: department.into(),
        title: None,
        active,
        tokens_valid_from: UnixMillis(0),
    }
}

#[test]
fn a_disabled_account_is_refused_at_once_and_welcome_again_when_enabled() {
    let world = world();
    let mut authenticator = world.authenticator(&world.policy("required"));
    let token = world.token(&Case::default());
    let rs256 = Counting::default();
    assert!(bearer(&mut authenticator, &token, &rs256, NOW).is_ok());
    authenticator.upsert_user(taro("sales", false));
    for _ in 0..2 {
        let refused = bearer(&mut authenticator, &token, &rs256, NOW);
        assert_eq!(refused, Err("inactive_user"));
    }
    authenticator.upsert_user(taro("sales", true));
    assert!(bearer(&mut authenticator, &token, &rs256, NOW).is_ok());
    assert_eq!(rs256.0.get(), 1);
}

#[test]
fn whoever_got_another_account_has_lost_the_former_one() {
    let world = world();
    let mut authenticator = world.authenticator(&world.policy("required"));
    let token = world.token(&Case::default());
    let rs256 = Counting::default();
    assert!(bearer(&mut authenticator, &token, &rs256, NOW).is_ok());
    let other = User {
        object_id: "00000000-0000-4000-8000-0000000000ff".into(),
        ..taro("sales", true)
    };
    authenticator.upsert_user(other);
    let refused = bearer(&mut authenticator, &token, &rs256, NOW);
    assert_eq!(refused, Err("unknown_user"));
}

#[test]
fn moving_to_another_department_takes_effect_at_once() {
    let world = world();
    let mut authenticator = world.authenticator(&world.policy("required"));
    let token = world.token(&Case::default());
    let rs256 = Counting::default();
    let mut department = || {
        let principal = bearer(&mut authenticator, &token, &rs256, NOW).unwrap();
        authenticator.upsert_user(taro("hr", true));
        principal.department.clone().unwrap().0
    };
    assert_eq!([department(), department()], ["sales", "hr"]);
    assert_eq!(rs256.0.get(), 1);
}

#[test]
fn accounts_that_are_gone_are_refused_and_accounts_that_come_are_welcome() {
    let world = world();
    let mut authenticator = world.authenticator(&world.policy("required"));
    let token = world.token(&Case::default());
    let rs256 = Counting::default();
    assert!(bearer(&mut authenticator, &token, &rs256, NOW).is_ok());
    authenticator.clear_directory();
    let refused = bearer(&mut authenticator, &token, &rs256, NOW);
    assert_eq!(refused, Err("unknown_user"));
    authenticator.upsert_user(taro("sales", true));
    assert!(bearer(&mut authenticator, &token, &rs256, NOW).is_ok());
}

#[test]
fn an_entry_that_did_not_change_leaves_the_principal_as_it_is() {
    let world = world();
    let mut authenticator = world.authenticator(&world.policy("required"));
    let token = world.token(&Case::default());
    let rs256 = Counting::default();
    let before = bearer(&mut authenticator, &token, &rs256, NOW).unwrap();
    authenticator.upsert_user(taro("sales", true));
    let after = bearer(&mut authenticator, &token, &rs256, NOW).unwrap();
    assert!(Arc::ptr_eq(&before, &after));
}
