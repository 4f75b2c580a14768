//! The policy of the file with the departments and titles that are in force.

use sekisho_domain::{Policy, Problem};
use serde_json::Value;

use crate::store::units::{Unit, Units};

/// A policy for filters: budgets come beside it, because they change more often.
pub(super) fn without_budgets(policy_json: &[u8]) -> Value {
    let mut policy = serde_json::from_slice(policy_json).unwrap_or(Value::Null);
    if let Value::Object(members) = &mut policy {
        members.remove("budgets");
    }
    policy
}

/// The policy, and its JSON for filters.
///
/// # Errors
/// Every [`Problem`]; departments and titles are named in it by their codes.
pub(super) fn with_units(file: &Value, units: &Units) -> Result<(Policy, Vec<u8>), Vec<Problem>> {
    let mut policy = file.clone();
    if let Value::Object(members) = &mut policy {
        for (name, units) in [
            ("departments", &units.departments),
            ("titles", &units.titles),
        ] {
            let definitions = units.iter().map(|unit| unit.definition.clone());
            let definitions: Vec<Value> = definitions.collect();
            if definitions.is_empty() {
                members.remove(name);
            } else {
                members.insert(name.to_owned(), definitions.into());
            }
        }
    }
    let json = policy.to_string().into_bytes();
    let sound = Policy::parse(policy).map_err(|problems| {
        let named = problems.into_iter().map(|problem| Problem {
            path: named(&problem.path, units),
            message: problem.message,
        });
        named.collect::<Vec<_>>()
    })?;
    Ok((sound, json))
}

/// `departments[sales].name` for `departments[3].name`.
fn named(path: &str, units: &Units) -> String {
    for (name, units) in [
        ("departments", &units.departments),
        ("titles", &units.titles),
    ] {
        let rest = path
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('['));
        let Some((at, rest)) = rest.and_then(|rest| rest.split_once(']')) else {
            continue;
        };
        let unit: Option<&Unit> = at.parse::<usize>().ok().and_then(|at| units.get(at));
        if let Some(unit) = unit {
            return format!("{name}[{}]{rest}", unit.id);
        }
    }
    path.to_owned()
}
