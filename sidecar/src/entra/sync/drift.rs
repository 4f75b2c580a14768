//! In what the directory and Entra ID differ. Pure.

use std::collections::HashMap;

use jiff::civil::Date;
use sekisho_domain::{Policy, UserId};

use crate::people::Person;
use crate::provisioning::Account;

/// What a person's account is to say, or says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// `displayName`.
    pub name: String,
    /// `department`: its name.
    pub department: String,
    /// `jobTitle`; empty: none.
    pub job_title: String,
    /// `accountEnabled`.
    pub enabled: bool,
}

/// A person whose account differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The company's id.
    pub person: UserId,
    /// Object id of the account.
    pub account: String,
    /// As the directory has it today.
    pub directory: Said,
    /// As Entra ID has it; none: there is no such account.
    pub entra: Option<Said>,
}

/// Everybody of `tenant` whose account differs, in the order of ids. Accounts of nobody in the
/// directory are not our business.
pub(super) fn drifts(
    people: &[Person],
    accounts: Vec<Account>,
    policy: &Policy,
    tenant: &str,
    today: Date,
) -> Vec<Drift> {
    let accounts: HashMap<String, Said> = accounts
        .into_iter()
        .map(|account| (account.id.0.to_lowercase(), said(account)))
        .collect();
    let ours = people.iter().filter(|person| person.tenant == tenant);
    let drifts = ours.filter_map(|person| {
        let directory = wanted(person, policy, today);
        let entra = accounts.get(&person.object_id).cloned();
        (entra.as_ref() != Some(&directory)).then(|| Drift {
            person: person.id.clone(),
            account: person.object_id.clone(),
            directory,
            entra,
        })
    });
    drifts.collect()
}

fn said(account: Account) -> Said {
    Said {
        name: account.spec.display_name,
        department: account.spec.department,
        job_title: account.spec.job_title,
        enabled: account.spec.enabled,
    }
}

fn wanted(person: &Person, policy: &Policy, today: Date) -> Said {
    let department = policy.departments.get(&person.department);
    Said {
        name: person.name.clone(),
        department: department.map_or(person.department.0.clone(), |known| known.name.clone()),
        job_title: person.job_title.clone(),
        enabled: person.active_on(today),
    }
}

/// The person as Entra ID says, or why that cannot be taken over. Whoever may sign in over there
/// although the directory says otherwise is not let in by that.
pub(super) fn taken_over(
    person: &Person,
    drift: &Drift,
    policy: &Policy,
) -> Result<Person, &'static str> {
    let mut person = person.clone();
    let Some(entra) = &drift.entra else {
        person.suspended = true;
        return Ok(person);
    };
    let mut named = policy.departments.values();
    let department = named.find(|department| department.name == entra.department);
    let Some(department) = department else {
        return Err("the policy has no department of this name");
    };
    if entra.enabled && !drift.directory.enabled {
        return Err("the directory keeps this person out, by status, days or an administrator");
    }
    if entra.name.is_empty() {
        return Err("the account has no name");
    }
    person.name.clone_from(&entra.name);
    person.department = department.id.clone();
    person.job_title.clone_from(&entra.job_title);
    person.suspended |= !entra.enabled;
    Ok(person)
}
