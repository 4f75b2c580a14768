//! What a rule has found, and how it is said.

use std::fmt;

use schemars::JsonSchema;
use sekisho_domain::{RecordId, UnixMillis};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::ledger::Window;
use crate::report::Language;

/// The rules.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RuleName {
    /// Many refusals of one person, key or address, or with one code.
    RefusalBurst,
    /// A person calls outside of working hours.
    OffHours,
    /// A person calls far more than usual.
    SuddenVolume,
    /// A budget is used up, or nearly.
    BudgetEvents,
    /// Calls whose end was never seen.
    UnknownCloses,
    /// Somebody changed something that is watched.
    Changes,
}

impl RuleName {
    /// Every rule.
    pub const EVERY: [Self; 6] = [
        Self::RefusalBurst,
        Self::OffHours,
        Self::SuddenVolume,
        Self::BudgetEvents,
        Self::UnknownCloses,
        Self::Changes,
    ];

    /// The name in the policy file and in alerts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RefusalBurst => "refusal_burst",
            Self::OffHours => "off_hours",
            Self::SuddenVolume => "sudden_volume",
            Self::BudgetEvents => "budget_events",
            Self::UnknownCloses => "unknown_closes",
            Self::Changes => "changes",
        }
    }

    /// The rule of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|rule| rule.as_str() == text)
    }
}

/// How much it matters.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth a look.
    #[default]
    Low,
    /// Worth a question.
    Medium,
    /// Somebody has to act.
    High,
}

impl Severity {
    /// Every one, least first.
    pub const EVERY: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    /// The name in the policy file and in alerts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|one| one.as_str() == text)
    }
}

/// Whom or what an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// `user`, `account`, `key`, `address`, `denial`, `budget`, `gateways` or `target`.
    pub kind: String,
    /// Which.
    pub id: String,
}

impl Subject {
    /// The subject of this kind and id.
    #[must_use]
    pub fn new(kind: &str, id: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            id: id.to_owned(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

/// What a rule has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Which rule.
    pub rule: RuleName,
    /// How much it matters.
    pub severity: Severity,
    /// Whom or what it is about.
    pub subject: Subject,
    /// Of which department, where that is known.
    pub department: Option<String>,
    /// The stretch of time in which it happened: of one there is at most one alert of a rule
    /// about a subject.
    pub window: Window,
    /// When it was full.
    pub at: UnixMillis,
    /// How many calls, or how many percent of a budget.
    pub count: u64,
    /// What is usual, or the least of what raises an alert.
    pub against: u64,
    /// More about it: amounts of a budget, the name of an event and who did it.
    pub detail: Option<String>,
    /// The record that raised it.
    pub record: Option<RecordId>,
}

impl Alert {
    /// Its public id: the same for the same rule, window and subject.
    #[must_use]
    pub fn id(&self) -> String {
        let digest = Sha256::new()
            .chain_update(self.rule.as_str())
            .chain_update([0])
            .chain_update(&self.subject.kind)
            .chain_update([0])
            .chain_update(&self.subject.id)
            .chain_update([0])
            .chain_update(self.window.start.0.to_be_bytes())
            .chain_update(self.detail_of_id())
            .finalize();
        let hex = digest.iter().take(16).map(|byte| format!("{byte:02x}"));
        format!("alert_{}", hex.collect::<String>())
    }

    /// Budgets have levels, each of which is told of once in a window; a change is told of once.
    fn detail_of_id(&self) -> Vec<u8> {
        match (self.rule, self.record) {
            (RuleName::BudgetEvents, _) => self.count.to_be_bytes().to_vec(),
            (RuleName::Changes, Some(record)) => record.0.to_vec(),
            _ => Vec::new(),
        }
    }

    /// Minutes of its window.
    fn minutes(&self) -> u64 {
        self.window.end.since(self.window.start).div_ceil(60_000)
    }

    /// One sentence about it.
    #[must_use]
    pub fn sentence(&self, language: Language) -> String {
        match language {
            Language::English => self.english(),
            Language::Japanese => self.japanese(),
        }
    }

    fn english(&self) -> String {
        let (subject, count, against) = (&self.subject, self.count, self.against);
        let (id, minutes) = (&subject.id, self.minutes());
        let detail = self.detail.as_deref().unwrap_or_default();
        match self.rule {
            RuleName::RefusalBurst if subject.kind == "denial" => {
                format!("{count} calls were refused with `{id}` within {minutes} minutes")
            }
            RuleName::RefusalBurst => {
                format!("{count} calls of {subject} were refused within {minutes} minutes")
            }
            RuleName::OffHours => format!("{subject} called outside of working hours ({detail})"),
            RuleName::SuddenVolume => {
                format!("{subject} made {count} calls within {detail}; usual are {against}")
            }
            RuleName::BudgetEvents => format!("{count} % of budget {id} are used up ({detail})"),
            RuleName::UnknownCloses => {
                format!("the end of {count} calls was never seen; they are charged at their worst")
            }
            RuleName::Changes => format!("{detail}: {id}"),
        }
    }

    fn japanese(&self) -> String {
        let (subject, count, against) = (&self.subject, self.count, self.against);
        let (id, minutes) = (&subject.id, self.minutes());
        let detail = self.detail.as_deref().unwrap_or_default();
        let who = match subject.kind.as_str() {
            "user" => format!("利用者 {id}"),
            "account" => format!("アカウント {id}"),
            "key" => format!("キー {id}"),
            "address" => format!("アドレス {id}"),
            _ => id.clone(),
        };
        match self.rule {
            RuleName::RefusalBurst if subject.kind == "denial" => {
                format!("{minutes} 分間に {count} 件の呼び出しが `{id}` で拒否されました")
            }
            RuleName::RefusalBurst => {
                format!("{who} の呼び出しが {minutes} 分間に {count} 件拒否されました")
            }
            RuleName::OffHours => format!("{who} が業務時間外に呼び出しました({detail})"),
            RuleName::SuddenVolume => {
                format!("{who} の呼び出しが急増しました({detail}: {count} 件、通常 {against} 件)")
            }
            RuleName::BudgetEvents => {
                format!("予算 {id} の {count} % が使用されました({detail})")
            }
            RuleName::UnknownCloses => {
                format!("{count} 件の呼び出しの終了が確認できません。最大値で課金されています")
            }
            RuleName::Changes => format!("{detail}: {id}"),
        }
    }
}
