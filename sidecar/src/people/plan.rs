//! What rows of a file would change in the directory.

use std::collections::{HashMap, HashSet};

use sekisho_domain::{UnixMillis, UserId};

use super::csv::{Row, RowProblem, masked};
use super::{Person, embedded_object_id};
use crate::store::units::NewUnit;

/// What is to be done about a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The person is new.
    Create,
    /// Something is different, but not the status.
    Update,
    /// The status becomes inactive; more may be different.
    Disable,
    /// The status becomes active; more may be different.
    Enable,
    /// The person leaves the directory.
    Delete,
    /// Nothing.
    Unchanged,
}

/// One person of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The line of the file; 0: the person is not in it.
    pub line: u64,
    /// What is to be done.
    pub action: Action,
    /// As the person is to be; of one who is to leave, as he or she is.
    pub person: Person,
    /// Columns whose values change.
    pub changes: Vec<&'static str>,
    /// What nobody has set up and the row names.
    pub creates: Vec<NewUnit>,
}

/// What a file would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Every row with nothing wrong, in the order of the file.
    pub people: Vec<Planned>,
    /// What is wrong with the others.
    pub problems: Vec<RowProblem>,
}

/// Who gives identities to people for whom the file gives none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identities {
    /// They follow from the address: [`embedded_object_id`].
    Embedded,
    /// Whoever makes the account: until then there is none.
    WithAccount,
}

/// What the rows would change, with everybody in view.
#[must_use]
pub fn plan(everybody: &[Person], tenant: &str, rows: Vec<Row>, identities: Identities) -> Plan {
    let known: HashMap<&str, &Person> = everybody.iter().map(|p| (p.id.as_str(), p)).collect();
    let mut plan = Plan::default();
    for mut row in rows {
        let line = row.line;
        let creates = std::mem::take(&mut row.creates);
        let known = known.get(row.id.as_str()).copied();
        let Some(person) = person(row, tenant, known, identities) else {
            let tenant = masked(tenant);
            let reason = format!(
                "is needed, because the tenant `{tenant}` is not a UUID from which one could follow"
            );
            let problem = RowProblem::of_value(line, "object_id", "", reason);
            plan.problems.push(problem);
            continue;
        };
        let changes = known.map_or_else(Vec::new, |known| changes(known, &person));
        let action = match known {
            None => Action::Create,
            Some(known) if known.enabled && !person.enabled => Action::Disable,
            Some(known) if !known.enabled && person.enabled => Action::Enable,
            Some(_) if changes.is_empty() => Action::Unchanged,
            Some(_) => Action::Update,
        };
        plan.people.push(Planned {
            line,
            action,
            person,
            changes,
            creates,
        });
    }
    let taken = taken(everybody, &plan.people);
    let lines: HashSet<u64> = taken.iter().map(|problem| problem.line).collect();
    plan.people.retain(|planned| !lines.contains(&planned.line));
    plan.problems.extend(taken);
    plan.problems.sort_by_key(|problem| problem.line);
    plan
}

/// Whoever is in the directory and not in the plan.
#[must_use]
pub fn missing<'e>(everybody: &'e [Person], plan: &Plan) -> Vec<&'e Person> {
    let named: HashSet<&str> = plan.people.iter().map(|p| p.person.id.as_str()).collect();
    let everybody = everybody.iter();
    everybody
        .filter(|person| !named.contains(person.id.as_str()))
        .collect()
}

fn person(
    row: Row,
    tenant: &str,
    known: Option<&Person>,
    identities: Identities,
) -> Option<Person> {
    // An identity once given stays, also when the address changes.
    let given = row
        .object_id
        .or_else(|| known.map(|known| known.object_id.clone()));
    let object_id = match identities {
        Identities::Embedded => given.or_else(|| embedded_object_id(tenant, &row.email))?,
        Identities::WithAccount => given.unwrap_or_default(),
    };
    Some(Person {
        id: UserId(row.id),
        tenant: tenant.to_owned(),
        object_id,
        name: row.name,
        email: row.email,
        department: row.department,
        job_title: row.job_title,
        phone: row.phone,
        start: row.start,
        end: row.end,
        enabled: row.enabled,
        suspended: known.is_some_and(|known| known.suspended),
        tokens_valid_from: known.map_or(UnixMillis(0), |known| known.tokens_valid_from),
    })
}

/// Columns of the file in which two states of a person differ.
#[must_use]
pub fn changes(before: &Person, after: &Person) -> Vec<&'static str> {
    let columns = [
        ("tenant", before.tenant != after.tenant),
        ("object_id", before.object_id != after.object_id),
        ("name", before.name != after.name),
        ("email", before.email != after.email),
        ("department", before.department != after.department),
        ("job_title", before.job_title != after.job_title),
        ("phone", before.phone != after.phone),
        ("start_date", before.start != after.start),
        ("end_date", before.end != after.end),
        ("status", before.enabled != after.enabled),
    ];
    let changed = columns.into_iter().filter(|(_, differs)| *differs);
    changed.map(|(column, _)| column).collect()
}

/// Addresses and identities that belong to somebody else once all is done.
fn taken(everybody: &[Person], planned: &[Planned]) -> Vec<RowProblem> {
    type Unique = fn(&Person) -> &str;
    let columns: [(&'static str, Unique); 2] = [
        ("email", |person| &person.email),
        ("object_id", |person| &person.object_id),
    ];
    let lines: HashMap<&str, u64> = planned
        .iter()
        .map(|planned| (planned.person.id.as_str(), planned.line))
        .collect();
    let stay = everybody
        .iter()
        .filter(|person| !lines.contains_key(person.id.as_str()));
    let mut everybody: Vec<&Person> = stay.chain(planned.iter().map(|p| &p.person)).collect();
    // Those who stay keep what they have; among rows, the earlier one does.
    everybody.sort_by_key(|person| lines.get(person.id.as_str()).copied().unwrap_or(0));
    let mut problems = Vec::new();
    for (column, value) in columns {
        let mut owners: HashMap<&str, &str> = HashMap::new();
        for person in everybody.iter().filter(|person| !value(person).is_empty()) {
            let owner = *owners.entry(value(person)).or_insert(person.id.as_str());
            if let (true, Some(line)) = (owner != person.id.as_str(), lines.get(person.id.as_str()))
            {
                let reason = format!("belongs to user `{}` already", masked(owner));
                let problem = RowProblem::of_value(*line, column, value(person), reason);
                problems.push(problem);
            }
        }
    }
    problems
}
