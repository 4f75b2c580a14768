//! Budgets of the file, and those that are written one at a time.

use std::collections::HashSet;

use super::Check;
use crate::policy::raw::{RawBudget, RawLimit, RawMode};
use crate::policy::{Policy, Problem};
use crate::{
    ApiId, Budget, BudgetId, DepartmentId, KeyId, Meter, Mode, Payer, StreamCut, Subject, Tokens,
    UserId,
};

/// Most output tokens of an estimate.
const MOST_ESTIMATE: u64 = 10_000_000;

/// Most characters that the id of a person or a key has.
const MAX_ID: usize = 128;

/// The names that a budget may use.
struct Names<'n> {
    departments: &'n dyn Fn(&str) -> bool,
    apis: &'n dyn Fn(&str) -> bool,
    models: &'n dyn Fn(&str) -> bool,
}

impl Check<'_> {
    pub(super) fn budgets(&mut self, raw: &[RawBudget]) -> Vec<Budget> {
        let mut seen = HashSet::new();
        let mut budgets = Vec::with_capacity(raw.len());
        for (at, budget) in raw.iter().enumerate() {
            let path = format!("budgets[{at}]");
            self.name(&format!("{path}.id"), &budget.id);
            self.unique(&mut seen, &format!("{path}.id"), &budget.id);
            let defined = &self.defined;
            let names = Names {
                departments: &|name| defined.departments.contains(name),
                apis: &|name| defined.apis.contains(name),
                models: &|name| defined.models.contains(name),
            };
            let (checked, problems) = read(budget, &names);
            for (member, message) in problems {
                self.problem(format!("{path}{member}"), message);
            }
            budgets.extend(checked);
        }
        budgets
    }
}

impl Budget {
    /// Checks a budget that does not stand in the file against a policy.
    ///
    /// # Errors
    /// Every [`Problem`], paths within the budget.
    pub fn check(raw: &RawBudget, policy: &Policy) -> Result<Self, Vec<Problem>> {
        let names = Names {
            departments: &|name| policy.departments.contains_key(name),
            apis: &|name| policy.apis.iter().any(|api| api.id.as_str() == name),
            models: &|name| policy.apis.iter().any(|api| api.models.contains_key(name)),
        };
        let (checked, problems) = read(raw, &names);
        let mut problems: Vec<Problem> = problems
            .into_iter()
            .map(|(member, message)| Problem {
                path: member.trim_start_matches('.').to_owned(),
                message,
            })
            .collect();
        if !super::is_name(&raw.id) {
            problems.push(Problem {
                path: "id".into(),
                message: super::NAME.into(),
            });
        }
        problems.sort();
        match checked {
            Some(budget) if problems.is_empty() => Ok(budget),
            _ => Err(problems),
        }
    }

    /// The budget as it is written, under its plain name.
    #[must_use]
    pub fn to_raw(&self) -> RawBudget {
        let mut raw = RawBudget {
            id: self.id.plain().to_owned(),
            organisation: None,
            department: None,
            user: None,
            key: None,
            api: None,
            model: None,
            modality: None,
            meter: self.meter,
            window: self.window,
            limit: RawLimit::of(self.meter, self.limit),
            mode: RawMode::Strict,
            estimate_tokens: None,
            ahead_tokens: None,
        };
        if let Mode::StreamCut(cut) = self.mode {
            raw.mode = RawMode::StreamCut;
            raw.estimate_tokens = Some(cut.estimate.0);
            raw.ahead_tokens = Some(cut.ahead.0);
        }
        match &self.payer {
            Payer::Organisation => raw.organisation = Some(true),
            Payer::Department(id) => raw.department = Some(id.0.clone()),
            Payer::User(id) => raw.user = Some(id.0.clone()),
            Payer::Key(id) => raw.key = Some(id.0.clone()),
        }
        match &self.subject {
            Subject::Everything => {}
            Subject::Api(id) => raw.api = Some(id.0.clone()),
            Subject::Model(name) => raw.model = Some(name.clone()),
            Subject::Modality(modality) => raw.modality = Some(*modality),
        }
        raw
    }

    /// A budget that was checked when it was written: only its form is looked at, not whether
    /// what it names is still in the policy. `None`: the form is wrong.
    #[must_use]
    pub fn from_raw(raw: &RawBudget, generation: u64) -> Option<Self> {
        let any = |_: &str| true;
        let names = Names {
            departments: &any,
            apis: &any,
            models: &any,
        };
        let (budget, problems) = read(raw, &names);
        let id = BudgetId::counter(&raw.id, generation);
        budget
            .filter(|_| problems.is_empty())
            .map(|budget| Self { id, ..budget })
    }
}

/// Members (`.limit`), each with what is wrong with it.
type Problems = Vec<(&'static str, String)>;

/// What a budget means, and each member that is wrong (`.limit`) with what is wrong.
fn read(raw: &RawBudget, names: &Names<'_>) -> (Option<Budget>, Problems) {
    let mut problems = Vec::new();
    let payer = payer(raw, names, &mut problems);
    let subject = subject(raw, names, &mut problems);
    match (raw.meter, raw.window) {
        (Meter::Concurrency, Some(_)) => {
            let text = "`concurrency` counts calls under way and has no window: leave it out";
            problems.push((".window", text.to_owned()));
        }
        (Meter::Concurrency, None) | (_, Some(_)) => {}
        (_, None) => {
            let text = "is missing: `minute`, `hour`, `day` or `month`";
            problems.push((".window", text.to_owned()));
        }
    }
    let limit = raw.limit.read(raw.meter).unwrap_or_else(|message| {
        problems.push((".limit", message));
        0
    });
    let mode = mode(raw, &mut problems);
    let budget = payer.zip(subject).map(|(payer, subject)| Budget {
        id: BudgetId(raw.id.clone()),
        payer,
        subject,
        meter: raw.meter,
        window: raw.window,
        limit,
        mode,
    });
    (budget, problems)
}

fn mode(raw: &RawBudget, problems: &mut Problems) -> Mode {
    let given = [
        (".estimate_tokens", raw.estimate_tokens),
        (".ahead_tokens", raw.ahead_tokens),
    ];
    if raw.mode == RawMode::Strict {
        for (member, _) in given.iter().filter(|(_, tokens)| tokens.is_some()) {
            let text = "is for `mode: stream_cut` alone: leave it out, or set the mode";
            problems.push((member, text.to_owned()));
        }
        return Mode::Strict;
    }
    if !matches!(raw.meter, Meter::OutputTokens | Meter::Tokens | Meter::Cost) {
        let text = format!(
            "`stream_cut` is for what grows while an answer streams: `output_tokens`, `tokens` and \
             `cost`; leave it out for `{}`",
            raw.meter.as_str()
        );
        problems.push((".mode", text));
    }
    let estimate = raw.estimate_tokens.map_or(StreamCut::ESTIMATE, Tokens);
    if estimate.0 == 0 || estimate.0 > MOST_ESTIMATE {
        let text = format!("must be 1 to {MOST_ESTIMATE}");
        problems.push((".estimate_tokens", text));
    }
    let usual = StreamCut::AHEAD.min(estimate);
    let ahead = raw.ahead_tokens.map_or(usual, Tokens);
    if ahead > estimate {
        let text = format!(
            "must be at most `estimate_tokens`, which is {}: the bound of what is spent over the \
             limit is their ratio",
            estimate.0
        );
        problems.push((".ahead_tokens", text));
    }
    Mode::StreamCut(StreamCut { estimate, ahead })
}

fn payer(raw: &RawBudget, names: &Names<'_>, problems: &mut Problems) -> Option<Payer> {
    let mut payers = Vec::new();
    match raw.organisation {
        Some(true) => payers.push(Payer::Organisation),
        Some(false) => {
            let text = "is `true`, or is left out";
            problems.push((".organisation", text.to_owned()));
            return None;
        }
        None => {}
    }
    if let Some(department) = &raw.department {
        if !(names.departments)(department) {
            let text = format!("`{department}` is not under `departments`");
            problems.push((".department", text));
        }
        payers.push(Payer::Department(DepartmentId(department.clone())));
    }
    if let Some(user) = &raw.user {
        id(".user", user, problems);
        payers.push(Payer::User(UserId(user.clone())));
    }
    if let Some(key) = &raw.key {
        id(".key", key, problems);
        payers.push(Payer::Key(KeyId(key.clone())));
    }
    if payers.len() != 1 {
        let text = "must name whom it binds: exactly one of `organisation: true`, `department`, \
                    `user` and `key`";
        problems.push(("", text.to_owned()));
    }
    payers.pop()
}

fn subject(raw: &RawBudget, names: &Names<'_>, problems: &mut Problems) -> Option<Subject> {
    let mut subjects = Vec::new();
    if let Some(api) = &raw.api {
        if !(names.apis)(api) {
            problems.push((".api", format!("`{api}` is not under `apis`")));
        }
        subjects.push(Subject::Api(ApiId(api.clone())));
    }
    if let Some(model) = &raw.model {
        if !(names.models)(model) {
            problems.push((".model", format!("no API offers a model `{model}`")));
        }
        subjects.push(Subject::Model(model.clone()));
    }
    subjects.extend(raw.modality.map(Subject::Modality));
    if subjects.len() > 1 {
        let text = "may name what it counts by one of `api`, `model` and `modality` alone";
        problems.push(("", text.to_owned()));
        return None;
    }
    Some(subjects.pop().unwrap_or(Subject::Everything))
}

fn id(member: &'static str, id: &str, problems: &mut Problems) {
    let length = id.chars().count();
    if length == 0 || length > MAX_ID || id.chars().any(char::is_control) {
        let text = format!("must be 1 to {MAX_ID} characters, none of them a control character");
        problems.push((member, text));
    }
}

#[cfg(test)]
mod tests;
