//! Budgets, and who changed what about them when.
//!
//! The policy file seeds them: what it says is taken over at each start, except for budgets
//! that were set or removed over the REST API, which are the API's from then on.

pub(crate) mod events;
mod history;
mod seed;

pub use events::{BudgetEvent, events};
pub use history::{Action, Change, history};
pub(crate) use seed::{THE_FILE, seed};

use sekisho_domain::Budget;
use sekisho_domain::policy::raw::RawBudget;
use sekisho_link::{directory, v1};
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::figures::{from_db, to_db};
use super::people::next_version;
use super::{Store, StoreError, pending};
use crate::events::Author;

/// `definition`: the budget as JSON, members as in the policy file. `generation`: which of
/// its counters is in use. `origin`: who has the last word, `file` or `api`. A row stays when
/// its budget is removed.
pub(crate) const DDL: &str = "
CREATE TABLE budgets (
    id TEXT NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL,
    definition TEXT NOT NULL,
    department TEXT NOT NULL,
    origin TEXT NOT NULL,
    removed BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX budgets_version ON budgets (version);
CREATE INDEX budgets_department ON budgets (department, id);
CREATE TABLE budget_changes (
    budget TEXT NOT NULL,
    version BIGINT NOT NULL,
    at BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    action TEXT NOT NULL,
    former TEXT,
    definition TEXT,
    PRIMARY KEY (budget, version)
);
";

/// Who has the last word about a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The policy file.
    File,
    /// Whoever changed it over the REST API.
    Api,
}

impl Origin {
    const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Api => "api",
        }
    }
}

/// A budget as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBudget {
    /// The budget, under the name of its present counter.
    pub budget: Budget,
    /// Number of its present counter, from 1.
    pub generation: u64,
    /// Who has the last word about it.
    pub origin: Origin,
    /// It is no more.
    pub removed: bool,
    /// The version of the directory at which it was changed last.
    pub version: i64,
}

impl StoredBudget {
    /// What a filter needs to know.
    #[must_use]
    pub fn to_link(&self) -> v1::Budget {
        v1::Budget {
            removed: self.removed,
            ..directory::budget_on_wire(&self.budget)
        }
    }

    /// What is on record of it, members as in the policy file.
    fn state(&self) -> Value {
        serde_json::to_value(self.budget.to_raw()).unwrap_or_default()
    }

    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        let definition: String = row.try_get("definition")?;
        let generation = from_db(row.try_get("generation")?);
        let raw: Result<RawBudget, _> = serde_json::from_str(&definition);
        let budget = raw
            .ok()
            .and_then(|raw| Budget::from_raw(&raw, generation))
            .ok_or_else(|| sqlx::Error::Decode("a budget's `definition` is none".into()))?;
        let origin: String = row.try_get("origin")?;
        Ok(Self {
            budget,
            generation,
            origin: if origin == Origin::File.as_str() {
                Origin::File
            } else {
                Origin::Api
            },
            removed: row.try_get::<i64, _>("removed")? != 0,
            version: row.try_get("version")?,
        })
    }

    /// What comes of it when it is to be as `wanted`; `None`: it is so already. `version` is
    /// the former one still.
    pub(crate) fn changed(former: Option<&Self>, wanted: &Budget, origin: Origin) -> Option<Self> {
        let generation = match former {
            None => 1,
            // What was removed begins anew, and units are never mixed.
            Some(former) if former.removed || !former.budget.counts_like(wanted) => {
                former.generation + 1
            }
            Some(former) if former.budget.is_as(wanted) && former.origin == origin => {
                return None;
            }
            Some(former) => former.generation,
        };
        let id = sekisho_domain::BudgetId::counter(wanted.id.plain(), generation);
        let budget = Budget {
            id,
            ..wanted.clone()
        };
        Some(Self {
            budget,
            generation,
            origin,
            removed: false,
            version: former.map_or(0, |former| former.version),
        })
    }

    /// What comes of it when it is removed.
    pub(crate) fn without(&self, origin: Origin) -> Self {
        Self {
            origin,
            removed: true,
            ..self.clone()
        }
    }
}

/// A budget as JSON, under its plain name.
pub(crate) fn definition(budget: &Budget) -> String {
    serde_json::to_string(&budget.to_raw()).unwrap_or_default()
}

/// Every budget that is in force.
pub(crate) async fn in_force(
    connection: &mut AnyConnection,
) -> Result<Vec<StoredBudget>, StoreError> {
    let rows = sqlx::query("SELECT * FROM budgets WHERE removed = 0 ORDER BY id")
        .fetch_all(connection)
        .await?;
    rows.iter().map(StoredBudget::read).collect()
}

/// Whatever changed after this version of the directory, removed ones included.
///
/// # Errors
/// [`StoreError`].
pub async fn changed_after(store: &Store, version: i64) -> Result<Vec<StoredBudget>, StoreError> {
    let rows = sqlx::query("SELECT * FROM budgets WHERE version > $1 ORDER BY id")
        .bind(version)
        .fetch_all(store.pool())
        .await?;
    rows.iter().map(StoredBudget::read).collect()
}

/// One budget, by its plain name; also if it was removed.
///
/// # Errors
/// [`StoreError`].
pub async fn find(store: &Store, id: &str) -> Result<Option<StoredBudget>, StoreError> {
    let mut connection = store.pool().acquire().await?;
    find_on(&mut connection, id).await
}

pub(crate) async fn find_on(
    connection: &mut AnyConnection,
    id: &str,
) -> Result<Option<StoredBudget>, StoreError> {
    let row = sqlx::query("SELECT * FROM budgets WHERE id = $1")
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(StoredBudget::read).transpose()
}

/// Budgets in force in the order of their names, after the name `after`, at most `limit`;
/// those that bind one department alone, where one is named.
///
/// # Errors
/// [`StoreError`].
pub async fn list(
    store: &Store,
    department: Option<&str>,
    after: &str,
    limit: u32,
) -> Result<Vec<StoredBudget>, StoreError> {
    let sql = "SELECT * FROM budgets WHERE removed = 0 AND id > $1 \
        AND ($2 = '' OR department = $2) ORDER BY id LIMIT $3";
    let rows = sqlx::query(sql)
        .bind(after)
        .bind(department.unwrap_or_default())
        .bind(i64::from(limit))
        .fetch_all(store.pool())
        .await?;
    rows.iter().map(StoredBudget::read).collect()
}

/// Stores a budget and who made it so, within a transaction; returns it with its version. Its
/// event is [`tell`]'s.
pub(crate) async fn save(
    connection: &mut AnyConnection,
    former: Option<&StoredBudget>,
    mut changed: StoredBudget,
    author: &Author,
) -> Result<StoredBudget, StoreError> {
    changed.version = next_version(connection).await?;
    let sql = "INSERT INTO budgets \
        (id, generation, definition, department, origin, removed, version) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET \
        generation = excluded.generation, definition = excluded.definition, \
        department = excluded.department, origin = excluded.origin, \
        removed = excluded.removed, version = excluded.version";
    let department = match &changed.budget.payer {
        sekisho_domain::Payer::Department(id) => id.as_str(),
        _ => "",
    };
    sqlx::query(sql)
        .bind(changed.budget.id.plain())
        .bind(to_db(changed.generation))
        .bind(definition(&changed.budget))
        .bind(department)
        .bind(changed.origin.as_str())
        .bind(i64::from(changed.removed))
        .bind(changed.version)
        .execute(&mut *connection)
        .await?;
    history::note(connection, former, &changed, author).await?;
    Ok(changed)
}

/// Leaves the event of a change in its transaction.
pub(crate) async fn tell(
    connection: &mut AnyConnection,
    former: Option<&StoredBudget>,
    changed: &StoredBudget,
    author: &mut Author,
) -> Result<(), StoreError> {
    let former = former.filter(|former| !former.removed);
    let name = match Action::of(former, changed) {
        Action::Created => "budget.create",
        Action::Changed => "budget.change",
        Action::Removed => "budget.remove",
    };
    let told = author.tell(name, changed.budget.id.plain());
    let told = told.before(former.map(StoredBudget::state));
    let after = (!changed.removed).then(|| changed.state());
    pending::leave(connection, told.after(after)).await
}

#[cfg(test)]
mod tests;
