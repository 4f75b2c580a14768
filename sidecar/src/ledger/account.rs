//! Figures of one window and of one holder in it, and how they come back from the database.

use sekisho_domain::{RecordId, UnixMillis};

use super::{Holder, HolderId, Ledger, OpenCall, Told, VmId, Window, WindowKey};

/// What a holder has of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Leased, not reserved: what the holder may still promise.
    pub free: u64,
    /// Reserved for calls that have not ended.
    pub reserved: u64,
    /// Given back before the records of the calls came that freed it: taken when they come.
    /// Not durable, because no holder outlives the sidecar.
    pub owed: u64,
}

impl Account {
    /// All that counts as leased.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.free.saturating_add(self.reserved)
    }
}

/// The figures of one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowState {
    /// First moment of the next window.
    pub end: UnixMillis,
    /// Used by calls that have ended.
    pub settled: u64,
    /// The accounts of all holders together.
    pub leased: u64,
    /// How far `settled` and `leased` are over the limit: used over reservations, or granted
    /// before the limit was lowered.
    pub excess: u64,
    /// Which levels have been told of since the sidecar began.
    pub told: Told,
}

impl WindowState {
    /// All that is no longer to be had.
    #[must_use]
    pub const fn spent(&self) -> u64 {
        self.settled.saturating_add(self.leased)
    }

    /// What can still be leased.
    #[must_use]
    pub const fn remaining(&self, limit: u64) -> u64 {
        limit.saturating_sub(self.spent())
    }
}

impl Ledger {
    /// Puts a window in that has not been loaded: its figures from the database, or zeros.
    pub fn load_window(&mut self, key: WindowKey, window: Window, settled: u64) {
        let limit = self.budget(key.budget).map_or(0, |budget| budget.limit);
        let fresh = WindowState {
            end: window.end,
            settled,
            leased: 0,
            excess: settled.saturating_sub(limit),
            told: Told::default(),
        };
        self.windows.entry(key).or_insert(fresh);
    }

    /// Puts an account back, after its window.
    pub fn load_account(&mut self, holder: HolderId, key: WindowKey, account: Account) {
        let limit = self.budget(key.budget).map_or(0, |budget| budget.limit);
        if let Some(window) = self.windows.get_mut(&key) {
            window.leased = window.leased.saturating_add(account.total());
            // The limit may have been lowered since.
            window.excess = window.excess.max(window.spent().saturating_sub(limit));
            self.accounts.insert((holder, key), account);
        }
    }

    /// Puts a former holder back: not connected, heard of at `now`.
    pub fn load_holder(&mut self, holder: HolderId, vm: VmId, now: UnixMillis) {
        let former = Holder {
            vm,
            live: false,
            leasing: false,
        };
        self.holders.insert(holder, former);
        self.seen(vm, now);
    }

    /// Puts a call back that was open, of a VM heard of at `now`.
    pub fn load_call(&mut self, id: RecordId, call: OpenCall, now: UnixMillis) {
        self.seen(call.vm, now);
        self.vms.entry(call.vm).or_default().open.insert(id);
        self.open.insert(id, call);
    }

    /// Moves an account's figures; drops it when nothing is left.
    pub(super) fn adjust(
        &mut self,
        holder: HolderId,
        key: WindowKey,
        change: impl FnOnce(&mut Account),
    ) {
        let account = self.accounts.entry((holder, key)).or_default();
        let before = account.total();
        change(account);
        let after = account.total();
        if after == 0 {
            self.accounts.remove(&(holder, key));
        }
        self.touched.accounts.insert((holder, key));
        let limit = self.budget(key.budget).map_or(0, |budget| budget.limit);
        if let Some(window) = self.windows.get_mut(&key) {
            window.leased = window.leased.saturating_sub(before).saturating_add(after);
            window.excess = window.excess.min(window.spent().saturating_sub(limit));
        }
    }

    /// Takes everything free from a holder's accounts back into the budgets.
    pub(super) fn release_free(&mut self, holder: HolderId) {
        let first = (holder, WindowKey::FIRST);
        let keys: Vec<WindowKey> = self
            .accounts
            .range(first..)
            .take_while(|((of, _), _)| *of == holder)
            .map(|((_, key), _)| *key)
            .collect();
        for key in keys {
            self.adjust(holder, key, |account| account.free = 0);
        }
    }

    /// Takes back what is free in windows that are over, and forgets such windows once
    /// nobody has anything in them.
    pub fn sweep(&mut self, now: UnixMillis) {
        let over = |window: &WindowState| window.end <= now;
        let ended: Vec<(HolderId, WindowKey)> = self
            .accounts
            .iter()
            .filter(|((_, key), account)| {
                account.free > 0 && self.windows.get(key).is_some_and(over)
            })
            .map(|(place, _)| *place)
            .collect();
        for (holder, key) in ended {
            self.adjust(holder, key, |account| account.free = 0);
        }
        self.windows
            .retain(|_, window| !over(window) || window.leased > 0);
    }
}
