//! The writer's loop.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use sekisho_domain::UnixMillis;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;

use super::core::{Core, LOOK_MILLIS, Poison, STUCK};
use super::{ApplyError, Pulses, Request, WriterGone};
use crate::clock::Clock;

/// Most requests of one transaction.
const MOST: usize = 512;

/// How often a part of what was recorded is sorted: two parts at once would keep a call waiting
/// twice.
const SORT: Duration = Duration::from_millis(200);

/// How often checkpoints are made and silent gateways are looked for.
const PERIOD: Duration = Duration::from_secs(1);

pub(super) async fn run(
    mut core: Core,
    clock: Clock,
    mut requests: mpsc::Receiver<Request>,
    poison: watch::Sender<Option<Arc<str>>>,
    pulses: Pulses,
) {
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut waiting = Vec::with_capacity(MOST);
    let mut look = tokio::time::interval(Duration::from_millis(LOOK_MILLIS));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sort = tokio::time::interval(SORT);
    sort.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut backlog = Backlog::default();
    loop {
        // After what takes its time itself, nobody is to wait for the backlog as well; for what is
        // only to be sorted nobody waits as long as it is not much.
        let mut is_turn = true;
        let mut done = tokio::select! {
            biased;
            _ = period.tick() => {
                (backlog.has_events, backlog.is_unsorted, is_turn) = (true, true, false);
                in_time(core.tick(clock.now())).await
            }
            _ = sort.tick() => {
                backlog.is_unsorted |= core.has_part_to_sort();
                is_turn = false;
                Ok(())
            }
            exported = core.exported() => core.note_exported(exported, clock.now()),
            _ = look.tick(), if core.is_anybody_waiting() => {
                in_time(core.look_after_waiting(clock.now())).await
            }
            count = requests.recv_many(&mut waiting, MOST) => {
                if count == 0 {
                    // Everybody has gone: leave a checkpoint of all there is.
                    if let Err(reason) = finish(&mut core, &clock).await {
                        report(&reason, &poison, (&pulses, clock.now()));
                    }
                    return;
                }
                let served = in_time(serve(&mut core, &clock, &mut waiting, &mut backlog)).await;
                backlog.is_unsorted |= core.has_much_to_sort();
                is_turn = backlog.has_events || core.has_much_to_sort();
                served
            }
            // What has come meanwhile is heard first: nothing of the backlog itself waits for
            // anything where the database is called directly.
            () = tokio::task::yield_now(), if backlog.is_there() => Ok(()),
        };
        if done.is_ok() && is_turn && backlog.is_there() {
            done = in_time(backlog.shorten(&mut core, &clock)).await;
        }
        if let Err(reason) = done {
            report(&reason, &poison, (&pulses, clock.now()));
            return;
        }
    }
}

/// What nobody waits for: events that changes have left to be recorded, which may be as many as a
/// company has people, and records that are to be sorted. It is done in between the batches of
/// gateways, a part at a time: calls are not to wait for all of it.
#[derive(Default)]
struct Backlog {
    /// There may be events.
    has_events: bool,
    /// There are records to sort.
    is_unsorted: bool,
    /// Whoever waits until there are no events.
    waiting: Vec<Box<dyn FnOnce() + Send>>,
    ticks: Vec<oneshot::Sender<()>>,
}

impl Backlog {
    const fn is_there(&self) -> bool {
        self.has_events || self.is_unsorted
    }

    fn then(&mut self, tell: impl FnOnce() + Send + 'static) {
        self.has_events = true;
        self.waiting.push(Box::new(tell));
    }

    /// Does a part of it, and tells those who wait if that was all.
    async fn shorten(&mut self, core: &mut Core, clock: &Clock) -> Result<(), Poison> {
        if !self.has_events {
            self.is_unsorted = core.sort().await? && core.has_much_to_sort();
            return Ok(());
        }
        self.has_events = core.take_pending(clock.now()).await?;
        if self.has_events {
            return Ok(());
        }
        for tell in self.waiting.drain(..) {
            tell();
        }
        for done in std::mem::take(&mut self.ticks) {
            core.tick(clock.now()).await?;
            core.settle_checkpoints(clock.now()).await?;
            while core.sort().await? {}
            let _ = done.send(());
        }
        Ok(())
    }
}

async fn finish(core: &mut Core, clock: &Clock) -> Result<(), Poison> {
    while in_time(core.take_pending(clock.now())).await? {}
    core.tick(clock.now()).await?;
    in_time(core.settle_checkpoints(clock.now())).await
}

async fn in_time<T>(work: impl Future<Output = Result<T, Poison>>) -> Result<T, Poison> {
    let done = tokio::time::timeout(STUCK, work).await;
    done.unwrap_or(Err(Poison::Stuck))
}

async fn serve(
    core: &mut Core,
    clock: &Clock,
    waiting: &mut Vec<Request>,
    backlog: &mut Backlog,
) -> Result<(), Poison> {
    let mut batches = Vec::with_capacity(waiting.len());
    let mut answers: Vec<oneshot::Sender<_>> = Vec::with_capacity(waiting.len());
    let (mut left, mut orders) = (Vec::new(), Vec::new());
    let (mut events, mut recordings) = (Vec::new(), Vec::new());
    let mut losses = Vec::new();
    for request in waiting.drain(..) {
        match request {
            Request::Apply(batch, answer) => {
                batches.push(*batch);
                answers.push(answer);
            }
            Request::Listen(holder, session) => core.listen(holder, session),
            Request::Disconnect(holder) => left.push(holder),
            Request::Budget(order, answer) => orders.push((order, answer)),
            Request::Record(event, answer) => {
                events.push(*event);
                recordings.push(answer);
            }
            Request::Lost(lost, answer) => losses.push((lost, answer)),
            Request::Pending(done) => backlog.then(move || {
                let _ = done.send(());
            }),
            Request::Tick(done) => {
                backlog.has_events = true;
                backlog.ticks.push(done);
            }
        }
    }
    match core.apply(batches, events, clock.now()).await {
        Ok((results, recorded)) => {
            for (answer, result) in answers.into_iter().zip(results) {
                // A session that has gone meanwhile will ask again.
                let _ = answer.send(result);
            }
            for (answer, recording) in recordings.into_iter().zip(recorded) {
                let _ = answer.send(recording);
            }
            core.push();
        }
        Err(reason) => {
            for answer in answers {
                let _ = answer.send(Err(ApplyError::Gone(WriterGone)));
            }
            return Err(reason);
        }
    }
    // What gateways themselves have said of their calls comes before what is said of them.
    for (lost, answer) in losses {
        let known = core.lose(lost, clock.now()).await?;
        let _ = answer.send(known);
    }
    // A stream's last batch is always before its end.
    for holder in left {
        core.disconnect(holder);
    }
    for (order, answer) in orders {
        let outcome = core.change_budget(*order, clock.now()).await?;
        // Whoever asked may not wait any longer.
        backlog.then(move || {
            let _ = answer.send(outcome);
        });
    }
    Ok(())
}

fn report(
    reason: &Poison,
    poison: &watch::Sender<Option<Arc<str>>>,
    (pulses, now): (&Pulses, UnixMillis),
) {
    let mut text = reason.to_string();
    let mut cause = reason.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    pulses.log.failed(now, text.clone());
    if matches!(reason, Poison::Export(_)) {
        pulses.checkpoints.failed(now, text.clone());
    }
    tracing::error!(reason = %text, "nothing is acknowledged any more");
    poison.send_replace(Some(text.into()));
}
