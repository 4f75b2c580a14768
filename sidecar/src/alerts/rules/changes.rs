//! Changes that somebody wants to hear of.

use crate::alerts::alert::{Alert, RuleName, Severity, Subject};
use crate::alerts::config::Changes;
use crate::alerts::sight::Sight;
use crate::ledger::Window;

/// Events of alerts themselves, which never raise others.
const OWN: &str = "alert.";

/// An event.
#[must_use]
pub fn see(rule: &Changes, sight: &Sight) -> Option<Alert> {
    let event = sight.event.as_ref()?;
    let is_watched = rule.events.iter().any(|pattern| fits(pattern, &event.name));
    if !is_watched || event.name.starts_with(OWN) {
        return None;
    }
    Some(Alert {
        rule: RuleName::Changes,
        severity: Severity::Medium,
        subject: Subject::new("target", &event.target),
        department: None,
        window: Window {
            start: sight.at,
            end: sight.at.plus_millis(1),
        },
        at: sight.at,
        count: 1,
        against: 1,
        detail: Some(format!("{} by {}", event.name, event.by)),
        record: Some(sight.record),
    })
}

/// The name itself, or `apikey.*` for all that begin so.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_name_or_the_beginning_of_names() {
        for (pattern, name, fit) in [
            ("apikey.revoke", "apikey.revoke", true),
            ("apikey.revoke", "apikey.revoked", false),
            ("apikey.*", "apikey.issue", true),
            ("apikey.*", "user.disable", false),
            ("*", "anything", true),
        ] {
            assert_eq!(fits(pattern, name), fit, "{pattern} {name}");
        }
    }
}
