use std::rc::Rc;

use proptest::prelude::*;
use sekisho_domain::{
    Budget, Counting, Covered, Meter, Micros, Mode, Payer, Price, StreamCut, Subject, Tokens, Usage,
};

use super::*;
use crate::{Budgets, Grant};

const NOW: UnixMillis = UnixMillis(60_000);
const INPUT: u64 = 10;

fn cut(estimate: u64, ahead: u64) -> StreamCut {
    StreamCut {
        estimate: Tokens(estimate),
        ahead: Tokens(ahead),
    }
}

/// One worker that knows one budget of the organisation.
struct Worker {
    accounts: Accounts,
    budgets: Budgets,
}

fn worker(meter: Meter, cut: StreamCut) -> Worker {
    let mut accounts = Accounts::default();
    accounts.restart([7; 16]);
    let mut budgets = Budgets::default();
    let counting = Counting {
        counter: "b".into(),
        payer: Payer::Organisation,
        subject: Subject::Everything,
        meter,
        mode: Mode::StreamCut(cut),
    };
    budgets.insert(counting, &mut accounts);
    Worker { accounts, budgets }
}

fn price() -> Price {
    Price {
        input_per_million: Micros(1_000_000),
        output_per_million: Micros(3_333_333),
        ..Price::default()
    }
}

fn streamed(most_output: u64, hidden: u64, choices: u64) -> (Usage, Streamed) {
    let worst = Usage {
        input: Tokens(INPUT),
        output: Tokens(most_output * choices),
        ..Usage::default()
    };
    (
        worst,
        Streamed::new(worst, price(), Tokens(hidden), choices),
    )
}

impl Worker {
    fn lease(&mut self, amount: u64, remaining: u64) {
        let grant = Grant {
            budget: "b",
            window_start: NOW,
            window_end: UnixMillis(120_000),
            amount,
            limit: u64::MAX,
            remaining,
        };
        self.accounts.add(&grant, NOW);
    }

    fn demands(&self, worst: &Usage, streamed: &Streamed) -> Vec<Demand> {
        let cost = price().most(worst);
        let call = Covered::default();
        self.budgets
            .demands(&call, worst, cost, Some(streamed), &self.accounts)
    }
}

#[test]
fn an_answer_begins_with_its_estimate_and_goes_on_as_long_as_there_is_something_left() {
    let mut worker = worker(Meter::OutputTokens, cut(100, 5));
    worker.lease(250, 1_000);
    let (worst, mut answer) = streamed(4_096, 0, 1);
    let demands = worker.demands(&worst, &answer);
    assert_eq!(demands[0].amount, 100);
    let mut held = worker.accounts.reserve(&demands, NOW).unwrap();
    assert!(answer.is_followed_by(&held));
    let mut follow = |tokens| {
        let grew = worker
            .accounts
            .follow(&mut held, &mut answer, tokens, true, NOW);
        (grew, held[0].amount)
    };
    assert_eq!(follow(100), (Ok(false), 100));
    assert_eq!(follow(1), (Ok(true), 201));
    assert_eq!(follow(100), (Ok(false), 201));
    // No step is left, but 49 are.
    assert_eq!(follow(1), (Ok(true), 250));
    let slot = held[0].slot;
    assert_eq!(
        worker
            .accounts
            .follow(&mut held, &mut answer, 49, true, NOW),
        Err(Dry(slot))
    );
    assert_eq!(answer.used(true).output, Tokens(202));
    assert_eq!(answer.used(false).output, Tokens(207));
    // It asked for more while there was some, once.
    let asked = worker.accounts.take_renewals();
    assert_eq!(asked, [Demand { slot, amount: 101 }]);
    worker.lease(60, 0);
    // What nobody hears of may not be spent.
    let unheard = worker
        .accounts
        .follow(&mut held, &mut answer, 49, false, NOW);
    assert_eq!(unheard, Err(Dry(slot)));
    let heard = worker
        .accounts
        .follow(&mut held, &mut answer, 49, true, NOW);
    assert_eq!(heard, Ok(true));
}

#[test]
fn no_more_is_set_aside_than_an_answer_can_use_and_what_is_hidden_counts_from_the_beginning() {
    let mut worker = worker(Meter::OutputTokens, cut(100, 5));
    worker.lease(10_000, 0);
    let (worst, answer) = streamed(90, 0, 1);
    assert_eq!(worker.demands(&worst, &answer)[0].amount, 90);
    let (worst, mut answer) = streamed(500, 300, 2);
    let demands = worker.demands(&worst, &answer);
    assert_eq!(demands[0].amount, 2 * (300 + 100));
    let mut held = worker.accounts.reserve(&demands, NOW).unwrap();
    assert!(answer.is_followed_by(&held));
    let grew = worker
        .accounts
        .follow(&mut held, &mut answer, 9_999, true, NOW);
    assert_eq!((grew, held[0].amount), (Ok(true), 1_000));
    assert_eq!(answer.used(false).output, Tokens(1_000));
}

#[test]
fn an_answer_keeps_to_its_window_and_to_its_leases() {
    let mut worker = worker(Meter::OutputTokens, cut(100, 0));
    worker.lease(300, 0);
    let (worst, mut answer) = streamed(4_096, 0, 1);
    let demands = worker.demands(&worst, &answer);
    let mut held = worker.accounts.reserve(&demands, NOW).unwrap();
    // The next window's lease has come.
    let later = UnixMillis(130_000);
    let next = Grant {
        budget: "b",
        window_start: UnixMillis(120_000),
        window_end: UnixMillis(180_000),
        amount: 1_000,
        limit: u64::MAX,
        remaining: 0,
    };
    worker.accounts.add(&next, later);
    let mut follow = |accounts: &mut Accounts, tokens| {
        accounts
            .follow(&mut held, &mut answer, tokens, true, later)
            .is_ok()
    };
    assert!(follow(&mut worker.accounts, 300));
    assert!(!follow(&mut worker.accounts, 1));
    // The stream to the sidecar broke: nothing of the former leases is left.
    worker.accounts.restart([8; 16]);
    worker.lease(1_000, 0);
    assert!(!follow(&mut worker.accounts, 1));
}

#[test]
fn a_budget_that_becomes_strict_goes_on_following_what_it_began_to_follow() {
    let mut worker = worker(Meter::OutputTokens, cut(100, 0));
    worker.lease(150, 0);
    let (worst, mut answer) = streamed(4_096, 0, 1);
    let demands = worker.demands(&worst, &answer);
    let mut held = worker.accounts.reserve(&demands, NOW).unwrap();
    worker.accounts.set_mode(held[0].slot, Mode::Strict);
    assert_eq!(worker.demands(&worst, &answer)[0].amount, 4_096);
    let follow = worker
        .accounts
        .follow(&mut held, &mut answer, 151, true, NOW);
    assert!(follow.is_err());
}

/// What a provider has generated of an answer, and what of it has passed.
struct Answer {
    held: Vec<Reservation>,
    streamed: Streamed,
    worker: usize,
    /// Output tokens that it would have, if nobody cut it.
    whole: u64,
    passed: u64,
}

proptest! {
    /// However many workers share a budget, and in whatever order their answers begin, go on, end
    /// and are cut: what providers generate is over the limit by no more than its share.
    #[test]
    fn what_providers_generate_is_over_the_limit_by_no_more_than_the_bound(
        meter in prop::sample::select(vec![Meter::OutputTokens, Meter::Tokens, Meter::Cost]),
        limit in 1u64..20_000,
        estimate in 1u64..500,
        ahead in 0u64..500,
        steps in prop::collection::vec((0usize..4, 0u64..700, 0u8..100), 1..200),
    ) {
        let ahead = ahead.min(estimate);
        let mut workers: Vec<Worker> =
            (0..4).map(|_| worker(meter, cut(estimate, ahead))).collect();
        let mut remaining = limit;
        let mut under_way: Vec<Answer> = Vec::new();
        let (mut metered, mut cuts) = (0u64, 0u64);
        for (at, size, dice) in steps {
            if dice < 40 {
                // A call asks for what it lacks, as it would of the sidecar, which grants more
                // than that where it can.
                let (worst, mut streamed) = streamed(1 + size * 3, 0, 1);
                let worker = &mut workers[at];
                let demands = worker.demands(&worst, &streamed);
                let mut reserved = worker.accounts.reserve(&demands, NOW);
                if let Err(lacking) = &reserved {
                    let need = lacking.0[0].amount;
                    if need > remaining {
                        continue;
                    }
                    let granted = need.max(remaining / 8);
                    remaining -= granted;
                    worker.lease(granted, remaining);
                    reserved = worker.accounts.reserve(&demands, NOW);
                }
                let held = reserved.unwrap();
                streamed.is_followed_by(&held);
                under_way.push(Answer { held, streamed, worker: at, whole: worst.output.0, passed: 0 });
            } else if !under_way.is_empty() {
                let nth = at % under_way.len();
                let answer = &mut under_way[nth];
                let worker = &mut workers[answer.worker];
                let tokens = size.min(answer.whole - answer.passed);
                let follow = worker
                    .accounts
                    .follow(&mut answer.held, &mut answer.streamed, tokens, true, NOW);
                let is_cut = follow.is_err();
                if !is_cut {
                    answer.passed += tokens;
                    if dice < 80 && answer.passed < answer.whole {
                        continue;
                    }
                }
                let answer = under_way.remove(nth);
                let is_whole = answer.passed == answer.whole;
                // Whoever is cut, or leaves, has the provider as far ahead as it may be.
                let output = match is_whole {
                    true => answer.whole,
                    false => (answer.passed + ahead).min(answer.whole),
                };
                cuts += u64::from(!is_whole);
                let usage = Usage { input: Tokens(INPUT), output: Tokens(output), ..Usage::default() };
                metered += meter.used(&usage, price().most(&usage));
                let charged = answer.streamed.used(is_whole);
                prop_assert!(charged.output.0 >= output);
                for held in &answer.held {
                    let used = meter.used(&charged, price().most(&charged));
                    worker.accounts.settle(held, used, NOW);
                }
            }
            let renewals = workers[at].accounts.take_renewals();
            for renewal in renewals {
                if renewal.amount <= remaining {
                    remaining -= renewal.amount;
                    workers[at].lease(renewal.amount, remaining);
                }
            }
        }
        // Of money also what is rounded up, a micro-yen for each answer that was cut.
        let rounded = if meter == Meter::Cost { cuts } else { 0 };
        let bound = (limit * ahead).div_ceil(estimate) + rounded;
        prop_assert!(metered <= limit + bound, "{metered} of {limit}, bound {bound}");
    }
}

#[test]
fn what_is_known_of_a_budget_is_what_was_said_last() {
    let mut worker = worker(Meter::Tokens, cut(100, 5));
    let strict = Budget {
        id: "b".into(),
        payer: Payer::Organisation,
        subject: Subject::Everything,
        meter: Meter::Tokens,
        window: None,
        limit: 1,
        mode: Mode::Strict,
    };
    let counting = Counting {
        counter: strict.id,
        payer: strict.payer,
        subject: strict.subject,
        meter: strict.meter,
        mode: strict.mode,
    };
    let slot = worker.accounts.find("b").unwrap();
    assert!(worker.accounts.stream_cut(slot).is_some());
    worker.budgets.insert(counting, &mut worker.accounts);
    assert!(worker.accounts.stream_cut(slot).is_none());
    let name: Rc<str> = worker.accounts.budget(slot).into();
    assert_eq!(&*name, "b");
}
