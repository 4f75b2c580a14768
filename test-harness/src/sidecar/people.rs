//! The directory and the subscription keys that a scenario begins with.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::civil::date;
use sekisho::events::Author;
use sekisho::people::Person;
use sekisho::store::keys::{self, StoredKey};
use sekisho::store::{Store, people};
use sekisho_domain::{Network, UnixMillis};

use super::SidecarError;

/// The secret under which the keys of scenarios are hashed.
pub const PEPPER: &[u8] = b"the pepper of scenarios, 32 byte";

/// A person of the directory.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The company's id; scenarios use the name.
    pub id: String,
    /// Tenant of the account.
    pub tenant: String,
    /// Object id of the account.
    pub object_id: String,
    /// Code of the department.
    pub department: String,
    /// Whether the account may be used.
    pub active: bool,
}

/// A subscription key.
#[derive(Clone, Debug, Default)]
pub struct IssuedKey {
    /// Its public id; scenarios use the name.
    pub id: String,
    /// The key itself.
    pub secret: String,
    /// Code of the department.
    pub department: String,
    /// The person it is for, by id.
    pub user: Option<String>,
    /// Names of the scopes that it grants.
    pub scopes: Vec<String>,
    /// Milliseconds for which it is valid; none: for ever.
    pub valid_millis: Option<u64>,
    /// Where it may be used from; empty: everywhere.
    pub networks: Vec<Network>,
}

pub(super) async fn register(
    store: &Store,
    people: &[Registered],
    now: UnixMillis,
) -> Result<(), SidecarError> {
    let people = people.iter().map(|person| Person {
        id: person.id.as_str().into(),
        tenant: person.tenant.to_lowercase(),
        object_id: person.object_id.to_lowercase(),
        name: person.id.clone(),
        email: format!("{}@example.com", person.id),
        department: person.department.as_str().into(),
        job_title: String::new(),
        phone: String::new(),
        start: date(2000, 1, 1),
        end: None,
        enabled: person.active,
        suspended: false,
        tokens_valid_from: UnixMillis(0),
    });
    let people = people.collect();
    let mut author = author(now);
    let change = |_: &[Person]| Ok::<_, std::convert::Infallible>((people, ()));
    let saved = people::change(store, &mut author, change).await?;
    saved.map_err(|never| match never {})
}

pub(super) async fn issue(
    store: &Store,
    issued: &[IssuedKey],
    now: UnixMillis,
) -> Result<(), SidecarError> {
    let stored = issued.iter().map(|key| StoredKey {
        id: key.id.as_str().into(),
        hash: hash(&key.secret),
        name: key.id.clone(),
        department: key.department.as_str().into(),
        scopes: key.scopes.clone(),
        created: now,
        user: key.user.as_deref().map(Into::into),
        networks: key.networks.clone(),
        expires: key.valid_millis.map(|millis| now.plus_millis(millis)),
        revoked: None,
        rotated: None,
        former: None,
        version: 0,
    });
    keys::add_all(store, &stored.collect::<Vec<_>>(), &mut author(now)).await?;
    Ok(())
}

/// Who changes things in scenarios. Each has ids of its own for what it puts on record.
pub(super) fn author(now: UnixMillis) -> Author {
    static AUTHORS: AtomicU64 = AtomicU64::new(0);
    let number = AUTHORS.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let mut seed = [0; 32];
    seed.iter_mut()
        .zip(number)
        .for_each(|(seed, byte)| *seed = byte);
    Author::program("scenario", now, seed)
}

/// What is stored of a key's secret.
pub(super) fn hash(secret: &str) -> Vec<u8> {
    sekisho_scope::hash_key(PEPPER, secret.as_bytes()).to_vec()
}
