//! The report: one table, and whether the goals hold.

mod markdown;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::row::{Kind, Rounds};
use crate::statistics::Spread;

const RELAXED: &str = "gateway-relaxed";
const STRICT: &str = "gateway-strict";
const CACHED: &str = "token-cached";
const FIRST_SEEN: &str = "token-first-seen";

/// How the figures were made.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Method {
    pub(crate) command: String,
    #[serde(skip)]
    pub(crate) machine: String,
    pub(crate) envoy: String,
    pub(crate) rounds: u32,
    pub(crate) requests: u32,
    pub(crate) connections: u32,
    pub(crate) rate: u32,
    pub(crate) paced_requests: u32,
    pub(crate) tokens: usize,
    pub(crate) request_bytes: usize,
    /// The same where only the token is checked.
    pub(crate) token_request_bytes: usize,
    /// Where every token is new; absent without such rows.
    pub(crate) first_seen: Option<FirstSeen>,
}

/// How many tokens that were never seen before each row gets in a round.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct FirstSeen {
    /// Before what is measured at saturation.
    pub(crate) warm_up: u32,
    /// Measured, at saturation.
    pub(crate) requests: u32,
    /// Measured, at a rate.
    pub(crate) paced_requests: u32,
}

/// Everything.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Figures>,
    pub(crate) machine: String,
    pub(crate) method: Method,
    pub(crate) goals: BTreeMap<&'static str, Goal>,
}

/// One gateway. Medians over rounds; what is added is the difference to the row without
/// filters in the same round.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) name: String,
    pub(crate) cpu_us: f64,
    pub(crate) added_us: f64,
    pub(crate) added_to_native: Option<f64>,
    /// Processor time more than that of the row with Envoy's own filters.
    pub(crate) over_native_us: Option<f64>,
    pub(crate) cpu_to_bare: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) added_p50_ms: f64,
    pub(crate) added_p99_ms: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) sidecar_cpu_us: Option<f64>,
    /// Memory of the process after each round at saturation.
    pub(crate) resident_mib: Vec<f64>,
    pub(crate) spread: Spreads,
}

/// Smallest and largest over rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Spreads {
    pub(crate) cpu_us: Spread,
    pub(crate) added_us: Spread,
    pub(crate) p50_ms: Spread,
    pub(crate) p99_ms: Spread,
}

/// A goal: a figure that must not exceed a limit.
#[derive(Debug, Serialize)]
pub(crate) struct Goal {
    pub(crate) value: f64,
    pub(crate) limit: f64,
    pub(crate) holds: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    #[error("`{}` cannot be written: {source}", path.display())]
    Unwritable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the report cannot be written as JSON: {0}")]
    NotJson(#[from] serde_json::Error),
}

impl Report {
    pub(crate) fn new<'a>(
        rows: impl Iterator<Item = (&'a str, &'a Rounds)> + Clone,
        method: Method,
    ) -> Self {
        let known: BTreeMap<&str, &Rounds> = rows.clone().collect();
        let mut figures: Vec<Figures> = rows
            .filter_map(|(name, rounds)| Figures::new(name, rounds, &known))
            .collect();
        let added: BTreeMap<String, f64> = figures
            .iter()
            .map(|row| (row.name.clone(), row.added_us))
            .collect();
        for row in &mut figures {
            let native = Kind::of(&row.name).native();
            row.added_to_native = native
                .and_then(|native| added.get(native))
                .filter(|added| **added > 0.0)
                .map(|added| row.added_us / added);
        }
        Self {
            goals: goals(&figures),
            rows: figures,
            machine: method.machine.clone(),
            method,
        }
    }

    pub(crate) fn goals_hold(&self) -> bool {
        self.goals.values().all(|goal| goal.holds)
    }
}

impl Figures {
    fn new(name: &str, rounds: &Rounds, known: &BTreeMap<&str, &Rounds>) -> Option<Self> {
        let kind = Kind::of(name);
        let bare = known.get(kind.bare())?;
        let native = kind.native().and_then(|native| known.get(native));
        let pairs = || rounds.saturated.iter().zip(&bare.saturated);
        let paced = || rounds.paced.iter().zip(&bare.paced);
        let spread = Spreads {
            cpu_us: Spread::of(rounds.saturated.iter().map(|r| r.cpu_us))?,
            added_us: Spread::of(pairs().map(|(own, bare)| own.cpu_us - bare.cpu_us))?,
            p50_ms: Spread::of(rounds.paced.iter().map(|r| r.p50_ms))?,
            p99_ms: Spread::of(rounds.paced.iter().map(|r| r.p99_ms))?,
        };
        Some(Self {
            name: name.to_owned(),
            cpu_us: spread.cpu_us.median,
            added_us: spread.added_us.median,
            added_to_native: None,
            over_native_us: native
                .and_then(|native| {
                    let pairs = rounds.saturated.iter().zip(&native.saturated);
                    Spread::of(pairs.map(|(own, native)| own.cpu_us - native.cpu_us))
                })
                .map(|spread| spread.median),
            cpu_to_bare: Spread::of(pairs().map(|(own, bare)| own.cpu_us / bare.cpu_us))?.median,
            p50_ms: spread.p50_ms.median,
            p99_ms: spread.p99_ms.median,
            added_p50_ms: Spread::of(paced().map(|(own, bare)| own.p50_ms - bare.p50_ms))?.median,
            added_p99_ms: Spread::of(paced().map(|(own, bare)| own.p99_ms - bare.p99_ms))?.median,
            requests_per_second: Spread::of(rounds.saturated.iter().map(|r| r.rate))?.median,
            sidecar_cpu_us: Spread::of(rounds.saturated.iter().filter_map(|r| r.sidecar_cpu_us))
                .map(|spread| spread.median),
            resident_mib: rounds.saturated.iter().map(|r| r.resident_mib).collect(),
            spread,
        })
    }
}

fn goals(rows: &[Figures]) -> BTreeMap<&'static str, Goal> {
    let row = |name: &str| rows.iter().find(|row| row.name == name);
    let goal = |name, value: Option<f64>, limit| {
        value.map(|value| {
            let holds = value <= limit;
            (
                name,
                Goal {
                    value,
                    limit,
                    holds,
                },
            )
        })
    };
    let strict = row(STRICT);
    [
        goal(
            "relaxed_added_to_native",
            row(RELAXED).and_then(|row| row.added_to_native),
            1.5,
        ),
        goal(
            "strict_added_to_native",
            strict.and_then(|row| row.added_to_native),
            3.0,
        ),
        goal(
            "strict_added_p50_ms",
            strict.map(|row| row.added_p50_ms),
            1.0,
        ),
        goal(
            "strict_added_p99_ms",
            strict.map(|row| row.added_p99_ms),
            5.0,
        ),
        // Differences: what a look-up adds is so little that a ratio of it says nothing on a
        // busy machine.
        goal(
            "token_cached_over_native_us",
            row(CACHED).and_then(|row| row.over_native_us),
            0.0,
        ),
        goal(
            "token_first_seen_over_native_us",
            row(FIRST_SEEN).and_then(|row| row.over_native_us),
            0.0,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Writes both files, and prints the table.
pub(crate) fn write(report: &Report, dir: &Path) -> Result<(), ReportError> {
    let markdown = markdown::render(report);
    let json = format!("{}\n", serde_json::to_string_pretty(report)?);
    for (name, text) in [("report.md", &markdown), ("report.json", &json)] {
        let path = dir.join(name);
        std::fs::write(&path, text).map_err(|source| ReportError::Unwritable { path, source })?;
    }
    print!("{markdown}");
    Ok(())
}
