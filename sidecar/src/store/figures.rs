//! Whole numbers as the database keeps them.

/// A count or amount as the database keeps it; figures over `i64::MAX` stay there.
pub(crate) fn to_db(figure: u64) -> i64 {
    i64::try_from(figure).unwrap_or(i64::MAX)
}

/// A count or amount as it comes from the database; never negative.
pub(crate) fn from_db(figure: i64) -> u64 {
    u64::try_from(figure).unwrap_or(0)
}
