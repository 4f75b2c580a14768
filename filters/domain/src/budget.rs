//! Budgets: who, for what, what is metered, over which window, up to where.

mod covering;

pub use covering::{Covered, Covering};

use serde::{Deserialize, Serialize};

use crate::{ApiId, BudgetId, DepartmentId, KeyId, Micros, Modality, Tokens, Usage, UserId};

/// Most that a limit may be, in its meter's unit: what a database keeps as a signed number.
pub const MOST_LIMIT: u64 = i64::MAX as u64;

/// What a budget counts. Amounts of a budget are plain numbers in its meter's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Meter {
    /// Admitted calls.
    Requests,
    /// Input tokens.
    InputTokens,
    /// Output tokens.
    OutputTokens,
    /// Input and output tokens together.
    Tokens,
    /// Bytes of the bodies of requests and answers together, where bodies are counted.
    Bytes,
    /// Money, in micros of the policy's currency.
    Cost,
    /// Calls under way at the same time.
    Concurrency,
}

impl Meter {
    /// Every meter.
    pub const EVERY: &[Self] = &[
        Self::Requests,
        Self::InputTokens,
        Self::OutputTokens,
        Self::Tokens,
        Self::Bytes,
        Self::Cost,
        Self::Concurrency,
    ];

    /// How much of this meter is set aside for a call that can use and cost so much at most.
    #[must_use]
    pub fn reserved(self, worst: &Usage, cost: Micros) -> u64 {
        match self {
            Self::Concurrency => 1,
            _ => self.used(worst, cost),
        }
    }

    /// How much of this meter is used up by a call that has ended with `usage` and `cost`.
    #[must_use]
    pub fn used(self, usage: &Usage, cost: Micros) -> u64 {
        match self {
            Self::Requests => 1,
            Self::InputTokens => usage.input.0,
            Self::OutputTokens => usage.output.0,
            Self::Tokens => usage.total().0,
            Self::Bytes => usage.bytes.0,
            Self::Cost => cost.0,
            // A call that has ended is no longer under way.
            Self::Concurrency => 0,
        }
    }

    /// The name in the policy file and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::Tokens => "tokens",
            Self::Bytes => "bytes",
            Self::Cost => "cost",
            Self::Concurrency => "concurrency",
        }
    }

    /// The meter of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let mut every = Self::EVERY.iter().copied();
        every.find(|meter| meter.as_str() == name)
    }

    /// An amount as people read and write it: decimals for money, else a whole number.
    #[must_use]
    pub fn shown(self, amount: u64) -> String {
        match self {
            Self::Cost => Micros(amount).to_string(),
            _ => amount.to_string(),
        }
    }
}

/// The calendar unit after which a budget starts anew, in the company's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum WindowUnit {
    /// Calendar minutes.
    Minute,
    /// Calendar hours.
    Hour,
    /// Calendar days.
    Day,
    /// Calendar months.
    Month,
}

impl WindowUnit {
    /// The name in the policy file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// Whom a budget binds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Payer {
    /// Everybody together.
    Organisation,
    /// The people and keys of a department together.
    Department(DepartmentId),
    /// One person, with and without a key.
    User(UserId),
    /// One subscription key.
    Key(KeyId),
}

/// Which calls a budget counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// All.
    Everything,
    /// Those of one API of the policy.
    Api(ApiId),
    /// Those that ask for one model, by the name that clients use.
    Model(String),
    /// Those of operations that handle text, sound, pictures or moving pictures.
    Modality(Modality),
}

/// What is set aside for an answer that streams, and what becomes of one that outgrows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The most that it can use is set aside before it begins, so it cannot.
    #[default]
    Strict,
    /// An estimate is set aside, and more as it passes; it is cut when there is no more.
    StreamCut(StreamCut),
}

impl Mode {
    /// How answers are followed that stream, where they are.
    #[must_use]
    pub const fn stream_cut(self) -> Option<StreamCut> {
        match self {
            Self::Strict => None,
            Self::StreamCut(cut) => Some(cut),
        }
    }

    /// The name in the policy file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::StreamCut(_) => "stream_cut",
        }
    }
}

/// How an answer is followed that streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamCut {
    /// Output tokens that are set aside before it begins, and so many again each time; of
    /// each of its choices.
    pub estimate: Tokens,
    /// What a provider generates at most that has not passed the gateway yet when the answer
    /// is cut, until it stops; output tokens of each of its choices.
    pub ahead: Tokens,
}

impl StreamCut {
    /// What is set aside if the policy does not say.
    pub const ESTIMATE: Tokens = Tokens(2_000);
    /// What a provider is ahead if the policy does not say: more than a second of what most
    /// models generate.
    pub const AHEAD: Tokens = Tokens(100);
}

/// A limit on what somebody may use within a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The name of its counter: see [`BudgetId::plain`].
    pub id: BudgetId,
    /// Whom it binds.
    pub payer: Payer,
    /// Which calls it counts.
    pub subject: Subject,
    /// What it counts.
    pub meter: Meter,
    /// When it starts anew; never for calls under way, which are not used up.
    pub window: Option<WindowUnit>,
    /// The most that one window may take, in the meter's unit. Zero: none may pass.
    pub limit: u64,
    /// How it deals with answers that stream.
    pub mode: Mode,
}

/// What a worker needs to know of a budget: which calls it counts, and in which unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counting {
    /// The name of its counter.
    pub counter: BudgetId,
    /// Whom it binds.
    pub payer: Payer,
    /// Which calls it counts.
    pub subject: Subject,
    /// What it counts.
    pub meter: Meter,
    /// How it deals with answers that stream.
    pub mode: Mode,
}

impl Budget {
    /// Whether the two count the same things in the same unit over the same windows: only
    /// then may one go on with the other's count.
    #[must_use]
    pub fn counts_like(&self, other: &Self) -> bool {
        (&self.payer, &self.subject, self.meter, self.window)
            == (&other.payer, &other.subject, other.meter, other.window)
    }

    /// Whether the two are the same but for their names.
    #[must_use]
    pub fn is_as(&self, other: &Self) -> bool {
        self.counts_like(other) && (self.limit, self.mode) == (other.limit, other.mode)
    }

    /// Whether a call falls under it.
    #[must_use]
    pub fn covers(&self, call: &Covered<'_>) -> bool {
        let is_payer = match &self.payer {
            Payer::Organisation => true,
            Payer::Department(id) => id.as_str() == call.department,
            Payer::User(id) => id.as_str() == call.user,
            Payer::Key(id) => id.as_str() == call.key,
        };
        let is_subject = match &self.subject {
            Subject::Everything => true,
            Subject::Api(id) => id.as_str() == call.api,
            Subject::Model(name) => name == call.model,
            Subject::Modality(modality) => Some(*modality) == call.modality,
        };
        is_payer && is_subject
    }
}

impl BudgetId {
    /// Parts a budget's name from the number of its counter.
    const COUNTER: char = '#';

    /// The name of the budget's so-manieth counter: the first has the budget's own. A budget
    /// whose meter, window, payer or subject changes goes on under its name with a new
    /// counter, so that units are never mixed.
    #[must_use]
    pub fn counter(name: &str, generation: u64) -> Self {
        match generation {
            0 | 1 => Self(name.to_owned()),
            later => Self(format!("{name}{}{later}", Self::COUNTER)),
        }
    }

    /// The budget's name, whichever of its counters this is.
    #[must_use]
    pub fn plain(&self) -> &str {
        plain_name(&self.0)
    }
}

/// The name of the budget whose counter this is: see [`BudgetId::plain`].
#[must_use]
pub fn plain_name(counter: &str) -> &str {
    let name = counter.split(BudgetId::COUNTER).next();
    name.unwrap_or_default()
}
