//! The section `settings` of the policy file.

use schemars::JsonSchema;
use sekisho_domain::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::NAMES;
use crate::forward::config::Checking;

/// What may be changed while the sidecar runs, over `/v1/system/settings`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawSettings {
    /// Settings about which this file has the last word: names such as `people.unused.days`, or what
    /// they begin with, such as `alerts.rules`.
    pub locked: Vec<String>,
}

/// Reads the section; what is wrong with it is noted.
pub fn read(section: Option<Value>, problems: &mut Vec<Problem>) -> Vec<String> {
    let Some(section) = section.filter(|section| !section.is_null()) else {
        return Vec::new();
    };
    let mut checking = Checking::new(problems);
    let raw: RawSettings = checking.read("settings", section).unwrap_or_default();
    for (at, lock) in raw.locked.iter().enumerate() {
        if !NAMES.iter().any(|name| covers(lock, name)) {
            let text = format!("no setting is called `{lock}` or begins so");
            checking.problem(format!("settings.locked[{at}]"), text);
        }
    }
    raw.locked
}

/// Whether the lock is about this setting.
pub(super) fn covers(lock: &str, name: &str) -> bool {
    let rest = name.strip_prefix(lock);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_lock_is_of_settings_that_there_are() {
        let mut problems = Vec::new();
        let section =
            json!({"locked": ["alerts", "people.unused", "mail.language", "mail.lang", "siem"]});
        read(Some(section), &mut problems);
        let paths: Vec<_> = problems.iter().map(|problem| &*problem.path).collect();
        assert_eq!(paths, ["settings.locked[3]", "settings.locked[4]"]);
        assert!(covers("alerts", "alerts.rules.changes.events"));
        assert!(!covers("people.unused.day", "people.unused.days"));
    }
}
