//! Which days a report is about. Pure.

use jiff::ToSpan as _;
use jiff::civil::Date;
use sekisho_domain::UnixMillis;

use crate::ledger::{Calendar, Window};
use crate::usage::Days;

/// A day or a month of the company's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// One day.
    Day(Date),
    /// The month that begins on this day.
    Month(Date),
}

/// How long a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Length {
    /// From midnight to midnight.
    Day,
    /// From the first to the last.
    Month,
}

impl Length {
    /// The name in requests and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// What is no period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPeriod {
    /// Of a day.
    #[error("must be a day such as `2026-11-29`")]
    Day,
    /// Of a month.
    #[error("must be a month such as `2026-11`")]
    Month,
    /// Of either.
    #[error("must be a day such as `2026-11-29` or a month such as `2026-11`")]
    Either,
    /// It is still to come.
    #[error("has not begun yet")]
    Future,
}

impl Period {
    /// What is asked for: by default today, or this month.
    ///
    /// # Errors
    /// [`NotAPeriod`].
    pub fn asked(
        length: Option<Length>,
        date: Option<&str>,
        today: Date,
    ) -> Result<Self, NotAPeriod> {
        let period = match (length, date) {
            (Some(Length::Month), None) => Self::Month(today.first_of_month()),
            (_, None) => Self::Day(today),
            (Some(Length::Day), Some(text)) => Self::Day(day(text).ok_or(NotAPeriod::Day)?),
            (Some(Length::Month), Some(text)) => Self::Month(month(text).ok_or(NotAPeriod::Month)?),
            (None, Some(text)) => day(text)
                .map(Self::Day)
                .or_else(|| month(text).map(Self::Month))
                .ok_or(NotAPeriod::Either)?,
        };
        match period.days().from > today {
            true => Err(NotAPeriod::Future),
            false => Ok(period),
        }
    }

    /// The one that a day is in.
    #[must_use]
    pub fn of(length: Length, day: Date) -> Self {
        match length {
            Length::Day => Self::Day(day),
            Length::Month => Self::Month(day.first_of_month()),
        }
    }

    /// How long it is.
    #[must_use]
    pub const fn length(self) -> Length {
        match self {
            Self::Day(_) => Length::Day,
            Self::Month(_) => Length::Month,
        }
    }

    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Day(day) => Self::Day(day.tomorrow().unwrap_or(day)),
            Self::Month(first) => Self::Month(first.checked_add(1.month()).unwrap_or(first)),
        }
    }

    /// The one before it.
    #[must_use]
    pub fn previous(self) -> Self {
        match self {
            Self::Day(day) => Self::Day(day.yesterday().unwrap_or(day)),
            Self::Month(first) => Self::Month(first.checked_sub(1.month()).unwrap_or(first)),
        }
    }

    /// As it is asked for: `2026-11-29` or `2026-11`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Day(day) => day.to_string(),
            Self::Month(first) => first.strftime("%Y-%m").to_string(),
        }
    }

    /// Its first and its last day.
    #[must_use]
    pub fn days(self) -> Days {
        match self {
            Self::Day(day) => Days { from: day, to: day },
            Self::Month(first) => Days {
                from: first,
                to: first.last_of_month(),
            },
        }
    }

    /// Its moments.
    #[must_use]
    pub fn window(self, calendar: &Calendar) -> Window {
        let start = |period: Self| calendar.start_of(period.days().from);
        Window {
            start: start(self),
            end: start(self.next()),
        }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(self, calendar: &Calendar, now: UnixMillis) -> bool {
        self.window(calendar).end <= now
    }
}

/// `2026-11-29` or `2026-11`.
impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Day(day) => write!(f, "{day}"),
            Self::Month(first) => write!(f, "{}", first.strftime("%Y-%m")),
        }
    }
}

fn day(text: &str) -> Option<Date> {
    let is_plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    text.parse().ok().filter(|_| is_plain)
}

fn month(text: &str) -> Option<Date> {
    (text.len() == 7)
        .then(|| day(&format!("{text}-01")))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_what_was_asked_for_or_today_or_this_month() {
        let today: Date = "2026-11-29".parse().unwrap();
        let asked = |length, date| {
            Period::asked(length, date, today).map(|period| {
                let days = period.days();
                format!("{period} {} {}", days.from, days.to)
            })
        };
        let (day, month) = (Some(Length::Day), Some(Length::Month));
        for (length, date, wanted) in [
            (None, None, "2026-11-29 2026-11-29 2026-11-29"),
            (day, None, "2026-11-29 2026-11-29 2026-11-29"),
            (month, None, "2026-11 2026-11-01 2026-11-30"),
            (None, Some("2026-11-01"), "2026-11-01 2026-11-01 2026-11-01"),
            (None, Some("2028-02"), "Future"),
            (None, Some("2024-02"), "2024-02 2024-02-01 2024-02-29"),
            (month, Some("2025-12"), "2025-12 2025-12-01 2025-12-31"),
            (day, Some("2026-11-30"), "Future"),
            (day, Some("2026-11"), "Day"),
            (month, Some("2026-11-29"), "Month"),
            (None, Some("2026-02-30"), "Either"),
            (None, Some("20261129"), "Either"),
            (None, Some("2026-11-29T09:00"), "Either"),
        ] {
            let got = asked(length, date).unwrap_or_else(|error| format!("{error:?}"));
            assert_eq!(got, wanted, "{length:?} {date:?}");
        }
    }

    #[test]
    fn a_period_ends_where_the_next_one_begins() {
        let calendar = Calendar::new("Asia/Tokyo").unwrap();
        let month = Period::of(Length::Month, "2026-12-31".parse().unwrap());
        let window = month.window(&calendar);
        assert_eq!(month.next().to_string(), "2027-01");
        assert_eq!(month.next().window(&calendar).start, window.end);
        assert!(month.is_over(&calendar, window.end));
        assert!(!month.is_over(&calendar, UnixMillis(window.end.0 - 1)));
    }
}
