//! When half, four fifths and all of a budget are used up: said once each per window and limit.

use sekisho_domain::{BudgetId, Meter, UnixMillis};

use super::{Ledger, WindowKey};

/// How much of a budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Half of it.
    Half,
    /// Four fifths of it.
    Most,
    /// All of it, or so much that a call was refused.
    All,
}

impl Level {
    const EVERY: [Self; 3] = [Self::Half, Self::Most, Self::All];

    /// In percent of the limit.
    #[must_use]
    pub const fn percent(self) -> u8 {
        match self {
            Self::Half => 50,
            Self::Most => 80,
            Self::All => 100,
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Half => 1,
            Self::Most => 2,
            Self::All => 4,
        }
    }

    /// Whether so much of a limit is it. Of nothing, nothing is used up until a call is refused.
    fn is_reached(self, settled: u64, limit: u64) -> bool {
        let (settled, limit) = (u128::from(settled), u128::from(limit));
        limit > 0 && settled * 100 >= limit * u128::from(self.percent())
    }
}

/// The levels of a window that have been told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told(u8);

impl Told {
    /// Notes a level; whether it is new.
    const fn note(&mut self, level: Level) -> bool {
        let is_new = self.0 & level.bit() == 0;
        self.0 |= level.bit();
        is_new
    }
}

/// A level has been reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Of which budget, by the name of its counter.
    pub budget: BudgetId,
    /// What it counts.
    pub meter: Meter,
    /// In which window.
    pub window_start: UnixMillis,
    /// First moment after it.
    pub window_end: UnixMillis,
    /// Which.
    pub level: Level,
    /// The limit of which it is a share.
    pub limit: u64,
    /// What calls that have ended had used.
    pub settled: u64,
    /// Whether a call was refused because of it.
    pub refused: bool,
}

impl Ledger {
    /// Notes the levels that a window's settled amount has reached.
    pub(super) fn note_levels(&mut self, key: WindowKey) {
        for level in Level::EVERY {
            let is_reached = |ledger: &Self| {
                let settled = ledger.window(&key)?.settled;
                Some(level.is_reached(settled, ledger.budget(key.budget)?.limit))
            };
            if is_reached(self) == Some(true) {
                self.note_level(key, level, false);
            }
        }
    }

    /// Notes that a call was refused because a budget has not enough left.
    pub(crate) fn note_refusal(&mut self, counter: &str, now: UnixMillis) {
        let index = self.index(counter);
        if let Some((key, _)) = index.and_then(|index| self.window_at(index, now)) {
            self.note_level(key, Level::All, true);
        }
    }

    fn note_level(&mut self, key: WindowKey, level: Level, refused: bool) {
        let Some(budget) = self.budgets.get(key.budget.0) else {
            return;
        };
        // Calls under way end and come back: that is no news.
        if budget.window.is_none() {
            return;
        }
        let Some(window) = self.windows.get_mut(&key) else {
            return;
        };
        if window.told.note(level) {
            self.touched.levels.push(Reached {
                budget: budget.id.clone(),
                meter: budget.meter,
                window_start: key.start,
                window_end: window.end,
                level,
                limit: budget.limit,
                settled: window.settled,
                refused,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{BudgetIndex, HolderId, VmId};
    use sekisho_domain::{Budget, Payer, Subject, WindowUnit};

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    fn ledger(limit: u64) -> (Ledger, BudgetIndex, WindowKey) {
        let mut ledger = Ledger::empty("Asia/Tokyo").unwrap();
        let index = ledger.put(budget(limit));
        let (key, window) = ledger.window_at(index, NOW).unwrap();
        ledger.load_window(key, window, 0);
        ledger.connect(HolderId([1; 16]), VmId([1; 16]), true, NOW);
        (ledger, index, key)
    }

    fn budget(limit: u64) -> Budget {
        Budget {
            id: "b".into(),
            payer: Payer::Organisation,
            subject: Subject::Everything,
            meter: Meter::Tokens,
            window: Some(WindowUnit::Day),
            limit,
            mode: sekisho_domain::Mode::Strict,
        }
    }

    fn use_up(ledger: &mut Ledger, tokens: u64) -> Vec<(u8, bool)> {
        let usage = sekisho_domain::Usage {
            input: sekisho_domain::Tokens(tokens),
            ..Default::default()
        };
        let call = sekisho_domain::Covered::default();
        ledger.complete_unadmitted(&call, NOW, &usage, Default::default());
        told(ledger)
    }

    fn told(ledger: &mut Ledger) -> Vec<(u8, bool)> {
        let levels = ledger.take_touched().levels;
        let told = levels.iter().map(|at| (at.level.percent(), at.refused));
        told.collect()
    }

    #[test]
    fn every_level_is_told_once_in_a_window() {
        let (mut ledger, ..) = ledger(100);
        assert_eq!(use_up(&mut ledger, 49), []);
        assert_eq!(use_up(&mut ledger, 1), [(50, false)]);
        assert_eq!(use_up(&mut ledger, 10), []);
        assert_eq!(use_up(&mut ledger, 40), [(80, false), (100, false)]);
        ledger.note_refusal("b", NOW);
        assert_eq!(told(&mut ledger), []);
    }

    #[test]
    fn a_call_that_is_refused_says_that_a_budget_is_used_up() {
        let (mut ledger, ..) = ledger(100);
        for _ in 0..2 {
            ledger.note_refusal("b", NOW);
        }
        assert_eq!(told(&mut ledger), [(100, true)]);
        assert_eq!(use_up(&mut ledger, 100), [(50, false), (80, false)]);
        ledger.note_refusal("nobody", NOW);
        assert_eq!(told(&mut ledger), []);
    }

    #[test]
    fn another_limit_has_levels_of_its_own() {
        let (mut ledger, ..) = ledger(100);
        assert_eq!(use_up(&mut ledger, 60), [(50, false)]);
        ledger.put(budget(200));
        assert_eq!(told(&mut ledger), []);
        assert_eq!(use_up(&mut ledger, 40), [(50, false)]);
        ledger.put(budget(110));
        assert_eq!(told(&mut ledger), [(50, false), (80, false)]);
        // The same limit is none.
        ledger.put(budget(110));
        assert_eq!(told(&mut ledger), []);
    }

    #[test]
    fn nothing_is_used_up_of_a_limit_of_zero_until_a_call_is_refused() {
        let (mut ledger, ..) = ledger(0);
        assert_eq!(use_up(&mut ledger, 0), []);
        ledger.note_refusal("b", NOW);
        assert_eq!(told(&mut ledger), [(100, true)]);
    }
}
