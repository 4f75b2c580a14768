//! Budgets as `x-ratelimit-*` headers, in OpenAI's convention.

use sekisho_domain::{Meter, UnixMillis};
use sekisho_quota::Standing;

/// Of several budgets with the same meter, the one with the least left is shown; money is
/// not shown.
pub(crate) fn headers(
    standings: impl IntoIterator<Item = (Meter, Standing)>,
    now: UnixMillis,
) -> Vec<(&'static str, String)> {
    let mut requests: Option<Standing> = None;
    let mut tokens: Option<Standing> = None;
    for (meter, standing) in standings {
        let shown = match meter {
            Meter::Requests => &mut requests,
            Meter::Tokens => &mut tokens,
            Meter::Cost => continue,
        };
        if shown.is_none_or(|shown| standing.remaining < shown.remaining) {
            *shown = Some(standing);
        }
    }
    let mut headers = Vec::with_capacity(6);
    let mut show = |names: [&'static str; 3], standing: Option<Standing>| {
        if let Some(standing) = standing {
            let [limit, remaining, reset] = names;
            let mut seconds = standing.window_end.since(now).div_ceil(1000).to_string();
            seconds.push('s');
            headers.push((limit, standing.limit.to_string()));
            headers.push((remaining, standing.remaining.to_string()));
            headers.push((reset, seconds));
        }
    };
    show(
        [
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
        ],
        requests,
    );
    show(
        [
            "x-ratelimit-limit-tokens",
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-tokens",
        ],
        tokens,
    );
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_budget_of_a_meter_is_shown_and_money_is_not() {
        let standing = |remaining| Standing {
            limit: 100,
            remaining,
            window_end: UnixMillis(2_001),
        };
        let all = [
            (Meter::Requests, standing(7)),
            (Meter::Requests, standing(3)),
            (Meter::Requests, standing(5)),
            (Meter::Cost, standing(1)),
        ];
        let shown = headers(all, UnixMillis(1_000));
        let expected = [
            ("x-ratelimit-limit-requests", "100"),
            ("x-ratelimit-remaining-requests", "3"),
            ("x-ratelimit-reset-requests", "2s"),
        ];
        let shown: Vec<_> = shown
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        assert_eq!(shown, expected);
    }
}
