//! The ledger in the database. Only the writer changes it.

use std::collections::BTreeMap;

use prost::Message as _;
use sekisho_domain::{RecordId, UnixMillis};
use sekisho_link::v1;
use sqlx::{AnyConnection, Row as _};

use super::{Account, Held, HolderId, Ledger, OpenCall, Touched, VmId, WindowKey};
use crate::store::figures::{from_db, to_db};
use crate::store::script::{Rows, Script};

/// `ledger_terms` says from which record on (`from_seq`) and up to which (`until_seq`,
/// excluded; NULL: still) a budget was in force.
pub(crate) const DDL: &str = "
CREATE TABLE ledger_windows (
    budget TEXT NOT NULL,
    window_start BIGINT NOT NULL,
    window_end BIGINT NOT NULL,
    settled BIGINT NOT NULL,
    PRIMARY KEY (budget, window_start)
) {clustered};
CREATE TABLE ledger_accounts (
    holder {blob} NOT NULL,
    budget TEXT NOT NULL,
    window_start BIGINT NOT NULL,
    free BIGINT NOT NULL,
    reserved BIGINT NOT NULL,
    PRIMARY KEY (holder, budget, window_start)
) {clustered};
CREATE TABLE ledger_holders (
    holder {blob} NOT NULL PRIMARY KEY,
    vm {blob} NOT NULL
);
CREATE TABLE ledger_calls (
    record_id {blob} NOT NULL PRIMARY KEY,
    vm {blob} NOT NULL,
    held {blob} NOT NULL
) {clustered};
CREATE TABLE ledger_terms (
    budget TEXT NOT NULL,
    from_seq BIGINT NOT NULL,
    until_seq BIGINT,
    department TEXT NOT NULL,
    meter TEXT NOT NULL,
    window_unit TEXT NOT NULL,
    limit_amount BIGINT NOT NULL,
    PRIMARY KEY (budget, from_seq)
);
";

const WINDOWS: Rows = Rows {
    head: "INSERT INTO ledger_windows (budget, window_start, window_end, settled) VALUES",
    columns: 4,
    tail: "ON CONFLICT (budget, window_start) DO UPDATE SET settled = excluded.settled",
};
const ACCOUNTS: Rows = Rows {
    head: "INSERT INTO ledger_accounts (holder, budget, window_start, free, reserved) VALUES",
    columns: 5,
    tail: "ON CONFLICT (holder, budget, window_start) \
           DO UPDATE SET free = excluded.free, reserved = excluded.reserved",
};
const ACCOUNTS_GONE: Rows = Rows {
    head: "DELETE FROM ledger_accounts WHERE (holder, budget, window_start) IN (VALUES",
    columns: 3,
    tail: ")",
};
const HOLDERS: Rows = Rows {
    head: "INSERT INTO ledger_holders (holder, vm) VALUES",
    columns: 2,
    tail: "ON CONFLICT (holder) DO UPDATE SET vm = excluded.vm",
};
const HOLDERS_GONE: Rows = Rows {
    head: "DELETE FROM ledger_holders WHERE holder IN (VALUES",
    columns: 1,
    tail: ")",
};
const CALLS: Rows = Rows {
    head: "INSERT INTO ledger_calls (record_id, vm, held) VALUES",
    columns: 3,
    tail: "ON CONFLICT (record_id) DO UPDATE SET vm = excluded.vm, held = excluded.held",
};
const CALLS_GONE: Rows = Rows {
    head: "DELETE FROM ledger_calls WHERE record_id IN (VALUES",
    columns: 1,
    tail: ")",
};

/// Writes what was touched.
pub(crate) fn save(script: &mut Script, ledger: &Ledger, touched: &Touched) {
    let name = |key: &WindowKey| {
        let budget = ledger.budget(key.budget);
        budget.map_or_else(String::new, |budget| budget.id.0.clone())
    };
    let windows = touched
        .windows
        .iter()
        .filter_map(|key| Some((key, ledger.window(key)?)));
    script.write(WINDOWS, windows, |(key, window)| {
        [
            name(key).into(),
            to_db(key.start.0).into(),
            to_db(window.end.0).into(),
            to_db(window.settled).into(),
        ]
    });
    let (kept, gone) = parted(&touched.accounts, |(holder, key)| {
        ledger.account(*holder, *key)
    });
    script.write(ACCOUNTS, kept, |((holder, key), account)| {
        [
            holder.0.as_slice().into(),
            name(key).into(),
            to_db(key.start.0).into(),
            to_db(account.free).into(),
            to_db(account.reserved).into(),
        ]
    });
    script.write(ACCOUNTS_GONE, gone, |(holder, key)| {
        [
            holder.0.as_slice().into(),
            name(key).into(),
            to_db(key.start.0).into(),
        ]
    });
    let (kept, gone) = parted(&touched.holders, |holder| ledger.vm_of(*holder));
    script.write(HOLDERS, kept, |(holder, vm)| {
        [holder.0.as_slice().into(), vm.0.as_slice().into()]
    });
    script.write(HOLDERS_GONE, gone, |holder| [holder.0.as_slice().into()]);
    let (kept, gone) = parted(&touched.calls, |id| ledger.open_call(id));
    script.write(CALLS, kept, |(id, call)| {
        [
            id.0.as_slice().into(),
            call.vm.0.as_slice().into(),
            encode(ledger, &call.held).into(),
        ]
    });
    script.write(CALLS_GONE, gone, |id| [id.0.as_slice().into()]);
}

/// What the ledger still has, and what it no longer has.
fn parted<'a, P, V>(
    places: impl IntoIterator<Item = &'a P>,
    find: impl Fn(&'a P) -> Option<V>,
) -> (Vec<(&'a P, V)>, Vec<&'a P>) {
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for place in places {
        match find(place) {
            Some(value) => kept.push((place, value)),
            None => gone.push(place),
        }
    }
    (kept, gone)
}

fn encode(ledger: &Ledger, held: &[Held]) -> Vec<u8> {
    let reservation = |held: &Held| {
        Some(v1::Reservation {
            holder: held.holder.0.to_vec().into(),
            budget: ledger.budget(held.key.budget)?.id.0.clone(),
            window_start: held.key.start.0,
            reserved: held.amount,
            used: 0,
        })
    };
    let list = v1::Entry {
        reservations: held.iter().filter_map(reservation).collect(),
        ..v1::Entry::default()
    };
    list.encode_to_vec()
}

/// A reservation in the terms of this ledger. Budgets that have left the policy are
/// dropped; a window that no longer is one (the calendar changed) becomes the one it began in.
fn decode(ledger: &Ledger, reservation: &v1::Reservation) -> Option<Held> {
    let budget = ledger.index(&reservation.budget)?;
    let (key, _) = ledger.window_at(budget, UnixMillis(reservation.window_start))?;
    Some(Held {
        holder: HolderId(reservation.holder.as_ref().try_into().ok()?),
        key,
        amount: reservation.reserved,
    })
}

/// Loads the windows that are not in memory yet; those without a row start at zero.
pub(crate) async fn load_windows(
    connection: &mut AnyConnection,
    ledger: &mut Ledger,
    keys: impl IntoIterator<Item = WindowKey>,
) -> Result<(), sqlx::Error> {
    for key in keys {
        if ledger.window(&key).is_some() {
            continue;
        }
        let (Some(budget), Some((_, window))) = (
            ledger.budget(key.budget),
            ledger.window_at(key.budget, key.start),
        ) else {
            continue;
        };
        let sql = "SELECT settled FROM ledger_windows WHERE budget = $1 AND window_start = $2";
        let row = sqlx::query(sql)
            .bind(budget.id.0.clone())
            .bind(to_db(key.start.0))
            .fetch_optional(&mut *connection)
            .await?;
        let settled = match row {
            Some(row) => from_db(row.try_get("settled")?),
            None => 0,
        };
        ledger.load_window(key, window, settled);
    }
    Ok(())
}

/// Brings a ledger back to what the database says, as of `now`.
pub(crate) async fn load(
    connection: &mut AnyConnection,
    ledger: &mut Ledger,
    now: UnixMillis,
) -> Result<(), sqlx::Error> {
    let holders = sqlx::query("SELECT holder, vm FROM ledger_holders");
    for row in holders.fetch_all(&mut *connection).await? {
        let (holder, vm) = (id(&row, "holder")?, id(&row, "vm")?);
        ledger.load_holder(HolderId(holder), VmId(vm), now);
    }
    let accounts = "SELECT holder, budget, window_start, free, reserved FROM ledger_accounts";
    let mut held: BTreeMap<(HolderId, WindowKey), Account> = BTreeMap::new();
    for row in sqlx::query(accounts).fetch_all(&mut *connection).await? {
        let budget: String = row.try_get("budget")?;
        let start = UnixMillis(from_db(row.try_get("window_start")?));
        let Some(index) = ledger.index(&budget) else {
            continue;
        };
        let Some((key, _)) = ledger.window_at(index, start) else {
            continue;
        };
        let account = held
            .entry((HolderId(id(&row, "holder")?), key))
            .or_default();
        account.free += from_db(row.try_get("free")?);
        account.reserved += from_db(row.try_get("reserved")?);
    }
    let keys: Vec<WindowKey> = held.keys().map(|(_, key)| *key).collect();
    load_windows(connection, ledger, keys).await?;
    for ((holder, key), account) in held {
        ledger.load_account(holder, key, account);
    }
    let calls = sqlx::query("SELECT record_id, vm, held FROM ledger_calls");
    for row in calls.fetch_all(&mut *connection).await? {
        let bytes: Vec<u8> = row.try_get("held")?;
        let list = v1::Entry::decode(bytes.as_slice())
            .map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        let held: Vec<Held> = list
            .reservations
            .iter()
            .filter_map(|reservation| decode(ledger, reservation))
            .collect();
        let keys: Vec<WindowKey> = held.iter().map(|held| held.key).collect();
        load_windows(connection, ledger, keys).await?;
        let call = OpenCall {
            vm: VmId(id(&row, "vm")?),
            held,
        };
        ledger.load_call(RecordId(id(&row, "record_id")?), call, now);
    }
    Ok(())
}

fn id(row: &sqlx::any::AnyRow, column: &str) -> Result<[u8; 16], sqlx::Error> {
    let bytes: Vec<u8> = row.try_get(column)?;
    bytes
        .as_slice()
        .try_into()
        .map_err(|_| sqlx::Error::Decode(format!("`{column}` is not 16 bytes").into()))
}
