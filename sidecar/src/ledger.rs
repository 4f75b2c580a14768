//! Who may still spend how much: budgets, leases, reservations, settlements.
//!
//! Pure: time and durability are the caller's. The invariant, per budget and window, at
//! every moment: `settled + leased <= limit`, where `leased` is what holders have, free
//! or reserved. Two things can break it, each by an excess that is known and never grows by
//! itself: a call that used more than it had reserved, and a limit that was lowered below
//! what had been granted already.

mod account;
mod budgets;
pub mod calendar;
mod calls;
pub(crate) mod desk;
mod events;
mod grants;
#[cfg(test)]
mod model;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod rate;
pub(crate) mod tables;
pub(crate) mod terms;

use std::collections::{BTreeMap, HashMap, HashSet};

use sekisho_domain::{Budget, BudgetId, Covered, Covering, Policy, RecordId, UnixMillis};

pub use account::{Account, WindowState};
pub use calendar::{Calendar, UnknownTimeZone, Window};
pub use calls::{Admit, Asked, Charge, Held, NotCovered, OpenCall};
pub use events::{Level, Reached, Told};
pub use grants::{Exhausted, Grant};

/// One stream of a worker: who leases are granted to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HolderId(pub [u8; 16]);

impl HolderId {
    /// The sidecar itself, which reserves for calls that name no lease. Never live.
    pub const SIDECAR: Self = Self([0; 16]);
}

/// One VM of a worker, over all its streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VmId(pub [u8; 16]);

/// A budget of the policy, by its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BudgetIndex(usize);

/// One window of one budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowKey {
    /// Whose.
    pub budget: BudgetIndex,
    /// Its first moment.
    pub start: UnixMillis,
}

/// A live or former holder.
#[derive(Clone, Debug)]
struct Holder {
    vm: VmId,
    /// Connected: gets leases, keeps what its calls did not use.
    live: bool,
    /// Takes part in the division of what remains.
    leasing: bool,
}

/// A VM that has been heard of.
#[derive(Clone, Debug, Default)]
struct Vm {
    last_seen: UnixMillis,
    open: HashSet<RecordId>,
}

/// The state of all budgets.
#[derive(Clone, Debug)]
pub struct Ledger {
    calendar: Calendar,
    /// Also those that are no more: calls that were admitted under them end under them.
    budgets: Vec<Budget>,
    by_name: HashMap<BudgetId, BudgetIndex>,
    covering: Covering<BudgetIndex>,
    windows: HashMap<WindowKey, WindowState>,
    accounts: BTreeMap<(HolderId, WindowKey), Account>,
    holders: HashMap<HolderId, Holder>,
    vms: HashMap<VmId, Vm>,
    open: HashMap<RecordId, OpenCall>,
    touched: Touched,
}

/// What has changed since it was last made durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Windows whose figures changed.
    pub windows: HashSet<WindowKey>,
    /// Accounts that changed or went.
    pub accounts: HashSet<(HolderId, WindowKey)>,
    /// Holders that came or went.
    pub holders: HashSet<HolderId>,
    /// Calls that were opened or closed.
    pub calls: HashSet<RecordId>,
    /// Levels that were reached.
    pub levels: Vec<Reached>,
}

impl Touched {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Ledger {
    /// The budgets of a policy, nothing spent.
    ///
    /// # Errors
    /// The policy's time zone is unknown.
    pub fn new(policy: &Policy) -> Result<Self, UnknownTimeZone> {
        let mut ledger = Self::empty(&policy.time_zone)?;
        for budget in &policy.budgets {
            ledger.put(budget.clone());
        }
        Ok(ledger)
    }

    /// No budgets yet.
    ///
    /// # Errors
    /// The time zone is unknown.
    pub fn empty(time_zone: &str) -> Result<Self, UnknownTimeZone> {
        Ok(Self {
            calendar: Calendar::new(time_zone)?,
            budgets: Vec::new(),
            by_name: HashMap::new(),
            covering: Covering::default(),
            windows: HashMap::new(),
            accounts: BTreeMap::new(),
            holders: HashMap::new(),
            vms: HashMap::new(),
            open: HashMap::new(),
            touched: Touched::default(),
        })
    }

    /// The calendar of its windows.
    #[must_use]
    pub const fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// The budget of this name.
    #[must_use]
    pub fn index(&self, name: &str) -> Option<BudgetIndex> {
        self.by_name.get(name).copied()
    }

    /// The budget at an index of this ledger.
    #[must_use]
    pub fn budget(&self, index: BudgetIndex) -> Option<&Budget> {
        self.budgets.get(index.0)
    }

    /// The budgets that cover a call.
    #[must_use]
    pub fn covering(&self, call: &Covered<'_>) -> Vec<BudgetIndex> {
        let mut found = Vec::new();
        self.covering.of(call, |index| found.push(index));
        found
    }

    /// The window of a budget that `at` is in.
    #[must_use]
    pub fn window_at(&self, index: BudgetIndex, at: UnixMillis) -> Option<(WindowKey, Window)> {
        let budget = self.budget(index)?;
        let window = match budget.window {
            Some(unit) => self.calendar.window(unit, at),
            None => Window::ENDLESS,
        };
        let key = WindowKey {
            budget: index,
            start: window.start,
        };
        Some((key, window))
    }

    /// The state of a window, if it is loaded.
    #[must_use]
    pub fn window(&self, key: &WindowKey) -> Option<&WindowState> {
        self.windows.get(key)
    }

    /// An account, if there is one.
    #[must_use]
    pub fn account(&self, holder: HolderId, key: WindowKey) -> Option<&Account> {
        self.accounts.get(&(holder, key))
    }

    /// The VM of a holder that is known.
    #[must_use]
    pub fn vm_of(&self, holder: HolderId) -> Option<VmId> {
        self.holders.get(&holder).map(|holder| holder.vm)
    }

    /// A call that was admitted and has not ended.
    #[must_use]
    pub fn open_call(&self, id: &RecordId) -> Option<&OpenCall> {
        self.open.get(id)
    }

    /// Calls that were admitted and have not ended.
    #[must_use]
    pub fn open_calls(&self) -> usize {
        self.open.len()
    }

    /// What is to be made durable; forgets it.
    #[must_use]
    pub fn take_touched(&mut self) -> Touched {
        std::mem::take(&mut self.touched)
    }

    /// The first window whose figures contradict each other, if any. For tests and for
    /// the check at start.
    #[must_use]
    pub fn contradiction(&self) -> Option<String> {
        let mut leased: HashMap<WindowKey, u64> = HashMap::new();
        for ((_, key), account) in &self.accounts {
            *leased.entry(*key).or_default() += account.total();
        }
        for (key, window) in &self.windows {
            let name = self.budget(key.budget).map_or("?", |b| b.id.as_str());
            let held = leased.get(key).copied().unwrap_or(0);
            let limit = self.budget(key.budget).map_or(0, |b| b.limit);
            if window.leased != held {
                let start = key.start.0;
                return Some(format!(
                    "budget `{name}`, window {start}: {} leased, but holders have {held}",
                    window.leased
                ));
            }
            let spent = window.settled.saturating_add(window.leased);
            if spent > limit.saturating_add(window.excess) {
                let start = key.start.0;
                return Some(format!(
                    "budget `{name}`, window {start}: {spent} spent or leased of {limit}"
                ));
            }
        }
        None
    }
}
