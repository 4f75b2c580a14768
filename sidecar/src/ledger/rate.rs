//! What leases cost does not depend on how many budgets there are.

use std::time::Instant;

use sekisho_domain::{Budget, Meter, Payer, Subject, WindowUnit};

use super::*;

/// Leases of one measurement, and how often it is made: the fastest counts, because nothing
/// but the work itself can make it fast.
const LEASES: u32 = 2_000;
const ROUNDS: usize = 5;

/// A ledger of so many departments with a budget each, and a holder.
fn ledger(departments: usize, now: UnixMillis) -> Ledger {
    let mut ledger = Ledger::empty("Asia/Tokyo").unwrap();
    for at in 0..departments {
        let index = ledger.put(Budget {
            id: BudgetId(format!("budget-{at}")),
            payer: Payer::Department(format!("department-{at}").as_str().into()),
            subject: Subject::Everything,
            meter: Meter::Tokens,
            window: Some(WindowUnit::Day),
            limit: u64::from(u32::MAX),
            mode: sekisho_domain::Mode::Strict,
        });
        let (key, window) = ledger.window_at(index, now).unwrap();
        ledger.load_window(key, window, 0);
    }
    ledger.connect(HolderId([1; 16]), VmId([1; 16]), true, now);
    ledger
}

/// Nanoseconds that a lease takes.
#[expect(clippy::disallowed_methods, reason = "measures how long it takes")]
fn nanos_per_lease(departments: usize) -> u128 {
    let now = UnixMillis(1_700_000_000_000);
    let mut ledger = ledger(departments, now);
    let name = format!("budget-{}", departments / 2);
    let round = |_| {
        let begun = Instant::now();
        for _ in 0..LEASES {
            let granted = ledger.grant(HolderId([1; 16]), &[(&name, 10)], true, now);
            assert!(granted.is_ok());
        }
        begun.elapsed().as_nanos() / u128::from(LEASES)
    };
    (0..ROUNDS).map(round).min().unwrap().max(1)
}

#[test]
fn a_lease_costs_as_much_among_ten_departments_as_among_ten_thousand() {
    let (few, many) = (nanos_per_lease(10), nanos_per_lease(10_000));
    println!(
        "{} leases a second among 10 departments, {} among 10,000",
        1_000_000_000 / few,
        1_000_000_000 / many
    );
    assert!(many < few * 5, "{few} ns among 10, {many} ns among 10,000");
}
