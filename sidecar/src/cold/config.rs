//! The section `retention` of the policy file.

use schemars::JsonSchema;
use sekisho_domain::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::forward::config::Checking;
use crate::objects;

/// Most days that can be asked for: a hundred years.
const MOST_DAYS: u32 = 36_525;

/// How long records of the audit log are kept, and where. Without it all of them stay in the
/// database.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRetention {
    /// So many whole days stay in the database, 1 to 36525; older records are moved, as Parquet.
    #[serde(default = "in_database")]
    pub database_days: u32,
    /// So many days they are kept altogether, more than `database_days`; then their files are
    /// deleted. Default: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// Where they are moved to: `file:///FOLDER`, `az://CONTAINER/PREFIX` or `s3://BUCKET/PREFIX`.
    /// Accounts and credentials come from the sidecar's environment. Default: the folder `cold`
    /// in the sidecar's `--state`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

const fn in_database() -> u32 {
    90
}

/// How long records are kept, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Whole days in the database.
    pub database_days: u32,
    /// Days altogether.
    pub days: Option<u32>,
    /// The place; none: in the sidecar's state.
    pub to: Option<String>,
}

/// Reads the section; every problem is noted.
pub(crate) fn read(section: Option<Value>, problems: &mut Vec<Problem>) -> Option<Retention> {
    let mut checking = Checking::new(problems);
    let section = section.filter(|section| !section.is_null())?;
    if !section.is_object() {
        checking.problem("retention", "must have members, such as `database_days`");
        return None;
    }
    let raw = checking.read::<RawRetention>("retention", section)?;
    if !(1..=MOST_DAYS).contains(&raw.database_days) {
        checking.problem("retention.database_days", "must be 1 to 36525");
    }
    if let Some(days) = raw.days
        && (days <= raw.database_days || days > MOST_DAYS)
    {
        let text = "must be more than `database_days`, and at most 36525";
        checking.problem("retention.days", text);
    }
    if let Some(to) = &raw.to
        && let Err(error) = objects::check(to)
    {
        checking.problem("retention.to", error.to_string());
    }
    Some(Retention {
        database_days: raw.database_days,
        days: raw.days,
        to: raw.to,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_mistake_is_told_with_its_place() {
        for (section, expected) in [
            (json!({}), vec![]),
            (
                json!({"database_days": 30, "days": 3650, "to": "az://cold/sekisho"}),
                vec![],
            ),
            (json!({"database_days": 0}), vec!["retention.database_days"]),
            (json!({"days": 90}), vec!["retention.days"]),
            (json!({"to": "/var/cold"}), vec!["retention.to"]),
            (json!({"to": "s3://key@bucket"}), vec!["retention.to"]),
            (json!({"keep": 3}), vec!["retention.keep"]),
            (json!([]), vec!["retention"]),
        ] {
            let mut problems = Vec::new();
            read(Some(section.clone()), &mut problems);
            let paths: Vec<_> = problems.iter().map(|p| p.path.as_str()).collect();
            assert_eq!(paths, expected, "{section}");
        }
        let mut problems = Vec::new();
        let read = read(Some(json!({"days": 400})), &mut problems).unwrap();
        assert_eq!(
            (read.database_days, read.days, read.to),
            (90, Some(400), None)
        );
    }
}
