//! Companies of any size: telling who calls takes as long among a hundred thousand as among
//! ten.

use std::time::{Duration, Instant};

use sekisho_domain::{ApiKey, ScopeSet, UnixMillis, User};
use sekisho_scope::{Authenticator, Credential, hash_key, new_key};

use crate::world::{Host, NOW, PEPPER, world};

const LOOKUPS: u32 = 500;
/// Tables of this size do not fit into the nearest caches any more: a few times as long is
/// what that costs, a thousand times is what looking through them would.
const AT_MOST: u32 = 10;

fn secret(number: u32) -> String {
    let mut random = [0x42; 32];
    random[..4].copy_from_slice(&number.to_be_bytes());
    new_key(random)
}

fn company(size: u32) -> Authenticator {
    let policy = world().policy("required");
    let mut authenticator = Authenticator::new(&policy);
    authenticator.set_pepper(PEPPER);
    for number in 0..size {
        authenticator.upsert_user(User {
            tenant: "8f3a1c52-6b7e-4d0f-9a21-5e6c7d8091ab".into(),
            object_id: format!("00000000-0000-4000-8000-{number:012}"),
            id: format!("{number:06}").as_str().into(),
            department: "sales".into(),
            title: None,
            active: true,
            tokens_valid_from: UnixMillis(0),
        });
        authenticator.upsert_key(ApiKey {
            id: format!("key-{number}").as_str().into(),
            hash: hash_key(PEPPER, secret(number).as_bytes()),
            former: None,
            department: "sales".into(),
            user: Some(format!("{number:06}").as_str().into()),
            scopes: ScopeSet::NONE,
            networks: Vec::new(),
            expires: None,
            revoked: false,
        });
    }
    authenticator
}

/// The shortest of several times: what others do on this machine must not matter.
fn time(authenticator: &mut Authenticator, size: u32) -> Duration {
    let secrets: Vec<String> = (0..LOOKUPS)
        .map(|n| secret(n.wrapping_mul(7_919) % size))
        .collect();
    let round = |_| {
        let began = now();
        for secret in &secrets {
            let credential = Credential::Key(secret.as_bytes());
            assert!(authenticator.authenticate(&credential, &Host, NOW).is_ok());
        }
        began.elapsed()
    };
    (0..10).map(round).min().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "how long it really takes")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn a_caller_is_found_among_a_hundred_thousand_as_fast_as_among_ten() {
    let small = time(&mut company(10), 10);
    let large = time(&mut company(100_000), 100_000);
    assert!(large < small * AT_MOST, "{small:?} and {large:?}");
}

#[test]
fn a_change_of_one_among_a_hundred_thousand_looks_at_nobody_else() {
    let change = |authenticator: &mut Authenticator, size: u32| {
        let round = |_| {
            let began = now();
            for number in 0..LOOKUPS {
                authenticator.upsert_user(User {
                    tenant: "8f3a1c52-6b7e-4d0f-9a21-5e6c7d8091ab".into(),
                    object_id: format!("00000000-0000-4000-8000-{:012}", number % size),
                    id: format!("{:06}", number % size).as_str().into(),
                    department: "hr".into(),
                    title: None,
                    active: number % 2 == 0,
                    tokens_valid_from: UnixMillis(0),
                });
            }
            began.elapsed()
        };
        (0..10).map(round).min().unwrap()
    };
    let small = change(&mut company(10), 10);
    let large = change(&mut company(100_000), 100_000);
    assert!(large < small * AT_MOST, "{small:?} and {large:?}");
}
