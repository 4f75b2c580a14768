//! What every worker decides by: policy, people, keys, issuers' keys. Whoever changes
//! one of them says so here, and all sessions hear of it at once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prost::bytes::Bytes;
use sekisho_domain::Policy;
use sekisho_link::v1;
use tokio::sync::broadcast;

/// Changes that a slow session may be behind before it gets the whole snapshot anew.
const BACKLOG: usize = 256;

/// The current snapshot and its listeners; cheap to clone.
#[derive(Clone)]
pub struct SnapshotHub(Arc<Shared>);

struct Shared {
    policy: Arc<Policy>,
    state: Mutex<State>,
    changes: broadcast::Sender<Arc<v1::Snapshot>>,
}

struct State {
    version: u64,
    policy_json: Bytes,
    pepper: Bytes,
    users: BTreeMap<(String, String), v1::User>,
    keys: BTreeMap<String, v1::ApiKey>,
    issuer_keys: BTreeMap<String, v1::IssuerKeySet>,
}

impl SnapshotHub {
    /// A snapshot without people and keys. `policy_json` has the members of
    /// `sekisho.yaml`; `pepper` is the secret under which keys are hashed.
    #[must_use]
    pub fn new(policy: Arc<Policy>, policy_json: Vec<u8>, pepper: Vec<u8>) -> Self {
        let state = State {
            version: 1,
            policy_json: policy_json.into(),
            pepper: pepper.into(),
            users: BTreeMap::new(),
            keys: BTreeMap::new(),
            issuer_keys: BTreeMap::new(),
        };
        Self(Arc::new(Shared {
            policy,
            state: Mutex::new(state),
            changes: broadcast::channel(BACKLOG).0,
        }))
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.0.policy)
    }

    /// Replaces the directory.
    pub fn replace_users(&self, users: Vec<v1::User>) {
        self.change(|state| {
            state.users = users
                .into_iter()
                .map(|user| (identity(&user), user))
                .collect();
            state.full()
        });
    }

    /// Adds people, or changes those with the same tenant and object id.
    pub fn upsert_users(&self, users: Vec<v1::User>) {
        self.change(|state| {
            let named = users.iter().cloned().map(|user| (identity(&user), user));
            state.users.extend(named);
            v1::Snapshot {
                users,
                ..state.delta()
            }
        });
    }

    /// Adds subscription keys, or changes those with the same id.
    pub fn upsert_keys(&self, keys: Vec<v1::ApiKey>) {
        self.change(|state| {
            let named = keys.iter().cloned().map(|key| (key.id.clone(), key));
            state.keys.extend(named);
            v1::Snapshot {
                keys,
                ..state.delta()
            }
        });
    }

    /// Replaces the signing keys of one issuer.
    pub fn set_issuer_keys(&self, set: v1::IssuerKeySet) {
        self.change(|state| {
            state.issuer_keys.insert(set.issuer.clone(), set.clone());
            v1::Snapshot {
                issuer_keys: vec![set],
                ..state.delta()
            }
        });
    }

    /// The whole snapshot.
    #[must_use]
    pub fn full(&self) -> v1::Snapshot {
        self.locked(|state| state.full())
    }

    /// The whole snapshot and, from then on, its changes.
    #[must_use]
    pub fn subscribe(&self) -> (v1::Snapshot, Subscription) {
        self.locked(|state| {
            let changes = self.0.changes.subscribe();
            let subscription = Subscription {
                hub: self.clone(),
                changes,
            };
            (state.full(), subscription)
        })
    }

    fn change(&self, change: impl FnOnce(&mut State) -> v1::Snapshot) {
        // Sent under the lock: listeners hear changes in the order of their versions.
        self.locked(|state| {
            state.version += 1;
            let snapshot = change(state);
            // Nobody listening is fine.
            let _ = self.0.changes.send(Arc::new(snapshot));
        });
    }

    fn locked<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn delta(&self) -> v1::Snapshot {
        v1::Snapshot {
            version: self.version,
            ..v1::Snapshot::default()
        }
    }

    fn full(&self) -> v1::Snapshot {
        v1::Snapshot {
            version: self.version,
            full: true,
            policy: self.policy_json.clone(),
            users: self.users.values().cloned().collect(),
            keys: self.keys.values().cloned().collect(),
            issuer_keys: self.issuer_keys.values().cloned().collect(),
            key_pepper: self.pepper.clone(),
        }
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

fn identity(user: &v1::User) -> (String, String) {
    (user.tenant.clone(), user.object_id.clone())
}

/// One session's view of the changes.
#[derive(Debug)]
pub struct Subscription {
    hub: SnapshotHub,
    changes: broadcast::Receiver<Arc<v1::Snapshot>>,
}

impl Subscription {
    /// The next change; the whole snapshot for whoever fell behind. Cancel-safe.
    pub async fn next(&mut self) -> v1::Snapshot {
        match self.changes.recv().await {
            Ok(change) => Arc::unwrap_or_clone(change),
            Err(_) => self.caught_up(),
        }
    }

    /// The next change, if there is one already.
    #[must_use]
    pub fn poll_next(&mut self) -> Option<v1::Snapshot> {
        match self.changes.try_recv() {
            Ok(change) => Some(Arc::unwrap_or_clone(change)),
            Err(broadcast::error::TryRecvError::Lagged(_)) => Some(self.caught_up()),
            Err(_) => None,
        }
    }

    fn caught_up(&mut self) -> v1::Snapshot {
        let (full, fresh) = self.hub.subscribe();
        *self = fresh;
        full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            active,
            ..v1::User::default()
        }
    }

    #[tokio::test]
    async fn a_disabled_person_is_pushed_and_stays_in_the_whole_snapshot() {
        let hub = hub();
        hub.replace_users(vec![user("a", true), user("b", true)]);
        let (full, mut changes) = hub.subscribe();
        assert_eq!((full.full, full.users.len()), (true, 2));
        hub.upsert_users(vec![user("a", false)]);
        let delta = changes.next().await;
        assert!(!delta.full && delta.version > full.version && delta.policy.is_empty());
        assert!(!delta.users[0].active);
        assert!(!hub.full().users[0].active);
        assert!(changes.poll_next().is_none());
    }

    #[tokio::test]
    async fn whoever_falls_behind_gets_everything_anew() {
        let hub = hub();
        let (_, mut changes) = hub.subscribe();
        for _ in 0..=BACKLOG {
            hub.upsert_users(vec![user("a", true)]);
        }
        assert!(changes.next().await.full);
        assert!(changes.poll_next().is_none());
    }
}
