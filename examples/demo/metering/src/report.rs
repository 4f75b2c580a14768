//! The figures, for people.

use std::collections::BTreeMap;

use crate::client::Seen;
use crate::comparison::{Both, Comparison};
use crate::usage::KINDS;

/// Single calls that are told of.
const MOST_WRONG: usize = 20;

pub(crate) fn print(seen: &Seen, comparison: &Comparison) {
    println!("calls answered: {}", seen.answered);
    for (code, count) in &seen.refused {
        println!("refused by the gateway, and tried again: {count} `{code}`");
    }
    println!("given up after that: {}", seen.given_up);
    println!("never reached a provider: {}", comparison.never_served);
    println!(
        "answered by another upstream than the first: {}",
        comparison.again
    );
    println!(
        "not reported to the end, and estimated: {}",
        comparison.estimated
    );
    table(
        "Answered: served and charged must be equal",
        &comparison.answered,
    );
    table(
        "Refused by the provider: nothing may be charged",
        &comparison.refused,
    );
    table(
        "Broken off: what a whole answer would have been, and what was charged",
        &comparison.broken,
    );
    let wrong = comparison.wrong.iter().chain(&seen.errors);
    let count = wrong.clone().count();
    if count > 0 {
        println!("\n{count} not as it must be:");
        wrong.take(MOST_WRONG).for_each(|it| println!("  {it}"));
    }
}

fn table(heading: &str, rows: &BTreeMap<&'static str, Both>) {
    println!("\n{heading}");
    println!(
        "  {:<18} {:>6}  {:<18} {:>14} {:>14} {:>12}",
        "provider", "calls", "kind", "served", "charged", "difference"
    );
    for (provider, both) in rows {
        let mut first = true;
        let kinds = KINDS
            .iter()
            .zip(both.served.usage.0)
            .zip(both.charged.usage.0);
        let kinds = kinds.map(|((kind, served), charged)| (*kind, served, charged));
        let cost = ("cost, millionths", both.served.cost, both.charged.cost);
        for (kind, served, charged) in kinds.chain([cost]) {
            if served == 0 && charged == 0 && kind != KINDS[0] {
                continue;
            }
            let difference = i128::from(charged) - i128::from(served);
            let (name, calls) = if first {
                (*provider, both.calls.to_string())
            } else {
                ("", String::new())
            };
            println!(
                "  {name:<18} {calls:>6}  {kind:<18} {served:>14} {charged:>14} {difference:>+12}"
            );
            first = false;
        }
    }
}
