//! A report as it is shown: also as JSON. Amounts of money are plain decimals of its currency.

use serde::Serialize;
use utoipa::ToSchema;

use crate::usage::Figures;

/// What happened in a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Report {
    /// Name of the company.
    pub organisation: String,
    /// The days that it is about.
    pub period: Span,
    /// When it was made.
    #[schema(example = "2026-12-01T00:00:05Z")]
    pub made_at: String,
    /// ISO 4217 code of every cost in it.
    #[schema(example = "JPY")]
    pub currency: String,
    /// Everything together.
    pub total: UsageSums,
    /// Day by day, those without any call left out.
    pub days: Vec<DayLine>,
    /// Every department of the policy, and former ones that were charged; by id.
    pub departments: Vec<DepartmentLine>,
    /// By API and model, dearest first.
    pub models: Vec<ModelLine>,
    /// By person, dearest first.
    pub people: People,
    /// What was refused.
    pub refusals: Refusals,
    /// Calls whose end was never seen.
    pub unknown_ends: UnknownEnds,
    /// Unusual behaviour: what rules have found.
    pub alerts: Alerts,
    /// What was changed, and what other systems told.
    pub changes: ChangesMade,
}

/// The days of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Span {
    /// `day` or `month`.
    #[schema(example = "month")]
    pub length: &'static str,
    /// First day.
    #[schema(example = "2026-11-01")]
    pub from: String,
    /// Last day, included.
    #[schema(example = "2026-11-30")]
    pub to: String,
    /// Whose days: the company's time zone.
    #[schema(example = "Asia/Tokyo")]
    pub time_zone: String,
    /// First moment.
    #[schema(example = "2026-10-31T15:00:00Z")]
    pub start: String,
    /// First moment after it.
    #[schema(example = "2026-11-30T15:00:00Z")]
    pub end: String,
    /// Whether it was over when the report was made; otherwise the report will grow.
    pub is_over: bool,
}

/// UsageSums over calls. Kinds are parts of `input_tokens` or of `output_tokens`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageSums {
    /// Calls that were admitted and have ended.
    pub requests: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// Prompt tokens, of every kind.
    pub input_tokens: u64,
    /// Generated tokens, of every kind.
    pub output_tokens: u64,
    /// Prompt tokens that came from the provider's cache.
    pub cached_input_tokens: u64,
    /// Prompt tokens that went to the provider's cache.
    pub cache_write_input_tokens: u64,
    /// Prompt tokens of sound.
    pub audio_input_tokens: u64,
    /// Prompt tokens of pictures.
    pub image_input_tokens: u64,
    /// Generated tokens of reasoning.
    pub reasoning_output_tokens: u64,
    /// Generated tokens of sound.
    pub audio_output_tokens: u64,
    /// Generated tokens of pictures.
    pub image_output_tokens: u64,
    /// Bodies of requests and answers.
    pub bytes: u64,
    /// Calls of which the provider did not report everything.
    pub estimated: u64,
    /// Plain decimal with at most six fraction digits.
    #[schema(example = "12.345")]
    pub cost: String,
}

impl From<&Figures> for UsageSums {
    fn from(figures: &Figures) -> Self {
        Self {
            requests: figures.requests,
            refused: figures.refused,
            input_tokens: figures.input_tokens.0,
            output_tokens: figures.output_tokens.0,
            cached_input_tokens: figures.cached_input_tokens.0,
            cache_write_input_tokens: figures.cache_write_input_tokens.0,
            audio_input_tokens: figures.audio_input_tokens.0,
            image_input_tokens: figures.image_input_tokens.0,
            reasoning_output_tokens: figures.reasoning_output_tokens.0,
            audio_output_tokens: figures.audio_output_tokens.0,
            image_output_tokens: figures.image_output_tokens.0,
            bytes: figures.bytes.0,
            estimated: figures.estimated,
            cost: figures.cost_micros.to_string(),
        }
    }
}

/// One day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DayLine {
    /// `YYYY-MM-DD` in the company's time zone.
    pub day: String,
    /// Its sums.
    #[serde(flatten)]
    pub sums: UsageSums,
}

/// One department.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DepartmentLine {
    /// Its code; empty: callers of no known department.
    #[schema(example = "sales")]
    pub department: String,
    /// Its name; the code if the policy no longer has it.
    #[schema(example = "営業部")]
    pub name: String,
    /// Its sums.
    #[serde(flatten)]
    pub sums: UsageSums,
}

/// One model of an API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ModelLine {
    /// API of the policy; empty: what was refused before an API was known.
    #[schema(example = "azure-openai")]
    pub api: String,
    /// Model by the name that clients use; empty: the call concerned none.
    #[schema(example = "gpt-4o")]
    pub model: String,
    /// Versions of its price that were in force in the period, by their first days.
    #[schema(example = json!(["2024-10-01"]))]
    pub prices: Vec<String>,
    /// Its sums.
    #[serde(flatten)]
    pub sums: UsageSums,
}

/// People who called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct People {
    /// How many did.
    pub count: u64,
    /// Those who cost most.
    pub shown: Vec<PersonLine>,
    /// All others together.
    pub others: UsageSums,
}

/// One person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PersonLine {
    /// The company's id of the person; empty: callers who are no known person.
    #[schema(example = "E001")]
    pub user: String,
    /// Name, while the directory has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// UsageSums.
    #[serde(flatten)]
    pub sums: UsageSums,
}

/// What was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Refusals {
    /// Records of refusals.
    pub count: u64,
    /// By denial code, most first.
    pub codes: Vec<CodeLine>,
    /// Whose calls were refused most.
    pub people: Vec<RefusedPerson>,
}

/// One denial code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CodeLine {
    /// The code.
    #[schema(example = "budget_exhausted")]
    pub code: String,
    /// How often.
    pub count: u64,
}

/// A person whose calls were refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RefusedPerson {
    /// The company's id of the person; empty: callers who are no known person.
    #[schema(example = "E001")]
    pub user: String,
    /// Name, while the directory has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How often.
    pub count: u64,
}

/// Calls whose end was never seen: charged at their worst case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnknownEnds {
    /// How many.
    pub count: u64,
    /// What they were charged together.
    #[schema(example = "1.875")]
    pub cost: String,
    /// The newest of them, at most 50.
    pub shown: Vec<UnknownEnd>,
}

/// A call whose end was never seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnknownEnd {
    /// When it was given up.
    pub at: String,
    /// The call.
    pub record_id: String,
    /// Who called; empty: no known person.
    pub user: String,
    /// Who pays.
    pub department: String,
    /// What was called.
    pub api: String,
    /// Which model.
    pub model: String,
    /// What it was charged.
    pub cost: String,
}

/// What rules have found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Alerts {
    /// How many alerts.
    pub count: u64,
    /// By rule and severity.
    pub rules: Vec<RuleLine>,
    /// The newest of them, at most 100.
    pub shown: Vec<AlertLine>,
}

/// Alerts of one rule and severity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RuleLine {
    /// The rule.
    #[schema(example = "refusal_burst")]
    pub rule: String,
    /// How much it matters.
    #[schema(example = "medium")]
    pub severity: String,
    /// How often.
    pub count: u64,
}

/// One alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlertLine {
    /// Its id: `GET /v1/alerts/{alertId}` says more.
    pub id: String,
    /// When it was found.
    pub at: String,
    /// The rule.
    pub rule: &'static str,
    /// How much it matters.
    pub severity: &'static str,
    /// What was found, in English.
    pub text: String,
    /// The same in Japanese.
    pub text_ja: String,
    /// Whether somebody has taken note.
    pub is_acknowledged: bool,
}

/// What was changed, and what other systems told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChangesMade {
    /// How many events.
    pub count: u64,
    /// By name, most first.
    pub events: Vec<EventLine>,
    /// The newest of them, at most 100.
    pub shown: Vec<ChangeLine>,
}

/// Events of one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventLine {
    /// The name.
    #[schema(example = "budget.change")]
    pub event: String,
    /// How often.
    pub count: u64,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChangeLine {
    /// When.
    pub at: String,
    /// What.
    #[schema(example = "budget.change")]
    pub event: String,
    /// Which system tells it; `sekisho`: the sidecar itself.
    pub source: String,
    /// To whom or what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Who did it: the company's id, the account, or the name of a command.
    pub by: String,
    /// `success`, `failure` or `unknown`.
    pub outcome: &'static str,
    /// Its record in the log.
    pub record_id: String,
}
