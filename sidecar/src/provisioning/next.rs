//! What a task needs next, and what an outcome makes of it. Pure.

use jiff::civil::Date;
use sekisho_domain::{Policy, UnixMillis};

use super::accounts::{
    Account, AccountKey, AccountSpec, Answer, ObjectId, Order, Outcome, Refusal,
};
use super::config::PeopleSettings;
use super::jobs::{Deed, Known, Phase, State, Task};
use super::password::Password;
use crate::events::digest;
use crate::forward::backoff::rest;
use crate::people::Person;

/// Creations that were refused because somebody has the name, before that is believed: who has it
/// may be the account whose creation was not answered, and directories need a while to show it.
const MOST_TAKEN: u32 = 6;

/// Why a password cannot be told.
pub(super) const NO_MAIL: &str = "people are sent no mail (the policy has no section `mail`), by which the password could be told";
/// What is odd about an account whose owner was not told.
pub(super) const UNTOLD: &str =
    "no notice was sent: the policy has no section `mail`; reset the password when it has";

/// What a task needs.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "lives for a moment, and is nearly always an order"
)]
pub(super) enum Next {
    /// This to be carried out.
    Order(Order),
    /// The person to be told.
    Notify,
    /// Nothing: it is done. With what was odd about it.
    End(&'static str),
    /// Nothing: it is done, and the person is not told of the account, now or later.
    EndUntold,
    /// It cannot be done.
    Fail(String),
}

/// What is known when a task's turn comes.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    /// What the account is to say.
    pub(super) spec: Option<AccountSpec>,
    /// The person, if he or she is in the directory.
    pub(super) person: Option<&'a Person>,
    /// What was brought to the account.
    pub(super) known: Option<&'a Known>,
    /// Whether notices can be sent.
    pub(super) has_mail: bool,
    /// Whether the password that the account has now is at hand.
    pub(super) has_password: bool,
}

/// What an account of this person says.
pub(super) fn spec(
    person: &Person,
    policy: &Policy,
    settings: &PeopleSettings,
    today: Date,
) -> AccountSpec {
    let department = policy.departments.get(person.department.as_str());
    let department = department.map_or(person.department.as_str(), |known| known.name.as_str());
    let user_name = settings.user_name(person);
    AccountSpec {
        employee: person.id.clone(),
        mail_nickname: nickname(&user_name.0),
        user_name,
        display_name: person.name.clone(),
        mail: person.email.clone(),
        department: department.to_owned(),
        job_title: person.job_title.clone(),
        phone: person.phone.clone(),
        enabled: person.active_on(today),
    }
}

/// The part before `@`, of what may be in a nickname.
fn nickname(user_name: &str) -> String {
    let local = user_name.split('@').next().unwrap_or_default();
    let plain = local
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c));
    plain.take(64).collect()
}

/// Digest of what an account says, without whether it is enabled.
pub(super) fn spec_digest(spec: &AccountSpec) -> String {
    let plain = AccountSpec {
        enabled: true,
        ..spec.clone()
    };
    digest(format!("{plain:?}").as_bytes())
}

/// Digest of groups and app roles of a department's people.
pub(super) fn place_digest(settings: &PeopleSettings, department: &str) -> String {
    let place = settings.place(department);
    digest(format!("{:?} {:?}", place.groups, place.app_roles).as_bytes())
}

/// What the task needs next. `password` makes a new one.
pub(super) fn next(
    task: &Task,
    facts: &Facts<'_>,
    settings: &PeopleSettings,
    password: impl FnOnce() -> Password,
) -> Next {
    let given = task
        .wanted
        .as_ref()
        .map(|wanted| wanted.person(&task.person, None).object_id);
    let id = || ObjectId(task.object_id.clone());
    let gone = || Next::Fail("the job no longer knows what the person was to be".to_owned());
    match (task.phase, &facts.spec) {
        (Phase::Look, _) => Next::Order(Order::Find(match given {
            Some(id) if !id.is_empty() => AccountKey::Object(ObjectId(id)),
            _ => AccountKey::Employee(task.person.clone()),
        })),
        (Phase::LookByName, Some(spec)) => {
            Next::Order(Order::Find(AccountKey::UserName(spec.user_name.clone())))
        }
        (Phase::Create, Some(spec)) => Next::Order(Order::Create {
            spec: spec.clone(),
            password: password(),
        }),
        (Phase::LookByName | Phase::Create, None) => gone(),
        (Phase::Undo, _) => Next::Order(Order::Delete(id())),
        (Phase::Save, _) => gone(),
        (Phase::Account, _) => match task.deed {
            Deed::Unchanged => Next::End(""),
            Deed::Delete if task.object_id.is_empty() => Next::End("there was no account"),
            Deed::Delete => Next::Order(Order::Delete(id())),
            Deed::RevokeSessions => Next::Order(Order::RevokeSessions(id())),
            Deed::Unlock => Next::Order(Order::Unlock(id())),
            Deed::ResetPassword if !facts.has_mail => Next::Fail(NO_MAIL.to_owned()),
            Deed::ResetPassword if facts.has_password => Next::Notify,
            Deed::ResetPassword => Next::Order(Order::SetPassword {
                id: id(),
                password: password(),
            }),
            Deed::Create | Deed::Update | Deed::Disable | Deed::Enable => {
                up_to_date(facts, settings, password)
            }
        },
    }
}

/// What an account needs to be as it should.
fn up_to_date(
    facts: &Facts<'_>,
    settings: &PeopleSettings,
    password: impl FnOnce() -> Password,
) -> Next {
    let (Some(person), Some(spec)) = (facts.person, &facts.spec) else {
        return Next::End("the person has left the directory meanwhile");
    };
    let id = ObjectId(person.object_id.clone());
    let Some(known) = facts.known else {
        // Not made and not brought up to date by us: whether it may sign in is all we say.
        return Next::Order(if spec.enabled {
            Order::Enable(id)
        } else {
            Order::Disable(id)
        });
    };
    let department = person.department.as_str();
    if !spec.enabled && known.enabled != Some(false) {
        Next::Order(Order::Disable(id))
    } else if known.spec != spec_digest(spec) {
        let spec = spec.clone();
        Next::Order(Order::Update { id, spec })
    } else if known.place != place_digest(settings, department) {
        let place = settings.place(department);
        Next::Order(Order::Place { id, place })
    } else if spec.enabled && known.enabled != Some(true) {
        Next::Order(Order::Enable(id))
    } else if !spec.enabled || known.notified || !known.ours {
        Next::End("")
    } else if !facts.has_mail {
        Next::EndUntold
    } else if facts.has_password {
        Next::Notify
    } else {
        let password = password();
        Next::Order(Order::SetPassword { id, password })
    }
}

/// What else follows from an outcome.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// Nothing.
    Nothing,
    /// Nothing but that it is on record.
    OnRecord,
    /// The person gets this account, and is saved with it.
    Account {
        /// Which.
        id: ObjectId,
        /// What it is known to be like.
        known: Known,
    },
    /// This is known of the account from now on.
    Known(Known),
    /// No account can be asked for anything before this moment.
    Pause(UnixMillis),
}

/// What the outcome of an order makes of a task.
pub(super) fn settle(
    task: &mut Task,
    order: &Order,
    outcome: Outcome,
    facts: &Facts<'_>,
    settings: &PeopleSettings,
    now: UnixMillis,
    random: u64,
) -> Follows {
    match outcome {
        Outcome::Done(answer) => {
            task.attempts = 0;
            task.note = String::new();
            done(task, order, answer, facts, settings)
        }
        Outcome::Throttled { until } => {
            task.next_at = until;
            not_created(task);
            Follows::Pause(until)
        }
        Outcome::Again { why } => {
            not_created(task);
            again(task, why, now, random);
            Follows::Nothing
        }
        Outcome::Unknown { why } => {
            if task.phase == Phase::Create {
                task.unsure = true;
                task.phase = Phase::Look;
            }
            again(task, why, now, random);
            Follows::Nothing
        }
        Outcome::Refused(refusal) => {
            refused(task, refusal, now, random);
            Follows::Nothing
        }
    }
}

/// A creation that was surely not carried out is looked up before it is ordered again all the same:
/// the process may end in between.
fn not_created(task: &mut Task) {
    if task.phase == Phase::Create {
        task.phase = Phase::Look;
    }
}

/// Tries again, later and later.
pub(super) fn again(task: &mut Task, why: String, now: UnixMillis, random: u64) {
    task.attempts = task.attempts.saturating_add(1);
    let rest = rest(task.attempts, None, random);
    let rest = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
    task.next_at = UnixMillis(now.0.saturating_add(rest));
    task.note = why;
}

/// Ends the task well.
pub(super) fn end(task: &mut Task, note: &str) {
    task.state = State::Done;
    task.note = note.to_owned();
}

/// Ends the task badly.
pub(super) fn fail(task: &mut Task, why: impl Into<String>) {
    task.state = State::Failed;
    task.note = why.into();
}

fn refused(task: &mut Task, refusal: Refusal, now: UnixMillis, random: u64) {
    let may_be_gone =
        matches!(task.deed, Deed::Delete | Deed::Disable) || task.phase == Phase::Undo;
    match (task.phase, refusal) {
        (Phase::Create, refusal @ Refusal::Taken { .. })
            if task.attempts < MOST_TAKEN && task.unsure =>
        {
            task.phase = Phase::Look;
            again(task, refusal.to_string(), now, random);
        }
        (Phase::Undo, Refusal::Gone) => {
            let note = task.note.clone();
            fail(task, note);
        }
        (_, refusal @ Refusal::Gone) if may_be_gone => end(task, &refusal.to_string()),
        (phase, refusal) => {
            if phase == Phase::Create {
                // Tried once more by hand, it is looked for again.
                task.phase = Phase::Look;
            }
            fail(task, refusal.to_string());
        }
    }
}

fn done(
    task: &mut Task,
    order: &Order,
    answer: Answer,
    facts: &Facts<'_>,
    settings: &PeopleSettings,
) -> Follows {
    match (order, answer) {
        (Order::Find(key), Answer::Found(found)) => return looked(task, key, found),
        (Order::Create { spec, .. }, Answer::Created(id)) => {
            let known = Known {
                enabled: Some(spec.enabled),
                spec: spec_digest(spec),
                place: String::new(),
                ours: true,
                notified: false,
            };
            return Follows::Account { id, known };
        }
        (Order::Delete(_), _) if task.phase == Phase::Undo => {
            let note = task.note.clone();
            fail(task, note);
        }
        (Order::Delete(_) | Order::RevokeSessions(_) | Order::Unlock(_), _) => end(task, ""),
        (Order::SetPassword { .. }, _) => return Follows::OnRecord,
        _ => {}
    }
    let Some(known) = facts.known else {
        if matches!(order, Order::Enable(_) | Order::Disable(_)) {
            end(task, "");
        }
        return Follows::Nothing;
    };
    let mut known = known.clone();
    match order {
        Order::Update { spec, .. } => known.spec = spec_digest(spec),
        Order::Place { .. } => {
            let department = facts.person.map_or("", |person| person.department.as_str());
            known.place = place_digest(settings, department);
        }
        Order::Enable(_) => known.enabled = Some(true),
        Order::Disable(_) => known.enabled = Some(false),
        _ => return Follows::Nothing,
    }
    Follows::Known(known)
}

/// The account was looked for.
fn looked(task: &mut Task, key: &AccountKey, found: Option<Account>) -> Follows {
    let is_by_name = matches!(key, AccountKey::UserName(_));
    let is_given = matches!(key, AccountKey::Object(_));
    let Some(account) = found else {
        match (is_given, is_by_name, task.unsure) {
            (true, ..) => fail(task, "the directory has no account of this object id"),
            (false, false, true) => task.phase = Phase::LookByName,
            _ => task.phase = Phase::Create,
        }
        return Follows::Nothing;
    };
    if is_by_name && account.spec.employee != task.person {
        task.phase = Phase::Look;
        fail(task, Refusal::Taken { what: "user name" }.to_string());
        return Follows::Nothing;
    }
    // One that was there before anybody ordered it has its password already.
    let ours = task.unsure && !is_given;
    if !ours {
        task.note = "the account was there already".to_owned();
    }
    Follows::Account {
        id: account.id,
        known: Known {
            enabled: Some(account.spec.enabled),
            ours,
            notified: !ours,
            ..Known::default()
        },
    }
}

#[cfg(test)]
mod tests;
