//! What happened on a day or in a month, for those who answer for it: usage and cost,
//! refusals, unknown ends, and what was changed.
//!
//! Figures are sums that the database makes: those of usage and cost are the roll-ups, from
//! which bills are made too, so that a report and a bill cannot disagree. However much was
//! called, a report holds so many entries at most, and says of how many.

pub mod answer;
mod gather;
mod html;
mod lists;
mod older;
pub mod period;
pub mod schedule;
mod sheet;

pub use answer::Report;
pub use gather::{Context, gather};
pub use html::Language;
pub use period::Period;

/// Most people that are shown one by one, unless more are asked for.
pub const PEOPLE: u32 = 20;
/// Most people that can be asked for.
pub const MOST_PEOPLE: u32 = 1000;

impl Report {
    /// The report as a page by itself: it loads nothing, and can be printed.
    ///
    /// # Errors
    /// None that the report can cause.
    pub fn html(&self, language: Language) -> Result<String, minijinja::Error> {
        html::page(self, language)
    }

    /// The report as lines of a spreadsheet (RFC 4180), each cell safe to open in one.
    ///
    /// # Errors
    /// None that can happen in memory.
    pub fn csv(&self) -> Result<Vec<u8>, csv::Error> {
        sheet::csv(self)
    }
}
