//! Every order of events, in the small: two gateways, one sidecar and its database, with
//! messages that are lost, late and repeated, and deaths at any moment.
//!
//! The gateways' leases (`Accounts`), their wire (`Outbox`), the sidecar's `Ledger` and
//! the `Desk` that calls leases back are the real ones. From each beginning states are
//! visited nearest first, each once, as many as the bounds say: `SEKISHO_MODEL_STATES=200000`
//! goes further than there is time for in every run. Walks at random go far beyond that.

mod gateway;
mod state;

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic::AssertUnwindSafe;

use sekisho_domain::{Covered, UnixMillis};

use super::VmId;
use state::State;

const BUDGET: &str = "tokens";
/// Not enough for three calls at their worst.
const LIMIT: u64 = 5;
/// The worst case of a call.
const WORST: u64 = 2;
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const CALL: Covered<'_> = Covered {
    department: "sales",
    user: "",
    key: "",
    api: "",
    model: "",
    modality: None,
};
/// Whatever lies idle has done so for long enough.
const LATER: UnixMillis = UnixMillis(NOW.0 + 3_000);

/// How often each thing may happen on the way to a state.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    limit: u64,
    flaw: Option<Flaw>,
    /// Calls go upstream before their records are durable.
    relaxed: bool,
    /// Their budget follows answers.
    streamed: bool,
    calls: u8,
    streams: u8,
    cuts: u8,
    crashes: u8,
    expiries: u8,
    states: usize,
}

impl Bounds {
    /// Nothing goes wrong.
    const CALM: Self = Self {
        limit: LIMIT,
        flaw: None,
        relaxed: false,
        streamed: false,
        calls: 3,
        streams: 2,
        cuts: 0,
        crashes: 0,
        expiries: 0,
        states: 2_000,
    };
}

/// A sidecar that is wrong, to see that it is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// It grants leases before they are durable, which relaxed calls rest on.
    GrantsInMemory,
    /// It takes a record that is sent again for another.
    ForgetsRecords,
    /// It takes what it calls back without waiting for an answer.
    TakesUnanswered,
    /// It gives out again what a silent gateway had reserved.
    FreesReservations,
    /// It does not note that more was set aside for a call, and gives it out again when the
    /// lease is given up.
    ForgetsExtensions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// A client asks.
    Call(usize),
    /// The gateway opens a stream.
    Open(usize),
    /// The gateway sends what has gathered.
    Send(usize),
    /// It does so while another batch is under way.
    SendBehind(usize),
    /// The sidecar gets the oldest batch, commits it and answers.
    Deliver(usize),
    /// The gateway gets the oldest answer.
    Answer(usize),
    /// The gateway loses its stream; what it has sent may still arrive.
    Cut(usize),
    /// A batch of a stream that the gateway has lost arrives.
    Late(usize),
    /// The sidecar notices that such a stream has ended.
    Noticed(usize),
    /// An admitted call is executed, and uses so much.
    Serve(usize, u64),
    /// One more token comes of an answer that is followed.
    Grow(usize),
    /// A gateway waits no longer for an admission.
    GiveUp(usize),
    /// The sidecar takes a gateway for silent, rightly or not.
    Expire(usize),
    /// A gateway gives back what has lain idle.
    Idle(usize),
    /// The sidecar lets nobody wait any longer for what was called back.
    Look,
    /// The sidecar dies; the next one begins with what is durable.
    Crash,
    /// A gateway notices that.
    Orphaned(usize),
}

fn vm(gateway: usize) -> VmId {
    VmId([u8::try_from(gateway).unwrap() + 1; 16])
}

/// What the way to a broken promise was.
type Broken = Vec<Event>;

/// The state after one more event, if every promise holds in it.
fn step(state: &State, event: Event) -> Option<State> {
    let stepped = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let next = state.after(event);
        next.check();
        next
    }));
    stepped.ok()
}

/// Visits every state within the bounds after `beginning`, nearest first; returns how many
/// there were, and in how many of them leases had been called back.
fn explore(bounds: Bounds, beginning: &[Event]) -> Result<(usize, usize), Broken> {
    let more = std::env::var("SEKISHO_MODEL_STATES").ok();
    let most = more.and_then(|states| states.parse().ok());
    let most: usize = most.unwrap_or(bounds.states);
    let mut first = State::new(bounds);
    for event in beginning {
        assert!(first.events(bounds).contains(event), "{event:?}");
        first.apply(*event);
        first.check();
    }
    let mut seen = HashSet::new();
    let mut ways: Vec<(usize, Option<Event>)> = vec![(0, None)];
    let mut queue = VecDeque::from([(first, 0usize)]);
    let mut recalled = 0;
    while let Some((state, way)) = queue.pop_front() {
        for event in state.events(bounds) {
            let Some(next) = step(&state, event) else {
                let mut events = vec![event];
                let mut at = way;
                while let (before, Some(event)) = ways[at] {
                    events.push(event);
                    at = before;
                }
                events.extend(beginning.iter().rev());
                events.reverse();
                return Err(events);
            };
            if seen.len() < most && seen.insert(next.fingerprint()) {
                recalled += usize::from(next.recalls > 0);
                ways.push((way, Some(event)));
                queue.push_back((next, ways.len() - 1));
            }
        }
    }
    Ok((seen.len(), recalled))
}

/// Goes so many ways of so many events; returns in how many leases were called back, and in
/// how many a batch was sent behind another.
fn walk(bounds: Bounds, ways: u64, length: usize) -> Result<(usize, usize), Broken> {
    let first = State::new(bounds);
    let (mut recalled, mut behind) = (0, 0);
    for way in 0..ways {
        let mut state = first.clone();
        let mut gone = Vec::new();
        for at in 0..length {
            let events = state.events(bounds);
            let mut hasher = DefaultHasher::new();
            (way, at).hash(&mut hasher);
            let choice = usize::try_from(hasher.finish() >> 33).unwrap();
            let Some(event) = choice
                .checked_rem(events.len())
                .map(|choice| events[choice])
            else {
                break;
            };
            gone.push(event);
            let stepped = std::panic::catch_unwind(AssertUnwindSafe(|| {
                state.apply(event);
                state.check();
            }));
            stepped.map_err(|_| gone.clone())?;
        }
        recalled += usize::from(state.recalls > 0);
        behind += usize::from(state.behind > 0);
    }
    Ok((recalled, behind))
}

/// Both gateways have a stream, the first has half of its lease free, and the second has
/// asked for more than is left: leases are about to be called back.
const SCARCE: &[Event] = &[
    Event::Open(0),
    Event::Open(1),
    Event::Call(0),
    Event::Send(0),
    Event::Deliver(0),
    Event::Answer(0),
    Event::Send(0),
    Event::Deliver(0),
    Event::Answer(0),
    Event::Serve(0, 1),
    Event::Send(0),
    Event::Deliver(0),
    Event::Answer(0),
    Event::Call(1),
    Event::Call(1),
];

#[test]
fn no_order_of_losses_and_repetitions_breaks_the_limit() {
    let bounds = Bounds {
        cuts: 1,
        ..Bounds::CALM
    };
    let found = explore(bounds, &[]);
    assert!(
        found.as_ref().is_ok_and(|found| found.0 >= 2_000),
        "{found:?}"
    );
}

#[test]
fn no_death_of_the_sidecar_breaks_the_limit() {
    let bounds = Bounds {
        crashes: 1,
        ..Bounds::CALM
    };
    let found = explore(bounds, &[]);
    assert!(
        found.as_ref().is_ok_and(|found| found.0 >= 2_000),
        "{found:?}"
    );
}

#[test]
fn no_gateway_that_is_taken_for_silent_breaks_the_limit() {
    let bounds = Bounds {
        calls: 2,
        cuts: 1,
        crashes: 1,
        expiries: 1,
        ..Bounds::CALM
    };
    let found = explore(bounds, &[]);
    assert!(
        found.as_ref().is_ok_and(|found| found.0 >= 2_000),
        "{found:?}"
    );
}

#[test]
fn no_answer_that_is_followed_breaks_the_limit() {
    let bounds = Bounds {
        streamed: true,
        calls: 4,
        cuts: 1,
        crashes: 1,
        ..Bounds::CALM
    };
    let found = explore(bounds, &[]);
    assert!(
        found.as_ref().is_ok_and(|found| found.0 >= 2_000),
        "{found:?}"
    );
    let far = Bounds {
        streamed: true,
        ..STORMY
    };
    let found = walk(far, 60, 120);
    assert!(found.is_ok(), "{found:?}");
}

#[test]
fn no_lease_that_is_called_back_is_spent_twice() {
    let bounds = Bounds {
        calls: 4,
        cuts: 1,
        crashes: 1,
        states: 4_000,
        ..Bounds::CALM
    };
    let found = explore(bounds, SCARCE);
    assert!(found.as_ref().is_ok_and(|found| found.1 > 500), "{found:?}");
}

/// Much may go wrong on the way.
const STORMY: Bounds = Bounds {
    calls: 16,
    streams: 4,
    cuts: 3,
    crashes: 2,
    ..Bounds::CALM
};

#[test]
fn no_long_way_breaks_the_limit() {
    let expiring = Bounds {
        expiries: 1,
        ..STORMY
    };
    let ample = Bounds {
        limit: 60,
        ..expiring
    };
    // A gateway that is wrongly taken for silent spends what others get meanwhile, unless
    // its calls wait for their records: gateways stop before that, by their own clocks.
    let relaxed = Bounds {
        relaxed: true,
        ..STORMY
    };
    for bounds in [expiring, ample, relaxed] {
        let found = walk(bounds, 60, 120);
        let often = bounds.limit == LIMIT;
        let is_wide =
            |(recalled, behind): &(usize, usize)| (!often || *recalled > 10) && *behind > 30;
        assert!(found.as_ref().is_ok_and(is_wide), "{bounds:?}: {found:?}");
    }
}

#[test]
fn a_sidecar_that_is_wrong_is_found_out() {
    for flaw in [
        Flaw::GrantsInMemory,
        Flaw::ForgetsRecords,
        Flaw::TakesUnanswered,
        Flaw::FreesReservations,
        Flaw::ForgetsExtensions,
    ] {
        let bounds = Bounds {
            flaw: Some(flaw),
            // Strict calls would be refused: the ledger looks at each admit once more.
            relaxed: matches!(flaw, Flaw::GrantsInMemory | Flaw::TakesUnanswered),
            expiries: u8::from(flaw == Flaw::FreesReservations),
            streamed: flaw == Flaw::ForgetsExtensions,
            ..STORMY
        };
        let broken = walk(bounds, 1_000, 120);
        assert!(broken.is_err(), "{flaw:?} is not found");
    }
}
