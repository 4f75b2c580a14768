//! Several orders at a time, in batches: each order is written as if it were alone, and what all
//! of them ask next goes over together.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use tokio::sync::oneshot;

use super::call::{Call, Reply};
use super::fault::GraphError;
use super::graph::Graph;

type Answered = Result<Reply, GraphError>;

/// Where orders put their calls and wait for the replies.
#[derive(Default)]
pub(super) struct Desk(Mutex<Vec<(Call, oneshot::Sender<Answered>)>>);

/// An order on its way.
pub(super) type Errand<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Desk {
    /// The reply to a call, once.
    pub(super) async fn send(&self, call: Call) -> Answered {
        let (answer, waiting) = oneshot::channel();
        self.calls().push((call, answer));
        let gone = |_| Err(GraphError::Lost("it was given up".to_owned()));
        waiting.await.unwrap_or_else(gone)
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, Vec<(Call, oneshot::Sender<Answered>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs all errands to their ends. They wait for nothing but this desk: whenever all of them
    /// wait, what they wait for is sent. In the order of the errands.
    pub(super) async fn run<T>(&self, graph: &Graph, errands: Vec<Errand<'_, T>>) -> Vec<T> {
        let mut errands: Vec<Running<'_, T>> = errands.into_iter().map(Running::Still).collect();
        loop {
            let waiting = poll_fn(|context| {
                let mut waiting = false;
                for errand in &mut errands {
                    if let Running::Still(running) = errand {
                        match running.as_mut().poll(context) {
                            Poll::Ready(outcome) => *errand = Running::Done(outcome),
                            Poll::Pending => waiting = true,
                        }
                    }
                }
                Poll::Ready(waiting)
            })
            .await;
            let calls = std::mem::take(&mut *self.calls());
            if !waiting || calls.is_empty() {
                break;
            }
            let (calls, answers): (Vec<_>, Vec<_>) = calls.into_iter().unzip();
            let replies = graph.batch(&calls).await;
            for (answer, reply) in answers.into_iter().zip(replies) {
                // Who does not wait any longer needs none.
                let _ = answer.send(reply);
            }
        }
        let done = errands.into_iter().filter_map(|errand| match errand {
            Running::Done(outcome) => Some(outcome),
            Running::Still(_) => None,
        });
        done.collect()
    }
}

enum Running<'a, T> {
    Still(Errand<'a, T>),
    Done(T),
}
