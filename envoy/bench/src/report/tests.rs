use super::*;
use crate::row::{Paced, Saturated};

fn rounds(cpu: &[f64], p99: f64) -> Rounds {
    let saturated = cpu.iter().map(|cpu_us| Saturated {
        cpu_us: *cpu_us,
        sidecar_cpu_us: None,
        rate: 5000.0,
        resident_mib: 80.0,
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
        token_request_bytes: 1500,
        first_seen: Some(FirstSeen {
            warm_up: 100,
            requests: 500,
            paced_requests: 200,
        }),
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
fn checks_of_tokens_are_held_against_checks_of_tokens() {
    let report = report(&[
        ("bare", rounds(&[300.0; 3], 1.0)),
        ("native", rounds(&[400.0; 3], 1.0)),
        ("token-bare", rounds(&[100.0, 200.0, 100.0], 1.0)),
        ("native-cached", rounds(&[110.0, 210.0, 110.0], 1.0)),
        ("token-cached", rounds(&[115.0, 214.0, 115.0], 1.0)),
        ("native-first-seen", rounds(&[150.0; 3], 1.0)),
        ("token-first-seen", rounds(&[140.0; 3], 1.0)),
    ]);
    let cached = &report.rows[4];
    assert_eq!((cached.added_us, cached.added_to_native), (15.0, Some(1.5)));
    assert_eq!(report.rows[6].added_to_native, Some(0.8));
    let goal = |name| {
        let goal = &report.goals[name];
        (goal.value, goal.holds)
    };
    assert_eq!(goal("token_cached_over_native_us"), (5.0, false));
    assert_eq!(goal("token_first_seen_over_native_us"), (-10.0, true));
    let text = markdown::render(&report);
    assert!(
        text.contains("token-bare") && text.contains("600, 1200, 1800 such tokens"),
        "{text}"
    );
}

#[test]
fn without_checks_of_tokens_nothing_is_said_of_them() {
    let text = markdown::render(&report(&[("bare", rounds(&[100.0], 1.0))]));
    assert!(!text.contains("token-"), "{text}");
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
        "over_native_us",
        "resident_mib",
        "p50_ms",
        "p99_ms",
    ] {
        assert!(json["rows"][0].get(name).is_some(), "{name}");
    }
    assert_eq!(json["machine"], "a machine");
}
