//! Budgets that are used up, or nearly.

use sekisho_domain::WindowUnit;

use crate::alerts::alert::{Alert, RuleName, Severity, Subject};
use crate::alerts::config::BudgetEvents;
use crate::ledger::Window;
use crate::store::budgets::BudgetEvent;

/// A level of a budget was reached.
#[must_use]
pub fn see(rule: &BudgetEvents, event: &BudgetEvent) -> Option<Alert> {
    let window = Window {
        start: event.window_start,
        end: event.window_end,
    };
    if !rule.levels.contains(&event.level) || !rule.windows.contains(&unit(window)) {
        return None;
    }
    let shown = |amount| event.meter.shown(amount);
    let refused = if event.refused { ", refused" } else { "" };
    Some(Alert {
        rule: RuleName::BudgetEvents,
        severity: match event.level {
            ..80 => Severity::Low,
            80..100 => Severity::Medium,
            _ => Severity::High,
        },
        subject: Subject::new("budget", &event.budget),
        department: None,
        window,
        at: event.at,
        count: event.level,
        against: 100,
        detail: Some(format!(
            "{}: {} / {}{refused}",
            event.meter.as_str(),
            shown(event.settled),
            shown(event.limit)
        )),
        record: None,
    })
}

/// Which unit a window is of, by its length: clocks that change make a day an hour longer.
fn unit(window: Window) -> WindowUnit {
    match window.end.since(window.start) {
        0..=60_000 => WindowUnit::Minute,
        60_001..=3_600_000 => WindowUnit::Hour,
        3_600_001..=100_000_000 => WindowUnit::Day,
        _ => WindowUnit::Month,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_domain::{Meter, UnixMillis};

    fn event(level: u64, length: u64) -> BudgetEvent {
        BudgetEvent {
            seq: 1,
            budget: "sales-cost".into(),
            meter: Meter::Cost,
            window_start: UnixMillis(5),
            window_end: UnixMillis(5 + length),
            level,
            limit: 1_000_000,
            settled: 800_000,
            refused: false,
            at: UnixMillis(7),
        }
    }

    #[test]
    fn levels_and_windows_that_are_asked_for_raise_alerts() {
        let rule = BudgetEvents {
            levels: vec![80, 100],
            windows: vec![WindowUnit::Day, WindowUnit::Month],
        };
        let day = 86_400_000;
        for (level, length, severity) in [
            (50, day, None),
            (80, day, Some(Severity::Medium)),
            (100, day, Some(Severity::High)),
            (80, 25 * 3_600_000, Some(Severity::Medium)),
            (80, 28 * day, Some(Severity::Medium)),
            (100, 60_000, None),
            (100, 3_600_000, None),
        ] {
            let alert = see(&rule, &event(level, length));
            let found = alert.as_ref().map(|alert| alert.severity);
            assert_eq!(found, severity, "{level} {length}");
            if let Some(alert) = alert {
                assert_eq!(alert.detail.as_deref(), Some("cost: 0.8 / 1"));
            }
        }
    }

    #[test]
    fn each_level_of_a_window_is_an_alert_of_its_own() {
        let rule = BudgetEvents {
            levels: vec![80, 100],
            windows: vec![WindowUnit::Day],
        };
        let id = |level| see(&rule, &event(level, 86_400_000)).unwrap().id();
        assert_eq!(id(80), id(80));
        assert_ne!(id(80), id(100));
    }
}
