use super::*;

const NOW: UnixMillis = UnixMillis(60_000);

fn grant(budget: &str, amount: u64) -> Grant<'_> {
    Grant {
        budget,
        window_start: UnixMillis(60_000),
        window_end: UnixMillis(120_000),
        amount,
        limit: 100,
        remaining: 50,
    }
}

/// Slots of budgets that count tokens: `a` is the first, `b` the second.
const A: Slot = Slot(0);
const B: Slot = Slot(1);

fn demand(slot: Slot, amount: u64) -> Demand {
    Demand { slot, amount }
}

fn returned(amount: u64) -> Return {
    Return {
        budget: "a".into(),
        window_start: UnixMillis(60_000),
        amount,
    }
}

fn accounts(grants: &[Grant<'_>]) -> Accounts {
    let mut accounts = Accounts::default();
    accounts.restart([7; 16]);
    assert_eq!(accounts.slot("a", Meter::Tokens), A);
    assert_eq!(accounts.slot("b", Meter::Tokens), B);
    for grant in grants {
        accounts.add(grant, NOW);
    }
    accounts
}

#[test]
fn a_call_fits_every_budget_or_takes_from_none() {
    let mut accounts = accounts(&[grant("a", 10), grant("b", 5)]);
    let both = [demand(A, 10), demand(B, 6)];
    assert_eq!(
        accounts.reserve(&both, NOW),
        Err(Shortfall(vec![demand(B, 1)]))
    );
    assert_eq!(accounts.reserve(&[demand(A, 10)], NOW).unwrap().len(), 1);
    assert!(accounts.reserve(&[demand(A, 1)], NOW).is_err());
}

#[test]
fn what_was_not_used_is_free_again_and_what_was_used_is_gone() {
    let mut accounts = accounts(&[grant("a", 10)]);
    let held = accounts.reserve(&[demand(A, 10)], NOW).unwrap();
    accounts.settle(&held[0], 4, NOW);
    assert!(accounts.reserve(&[demand(A, 7)], NOW).is_err());
    assert!(accounts.reserve(&[demand(A, 6)], NOW).is_ok());
    assert_eq!(accounts.take_returns(), []);
}

#[test]
fn a_lease_ends_with_its_window() {
    let mut accounts = accounts(&[grant("a", 10)]);
    let held = accounts.reserve(&[demand(A, 4)], NOW).unwrap();
    let later = UnixMillis(120_000);
    assert!(accounts.reserve(&[demand(A, 1)], later).is_err());
    let next = Grant {
        window_start: later,
        window_end: UnixMillis(180_000),
        ..grant("a", 3)
    };
    accounts.add(&next, later);
    accounts.settle(&held[0], 0, later); // of the former window: frees nothing
    let later = UnixMillis(120_001);
    assert!(accounts.reserve(&[demand(A, 4)], later).is_err());
    assert!(accounts.reserve(&[demand(A, 3)], later).is_ok());
}

#[test]
fn nothing_is_left_of_a_given_up_holders_leases() {
    let mut accounts = accounts(&[grant("a", 10)]);
    let held = accounts.reserve(&[demand(A, 5)], NOW).unwrap();
    accounts.restart([8; 16]);
    accounts.settle(&held[0], 0, NOW);
    assert!(accounts.reserve(&[demand(A, 1)], NOW).is_err());
    accounts.recall("a", UnixMillis(60_000), NOW);
    assert_eq!(accounts.take_returns(), [returned(0)]);
}

#[test]
fn idle_leases_go_back_once() {
    let mut accounts = accounts(&[grant("a", 10)]);
    let soon = NOW.plus_millis(IDLE_MILLIS - 1);
    assert!(accounts.take_idle(soon).is_empty());
    let idle = accounts.take_idle(NOW.plus_millis(IDLE_MILLIS));
    assert_eq!(idle, [returned(10)]);
    assert!(accounts.take_idle(NOW.plus_millis(IDLE_MILLIS)).is_empty());
    assert!(accounts.reserve(&[demand(A, 1)], NOW).is_err());
}

#[test]
fn a_recalled_lease_goes_back_and_so_does_what_becomes_free_soon_after() {
    let mut accounts = accounts(&[grant("a", 10)]);
    let held = accounts
        .reserve(&[demand(A, 3), demand(A, 3)], NOW)
        .unwrap();
    accounts.recall("a", UnixMillis(60_000), NOW);
    assert_eq!(accounts.take_returns(), [returned(4)]);
    assert!(accounts.reserve(&[demand(A, 1)], NOW).is_err());
    accounts.settle(&held[0], 1, NOW.plus_millis(RECALL_MILLIS - 1));
    assert_eq!(accounts.take_returns(), [returned(2)]);
    accounts.settle(&held[1], 1, NOW.plus_millis(RECALL_MILLIS));
    assert_eq!(accounts.take_returns(), []);
    assert!(accounts.reserve(&[demand(A, 2)], NOW).is_ok());
}

#[test]
fn a_recall_of_what_is_not_there_is_answered_too() {
    let mut accounts = accounts(&[grant("a", 10)]);
    accounts.recall("a", UnixMillis(0), NOW);
    accounts.recall("c", UnixMillis(60_000), NOW);
    let amounts: Vec<u64> = accounts
        .take_returns()
        .iter()
        .map(|back| back.amount)
        .collect();
    assert_eq!(amounts, [0, 0]);
    assert!(accounts.reserve(&[demand(A, 10)], NOW).is_ok());
}

#[test]
fn a_lease_of_an_unknown_budget_goes_back() {
    let mut accounts = accounts(&[]);
    accounts.add(&grant("c", 5), NOW);
    assert_eq!(&*accounts.take_returns()[0].budget, "c");
}

#[test]
fn a_lease_is_renewed_once_when_half_of_it_is_used_while_there_is_plenty() {
    let plenty = Grant {
        remaining: 400,
        ..grant("a", 100)
    };
    let mut accounts = accounts(std::slice::from_ref(&plenty));
    let mut renewals_after = |amount: u64| {
        assert!(accounts.reserve(&[demand(A, amount)], NOW).is_ok());
        accounts.take_renewals()
    };
    assert_eq!(renewals_after(50), []);
    assert_eq!(renewals_after(1), [demand(A, 1)]);
    assert_eq!(renewals_after(1), []);
    accounts.add(&plenty, NOW);
    assert_eq!(accounts.reserve(&[demand(A, 100)], NOW).unwrap().len(), 1);
    assert_eq!(accounts.take_renewals(), [demand(A, 100)]);
}

#[test]
fn nothing_is_asked_for_ahead_near_a_budgets_end() {
    let mut accounts = accounts(&[grant("a", 50)]);
    assert!(accounts.reserve(&[demand(A, 40)], NOW).is_ok());
    assert_eq!(accounts.take_renewals(), []);
}

#[test]
fn a_budget_without_a_lease_covers_not_even_nothing() {
    let mut accounts = accounts(&[]);
    assert!(accounts.reserve(&[demand(A, 0)], NOW).is_err());
    assert!(
        accounts
            .reserve(&[demand(Slot::default(), 0)], NOW)
            .is_err()
    );
}
