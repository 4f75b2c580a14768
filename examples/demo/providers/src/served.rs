//! What was served: the other side of the bill.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::provider::Provider;
use crate::usage::Usage;

/// One call, from its arrival on.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Call {
    pub(crate) provider: Provider,
    /// Empty until the request was understood.
    pub(crate) model: String,
    pub(crate) path: String,
    /// The number that the prompt gave itself, if it did.
    pub(crate) number: Option<u64>,
    /// The `x-request-id` that came with the request.
    pub(crate) request_id: Option<String>,
    /// Milliseconds since 1970.
    pub(crate) at_ms: u64,
    pub(crate) status: Option<u16>,
    #[serde(flatten)]
    pub(crate) usage: Usage,
    pub(crate) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    InProgress,
    Complete,
    /// The caller went away, or the stream was cut.
    Aborted,
}

/// A request that should never have got here.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Violation {
    pub(crate) provider: Provider,
    pub(crate) path: String,
    pub(crate) what: String,
    pub(crate) at_ms: u64,
}

#[derive(Debug, Default)]
struct Journal {
    calls: Vec<Call>,
    violations: Vec<Violation>,
    /// Reset counts up, so that a call from before it is not closed after it.
    generation: u64,
}

/// All calls since the start or the last reset.
#[derive(Debug, Clone, Default)]
pub(crate) struct Served(Arc<Mutex<Journal>>);

/// Complete successful calls of one model, and the others beside them.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Total {
    calls: u64,
    #[serde(flatten)]
    usage: Usage,
    /// Answered with an error, whose tokens nobody pays.
    errors: u64,
    aborted: u64,
    in_progress: u64,
}

#[derive(Debug, Serialize)]
struct ModelTotal {
    provider: Provider,
    model: String,
    #[serde(flatten)]
    total: Total,
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    models: Vec<ModelTotal>,
    violations: Vec<Violation>,
    calls: Vec<Call>,
}

impl Served {
    pub(crate) fn begin(&self, call: Call) -> OpenCall {
        let mut journal = self.journal();
        let place = journal.calls.len();
        journal.calls.push(call);
        OpenCall {
            served: self.clone(),
            place,
            generation: journal.generation,
            closed: false,
        }
    }

    pub(crate) fn violation(&self, violation: Violation) {
        self.journal().violations.push(violation);
    }

    pub(crate) fn reset(&self) {
        let mut journal = self.journal();
        let generation = journal.generation.saturating_add(1);
        *journal = Journal {
            generation,
            ..Journal::default()
        };
    }

    pub(crate) fn report(&self) -> Report {
        let journal = self.journal();
        let mut totals: BTreeMap<(Provider, String), Total> = BTreeMap::new();
        for call in &journal.calls {
            totals
                .entry((call.provider, call.model.clone()))
                .or_default()
                .add(call);
        }
        let models = totals
            .into_iter()
            .map(|((provider, model), total)| ModelTotal {
                provider,
                model,
                total,
            })
            .collect();
        Report {
            models,
            violations: journal.violations.clone(),
            calls: journal.calls.clone(),
        }
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Total {
    fn add(&mut self, call: &Call) {
        let succeeded = call.status.is_some_and(|status| status < 400);
        match call.state {
            State::InProgress => self.in_progress += 1,
            State::Aborted => self.aborted += 1,
            State::Complete if succeeded => {
                self.calls += 1;
                self.usage.add(call.usage);
            }
            State::Complete => self.errors += 1,
        }
    }
}

/// A call that is being answered. Dropped before it is complete, it is aborted.
#[derive(Debug)]
pub(crate) struct OpenCall {
    served: Served,
    place: usize,
    generation: u64,
    closed: bool,
}

impl OpenCall {
    pub(crate) fn numbered(&self, number: Option<u64>) {
        self.update(|call| call.number = number);
    }

    pub(crate) fn understood(&self, model: &str, usage: Usage) {
        self.update(|call| {
            model.clone_into(&mut call.model);
            call.usage = usage;
        });
    }

    pub(crate) fn answered(&self, status: u16) {
        self.update(|call| call.status = Some(status));
    }

    pub(crate) fn complete(mut self) {
        self.close(State::Complete);
    }

    fn close(&mut self, state: State) {
        self.closed = true;
        self.update(|call| call.state = state);
    }

    fn update(&self, change: impl FnOnce(&mut Call)) {
        let mut journal = self.served.journal();
        if journal.generation == self.generation
            && let Some(call) = journal.calls.get_mut(self.place)
        {
            change(call);
        }
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if !self.closed {
            self.close(State::Aborted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Call {
        Call {
            provider: Provider::Gemini,
            model: String::new(),
            path: "/v1beta".to_owned(),
            number: None,
            request_id: None,
            at_ms: 0,
            status: None,
            usage: Usage::default(),
            state: State::InProgress,
        }
    }

    fn answered(served: &Served, status: u16) -> OpenCall {
        let open = served.begin(call());
        open.understood(
            "gemini-x",
            Usage {
                output: 4,
                cached_input: 2,
                ..Usage::of_input(3)
            },
        );
        open.answered(status);
        open
    }

    #[test]
    fn only_complete_successful_calls_count_tokens() {
        let served = Served::default();
        answered(&served, 200).complete();
        answered(&served, 503).complete();
        drop(answered(&served, 200));
        let _still_open = answered(&served, 200);
        let report = served.report();
        assert_eq!(report.models.len(), 1);
        let expected = Total {
            calls: 1,
            usage: Usage {
                output: 4,
                cached_input: 2,
                ..Usage::of_input(3)
            },
            errors: 1,
            aborted: 1,
            in_progress: 1,
        };
        assert_eq!(report.models[0].total, expected);
    }

    #[test]
    fn a_call_from_before_a_reset_changes_nothing_after_it() {
        let served = Served::default();
        let old = answered(&served, 200);
        served.reset();
        let _new = served.begin(call());
        old.complete();
        assert_eq!(served.report().calls[0].state, State::InProgress);
    }
}
