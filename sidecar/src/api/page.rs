//! Lists that come in pages.

use super::problem::Problem;

/// Entries of a page if the caller does not say.
const DEFAULT: u32 = 100;
/// Most entries of a page.
const MOST: u32 = 1000;

/// Entries of the page.
pub(super) fn limit(wanted: Option<u32>) -> Result<u32, Problem> {
    let limit = wanted.unwrap_or(DEFAULT);
    if (1..=MOST).contains(&limit) {
        Ok(limit)
    } else {
        Err(Problem::bad_request(format!("`limit` must be 1 to {MOST}")))
    }
}

/// The page of one entry more than it may have, and the cursor to what follows.
pub(super) fn cut<T>(
    mut found: Vec<T>,
    limit: u32,
    name: impl Fn(&T) -> String,
) -> (Vec<T>, Option<String>) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if found.len() <= limit {
        return (found, None);
    }
    found.truncate(limit);
    let next = found.last().map(name);
    (found, next)
}
