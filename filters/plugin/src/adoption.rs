//! Taking in what the sidecar pushes: the policy, people, subscription keys, signing keys.
//!
//! A whole snapshot may come in parts. It is put together aside, and calls are decided by
//! what was there before until its last part has come: nobody is refused because a half of
//! the company is not there yet.

use std::rc::Rc;

use sekisho_domain::Policy;
use sekisho_link::{directory, v1};
use sekisho_quota::{Accounts, Budgets};
use sekisho_scope::Authenticator;

use crate::worker::{Compiled, Worker};

/// A whole snapshot of which not all parts have come.
pub(crate) struct Incoming {
    compiled: Rc<Compiled>,
    authenticator: Authenticator,
    budgets: Budgets,
}

/// Takes in a snapshot, a part of one, or a change.
pub(crate) fn adopt(worker: &mut Worker, snapshot: &v1::Snapshot) {
    if snapshot.full || !snapshot.policy.is_empty() {
        worker.incoming = None;
        match begin(worker, snapshot) {
            Ok(incoming) => worker.incoming = incoming,
            Err(problems) => {
                // Better no policy than half a policy: everything is refused.
                worker.compiled = None;
                worker.authenticator = None;
                log::error!("the sidecar's policy cannot be used: {problems}");
            }
        }
    }
    if let Some(incoming) = &mut worker.incoming {
        apply(&incoming.compiled, &mut incoming.authenticator, snapshot);
    } else if let (Some(compiled), Some(authenticator)) =
        (&worker.compiled, &mut worker.authenticator)
    {
        apply(compiled, authenticator, snapshot);
    } else {
        return;
    }
    if worker.stages.quota {
        let incoming = worker.incoming.as_mut();
        let budgets = incoming.map_or(&mut worker.budgets, |incoming| &mut incoming.budgets);
        if let Err(unreadable) = apply_budgets(budgets, &mut worker.accounts, snapshot) {
            log::error!("{unreadable}: every call is refused");
            worker.incoming = None;
            worker.compiled = None;
            worker.authenticator = None;
            return;
        }
    }
    if snapshot.more {
        return;
    }
    if let Some(complete) = worker.incoming.take() {
        worker.compiled = Some(complete.compiled);
        worker.authenticator = Some(complete.authenticator);
        worker.budgets = complete.budgets;
    }
    worker.snapshot_version = snapshot.version;
}

fn apply_budgets(
    budgets: &mut Budgets,
    accounts: &mut Accounts,
    snapshot: &v1::Snapshot,
) -> Result<(), directory::Unreadable> {
    for budget in &snapshot.budgets {
        if budget.removed {
            budgets.remove(&budget.counter);
        } else {
            budgets.insert(directory::budget(budget)?, accounts);
        }
    }
    Ok(())
}

/// A snapshot that knows nobody yet; none, if there never was a policy.
fn begin(worker: &Worker, snapshot: &v1::Snapshot) -> Result<Option<Incoming>, String> {
    let current = worker.compiled.as_ref();
    let is_current = |compiled: &&Rc<Compiled>| {
        snapshot.policy.is_empty() || compiled.json.as_slice() == &*snapshot.policy
    };
    let compiled = match current.filter(is_current) {
        // Calls that are being read can go on by it.
        Some(compiled) => Some(Rc::clone(compiled)),
        None if snapshot.policy.is_empty() => None,
        None => Some(Rc::new(compile(&snapshot.policy)?)),
    };
    Ok(compiled.map(|compiled| Incoming {
        authenticator: Authenticator::new(&compiled.policy),
        budgets: Budgets::default(),
        compiled,
    }))
}

fn apply(compiled: &Compiled, authenticator: &mut Authenticator, snapshot: &v1::Snapshot) {
    if !snapshot.key_pepper.is_empty() {
        authenticator.set_pepper(&snapshot.key_pepper);
    }
    for user in &snapshot.users {
        authenticator.upsert_user(directory::user(user));
    }
    for key in &snapshot.keys {
        let (key, problem) = directory::api_key(key, &compiled.policy.scopes);
        if let Some(problem) = problem {
            log::error!("{problem}");
        }
        authenticator.upsert_key(key);
    }
    for set in &snapshot.issuer_keys {
        let (keys, unreadable) = directory::issuer_keys(set);
        for problem in unreadable {
            log::error!("{problem}");
        }
        for unusable in authenticator.set_issuer_keys(&set.issuer, keys) {
            log::error!("a signing key of `{}` is not used: {unusable}", set.issuer);
        }
    }
}

fn compile(json: &[u8]) -> Result<Compiled, String> {
    let value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let policy = Policy::parse(value).map_err(|problems| {
        let problems = problems.iter().map(ToString::to_string);
        problems.collect::<Vec<_>>().join("; ")
    })?;
    Compiled::new(policy, json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stages;

    fn worker() -> Worker {
        Worker::new(1, Stages::NONE)
    }

    fn policy() -> Vec<u8> {
        let policy = serde_json::json!({
            "version": 1, "organisation": "x", "time_zone": "UTC", "currency": "JPY",
            "scopes": {"all": null}, "apis": [],
            "issuers": [{"issuer": "https://i.example", "tenant": "t", "audiences": ["a"],
                         "jwks_uri": "https://i.example/keys"}],
        });
        policy.to_string().into_bytes()
    }

    fn part(version: u64, full: bool, more: bool) -> v1::Snapshot {
        v1::Snapshot {
            version,
            full,
            more,
            policy: if full {
                policy().into()
            } else {
                Vec::new().into()
            },
            ..v1::Snapshot::default()
        }
    }

    #[test]
    fn a_whole_snapshot_counts_when_its_last_part_has_come() {
        let mut worker = worker();
        adopt(&mut worker, &part(7, true, true));
        assert!(worker.compiled.is_none() && worker.authenticator.is_none());
        adopt(&mut worker, &part(7, false, true));
        assert!(worker.compiled.is_none());
        assert_eq!(worker.snapshot_version, 0);
        adopt(&mut worker, &part(7, false, false));
        assert!(worker.compiled.is_some() && worker.authenticator.is_some());
        assert_eq!(worker.snapshot_version, 7);
    }

    #[test]
    fn until_then_the_former_one_is_in_force() {
        let mut worker = worker();
        adopt(&mut worker, &part(7, true, false));
        let before = worker.compiled.clone().unwrap();
        let other = v1::Snapshot {
            policy: String::from_utf8(policy())
                .unwrap()
                .replace("UTC", "Asia/Tokyo")
                .into_bytes()
                .into(),
            ..part(9, true, true)
        };
        adopt(&mut worker, &other);
        assert!(Rc::ptr_eq(&before, worker.compiled.as_ref().unwrap()));
        adopt(&mut worker, &part(9, false, false));
        assert!(!Rc::ptr_eq(&before, worker.compiled.as_ref().unwrap()));
        assert_eq!(worker.snapshot_version, 9);
    }

    #[test]
    fn the_same_policy_again_is_the_same_policy() {
        let mut worker = worker();
        adopt(&mut worker, &part(7, true, false));
        let before = worker.compiled.clone().unwrap();
        adopt(&mut worker, &part(1, true, false));
        assert!(Rc::ptr_eq(&before, worker.compiled.as_ref().unwrap()));
        assert_eq!(worker.snapshot_version, 1);
    }

    fn of_everybody(counter: &str) -> v1::Budget {
        v1::Budget {
            counter: counter.into(),
            payer: Some(v1::budget::Payer::Organisation(true)),
            meter: "requests".into(),
            ..v1::Budget::default()
        }
    }

    #[test]
    fn budgets_come_go_and_are_replaced_with_the_whole() {
        let mut worker = Worker::new(1, Stages::QUOTA);
        let with = |part: v1::Snapshot, budgets: &[&str]| v1::Snapshot {
            budgets: budgets.iter().map(|name| of_everybody(name)).collect(),
            ..part
        };
        adopt(&mut worker, &with(part(7, true, true), &["a"]));
        assert!(!worker.budgets.knows("a"), "not before all of it is there");
        adopt(&mut worker, &with(part(7, false, false), &["b"]));
        assert!(worker.budgets.knows("a") && worker.budgets.knows("b"));
        let mut gone = of_everybody("a");
        gone.removed = true;
        let mut change = with(part(8, false, false), &["c"]);
        change.budgets.push(gone);
        adopt(&mut worker, &change);
        let known = |worker: &Worker| ["a", "b", "c"].map(|name| worker.budgets.knows(name));
        assert_eq!(known(&worker), [false, true, true]);
        adopt(&mut worker, &with(part(9, true, false), &["a"]));
        assert_eq!(known(&worker), [true, false, false]);
    }

    #[test]
    fn a_budget_that_cannot_be_read_lets_nothing_pass() {
        let mut worker = Worker::new(1, Stages::QUOTA);
        adopt(&mut worker, &part(7, true, false));
        let mut odd = of_everybody("a");
        odd.meter = "joules".into();
        let change = v1::Snapshot {
            budgets: vec![odd],
            ..part(8, false, false)
        };
        adopt(&mut worker, &change);
        assert!(worker.compiled.is_none() && worker.authenticator.is_none());
    }

    #[test]
    fn a_policy_that_cannot_be_used_leaves_none_in_force() {
        let mut worker = worker();
        adopt(&mut worker, &part(7, true, false));
        let broken = v1::Snapshot {
            policy: b"{}".as_slice().into(),
            ..part(8, true, true)
        };
        adopt(&mut worker, &broken);
        adopt(&mut worker, &part(8, false, false));
        assert!(worker.compiled.is_none() && worker.authenticator.is_none());
    }
}
