//! The report: one table, and whether the goals hold.

mod markdown;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::row::Rounds;
use crate::statistics::Spread;

/// The row that the goals compare with.
const NATIVE: &str = "native";
const RELAXED: &str = "gateway-relaxed";
const STRICT: &str = "gateway-strict";

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
}

/// Everything.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Figures>,
    pub(crate) machine: String,
    pub(crate) method: Method,
    pub(crate) goals: BTreeMap<&'static str, Goal>,
}

/// One gateway. Medians over rounds; what is added is the difference to the first row in
/// the same round.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) name: String,
    pub(crate) cpu_us: f64,
    pub(crate) added_us: f64,
    pub(crate) added_to_native: Option<f64>,
    pub(crate) cpu_to_bare: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) added_p50_ms: f64,
    pub(crate) added_p99_ms: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) sidecar_cpu_us: Option<f64>,
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
        rows: impl Iterator<Item = (&'a str, &'a Rounds)>,
        method: Method,
    ) -> Self {
        let rows: Vec<(&str, &Rounds)> = rows.collect();
        let bare = rows
            .first()
            .map(|(_, rounds)| (*rounds).clone())
            .unwrap_or_default();
        let mut figures: Vec<Figures> = rows
            .iter()
            .filter_map(|(name, rounds)| Figures::new(name, rounds, &bare))
            .collect();
        let native = figures
            .iter()
            .find(|row| row.name == NATIVE)
            .map(|row| row.added_us);
        for row in &mut figures {
            row.added_to_native = native
                .filter(|added| *added > 0.0)
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
    fn new(name: &str, rounds: &Rounds, bare: &Rounds) -> Option<Self> {
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
            cpu_to_bare: Spread::of(pairs().map(|(own, bare)| own.cpu_us / bare.cpu_us))?.median,
            p50_ms: spread.p50_ms.median,
            p99_ms: spread.p99_ms.median,
            added_p50_ms: Spread::of(paced().map(|(own, bare)| own.p50_ms - bare.p50_ms))?.median,
            added_p99_ms: Spread::of(paced().map(|(own, bare)| own.p99_ms - bare.p99_ms))?.median,
            requests_per_second: Spread::of(rounds.saturated.iter().map(|r| r.rate))?.median,
            sidecar_cpu_us: Spread::of(rounds.saturated.iter().filter_map(|r| r.sidecar_cpu_us))
                .map(|spread| spread.median),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Paced, Saturated};

    fn rounds(cpu: &[f64], p99: f64) -> Rounds {
        let saturated = cpu.iter().map(|cpu_us| Saturated {
            cpu_us: *cpu_us,
            sidecar_cpu_us: None,
            rate: 5000.0,
        });
        let paced = Paced {
            p50_ms: 0.5,
            p99_ms: p99,
        };
        Rounds {
            saturated: saturated.collect(),
            paced: vec![paced; cpu.len()],
        }
    }

    fn report(rows: &[(&str, Rounds)]) -> Report {
        let method = Method {
            command: "scripts/bench".into(),
            machine: "a machine".into(),
            envoy: "1.40.0".into(),
            rounds: 3,
            requests: 1000,
            connections: 16,
            rate: 500,
            paced_requests: 1000,
            tokens: 100,
            request_bytes: 2000,
        };
        Report::new(rows.iter().map(|(name, rounds)| (*name, rounds)), method)
    }

    #[test]
    fn what_is_added_is_paired_by_round() {
        let report = report(&[
            ("bare", rounds(&[100.0, 200.0, 100.0], 1.0)),
            ("native", rounds(&[120.0, 221.0, 119.0], 1.0)),
            ("gateway-relaxed", rounds(&[130.0, 230.0, 130.0], 1.0)),
        ]);
        let relaxed = &report.rows[2];
        assert_eq!(report.rows[1].added_us, 20.0);
        assert_eq!((relaxed.cpu_us, relaxed.added_us), (130.0, 30.0));
        assert_eq!(relaxed.added_to_native, Some(1.5));
        assert!(report.goals_hold());
    }

    #[test]
    fn a_missed_goal_is_seen_and_shown() {
        let report = report(&[
            ("bare", rounds(&[100.0], 1.0)),
            ("native", rounds(&[120.0], 1.0)),
            ("gateway-strict", rounds(&[140.0], 6.5)),
        ]);
        assert!(!report.goals_hold());
        let text = markdown::render(&report);
        assert!(
            text.contains("| gateway-strict |") && text.contains("missed"),
            "{text}"
        );
    }

    #[test]
    fn names_of_the_json_are_those_that_others_read() {
        let report = report(&[("bare", rounds(&[100.0], 1.0))]);
        let json = serde_json::to_value(&report).unwrap();
        for name in [
            "name",
            "cpu_us",
            "added_us",
            "added_to_native",
            "p50_ms",
            "p99_ms",
        ] {
            assert!(json["rows"][0].get(name).is_some(), "{name}");
        }
        assert_eq!(json["machine"], "a machine");
    }
}
