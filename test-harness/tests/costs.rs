//! What a call costs in the VM: instructions, entries and host calls, which are the same on every
//! machine. Each has a ceiling, a little above what it is, so that nothing gets dearer unseen.
//!
//! `cargo nextest run -p sekisho-test-harness --test costs --no-capture` prints them all.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot do its work has failed"
)]

#[path = "costs/start.rs"]
mod start;
#[path = "costs/table.rs"]
mod table;

use sekisho_test_harness::gateway::{Answer, Gateway as _, Request};
use sekisho_test_harness::host::{Headers, WorkerId};
use sekisho_test_harness::on_host::OnHost;

use start::{Mode, bearer};
use table::{CallCost, Ceiling};

/// Before the first that counts: the token is verified, leases have come, memory is there.
const WARM_UP: usize = 100;
/// Calls that count. The middle one of them is told of: some send what others have left.
const CALLS: usize = 65;
/// How often gateways take turns; the first is not counted.
const TURNS: usize = 9;

const REQUEST: &str = include_str!("costs/request.json");
const ANSWER: &str = include_str!("costs/answer.json");

#[test]
fn a_relaxed_chat_completion_stays_as_cheap_as_it_is() {
    let cost = completions(Mode::Relaxed, 3);
    cost.print("a relaxed chat completion");
    cost.assert_within(Ceiling {
        instructions: 105_500,
        entries: 12,
        host_calls: 17,
    });
}

#[test]
fn a_strict_chat_completion_stays_as_cheap_as_it_is() {
    let cost = completions(Mode::Strict, 3);
    cost.print("a strict chat completion");
    cost.assert_within(Ceiling {
        instructions: 110_000,
        entries: 12,
        host_calls: 24,
    });
}

/// With what they set aside in the records, and the headers that tell the caller where they stand.
#[test]
fn five_leased_budgets_add_little_to_a_call() {
    let (without, with) = (completions(Mode::Relaxed, 0), completions(Mode::Relaxed, 5));
    without.print("without budgets");
    with.print("with five budgets");
    let (without, with) = (without.sum().instructions, with.sum().instructions);
    let added = with.saturating_sub(without);
    println!("five leased budgets add {added} instructions to {without}");
    assert!(added <= 11_200, "{added}");
}

#[test]
fn the_check_of_a_known_token_stays_as_cheap_as_it_is() {
    let mut host = start::alone();
    let mut calls = Vec::new();
    for _ in 0..WARM_UP + CALLS {
        let stream = host.request(WorkerId(0), start::upload());
        assert!(
            host.upstream(stream).is_some(),
            "{:?}",
            host.outcome(stream)
        );
        host.response_headers(stream, Headers::from([(":status", "200")]), false);
        host.response_body(stream, "{}", true);
        calls.push(CallCost::new(&host, stream));
    }
    let cost = CallCost::middle(calls.split_off(WARM_UP));
    cost.print("the check of a known token");
    cost.assert_within(Ceiling {
        instructions: 25_000,
        entries: 4,
        host_calls: 2,
    });
}

/// Of the time that the VM takes without them, in turns: both have whatever else the machine does.
#[test]
fn five_leased_budgets_take_little_of_the_time_of_a_call() {
    let mut without = start::timed(Mode::Relaxed, 0);
    let mut with = start::timed(Mode::Relaxed, 5);
    let (mut nanos_without, mut nanos_with) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        let of_turn = (calls(&mut without, CALLS), calls(&mut with, CALLS));
        if turn > 0 {
            nanos_without.extend(of_turn.0.iter().map(|call| call.sum().nanos));
            nanos_with.extend(of_turn.1.iter().map(|call| call.sum().nanos));
        }
    }
    let (without, with) = (median(nanos_without), median(nanos_with));
    let added = with.saturating_sub(without);
    println!("five leased budgets add {added} ns to the {without} ns that a call takes in the VM");
    assert!(without > 0 && added * 4 <= without, "{added} of {without}");
}

fn median(mut all: Vec<u64>) -> u64 {
    all.sort_unstable();
    all[all.len() / 2]
}

fn completions(mode: Mode, budgets: usize) -> CallCost {
    let mut gateway = start::gateway(mode, budgets);
    let mut calls = calls(&mut gateway, WARM_UP + CALLS);
    let mut cost = CallCost::middle(calls.split_off(WARM_UP));
    cost.acknowledgement = table::acknowledgement(gateway.host());
    cost
}

fn calls(gateway: &mut OnHost, count: usize) -> Vec<CallCost> {
    let request = Request {
        method: "POST".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        headers: vec![
            ("authorization".to_owned(), bearer().into_bytes()),
            ("content-type".to_owned(), b"application/json".to_vec()),
            ("accept".to_owned(), b"*/*".to_vec()),
            ("user-agent".to_owned(), b"costs".to_vec()),
        ],
        body: vec![REQUEST.trim_end().as_bytes().to_vec()],
        ..Request::default()
    };
    let answer = Answer {
        status: 200,
        headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
        body: vec![ANSWER.trim_end().as_bytes().to_vec()],
        ..Answer::default()
    };
    let mut calls = Vec::new();
    for _ in 0..count {
        let exchange = gateway.call(&request, &answer).unwrap();
        let response = exchange.response.unwrap();
        assert!(response.status == 200 && response.complete, "{response:?}");
        let stream = gateway.last().unwrap();
        calls.push(CallCost::new(gateway.host(), stream));
    }
    calls
}
