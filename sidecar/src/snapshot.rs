//! What every worker decides by: policy, people, keys, issuers' keys. Whoever changes
//! one of them says so here, and all sessions hear of it at once.
//!
//! A snapshot of a large company does not fit into one message: it is cut into parts,
//! which all who need them share.

mod composed;
mod parts;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prost::bytes::Bytes;
use sekisho_domain::budget::plain_name;
use sekisho_domain::{Policy, Problem};
use sekisho_link::v1;
use tokio::sync::broadcast;

use crate::store::units::Units;
use parts::{Parts, in_parts};

/// Changes that a slow session may be behind before it gets the whole snapshot anew.
const BACKLOG: usize = 256;

/// The current snapshot and its listeners; cheap to clone.
#[derive(Clone)]
pub struct SnapshotHub(Arc<Shared>);

struct Shared {
    /// The policy file, without budgets.
    file: serde_json::Value,
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    changes: broadcast::Sender<Change>,
}

/// What listeners hear.
#[derive(Clone)]
enum Change {
    /// This changed.
    Delta(Arc<v1::Snapshot>),
    /// So much changed that everything comes anew.
    Everything,
}

struct State {
    version: u64,
    policy: Arc<Policy>,
    policy_json: Bytes,
    pepper: Bytes,
    users: BTreeMap<(String, String), v1::User>,
    keys: BTreeMap<String, v1::ApiKey>,
    /// By their plain names.
    budgets: BTreeMap<String, v1::Budget>,
    issuer_keys: BTreeMap<String, v1::IssuerKeySet>,
    /// The whole snapshot of this version, if anybody has needed it.
    parts: Option<Parts>,
}

/// What there is, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Version of the snapshot.
    pub version: u64,
    /// People.
    pub users: usize,
    /// Subscription keys, also those that are revoked.
    pub keys: usize,
    /// Signing keys by issuer.
    pub issuer_keys: BTreeMap<String, usize>,
}

impl SnapshotHub {
    /// A snapshot without people, keys and budgets. `policy_json` has the members of
    /// `sekisho.yaml`, of which `budgets` is left out; `pepper` is the secret under which keys
    /// are hashed.
    #[must_use]
    pub fn new(policy: Arc<Policy>, policy_json: Vec<u8>, pepper: Vec<u8>) -> Self {
        let file = composed::without_budgets(&policy_json);
        let state = State {
            version: 1,
            policy,
            policy_json: file.to_string().into_bytes().into(),
            pepper: pepper.into(),
            users: BTreeMap::new(),
            keys: BTreeMap::new(),
            budgets: BTreeMap::new(),
            issuer_keys: BTreeMap::new(),
            parts: None,
        };
        Self(Arc::new(Shared {
            file,
            turn: tokio::sync::Mutex::new(()),
            state: Mutex::new(state),
            changes: broadcast::channel(BACKLOG).0,
        }))
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.locked(|state| Arc::clone(&state.policy))
    }

    /// Departments and titles of the policy file, members as there.
    #[must_use]
    pub fn units_of_file(&self) -> (Vec<serde_json::Value>, Vec<serde_json::Value>) {
        let list = |name: &str| self.0.file.get(name).and_then(serde_json::Value::as_array);
        let list = |name: &str| list(name).cloned().unwrap_or_default();
        (list("departments"), list("titles"))
    }

    /// Whether the policy is sound with these departments and titles in the place of the file's.
    ///
    /// # Errors
    /// Every [`Problem`].
    pub fn check_units(&self, units: &Units) -> Result<(), Vec<Problem>> {
        composed::with_units(&self.0.file, units).map(|_| ())
    }

    /// Puts departments and titles in the place of those of the policy; if that is another policy,
    /// all listeners get everything anew.
    ///
    /// # Errors
    /// Every [`Problem`]; then the former ones stay in force.
    pub fn replace_units(&self, units: &Units) -> Result<(), Vec<Problem>> {
        let (policy, json) = composed::with_units(&self.0.file, units)?;
        self.locked(|state| {
            if state.policy_json != json {
                state.change();
                state.policy = Arc::new(policy);
                state.policy_json = json.into();
                let _ = self.0.changes.send(Change::Everything);
            }
        });
        Ok(())
    }

    /// Held from before a change is stored until it is pushed: two changes to the same key or
    /// person are then pushed in the order in which they were stored, and a revocation is not
    /// taken back by what was stored before it.
    pub async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.turn.lock().await
    }

    /// Replaces the directory; only what is different is pushed.
    pub fn replace_users(&self, users: Vec<v1::User>) {
        let users: BTreeMap<_, _> = users
            .into_iter()
            .map(|user| (identity(&user), user))
            .collect();
        let (gone, changed) = self.locked(|state| {
            let gone = state.users.keys().any(|known| !users.contains_key(known));
            let changed = users
                .iter()
                .filter(|(identity, user)| state.users.get(*identity) != Some(user));
            let changed: Vec<v1::User> = changed.map(|(_, user)| user.clone()).collect();
            if gone {
                state.change();
                state.users = users;
                let _ = self.0.changes.send(Change::Everything);
            }
            (gone, changed)
        });
        if !gone {
            self.upsert_users(changed);
        }
    }

    /// Adds people, or changes those with the same tenant and object id. Whoever has another
    /// account now has lost the former one; gateways see that by the person's id.
    pub fn upsert_users(&self, users: Vec<v1::User>) {
        let accounts: HashMap<&str, _> = users
            .iter()
            .map(|user| (user.id.as_str(), identity(user)))
            .collect();
        self.locked(|state| {
            state.users.retain(|account, user| {
                let current = accounts.get(user.id.as_str());
                current.is_none_or(|current| current == account)
            });
        });
        self.push(in_parts(users, Vec::new(), Vec::new()), |state, delta| {
            let named = delta.users.iter().cloned();
            state
                .users
                .extend(named.map(|user| (identity(&user), user)));
        });
    }

    /// Adds subscription keys, or changes those with the same id.
    pub fn upsert_keys(&self, keys: Vec<v1::ApiKey>) {
        self.push(in_parts(Vec::new(), keys, Vec::new()), |state, delta| {
            let named = delta.keys.iter().cloned();
            state.keys.extend(named.map(|key| (key.id.clone(), key)));
        });
    }

    /// Adds budgets, changes those of the same name, or removes them. One that goes on with
    /// another counter replaces the former.
    pub fn upsert_budgets(&self, budgets: Vec<v1::Budget>) {
        let mut news = Vec::with_capacity(budgets.len());
        self.locked(|state| {
            for budget in &budgets {
                let known = state.budgets.get(plain(budget));
                if let Some(former) = known
                    && (budget.removed || former.counter != budget.counter)
                {
                    news.push(v1::Budget {
                        counter: former.counter.clone(),
                        removed: true,
                        ..v1::Budget::default()
                    });
                }
                if !budget.removed && known != Some(budget) {
                    news.push(budget.clone());
                }
            }
        });
        let parts = in_parts(Vec::new(), Vec::new(), news);
        self.push(parts, |state, delta| {
            for budget in &delta.budgets {
                let name = plain(budget).to_owned();
                let known = state.budgets.get(&name);
                if !budget.removed {
                    state.budgets.insert(name, budget.clone());
                } else if known.is_some_and(|known| known.counter == budget.counter) {
                    state.budgets.remove(&name);
                }
            }
        });
    }

    /// Replaces the signing keys of one issuer.
    pub fn set_issuer_keys(&self, set: v1::IssuerKeySet) {
        let delta = v1::Snapshot {
            issuer_keys: vec![set.clone()],
            ..v1::Snapshot::default()
        };
        self.push(vec![delta], |state, _| {
            state.issuer_keys.insert(set.issuer.clone(), set.clone());
        });
    }

    /// What there is, in numbers.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.locked(|state| Counts {
            version: state.version,
            users: state.users.len(),
            keys: state.keys.len(),
            issuer_keys: state
                .issuer_keys
                .iter()
                .map(|(issuer, set)| (issuer.clone(), set.keys.len()))
                .collect(),
        })
    }

    /// The whole snapshot, and from then on its changes.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        self.locked(|state| Subscription {
            hub: self.clone(),
            changes: self.0.changes.subscribe(),
            parts: state.parts(),
            next: 0,
        })
    }

    /// Sends deltas, each under a version of its own.
    fn push(&self, deltas: Vec<v1::Snapshot>, apply: impl Fn(&mut State, &v1::Snapshot)) {
        // Sent under the lock: listeners hear changes in the order of their versions.
        self.locked(|state| {
            for mut delta in deltas {
                delta.version = state.change();
                apply(state, &delta);
                // Nobody listening is fine.
                let _ = self.0.changes.send(Change::Delta(Arc::new(delta)));
            }
        });
    }

    fn locked<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// Something is about to change; returns the new version.
    fn change(&mut self) -> u64 {
        self.parts = None;
        self.version += 1;
        self.version
    }

    fn parts(&mut self) -> Parts {
        if let Some(parts) = &self.parts {
            return Arc::clone(parts);
        }
        let users = self.users.values().cloned().collect();
        let keys = self.keys.values().cloned().collect();
        let mut parts = in_parts(users, keys, self.budgets.values().cloned().collect());
        if parts.is_empty() {
            parts.push(v1::Snapshot::default());
        }
        if let Some(first) = parts.first_mut() {
            first.full = true;
            first.policy = self.policy_json.clone();
            first.key_pepper = self.pepper.clone();
            first.issuer_keys = self.issuer_keys.values().cloned().collect();
        }
        let last = parts.len() - 1;
        for (at, part) in parts.iter_mut().enumerate() {
            part.version = self.version;
            part.more = at < last;
        }
        let parts: Parts = parts.into_iter().map(Arc::new).collect();
        self.parts = Some(Arc::clone(&parts));
        parts
    }
}

/// Without what is secret.
impl fmt::Debug for SnapshotHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.locked(|state| state.version);
        f.debug_struct("SnapshotHub")
            .field("version", &version)
            .finish_non_exhaustive()
    }
}

fn plain(budget: &v1::Budget) -> &str {
    plain_name(&budget.counter)
}

fn identity(user: &v1::User) -> (String, String) {
    (user.tenant.clone(), user.object_id.clone())
}

/// One session's view: first the whole snapshot, part by part, then its changes.
pub struct Subscription {
    hub: SnapshotHub,
    changes: broadcast::Receiver<Change>,
    parts: Parts,
    /// The part that is next.
    next: usize,
}

impl Subscription {
    /// What comes next; the whole snapshot for whoever fell behind. Cancel-safe.
    pub async fn next(&mut self) -> Arc<v1::Snapshot> {
        if let Some(part) = self.part() {
            return part;
        }
        let change = self.changes.recv().await;
        self.heard(change.unwrap_or(Change::Everything))
    }

    /// What comes next, if there is something already.
    #[must_use]
    pub fn poll_next(&mut self) -> Option<Arc<v1::Snapshot>> {
        if let Some(part) = self.part() {
            return Some(part);
        }
        match self.changes.try_recv() {
            Ok(change) => Some(self.heard(change)),
            Err(broadcast::error::TryRecvError::Lagged(_)) => Some(self.heard(Change::Everything)),
            Err(_) => None,
        }
    }

    fn part(&mut self) -> Option<Arc<v1::Snapshot>> {
        let part = self.parts.get(self.next)?;
        self.next += 1;
        let part = Arc::clone(part);
        if self.next >= self.parts.len() {
            // Others may need the memory.
            self.parts = Parts::default();
            self.next = 0;
        }
        Some(part)
    }

    fn heard(&mut self, change: Change) -> Arc<v1::Snapshot> {
        match change {
            Change::Delta(delta) => delta,
            Change::Everything => {
                *self = self.hub.subscribe();
                // A whole snapshot has one part at least.
                self.part().unwrap_or_default()
            }
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("parts", &self.parts.len())
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    fn hub() -> SnapshotHub {
        let policy = serde_json::json!({
            "version": 1, "organisation": "x", "time_zone": "UTC", "currency": "JPY",
            "scopes": {"all": null}, "apis": [],
            "issuers": [{"issuer": "https://i.example", "tenant": "t", "audiences": ["a"],
                         "jwks_uri": "https://i.example/keys"}],
        });
        let policy = Arc::new(Policy::parse(policy).unwrap());
        SnapshotHub::new(policy, b"{}".to_vec(), b"pepper".to_vec())
    }

    fn user(object_id: &str, active: bool) -> v1::User {
        v1::User {
            tenant: "t".into(),
            object_id: object_id.into(),
            id: object_id.into(),
            active,
            ..v1::User::default()
        }
    }

    fn company(people: usize) -> Vec<v1::User> {
        (0..people)
            .map(|at| user(&format!("00000000-0000-4000-8000-{at:012}"), true))
            .collect()
    }

    /// Everything that is there already.
    fn all(changes: &mut Subscription) -> Vec<Arc<v1::Snapshot>> {
        std::iter::from_fn(|| changes.poll_next()).collect()
    }

    #[tokio::test]
    async fn a_disabled_person_is_pushed_and_stays_in_the_whole_snapshot() {
        let hub = hub();
        hub.replace_users(vec![user("a", true), user("b", true)]);
        let mut changes = hub.subscribe();
        let full = changes.next().await;
        assert_eq!((full.full, full.more, full.users.len()), (true, false, 2));
        hub.upsert_users(vec![user("a", false)]);
        let delta = changes.next().await;
        assert!(!delta.full && delta.version > full.version && delta.policy.is_empty());
        assert!(!delta.users[0].active);
        assert!(!hub.subscribe().next().await.users[0].active);
        assert!(changes.poll_next().is_none());
    }

    #[tokio::test]
    async fn whoever_falls_behind_gets_everything_anew() {
        let hub = hub();
        let mut changes = hub.subscribe();
        changes.next().await;
        for _ in 0..=BACKLOG {
            hub.upsert_users(vec![user("a", true)]);
        }
        assert!(changes.next().await.full);
        assert!(changes.poll_next().is_none());
    }

    #[test]
    fn a_large_company_comes_in_small_parts_that_all_listeners_share() {
        let hub = hub();
        hub.replace_users(company(20_000));
        let (mut one, mut other) = (hub.subscribe(), hub.subscribe());
        let parts = all(&mut one);
        assert!(parts.len() > 3);
        let (last, before) = parts.split_last().unwrap();
        assert!(!last.more && before.iter().all(|part| part.more));
        assert!(parts[0].full && !parts[0].policy.is_empty());
        assert!(parts[1..].iter().all(|part| !part.full));
        assert!(
            parts
                .iter()
                .all(|part| part.version == last.version && part.encoded_len() < 512 * 1024)
        );
        let users: usize = parts.iter().map(|part| part.users.len()).sum();
        assert_eq!(users, 20_000);
        let same = all(&mut other);
        assert!(parts.iter().zip(&same).all(|(a, b)| Arc::ptr_eq(a, b)));
    }

    #[test]
    fn a_change_amid_the_parts_comes_after_them() {
        let hub = hub();
        hub.replace_users(company(20_000));
        let mut changes = hub.subscribe();
        assert!(changes.poll_next().unwrap().more);
        hub.upsert_users(vec![user("x", false)]);
        let rest = all(&mut changes);
        let (last, parts) = rest.split_last().unwrap();
        assert_eq!(last.users[0].object_id, "x");
        assert!(!parts.last().unwrap().more);
    }

    #[test]
    fn a_new_day_pushes_only_whose_day_it_is() {
        let hub = hub();
        hub.replace_users(company(20_000));
        let mut changes = hub.subscribe();
        all(&mut changes);
        let mut next_day = company(20_000);
        next_day[7].active = false;
        hub.replace_users(next_day);
        let pushed = all(&mut changes);
        assert_eq!((pushed.len(), pushed[0].users.len()), (1, 1));
        assert!(!pushed[0].full);
    }

    #[test]
    fn whoever_got_another_account_has_lost_the_former() {
        let hub = hub();
        hub.replace_users(vec![user("a", true), user("b", true)]);
        let replaced = v1::User {
            object_id: "0".into(),
            ..user("a", false)
        };
        hub.upsert_users(vec![replaced.clone()]);
        let parts = all(&mut hub.subscribe());
        assert_eq!(parts[0].users, [replaced, user("b", true)]);
    }

    #[test]
    fn who_is_gone_from_the_directory_is_gone_from_the_gateways() {
        let hub = hub();
        hub.replace_users(company(2));
        let mut changes = hub.subscribe();
        all(&mut changes);
        hub.replace_users(company(1));
        let pushed = all(&mut changes);
        assert!(pushed[0].full && pushed[0].users.len() == 1);
    }

    #[test]
    fn a_change_of_everybody_does_not_leave_listeners_behind() {
        let hub = hub();
        let mut changes = hub.subscribe();
        all(&mut changes);
        hub.replace_users(company(20_000));
        let pushed = all(&mut changes);
        assert!(pushed.iter().all(|delta| !delta.full && !delta.more));
        let users: usize = pushed.iter().map(|delta| delta.users.len()).sum();
        assert_eq!(users, 20_000);
    }
}
