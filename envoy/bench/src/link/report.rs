//! The report: a row for each sidecar, and whether the goals hold.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::{BATCH, LinkError, RATE, STREAMS};
use crate::process;
use crate::statistics::{Spread, percentile};

/// The median of an acknowledgement may be so much over that of the disk, milliseconds.
const MORE_AT_P50: f64 = 0.3;
/// Its 99th percentile may be so many times the disk's, and so much more, milliseconds.
const TIMES_AT_P99: f64 = 3.0;
const MORE_AT_P99: f64 = 1.0;
/// What a core of the sidecar is good for at least, per second.
const PER_CORE: f64 = 10_000.0;

/// What was done in a saturated round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Throughput {
    per_second: f64,
    per_core_second: f64,
}

impl Throughput {
    /// So much, in so many seconds, of which a core worked so many.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of a few seconds are far below 2^52"
    )]
    pub(super) fn new(count: usize, seconds: f64, core_seconds: f64) -> Self {
        let count = count as f64;
        Self {
            per_second: count / seconds,
            per_core_second: count / core_seconds,
        }
    }
}

/// One round; times are milliseconds.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) disk: Vec<f64>,
    pub(super) acks: Vec<f64>,
    pub(super) records: Throughput,
    pub(super) leases: Throughput,
}

impl Round {
    pub(super) fn line(&self, departments: usize) -> String {
        format!(
            "{departments:>6} departments  sync {:.2}/{:.2} ms  ack {:.2}/{:.2} ms  {:.0} records/s  {:.0} leases/s",
            share(&self.disk, 0.5),
            share(&self.disk, 0.99),
            share(&self.acks, 0.5),
            share(&self.acks, 0.99),
            self.records.per_second,
            self.leases.per_second,
        )
    }
}

fn share(times: &[f64], share: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    percentile(&sorted, share).unwrap_or(f64::NAN)
}

/// A sidecar: medians over the rounds, milliseconds or per second.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    departments: usize,
    disk_p50_ms: f64,
    disk_p99_ms: f64,
    ack_p50_ms: f64,
    ack_p99_ms: f64,
    records_per_second: f64,
    records_per_core_second: f64,
    leases_per_second: f64,
    leases_per_core_second: f64,
    /// What acknowledgements take more than the disk of the same round.
    ack_p50_more_ms: f64,
    /// What acknowledgements take more than the goal of the same round; below 0: they are faster.
    ack_p99_over_ms: f64,
}

impl Row {
    pub(super) fn of(departments: usize, rounds: &[Round]) -> Self {
        let median = |figure: fn(&Round) -> f64| {
            Spread::of(rounds.iter().map(figure)).map_or(f64::NAN, |spread| spread.median)
        };
        Self {
            departments,
            disk_p50_ms: median(|round| share(&round.disk, 0.5)),
            disk_p99_ms: median(|round| share(&round.disk, 0.99)),
            ack_p50_ms: median(|round| share(&round.acks, 0.5)),
            ack_p99_ms: median(|round| share(&round.acks, 0.99)),
            records_per_second: median(|round| round.records.per_second),
            records_per_core_second: median(|round| round.records.per_core_second),
            leases_per_second: median(|round| round.leases.per_second),
            leases_per_core_second: median(|round| round.leases.per_core_second),
            ack_p50_more_ms: median(|round| share(&round.acks, 0.5) - share(&round.disk, 0.5)),
            ack_p99_over_ms: median(|round| {
                let goal = TIMES_AT_P99 * share(&round.disk, 0.99) + MORE_AT_P99;
                share(&round.acks, 0.99) - goal
            }),
        }
    }

    /// The goals, in words, and whether each holds.
    fn goals(&self) -> [(String, bool); 4] {
        [
            (
                format!(
                    "the median of an acknowledgement is at most {MORE_AT_P50} ms over that of the disk: {:.2}",
                    self.ack_p50_more_ms
                ),
                self.ack_p50_more_ms <= MORE_AT_P50,
            ),
            (
                format!(
                    "its 99th percentile at most {TIMES_AT_P99} times the disk's and {MORE_AT_P99} ms: {:+.2} ms",
                    self.ack_p99_over_ms
                ),
                self.ack_p99_over_ms <= 0.0,
            ),
            (
                format!(
                    "at least {PER_CORE} records per second and core: {:.0}",
                    self.records_per_core_second
                ),
                self.records_per_core_second >= PER_CORE,
            ),
            (
                format!(
                    "at least {PER_CORE} leases per second and core: {:.0}",
                    self.leases_per_core_second
                ),
                self.leases_per_core_second >= PER_CORE,
            ),
        ]
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Report {
    command: String,
    rounds: u32,
    machine: String,
    rows: Vec<Row>,
}

impl Report {
    pub(super) fn new(command: String, rounds: u32, rows: Vec<Row>) -> Self {
        Self {
            command,
            rounds,
            machine: process::machine(),
            rows,
        }
    }

    /// Whether all goals hold.
    pub(super) fn holds(&self) -> bool {
        let goals = self.rows.iter().flat_map(Row::goals);
        goals.fold(true, |all, (_, holds)| all && holds)
    }

    pub(super) fn markdown(&self) -> String {
        let mut text = String::from(
            "| departments | disk p50, ms | p99, ms | ack p50, ms | p99, ms | records/s | per core | leases/s | per core |\n\
             | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        );
        for row in &self.rows {
            let _ = writeln!(
                text,
                "| {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.0} | {:.0} | {:.0} | {:.0} |",
                row.departments,
                row.disk_p50_ms,
                row.disk_p99_ms,
                row.ack_p50_ms,
                row.ack_p99_ms,
                row.records_per_second,
                row.records_per_core_second,
                row.leases_per_second,
                row.leases_per_core_second,
            );
        }
        let _ = write!(
            text,
            "\nMedians of {} interleaved rounds by `{}`; {}. Disk: a page appended to a file and its data synced, {RATE} times a \
             second. Ack: from the moment a record was due until it was acknowledged, {RATE} records a second on one stream. Per second: {STREAMS} streams with \
             batches of {BATCH}; per core: for each second of processor time that the sidecar used. All of it is durable when it counts.\n\n",
            self.rounds, self.command, self.machine
        );
        for row in &self.rows {
            for (goal, holds) in row.goals() {
                let verdict = if holds { "reached" } else { "missed" };
                let _ = writeln!(text, "- {} departments: {goal}, {verdict}", row.departments);
            }
        }
        text
    }

    /// Writes link.md and link.json.
    pub(super) fn write(&self, folder: &Path) -> Result<(), LinkError> {
        let json = serde_json::to_vec_pretty(self)?;
        let files = [
            ("link.md", self.markdown().into_bytes()),
            ("link.json", json),
        ];
        for (name, content) in files {
            let path = folder.join(name);
            std::fs::write(&path, content).map_err(|source| LinkError::File { path, source })?;
        }
        Ok(())
    }
}
