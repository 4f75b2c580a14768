//! Where days and budget windows begin: calendar units in the company's time zone.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use sekisho_domain::{UnixMillis, WindowUnit};

/// The time zone is not in the IANA database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time zone of the IANA database")]
pub struct UnknownTimeZone(pub String);

/// A half-open stretch of time: `start` is in it, `end` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// First moment.
    pub start: UnixMillis,
    /// First moment of the next window.
    pub end: UnixMillis,
}

impl Window {
    /// All of time, as far as a database can tell it.
    pub const ENDLESS: Self = Self {
        start: UnixMillis(0),
        end: UnixMillis(i64::MAX as u64),
    };

    /// Whether `at` is in it.
    #[must_use]
    pub fn contains(&self, at: UnixMillis) -> bool {
        self.start <= at && at < self.end
    }
}

/// The company's calendar.
#[derive(Clone, Debug)]
pub struct Calendar(TimeZone);

impl Calendar {
    /// The calendar of an IANA time zone such as `Asia/Tokyo`.
    ///
    /// # Errors
    /// [`UnknownTimeZone`].
    pub fn new(time_zone: &str) -> Result<Self, UnknownTimeZone> {
        TimeZone::get(time_zone)
            .map(Self)
            .map_err(|_| UnknownTimeZone(time_zone.to_owned()))
    }

    /// The window that `at` is in. Windows of a unit neither overlap nor leave gaps,
    /// whatever the clocks do: an hour that is cut short by a change of the clocks is a
    /// short window.
    #[must_use]
    pub fn window(&self, unit: WindowUnit, at: UnixMillis) -> Window {
        match unit {
            WindowUnit::Minute => self.clock_unit(60_000, at),
            WindowUnit::Hour => self.clock_unit(3_600_000, at),
            WindowUnit::Day => {
                let day = self.day(at);
                let next = day.tomorrow().unwrap_or(day);
                self.between(day, next)
            }
            WindowUnit::Month => {
                let first = self.day(at).first_of_month();
                let next = first.checked_add(1.month()).unwrap_or(first);
                self.between(first, next)
            }
        }
    }

    /// The day that `at` is in.
    #[must_use]
    pub fn day(&self, at: UnixMillis) -> Date {
        timestamp(at).to_zoned_datetime(self.0.clone()).date()
    }

    /// What clocks in the company show at `at`.
    #[must_use]
    pub fn local(&self, at: UnixMillis) -> DateTime {
        timestamp(at).to_zoned_datetime(self.0.clone()).datetime()
    }

    /// The first moment of a day: midnight, or the end of a gap that swallowed it.
    /// Days before 1970 begin with it.
    #[must_use]
    pub fn start_of(&self, day: Date) -> UnixMillis {
        let start = day
            .to_zoned_datetime(self.0.clone())
            .and_then(|zoned| zoned.start_of_day());
        start.map_or(UnixMillis(0), |start| millis(start.timestamp()))
    }

    fn between(&self, first: Date, next: Date) -> Window {
        Window {
            start: self.start_of(first),
            end: self.start_of(next),
        }
    }

    fn clock_unit(&self, length: i64, at: UnixMillis) -> Window {
        let now = timestamp(at);
        let offset = i64::from(self.0.to_offset(now).seconds()) * 1000;
        let local = now.as_millisecond() + offset;
        let start = local - local.rem_euclid(length) - offset;
        let mut window = Window {
            start: UnixMillis(u64::try_from(start).unwrap_or(0)),
            end: UnixMillis(u64::try_from(start + length).unwrap_or(0)),
        };
        // A change of the clocks inside the unit begins a new window.
        let changed = |at: UnixMillis| self.0.to_offset(timestamp(at)).seconds();
        if i64::from(changed(window.start)) * 1000 != offset
            && let Some(change) = self.0.preceding(after(now)).next()
        {
            window.start = window.start.max(millis(change.timestamp()));
        }
        if i64::from(changed(UnixMillis(window.end.0.saturating_sub(1)))) * 1000 != offset
            && let Some(change) = self.0.following(now).next()
        {
            window.end = window.end.min(millis(change.timestamp()));
        }
        window
    }
}

/// `preceding` is exclusive: a change at this very moment counts.
fn after(at: Timestamp) -> Timestamp {
    at.checked_add(1.millisecond()).unwrap_or(at)
}

fn timestamp(at: UnixMillis) -> Timestamp {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}

fn millis(at: Timestamp) -> UnixMillis {
    UnixMillis(u64::try_from(at.as_millisecond()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> UnixMillis {
        millis(text.parse().unwrap())
    }

    fn window(zone: &str, unit: WindowUnit, moment: &str) -> (String, String) {
        let window = Calendar::new(zone).unwrap().window(unit, at(moment));
        let show = |at: UnixMillis| timestamp(at).to_string();
        (show(window.start), show(window.end))
    }

    #[track_caller]
    fn same(got: (String, String), start: &str, end: &str) {
        assert_eq!(got, (start.to_owned(), end.to_owned()));
    }

    #[test]
    fn days_and_months_begin_at_midnight_of_the_company() {
        let tokyo = |unit, moment| window("Asia/Tokyo", unit, moment);
        same(
            tokyo(WindowUnit::Day, "2026-02-28T14:59:59.999Z"),
            "2026-02-27T15:00:00Z",
            "2026-02-28T15:00:00Z",
        );
        same(
            tokyo(WindowUnit::Month, "2026-02-28T15:00:00Z"),
            "2026-02-28T15:00:00Z",
            "2026-03-31T15:00:00Z",
        );
        same(
            tokyo(WindowUnit::Month, "2028-02-29T03:00:00Z"),
            "2028-01-31T15:00:00Z",
            "2028-02-29T15:00:00Z",
        );
        same(
            window("Asia/Kolkata", WindowUnit::Hour, "2026-01-01T00:10:00Z"),
            "2025-12-31T23:30:00Z",
            "2026-01-01T00:30:00Z",
        );
    }

    #[test]
    fn days_of_changing_clocks_have_23_and_25_hours() {
        same(
            window("Europe/Berlin", WindowUnit::Day, "2026-03-29T12:00:00Z"),
            "2026-03-28T23:00:00Z",
            "2026-03-29T22:00:00Z",
        );
        same(
            window("Europe/Berlin", WindowUnit::Day, "2026-10-25T12:00:00Z"),
            "2026-10-24T22:00:00Z",
            "2026-10-25T23:00:00Z",
        );
        // Midnight did not exist in Chile on 2022-09-11.
        same(
            window("America/Santiago", WindowUnit::Day, "2022-09-11T12:00:00Z"),
            "2022-09-11T04:00:00Z",
            "2022-09-12T03:00:00Z",
        );
    }

    #[test]
    fn an_hour_cut_by_a_half_hour_change_is_two_windows() {
        // Lord Howe Island goes from +10:30 to +11:00 at 2026-10-03T15:30Z.
        same(
            window(
                "Australia/Lord_Howe",
                WindowUnit::Hour,
                "2026-10-03T15:35:00Z",
            ),
            "2026-10-03T15:30:00Z",
            "2026-10-03T16:00:00Z",
        );
    }

    #[test]
    fn an_unknown_zone_is_named() {
        let error = Calendar::new("Asia/Toukyou").unwrap_err();
        assert_eq!(error, UnknownTimeZone("Asia/Toukyou".into()));
    }

    proptest! {
        #[test]
        fn windows_neither_overlap_nor_leave_gaps(
            millis in 0u64..4_000_000_000_000,
            near in prop::sample::select(vec![0i64, 1_774_746_000_000, 1_791_041_400_000, 1_792_890_000_000]),
            zone in prop::sample::select(vec!["UTC", "Asia/Tokyo", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu"]),
            unit in prop::sample::select(vec![WindowUnit::Minute, WindowUnit::Hour, WindowUnit::Day, WindowUnit::Month]),
        ) {
            let calendar = Calendar::new(zone).unwrap();
            // Either anywhere, or within hours of a change of the clocks.
            let at = if near == 0 { millis } else { near as u64 - 7_200_000 + millis % 14_400_000 };
            let window = calendar.window(unit, UnixMillis(at));
            prop_assert!(window.contains(UnixMillis(at)), "{window:?}");
            let next = calendar.window(unit, window.end);
            prop_assert_eq!(next.start, window.end);
            prop_assert_eq!(calendar.window(unit, window.start), window);
            prop_assert_eq!(calendar.window(unit, UnixMillis(window.end.0 - 1)), window);
        }
    }
}
