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
    /// By how much it may be: by nothing, but where answers are followed as they stream.
    pub(crate) bound: u64,
    /// `spent / limit`.
    pub(crate) utilisation: f64,
}

impl Spending {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share of a limit, not an amount"
    )]
    pub(crate) fn new(limit: u64, bound: u64, spent: u64, charged: u64) -> Self {
        Self {
            limit,
            spent,
            charged,
            bound,
            overshoot: spent.max(charged).saturating_sub(limit),
            utilisation: spent as f64 / limit.max(1) as f64,
        }
    }

    fn holds(&self) -> bool {
        // What was served and is not charged would be missing on the bill. Of an answer that was
        // cut, what its provider wrote meanwhile is charged as the policy says how much that can
        // be (`ahead_tokens`), which a busy machine may exceed.
        let is_charged = self.charged + self.bound >= self.spent;
        self.overshoot <= self.bound && self.utilisation >= UTILISATION && is_charged
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
    /// Of the department whose tokens are limited while its answers stream.
    pub(crate) streams: Spending,
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
        let spending = [&self.tokens, &self.money, &self.streams];
        spending.iter().all(|spending| spending.holds()) && self.log_is_sound && self.other == 0
    }

    pub(crate) fn print(&self) {
        let row = |name: &str, of: &dyn Fn(&Spending) -> String| {
            let [tokens, money, streams] = [&self.tokens, &self.money, &self.streams].map(of);
            println!("  {name:<14} {tokens:>16} {money:>20} {streams:>20}");
        };
        println!(
            "  {:<14} {:>16} {:>20} {:>20}",
            "", "tokens", "micro-yen", "streamed tokens"
        );
        row("limit", &|of| of.limit.to_string());
        row("spent", &|of| of.spent.to_string());
        row("charged", &|of| of.charged.to_string());
        row("overshoot", &|of| of.overshoot.to_string());
        row("bound", &|of| of.bound.to_string());
        row("utilisation", &|of| {
            format!("{:.2} %", of.utilisation * 100.0)
        });
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
