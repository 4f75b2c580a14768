//! What a call costs whose budgets are leased does not depend on how many budgets there are.

use std::time::Instant;

use sekisho_domain::{
    Budget, Counting, Covered, Meter, Micros, Mode, Payer, Subject, Tokens, UnixMillis, Usage,
};

use crate::{Accounts, Budgets, Grant};

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
/// Calls of one measurement, and how often it is made: the fastest counts, because nothing but
/// the work itself can make it fast.
const CALLS: u32 = 5_000;
const ROUNDS: usize = 7;

/// A worker that knows so many departments with a budget each, and five budgets that cover a
/// call of the one in the middle, all leased.
fn worker(departments: usize) -> (Accounts, Budgets) {
    let (mut accounts, mut budgets) = (Accounts::default(), Budgets::default());
    let mut add = |id: String, payer: Payer, subject: Subject, meter: Meter| {
        let budget = Budget {
            id: id.as_str().into(),
            payer,
            subject,
            meter,
            window: None,
            limit: u64::MAX / 4,
            mode: Mode::Strict,
        };
        let counting = Counting {
            counter: budget.id,
            payer: budget.payer,
            subject: budget.subject,
            meter,
            mode: budget.mode,
        };
        budgets.insert(counting, &mut accounts);
        let grant = Grant {
            budget: &id,
            window_start: UnixMillis(0),
            window_end: UnixMillis(u64::MAX),
            amount: u64::MAX / 8,
            limit: u64::MAX / 4,
            remaining: 0,
        };
        accounts.add(&grant, NOW);
    };
    let department = |at: usize| Payer::Department(format!("department-{at}").as_str().into());
    for at in 0..departments {
        let everything = Subject::Everything;
        add(
            format!("cost-{at}"),
            department(at),
            everything,
            Meter::Cost,
        );
    }
    let own = || department(departments / 2);
    let model = Subject::Model("gpt-4o".to_owned());
    add("calls".into(), own(), Subject::Everything, Meter::Requests);
    add("model".into(), own(), model, Meter::OutputTokens);
    let company = Payer::Organisation;
    add("company".into(), company, Subject::Everything, Meter::Cost);
    let person = Payer::User("001".into());
    add("person".into(), person, Subject::Everything, Meter::Tokens);
    (accounts, budgets)
}

/// Nanoseconds that it takes to find the five budgets of a call, to set its worst case aside
/// in all of them, and to settle what it used.
#[expect(clippy::disallowed_methods, reason = "measures how long it takes")]
fn nanos_per_call(departments: usize) -> u128 {
    let (mut accounts, budgets) = worker(departments);
    let department = format!("department-{}", departments / 2);
    let call = Covered {
        department: &department,
        user: "001",
        api: "openai",
        model: "gpt-4o",
        ..Covered::default()
    };
    let usage = |input, output| Usage {
        input: Tokens(input),
        output: Tokens(output),
        ..Usage::default()
    };
    let (worst, used) = (usage(400, 1000), usage(100, 300));
    let round = |_| {
        let begun = Instant::now();
        for _ in 0..CALLS {
            let demands = budgets.demands(&call, &worst, Micros(1400), None, &accounts);
            assert_eq!(demands.len(), 5);
            for held in accounts.reserve(&demands, NOW).unwrap() {
                let used = held.used(&used, Micros(400));
                accounts.settle(&held, used, NOW);
            }
        }
        begun.elapsed().as_nanos() / u128::from(CALLS)
    };
    (0..ROUNDS).map(round).min().unwrap().max(1)
}

#[test]
fn five_leased_budgets_cost_as_much_among_ten_departments_as_among_ten_thousand() {
    let (few, many) = (nanos_per_call(10), nanos_per_call(10_000));
    println!("a call of five budgets: {few} ns among 10 departments, {many} ns among 10,000");
    assert!(many < few * 5, "{few} ns among 10, {many} ns among 10,000");
}
