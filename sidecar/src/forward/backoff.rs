//! How long nobody is asked again. Pure.

use std::time::Duration;

/// The longest that we wait of ourselves.
const LONGEST: Duration = Duration::from_secs(60);
/// The longest that we let ourselves be told to wait.
const LONGEST_TOLD: Duration = Duration::from_secs(3600);

/// How long to wait after so many failures in a row, from 1: 1, 2, 4, ... 60 seconds and up to
/// a quarter more, so that many do not come at once; longer, if the recipient said so.
pub(crate) fn rest(failures: u32, told: Option<Duration>, random: u64) -> Duration {
    let doubled = 1u64 << failures.saturating_sub(1).min(6);
    let usual = Duration::from_secs(doubled).min(LONGEST);
    let told = told.unwrap_or_default().min(LONGEST_TOLD);
    let least = usual.max(told);
    let spread = u64::try_from(least.as_millis() / 4).unwrap_or(u64::MAX);
    least + Duration::from_millis(random % spread.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_to_a_minute_and_heeds_what_it_is_told() {
        let seconds = |failures, told| rest(failures, told, 0).as_secs();
        let usual: Vec<u64> = (1..=9).map(|n| seconds(n, None)).collect();
        assert_eq!(usual, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(seconds(u32::MAX, None), 60);
        assert_eq!(seconds(1, Some(Duration::from_secs(7))), 7);
        assert_eq!(seconds(4, Some(Duration::from_secs(7))), 8);
        assert_eq!(seconds(1, Some(Duration::MAX)), 3600);
        assert!(rest(1, None, u64::MAX) < Duration::from_millis(1250));
    }
}
