//! What a run has shown.

use serde::Serialize;

/// Sums over a whole run.
#[derive(Debug, Default, Serialize)]
pub(super) struct Counts {
    /// Records that somebody was told of, or could tell by what happened, that they are durable.
    pub(super) acked: u64,
    /// Of these, how many are not in the log.
    pub(super) lost: u64,
    /// Whole answers whose admit or completion is not in the log.
    pub(super) answered_without_record: u64,
    /// Requests that reached the provider whose admit is not in the log.
    pub(super) called_without_admit: u64,
    pub(super) provider_calls: u64,
    /// Whole answers of 200.
    pub(super) answered: u64,
    /// Answers that began and were cut off: their completion could not be put on record.
    pub(super) cut_off: u64,
    /// Answers of 4xx and 503.
    pub(super) refused: u64,
    /// Of these, how many are not in the log. Nobody waits for these records.
    pub(super) refused_without_record: u64,
    /// How many the gateways have told the log that they could not keep.
    pub(super) refusals_dropped: u64,
    /// Any other status, which is a fault of ours.
    pub(super) other: u64,
}

/// The run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) seed: u64,
    pub(super) seconds: f64,
    #[serde(flatten)]
    pub(super) counts: Counts,
    pub(super) kills: u64,
    pub(super) powercuts: u64,
    /// Why there were fewer than asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) powercuts_skipped: Option<String>,
    /// Calls of the operating system that were made to fail.
    pub(super) faults: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) faults_skipped: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) full_disk_skipped: Option<String>,
    /// How often `sekisho audit verify` found nothing after a fault.
    pub(super) verified: u64,
    /// What went wrong besides, in words.
    pub(super) problems: Vec<String>,
}

impl Report {
    /// Whether the promises were kept.
    pub(super) fn holds(&self) -> bool {
        let counts = &self.counts;
        let broken = counts.lost
            + counts.answered_without_record
            + counts.called_without_admit
            + counts.other
            + counts
                .refused_without_record
                .saturating_sub(counts.refusals_dropped);
        // A run in which nothing happened shows nothing.
        broken == 0 && self.problems.is_empty() && counts.acked > 0
    }

    pub(super) fn print(&self) {
        let counts = &self.counts;
        println!("  {:<26} {:>9}", "records acknowledged", counts.acked);
        println!("  {:<26} {:>9}", "of these lost", counts.lost);
        println!(
            "  {:<26} {:>9}",
            "calls at the provider", counts.provider_calls
        );
        println!(
            "  {:<26} {:>9}",
            "without an admit", counts.called_without_admit
        );
        println!("  {:<26} {:>9}", "requests answered", counts.answered);
        println!(
            "  {:<26} {:>9}",
            "without a record", counts.answered_without_record
        );
        println!(
            "  {} answers cut off, {} refused ({} of these not on record, {} counted as dropped)",
            counts.cut_off, counts.refused, counts.refused_without_record, counts.refusals_dropped
        );
        println!(
            "  {} kills, {} power cuts, {} failing calls of the operating system; `audit verify` was content {} times; seed {}",
            self.kills, self.powercuts, self.faults, self.verified, self.seed
        );
        let skipped = [
            &self.powercuts_skipped,
            &self.faults_skipped,
            &self.full_disk_skipped,
        ];
        for skipped in skipped.into_iter().flatten() {
            println!("  SKIPPED: {skipped}");
        }
        for problem in &self.problems {
            println!("  PROBLEM: {problem}");
        }
        let end = if self.holds() {
            "the promises were kept"
        } else {
            "A PROMISE WAS BROKEN"
        };
        println!("  {end}");
    }
}
