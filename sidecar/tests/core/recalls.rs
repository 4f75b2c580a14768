//! Leases that others need come back, and whoever waits for them is answered once.

use std::time::Duration;

use sekisho::link::LinkSession;
use sekisho_link::v1;
use tokio::time::timeout;

use crate::world::{Worker, World};

/// A department's calls of a minute, of which there are three.
const CALLS: &str = "hr-calls";

fn request(id: u64, amount: u64) -> v1::Up {
    let demand = v1::Demand {
        budget: CALLS.into(),
        amount,
    };
    let request = v1::LeaseRequest {
        id,
        demands: vec![demand],
    };
    v1::Up {
        lease_requests: vec![request],
        ..v1::Up::default()
    }
}

fn back(window_start: u64, amount: u64) -> v1::Up {
    let lease = v1::LeaseReturn {
        budget: CALLS.into(),
        window_start,
        amount,
    };
    v1::Up {
        lease_returns: vec![lease],
        ..v1::Up::default()
    }
}

/// Asks; returns what the batch itself was answered with.
async fn ask(worker: &mut Worker, id: u64, amount: u64) -> Vec<v1::LeaseAnswer> {
    worker
        .send(request(id, amount))
        .await
        .unwrap()
        .lease_answers
}

async fn pushed(session: &mut LinkSession) -> v1::Down {
    let down = async {
        loop {
            let down = session.recv().await.unwrap();
            if down.snapshot.is_none() {
                return down;
            }
        }
    };
    timeout(Duration::from_secs(5), down).await.unwrap()
}

/// Two workers, of which the first has all there is.
async fn all_with_the_first(world: &World) -> (Worker, Worker, u64) {
    let (mut one, mut other) = (world.worker(1), world.worker(2));
    other.entries(Vec::new()).await;
    let leases = ask(&mut one, 1, 3).await.remove(0).leases;
    assert_eq!(leases[0].remaining, 0);
    (one, other, leases[0].window_start)
}

#[tokio::test]
async fn whoever_asks_waits_for_what_lies_idle_elsewhere() {
    let world = World::new().await;
    let (mut one, mut other, start) = all_with_the_first(&world).await;
    assert_eq!(ask(&mut other, 7, 2).await, [], "it waits");
    let recall = pushed(&mut one.session).await.recalls.remove(0);
    assert_eq!(
        (recall.budget.as_str(), recall.window_start),
        (CALLS, start)
    );
    one.send(back(start, 3)).await.unwrap();
    let answer = pushed(&mut other.session).await.lease_answers.remove(0);
    assert_eq!((answer.id, answer.exhausted), (7, None));
    // No more than it needs while others may wait.
    assert_eq!(
        (answer.leases[0].amount, answer.leases[0].remaining),
        (2, 1)
    );
}

#[tokio::test]
async fn whoever_has_nothing_to_give_back_says_so_and_nobody_waits_longer() {
    let world = World::new().await;
    let (mut one, mut other, start) = all_with_the_first(&world).await;
    assert_eq!(ask(&mut other, 1, 1).await, []);
    pushed(&mut one.session).await;
    // It is all under way; the records are not here yet.
    one.send(back(start, 0)).await.unwrap();
    let answer = pushed(&mut other.session).await.lease_answers.remove(0);
    assert_eq!(answer.exhausted.unwrap().remaining, 0);
}

#[tokio::test]
async fn nobody_waits_for_a_worker_that_does_not_answer_for_long() {
    let world = World::new().await;
    let (_one, mut other, _) = all_with_the_first(&world).await;
    assert_eq!(ask(&mut other, 1, 1).await, []);
    let answer = pushed(&mut other.session).await.lease_answers.remove(0);
    assert!(answer.exhausted.is_some());
}

#[tokio::test]
async fn nobody_waits_for_what_is_not_there() {
    let world = World::new().await;
    let (mut one, mut other, _) = all_with_the_first(&world).await;
    let refused = ask(&mut other, 1, 4).await.remove(0);
    assert_eq!(refused.exhausted.unwrap().limit, 3);
    assert!(
        one.session
            .try_recv()
            .is_none_or(|down| down.recalls.is_empty())
    );
}

#[tokio::test]
async fn those_who_wait_are_served_in_their_order() {
    let world = World::new().await;
    let (mut one, mut second, start) = all_with_the_first(&world).await;
    let mut third = world.worker(3);
    assert_eq!(ask(&mut second, 1, 2).await, []);
    assert_eq!(ask(&mut third, 1, 2).await, []);
    one.send(back(start, 3)).await.unwrap();
    let answer = pushed(&mut second.session).await.lease_answers.remove(0);
    assert_eq!(answer.leases[0].amount, 2);
    let answer = pushed(&mut third.session).await.lease_answers.remove(0);
    assert_eq!(answer.exhausted.unwrap().remaining, 1);
}

#[tokio::test]
async fn a_stream_that_ends_does_not_keep_others_waiting() {
    let world = World::new().await;
    let (one, mut other, _) = all_with_the_first(&world).await;
    assert_eq!(ask(&mut other, 1, 1).await, []);
    drop(one);
    let answer = pushed(&mut other.session).await.lease_answers.remove(0);
    // What it held is spent until it says that it is gone, or has been silent for long.
    assert!(answer.exhausted.is_some());
    let gone = vec![[1; 16]];
    let mut again = Worker::new(&world.link, 1, 9, gone, world.clock.clone());
    again.entries(Vec::new()).await;
    assert_eq!(ask(&mut other, 2, 3).await.remove(0).leases[0].amount, 3);
}

#[tokio::test]
async fn what_was_returned_before_its_record_came_is_taken_when_it_comes() {
    let world = World::new().await;
    let (mut one, mut other) = (world.worker(1), world.worker(2));
    let tokens = "sales-tokens";
    let leases = one.lease(&[(tokens, 2000)]).await.leases;
    let granted = leases[0].amount;
    let call = one.call(1, "sales");
    one.entries(vec![call.admit(&leases)]).await;
    // Freed by the call's end, of which another module of the chain tells in its own time.
    let give_back = v1::Up {
        lease_returns: vec![v1::LeaseReturn {
            budget: tokens.into(),
            window_start: leases[0].window_start,
            amount: granted - 30,
        }],
        ..v1::Up::default()
    };
    one.send(give_back).await.unwrap();
    let used = crate::world::usage_of(20, 10);
    other.entries(vec![call.complete(used)]).await;
    let all = 10_000_000 - 30;
    let answer = other.lease(&[(tokens, all)]).await;
    assert_eq!(answer.leases[0].amount, all, "{answer:?}");
    World::sound(&world.verify().await);
}
