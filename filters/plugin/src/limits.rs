//! Budgets as headers, in each provider's convention, so that its SDKs and the tools around
//! them pace themselves as they do with the provider.

use sekisho_domain::{Decimal, Meter, Provider, UnixMillis};
use sekisho_quota::Standing;

/// What a group of headers tells of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Requests,
    Tokens,
    InputTokens,
    OutputTokens,
}

/// Names of a limit, of what is left of it, and of when it starts anew.
type Names = [&'static str; 3];

/// OpenAI's, which others use too.
/// Source: `platform.openai.com/docs/guides/rate-limits`.
const OPENAI: &[(Shown, Names)] = &[
    (
        Shown::Requests,
        [
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
        ],
    ),
    (
        Shown::Tokens,
        [
            "x-ratelimit-limit-tokens",
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-tokens",
        ],
    ),
];

/// Anthropic's. Source: `docs.anthropic.com/en/api/rate-limits`.
const ANTHROPIC: &[(Shown, Names)] = &[
    (
        Shown::Requests,
        [
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
        ],
    ),
    (
        Shown::Tokens,
        [
            "anthropic-ratelimit-tokens-limit",
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-tokens-reset",
        ],
    ),
    (
        Shown::InputTokens,
        [
            "anthropic-ratelimit-input-tokens-limit",
            "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-input-tokens-reset",
        ],
    ),
    (
        Shown::OutputTokens,
        [
            "anthropic-ratelimit-output-tokens-limit",
            "anthropic-ratelimit-output-tokens-remaining",
            "anthropic-ratelimit-output-tokens-reset",
        ],
    ),
];

/// A header that tells where a budget stands.
pub(crate) type Header = (&'static str, String);

/// Headers that tell where budgets stand, for an answer of our own.
pub(crate) fn headers(
    provider: Option<Provider>,
    standings: impl IntoIterator<Item = Standing>,
    now: UnixMillis,
) -> Vec<Header> {
    let mut headers = Vec::new();
    show(provider, standings, now, |name, value| {
        headers.push(owned(name, value));
    });
    headers
}

/// A header that outlives the look at the budgets.
pub(crate) fn owned(name: &'static str, value: &[u8]) -> Header {
    (name, String::from_utf8_lossy(value).into_owned())
}

/// Names each header that tells where budgets stand, with its value. Nothing of it is on the heap: a
/// provider's answer has six of them.
///
/// Of several budgets that a convention shows in one place, the one with the least left is
/// shown. Money and calls under way have no place in any.
pub(crate) fn show(
    provider: Option<Provider>,
    standings: impl IntoIterator<Item = Standing>,
    now: UnixMillis,
    mut header: impl FnMut(&'static str, &[u8]),
) {
    let is_anthropic = provider == Some(Provider::Anthropic);
    let places = if is_anthropic { ANTHROPIC } else { OPENAI };
    let mut shown: [Option<Standing>; 4] = [None; 4];
    for standing in standings {
        let Some(place) = place(standing.meter, is_anthropic) else {
            continue;
        };
        for ((kind, _), slot) in places.iter().zip(&mut shown) {
            let is_tighter = slot.is_none_or(|other| standing.remaining < other.remaining);
            if *kind == place && is_tighter {
                *slot = Some(standing);
            }
        }
    }
    for ((_, [limit, remaining, reset]), standing) in places.iter().zip(shown) {
        let Some(standing) = standing else { continue };
        header(limit, Decimal::new(standing.limit).as_bytes());
        header(remaining, Decimal::new(standing.remaining).as_bytes());
        let reset_at = if is_anthropic {
            rfc3339(standing.window_end)
        } else {
            duration(standing.window_end.since(now).div_ceil(1000))
        };
        header(reset, reset_at.as_bytes());
    }
}

/// When a budget starts anew, as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reset {
    /// Room for the longest of them: a moment in a year of nine digits.
    bytes: [u8; 32],
    length: usize,
}

impl Reset {
    /// Adds ASCII.
    fn push(&mut self, more: &[u8]) {
        let room = self.bytes.get_mut(self.length..).unwrap_or_default();
        for (place, byte) in room.iter_mut().zip(more) {
            *place = *byte;
            self.length += 1;
        }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// Where a convention shows a meter. OpenAI's knows tokens of one kind alone.
const fn place(meter: Meter, is_anthropic: bool) -> Option<Shown> {
    match (meter, is_anthropic) {
        (Meter::Requests, _) => Some(Shown::Requests),
        (Meter::InputTokens, true) => Some(Shown::InputTokens),
        (Meter::OutputTokens, true) => Some(Shown::OutputTokens),
        (Meter::Tokens, _) | (Meter::InputTokens | Meter::OutputTokens, false) => {
            Some(Shown::Tokens)
        }
        (Meter::Bytes | Meter::Cost | Meter::Concurrency, _) => None,
    }
}

/// Seconds as OpenAI writes them: `2s`, `1m2s`, `24h0m0s`.
fn duration(seconds: u64) -> Reset {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = Reset::default();
    let mut part = |number, unit| {
        text.push(Decimal::new(number).as_bytes());
        text.push(&[unit]);
    };
    if hours > 0 {
        part(hours, b'h');
    }
    if hours > 0 || minutes > 0 {
        part(minutes, b'm');
    }
    part(rest, b's');
    text
}

/// A moment in UTC, rounded up to the second (RFC 3339, section 5.6).
fn rfc3339(at: UnixMillis) -> Reset {
    let seconds = at.0.div_ceil(1000);
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Civil from days (Howard Hinnant, "chrono-compatible low-level date algorithms").
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let mut text = Reset::default();
    for (number, digits, after) in [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (hour, 2, b':'),
        (minute, 2, b':'),
        (second, 2, b'Z'),
    ] {
        let number = Decimal::new(number);
        for _ in number.as_bytes().len()..digits {
            text.push(b"0");
        }
        text.push(number.as_bytes());
        text.push(&[after]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(meter: Meter, remaining: u64) -> Standing {
        Standing {
            meter,
            limit: 100,
            remaining,
            window_end: UnixMillis(63_001),
        }
    }

    fn shown(provider: Provider, standings: &[Standing]) -> Vec<(&'static str, String)> {
        headers(Some(provider), standings.iter().copied(), UnixMillis(1_000))
    }

    #[test]
    fn the_tightest_budget_of_a_meter_is_shown_and_money_is_not() {
        let all = [
            standing(Meter::Requests, 7),
            standing(Meter::Requests, 3),
            standing(Meter::Requests, 5),
            standing(Meter::Cost, 1),
            standing(Meter::Concurrency, 1),
        ];
        for provider in [Provider::OpenAi, Provider::AzureOpenAi, Provider::Gemini] {
            let expected = [
                ("x-ratelimit-limit-requests", "100".to_owned()),
                ("x-ratelimit-remaining-requests", "3".to_owned()),
                ("x-ratelimit-reset-requests", "1m3s".to_owned()),
            ];
            assert_eq!(shown(provider, &all), expected, "{provider:?}");
        }
    }

    #[test]
    fn tokens_of_every_kind_are_tokens_to_openai() {
        let all = [
            standing(Meter::Tokens, 50),
            standing(Meter::OutputTokens, 9),
            standing(Meter::InputTokens, 20),
        ];
        let shown = shown(Provider::OpenAi, &all);
        assert_eq!(shown[1], ("x-ratelimit-remaining-tokens", "9".to_owned()));
        assert_eq!(shown.len(), 3);
    }

    #[test]
    fn anthropics_clients_hear_of_each_kind_and_of_the_moment() {
        let all = [
            standing(Meter::Requests, 1),
            standing(Meter::Tokens, 2),
            standing(Meter::InputTokens, 3),
            standing(Meter::OutputTokens, 4),
        ];
        let shown = shown(Provider::Anthropic, &all);
        assert_eq!(shown.len(), 12);
        for expected in [
            ("anthropic-ratelimit-requests-remaining", "1"),
            ("anthropic-ratelimit-tokens-remaining", "2"),
            ("anthropic-ratelimit-input-tokens-remaining", "3"),
            ("anthropic-ratelimit-output-tokens-remaining", "4"),
            (
                "anthropic-ratelimit-input-tokens-reset",
                "1970-01-01T00:01:04Z",
            ),
        ] {
            let (name, value) = expected;
            assert!(
                shown.contains(&(name, value.to_owned())),
                "{name}: {shown:?}"
            );
        }
    }

    #[test]
    fn durations_and_moments_are_written_as_the_conventions_write_them() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (62, "1m2s"),
            (86_400, "24h0m0s"),
            (u64::MAX, "5124095576030431h0m15s"),
        ] {
            assert_eq!(duration(seconds).as_bytes(), text.as_bytes());
        }
        for (millis, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_772_290_799_001, "2026-02-28T15:00:00Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59Z"),
            (u64::MAX, "584556019-04-03T14:25:52Z"),
        ] {
            assert_eq!(rfc3339(UnixMillis(millis)).as_bytes(), text.as_bytes());
        }
    }
}
