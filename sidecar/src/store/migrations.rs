//! Versions of the schema. Each runs once, in one transaction with its number.

use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::{Dialect, Store, StoreError};

/// The tables of version 1, module by module.
const VERSION_1: &[&str] = &[
    crate::log::tables::DDL,
    crate::ledger::tables::DDL,
    crate::usage::DDL,
    super::people::DDL,
    super::keys::DDL,
    super::issuer_keys::DDL,
    super::policies::DDL,
];

/// Sessions that can be revoked, keys that can be rotated and bound, key sets of every kind.
const VERSION_2: &[&str] = &[
    super::people::DDL_2,
    super::keys::DDL_2,
    super::issuer_keys::DDL_2,
    super::orders::DDL,
    crate::key_usage::DDL,
];

/// Usage by kind of token, and in bytes.
const VERSION_3: &[&str] = &[crate::usage::DDL_3, crate::key_usage::DDL_3];

/// Several sidecars on one database.
const VERSION_4: &[&str] = &[super::active::DDL, super::state_marks::DDL];

/// Budgets that are managed.
const VERSION_5: &[&str] = &[super::budgets::DDL, crate::ledger::terms::DDL_5];

/// Budgets that tell when they are used up.
const VERSION_6: &[&str] = &[super::budgets::events::DDL];

/// Events on record, and searches by time.
const VERSION_7: &[&str] = &[crate::log::tables::DDL_7, super::pending::DDL];

/// Recipients of what the log tells.
const VERSION_8: &[&str] = &[crate::forward::cursors::DDL];

/// Mails that wait.
const VERSION_9: &[&str] = &[crate::mail::outbox::DDL];

/// Alerts.
const VERSION_10: &[&str] = &[super::alerts::DDL];
/// Accounts of people, and what is to be done about them.
const VERSION_11: &[&str] = &[
    super::people::DDL_ACCOUNTS,
    crate::provisioning::jobs::DDL,
    crate::provisioning::embedded::DDL,
];

/// Notices to people. Who had an account before was not told by us, and is not: the password
/// may have been set by hand.
const VERSION_12: &[&str] = &[
    crate::mail::outbox::DDL_12,
    crate::provisioning::notices::links::DDL,
    crate::provisioning::jobs::DDL_12,
];

/// Departments and titles that are managed.
const VERSION_13: &[&str] = &[super::units::DDL];

/// Bodies of calls.
const VERSION_14: &[&str] = &[crate::contents::tables::DDL];

/// Settings.
const VERSION_15: &[&str] = &[super::settings::DDL];

/// Files of people that are picked up, and tasks in their order.
const VERSION_16: &[&str] = &[
    crate::provisioning::pickup::DDL,
    crate::provisioning::jobs::DDL_16,
];

/// Messages that are pushed.
const VERSION_17: &[&str] = &[crate::push::subscriptions::DDL, crate::push::outbox::DDL];

/// Records that were moved out of the database.
const VERSION_18: &[&str] = &[crate::cold::tables::DDL];

/// Reports that are sent by themselves.
const VERSION_19: &[&str] = &[crate::report::schedule::DDL];

/// Records of people and departments that are sorted after they are durable.
const VERSION_20: &[&str] = &[crate::log::sorted::DDL_20];

/// Every version, oldest first.
const VERSIONS: &[&[&str]] = &[
    VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5, VERSION_6, VERSION_7, VERSION_8,
    VERSION_9, VERSION_10, VERSION_11, VERSION_12, VERSION_13, VERSION_14, VERSION_15, VERSION_16,
    VERSION_17, VERSION_18, VERSION_19, VERSION_20,
];

pub(super) async fn run(store: &Store) -> Result<(), StoreError> {
    let mut connection = store.pool().acquire().await?;
    let mut transaction = connection
        .begin_with(store.dialect().begin_writing())
        .await?;
    if store.dialect() == Dialect::Postgres {
        // Sidecars that start together: one makes the tables, the others find them. The second
        // number is told apart from the writer's lock by the first, `sekm` in ASCII.
        let turn = "SELECT CAST(pg_advisory_xact_lock(1936026477, \
            hashtext(current_schema())) AS TEXT)";
        sqlx::query(turn).fetch_one(&mut *transaction).await?;
    }
    let table = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL PRIMARY KEY)";
    sqlx::query(table).execute(&mut *transaction).await?;
    let newest = "SELECT COALESCE(MAX(version), 0) AS version FROM schema_version";
    let row = sqlx::query(newest).fetch_one(&mut *transaction).await?;
    let found: i64 = row.try_get("version")?;
    let known = i64::try_from(VERSIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    for (version, modules) in (1i64..).zip(VERSIONS) {
        if version <= found {
            continue;
        }
        for ddl in *modules {
            let ddl = store.dialect().write(ddl);
            sqlx::raw_sql(AssertSqlSafe(ddl))
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query("INSERT INTO schema_version (version) VALUES ($1)")
            .bind(version)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}
