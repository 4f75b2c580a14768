//! What a run has shown.

use serde::Serialize;

/// Less than this of a limit must not be left over.
const UTILISATION: f64 = 0.95;

/// One budget at the end of a run, in its unit (tokens, or millionths of a yen).
#[derive(Debug, Serialize)]
pub(crate) struct Spending {
    pub(crate) limit: u64,
    /// Metered by the stand-in for the provider.
    pub(crate) spent: u64,
    /// What the ledger says: also the worst case of calls whose end nobody saw.
    pub(crate) charged: u64,
    /// By how much either is over the limit.
    pub(crate) overshoot: u64,
    /// `spent / limit`.
    pub(crate) utilisation: f64,
}

impl Spending {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share of a limit, not an amount"
    )]
    pub(crate) fn new(limit: u64, spent: u64, charged: u64) -> Self {
        Self {
            limit,
            spent,
            charged,
            overshoot: spent.max(charged).saturating_sub(limit),
            utilisation: spent as f64 / limit.max(1) as f64,
        }
    }

    fn holds(&self) -> bool {
        // What was served and is not charged would be missing on the bill.
        self.overshoot == 0 && self.utilisation >= UTILISATION && self.charged >= self.spent
    }
}

/// The run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) store: &'static str,
    pub(crate) seed: u64,
    pub(crate) seconds: f64,
    /// Of the department whose tokens are limited.
    #[serde(flatten)]
    pub(crate) tokens: Spending,
    /// Of the department whose money is limited.
    pub(crate) money: Spending,
    pub(crate) requests: u64,
    pub(crate) answered: u64,
    /// 429: the budget does not cover the call.
    pub(crate) refusals: u64,
    /// 503: the call could not be put on record.
    pub(crate) unavailable: u64,
    pub(crate) other: u64,
    pub(crate) left: u64,
    pub(crate) broken: u64,
    pub(crate) kills: u64,
    pub(crate) cuts: u64,
    /// `sekisho audit verify` found nothing.
    pub(crate) log_is_sound: bool,
}

impl Report {
    /// Whether the promises were kept. Any status but 200, 429 and 503 is a fault of ours.
    pub(crate) fn holds(&self) -> bool {
        self.tokens.holds() && self.money.holds() && self.log_is_sound && self.other == 0
    }

    pub(crate) fn print(&self) {
        let row = |name: &str, tokens: String, money: String| {
            println!("  {name:<14} {tokens:>16} {money:>20}");
        };
        row("", "tokens".into(), "micro-yen".into());
        let (tokens, money) = (&self.tokens, &self.money);
        row("limit", tokens.limit.to_string(), money.limit.to_string());
        row("spent", tokens.spent.to_string(), money.spent.to_string());
        row(
            "charged",
            tokens.charged.to_string(),
            money.charged.to_string(),
        );
        row(
            "overshoot",
            tokens.overshoot.to_string(),
            money.overshoot.to_string(),
        );
        let percent = |share: f64| format!("{:.2} %", share * 100.0);
        row(
            "utilisation",
            percent(tokens.utilisation),
            percent(money.utilisation),
        );
        println!(
            "  {} requests: {} answered, {} refused for the budget, {} not recordable, {} left, {} broken, {} other",
            self.requests,
            self.answered,
            self.refusals,
            self.unavailable,
            self.left,
            self.broken,
            self.other
        );
        println!(
            "  {} kills of the sidecar, {} cuts of its wires; the log is {}; seed {}",
            self.kills,
            self.cuts,
            if self.log_is_sound {
                "sound"
            } else {
                "NOT SOUND"
            },
            self.seed
        );
        println!(
            "  {}",
            if self.holds() {
                "the promises were kept"
            } else {
                "A PROMISE WAS BROKEN"
            }
        );
    }
}
