//! Holds the two accounts against each other, call by call.

use std::collections::{BTreeMap, HashMap};

use crate::accounts::{Charged, Served, State};
use crate::mix::{Ending, Planned};
use crate::policy::Policy;
use crate::usage::{KINDS, Usage};

/// Tokens and money of many calls, as one side has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) usage: Usage,
    /// In millionths of the currency.
    pub(crate) cost: u64,
}

impl Sum {
    fn add(&mut self, usage: Usage, cost: u64) {
        self.usage += usage;
        self.cost = self.cost.saturating_add(cost);
    }
}

/// Calls of one provider that ended alike.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Both {
    pub(crate) calls: u64,
    pub(crate) served: Sum,
    pub(crate) charged: Sum,
}

#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Answered to the end: what was served must have been charged.
    pub(crate) answered: BTreeMap<&'static str, Both>,
    /// Answered with the provider's error: nothing must have been charged.
    pub(crate) refused: BTreeMap<&'static str, Both>,
    /// Broken off: charged by the rules for that.
    pub(crate) broken: BTreeMap<&'static str, Both>,
    /// The first upstream refused so many calls, and another was asked.
    pub(crate) again: u64,
    /// Calls whose answer the gateway could not read to the end and estimated.
    pub(crate) estimated: u64,
    /// Calls that never reached a stand-in.
    pub(crate) never_served: u64,
    /// What must not be.
    pub(crate) wrong: Vec<String>,
}

/// What there is of one call on both sides.
#[derive(Default)]
struct Pair<'a> {
    served: Vec<&'a Served>,
    charged: Vec<&'a Charged>,
}

/// Whether both accounts have the ends of all calls that were served.
pub(crate) fn is_settled(calls: &[Planned], served: &[Served], charged: &[Charged]) -> bool {
    pairs(calls, served, charged).values().all(|pair| {
        let in_progress = pair.served.iter().any(|it| it.state == State::InProgress);
        !in_progress && (pair.served.is_empty() || !pair.charged.is_empty())
    })
}

pub(crate) fn compare(
    calls: &[Planned],
    served: &[Served],
    charged: &[Charged],
    policy: &Policy,
) -> Comparison {
    let pairs = pairs(calls, served, charged);
    let mut comparison = Comparison::default();
    for call in calls {
        match pairs.get(&call.number) {
            Some(pair) => comparison.one(call, pair, policy),
            None => comparison.never_served = comparison.never_served.saturating_add(1),
        }
    }
    comparison
}

/// By the call's number, which only the stand-ins know; Envoy's `x-request-id` leads from there to
/// the records.
fn pairs<'a>(
    calls: &[Planned],
    served: &'a [Served],
    charged: &'a [Charged],
) -> HashMap<u64, Pair<'a>> {
    let known: HashMap<u64, ()> = calls.iter().map(|call| (call.number, ())).collect();
    let mut pairs: HashMap<u64, Pair<'a>> = HashMap::new();
    let mut numbers = HashMap::new();
    for one in served {
        let Some(number) = one.number.filter(|number| known.contains_key(number)) else {
            continue;
        };
        pairs.entry(number).or_default().served.push(one);
        if let Some(id) = &one.request_id {
            numbers.insert(id.as_str(), number);
        }
    }
    for one in charged {
        if let Some(number) = numbers.get(one.request_id.as_str()) {
            pairs.entry(*number).or_default().charged.push(one);
        }
    }
    pairs
}

impl Comparison {
    fn one(&mut self, call: &Planned, pair: &Pair<'_>, policy: &Policy) {
        let wrong = |what: String| format!("{} (call {}): {what}", call.shape.name, call.number);
        let &[charged] = pair.charged.as_slice() else {
            let count = pair.charged.len();
            self.wrong.push(wrong(format!(
                "{count} completions on record instead of one"
            )));
            return;
        };
        if pair.served.len() > 1 {
            self.again = self.again.saturating_add(1);
        }
        if !charged.reported {
            self.estimated = self.estimated.saturating_add(1);
        }
        let complete = || pair.served.iter().filter(|it| it.state == State::Complete);
        let mut usage = Usage::default();
        complete().for_each(|it| usage += it.usage);
        let broken =
            pair.served.iter().any(|it| it.state == State::Aborted) || charged.outcome == "aborted";
        let price = policy.price(&charged.api, &charged.model);
        let (sums, expected) = if broken {
            // What it would have been, had nobody broken it off.
            let mut usage = Usage::default();
            let last = pair.served.iter().filter(|it| it.state != State::Error);
            last.for_each(|it| usage += it.usage);
            (&mut self.broken, Some((usage, price.of(usage))))
        } else if complete().next().is_some() {
            (&mut self.answered, Some((usage, price.of(usage))))
        } else {
            (&mut self.refused, None)
        };
        if call.ending == Ending::GoesOn && pair.served.len() < 2 {
            self.wrong.push(wrong("no other upstream was asked".into()));
        }
        let (usage, cost) = expected.unwrap_or_default();
        let both = sums.entry(call.shape.provider).or_default();
        both.calls = both.calls.saturating_add(1);
        both.served.add(usage, cost);
        both.charged.add(charged.usage, charged.cost);
        if broken {
            if !call.ending.breaks_off() {
                self.wrong.push(wrong(format!(
                    "broken off (`{}`), though nobody was to do so",
                    charged.outcome
                )));
            }
        } else if charged.outcome != "answered" {
            let outcome = &charged.outcome;
            self.wrong.push(wrong(format!(
                "on record as `{outcome}`, but it was answered"
            )));
        } else if (usage, cost) != (charged.usage, charged.cost) {
            self.wrong.push(wrong(difference(usage, cost, charged)));
        }
    }
}

fn difference(usage: Usage, cost: u64, charged: &Charged) -> String {
    let kinds = KINDS.iter().zip(usage.0).zip(charged.usage.0);
    let mut told: Vec<String> = kinds
        .filter(|((_, one), other)| one != other)
        .map(|((kind, one), other)| format!("{kind} {one} served, {other} charged"))
        .collect();
    if cost != charged.cost {
        told.push(format!("cost {cost} served, {} charged", charged.cost));
    }
    if !charged.reported {
        told.push("estimated".to_owned());
    }
    told.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::SHAPES;

    fn call(ending: Ending) -> Planned {
        Planned {
            number: 7,
            shape: &SHAPES[0],
            prompt: String::new(),
            ending,
        }
    }

    fn served(state: State, input: u64) -> Served {
        Served {
            number: Some(7),
            request_id: Some("r".to_owned()),
            usage: Usage([input, 0, 0, 0, 0, 0, 0, 0, 0]),
            state,
        }
    }

    fn charged(outcome: &str, input: u64) -> Charged {
        Charged {
            request_id: "r".to_owned(),
            api: "a".to_owned(),
            model: "m".to_owned(),
            outcome: outcome.to_owned(),
            reported: true,
            usage: Usage([input, 0, 0, 0, 0, 0, 0, 0, 0]),
            cost: 0,
        }
    }

    fn wrong(ending: Ending, served: &[Served], charged: &[Charged]) -> usize {
        let calls = [call(ending)];
        assert!(is_settled(&calls, served, charged));
        compare(&calls, served, charged, &Policy::default())
            .wrong
            .len()
    }

    #[test]
    fn an_answered_call_is_charged_as_it_was_served() {
        let account = [served(State::Complete, 5)];
        assert_eq!(
            wrong(Ending::Answered, &account, &[charged("answered", 5)]),
            0
        );
        assert_eq!(
            wrong(Ending::Answered, &account, &[charged("answered", 6)]),
            1
        );
    }

    #[test]
    fn an_error_costs_nothing_and_a_second_attempt_only_what_it_served() {
        let error = served(State::Error, 5);
        let refused = [error.clone()];
        assert_eq!(
            wrong(Ending::Refused, &refused, &[charged("answered", 0)]),
            0
        );
        assert_eq!(
            wrong(Ending::Refused, &refused, &[charged("answered", 5)]),
            1
        );
        let twice = [error, served(State::Complete, 5)];
        assert_eq!(wrong(Ending::Refused, &twice, &[charged("answered", 5)]), 0);
    }

    #[test]
    fn what_was_broken_off_is_told_and_not_held_against_anybody() {
        let account = [served(State::Aborted, 5)];
        let ending = Ending::Leaves(3);
        assert_eq!(wrong(ending, &account, &[charged("aborted", 99)]), 0);
        assert_eq!(
            wrong(Ending::Answered, &account, &[charged("aborted", 99)]),
            1
        );
    }

    #[test]
    fn a_call_that_goes_on_is_seen_by_two_upstreams() {
        let (error, answer) = (served(State::Error, 5), served(State::Complete, 5));
        let charged = [charged("answered", 5)];
        let account = [error, answer.clone()];
        assert_eq!(wrong(Ending::GoesOn, &account, &charged), 0);
        assert_eq!(wrong(Ending::GoesOn, &[answer], &charged), 1);
    }

    #[test]
    fn a_call_has_one_completion() {
        let account = [served(State::Complete, 5)];
        let twice = [charged("answered", 5), charged("answered", 5)];
        assert_eq!(wrong(Ending::Answered, &account, &twice), 1);
        assert!(!is_settled(&[call(Ending::Answered)], &account, &[]));
    }
}
