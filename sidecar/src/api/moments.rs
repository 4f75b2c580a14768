//! Days and moments as they stand in requests and answers.

use jiff::Timestamp;
use jiff::civil::Date;
use sekisho_domain::UnixMillis;

use super::problem::Problem;
use crate::ledger::Calendar;
use crate::usage::Days;

/// Days from `from` to `to`, both included; by default from the first of the month to today.
pub(super) fn days(
    from: Option<&str>,
    to: Option<&str>,
    calendar: &Calendar,
    now: UnixMillis,
) -> Result<Days, Problem> {
    let today = calendar.day(now);
    let read = |name: &str, text: Option<&str>, default: Date| match text {
        None => Ok(default),
        Some(text) => text
            .parse::<Date>()
            .map_err(|_| Problem::bad_request(format!("`{name}` must be a day as `2024-10-01`"))),
    };
    let to = read("to", to, today)?;
    let from = read("from", from, to.first_of_month())?;
    if to < from {
        return Err(Problem::bad_request("`to` is before `from`"));
    }
    Ok(Days { from, to })
}

/// A moment (RFC 3339), or the first moment of a day; of the day after it, if `end`.
pub(super) fn moment(
    name: &str,
    text: Option<&str>,
    end: bool,
    calendar: &Calendar,
) -> Result<Option<UnixMillis>, Problem> {
    let Some(text) = text else {
        return Ok(None);
    };
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        let millis = u64::try_from(timestamp.as_millisecond()).unwrap_or(0);
        return Ok(Some(UnixMillis(millis)));
    }
    let day = text
        .parse::<Date>()
        .ok()
        .and_then(|day| if end { day.tomorrow().ok() } else { Some(day) });
    let day = day.ok_or_else(|| {
        Problem::bad_request(format!(
            "`{name}` must be a moment as `2024-10-01T09:00:00Z` or a day as `2024-10-01`"
        ))
    })?;
    Ok(Some(calendar.start_of(day)))
}

/// RFC 3339 in UTC.
pub(super) fn shown(moment: UnixMillis) -> String {
    let millis = i64::try_from(moment.0).unwrap_or(i64::MAX);
    let timestamp = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    timestamp.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_means_the_companys_day() {
        let calendar = Calendar::new("Asia/Tokyo").unwrap();
        let of = |text, end| {
            moment("from", Some(text), end, &calendar)
                .unwrap()
                .unwrap()
                .0
        };
        assert_eq!(of("2024-10-01", false), 1_727_708_400_000);
        assert_eq!(of("2024-10-01", true), 1_727_794_800_000);
        assert_eq!(of("2024-10-01T00:00:00+09:00", true), 1_727_708_400_000);
        assert!(moment("from", Some("yesterday"), false, &calendar).is_err());
        assert_eq!(shown(UnixMillis(1_727_708_400_000)), "2024-09-30T15:00:00Z");
    }

    #[test]
    fn without_days_the_month_so_far_is_meant() {
        let calendar = Calendar::new("Asia/Tokyo").unwrap();
        let now = UnixMillis(1_729_000_000_000); // 2024-10-15 in Tokyo
        let shown = |from, to| {
            days(from, to, &calendar, now).map(|days| format!("{} {}", days.from, days.to))
        };
        assert_eq!(shown(None, None).unwrap(), "2024-10-01 2024-10-15");
        assert_eq!(
            shown(None, Some("2024-09-10")).unwrap(),
            "2024-09-01 2024-09-10"
        );
        assert!(shown(Some("2024-11-01"), None).is_err());
        assert!(shown(Some("01/10/2024"), None).is_err());
    }
}
