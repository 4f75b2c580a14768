//! Calls outside of working hours, by the company's clock.

use jiff::civil::{Date, Time, Weekday};
use sekisho_domain::{UnixMillis, WindowUnit};
use serde::{Deserialize, Serialize};

use crate::alerts::config::OffHours;
use crate::ledger::{Calendar, Window};

/// How often somebody called outside of working hours on a day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The first moment of the day.
    day: UnixMillis,
    /// So often.
    calls: u64,
    /// From when on this means nothing any longer.
    pub(super) expires: UnixMillis,
}

/// Somebody called outside of working hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffHoursHit {
    /// On which day.
    pub window: Window,
    /// How often by then.
    pub count: u64,
    /// When, by the company's clock.
    pub local: String,
}

/// A call at `at`; `None`: within working hours. An alert is raised once a day.
#[must_use]
pub fn step(
    rule: &OffHours,
    calendar: &Calendar,
    mut told: Told,
    at: UnixMillis,
) -> Option<(Told, Option<OffHoursHit>)> {
    let local = calendar.local(at);
    if is_working_time(rule, local.date(), local.time()) {
        return None;
    }
    let window = calendar.window(WindowUnit::Day, at);
    if told.day != window.start {
        told = Told {
            day: window.start,
            calls: 0,
            expires: window.end,
        };
    }
    told.calls += 1;
    let hit = (told.calls == u64::from(rule.calls)).then(|| OffHoursHit {
        window,
        count: told.calls,
        local: local.strftime("%Y-%m-%d %H:%M %a").to_string(),
    });
    Some((told, hit))
}

fn is_working_time(rule: &OffHours, day: Date, time: Time) -> bool {
    let is_working_day = rule.days.contains(&weekday(day)) && !rule.holidays.contains(&day);
    is_working_day && rule.from <= time && rule.until.is_none_or(|until| time < until)
}

fn weekday(day: Date) -> Weekday {
    day.weekday()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(calls: u32) -> OffHours {
        OffHours {
            days: vec![
                Weekday::Monday,
                Weekday::Tuesday,
                Weekday::Wednesday,
                Weekday::Thursday,
                Weekday::Friday,
            ],
            from: "08:00".parse().unwrap(),
            until: Some("20:00".parse().unwrap()),
            holidays: vec!["2026-11-23".parse().unwrap()],
            calls,
        }
    }

    fn at(text: &str) -> UnixMillis {
        let moment: jiff::Timestamp = text.parse().unwrap();
        UnixMillis(u64::try_from(moment.as_millisecond()).unwrap())
    }

    #[test]
    fn nights_weekends_and_holidays_of_the_company_are_no_working_hours() {
        let calendar = Calendar::new("Asia/Tokyo").unwrap();
        for (moment, is_off) in [
            // Tuesday, by the clock in Tokyo.
            ("2026-11-24T07:59:59+09:00", true),
            ("2026-11-24T08:00:00+09:00", false),
            ("2026-11-24T19:59:59+09:00", false),
            ("2026-11-24T20:00:00+09:00", true),
            // Monday in Tokyo, and a holiday; Sunday elsewhere.
            ("2026-11-23T10:00:00+09:00", true),
            ("2026-11-22T10:00:00+09:00", true),
            // Saturday in Tokyo is Friday in UTC.
            ("2026-11-27T20:00:00Z", true),
            ("2026-11-30T01:00:00Z", false),
        ] {
            let step = step(&rule(1), &calendar, Told::default(), at(moment));
            assert_eq!(step.is_some(), is_off, "{moment}");
        }
    }

    #[test]
    fn there_is_one_alert_a_day_from_so_many_calls_on() {
        let calendar = Calendar::new("Asia/Tokyo").unwrap();
        let mut told = Told::default();
        let mut raised = Vec::new();
        for moment in [
            "2026-11-24T21:00:00+09:00",
            "2026-11-24T21:01:00+09:00",
            "2026-11-24T21:02:00+09:00",
            "2026-11-24T21:03:00+09:00",
            "2026-11-25T00:00:00+09:00",
            "2026-11-25T00:01:00+09:00",
        ] {
            let step = step(&rule(2), &calendar, told, at(moment)).unwrap();
            told = step.0;
            raised.extend(step.1.map(|hit| (hit.local, hit.count)));
        }
        assert_eq!(
            raised,
            [
                ("2026-11-24 21:01 Tue".to_owned(), 2),
                ("2026-11-25 00:01 Wed".to_owned(), 2)
            ]
        );
    }
}
