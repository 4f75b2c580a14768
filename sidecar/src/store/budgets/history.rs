//! Who changed what about a budget, and when. Rows are only ever added.

use sekisho_domain::UnixMillis;
use serde_json::Value;
use sqlx::{AnyConnection, Row as _};

use super::{StoredBudget, definition};
use crate::events::Author;
use crate::store::figures::{from_db, to_db};
use crate::store::{Store, StoreError};

/// What was done to a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It came into being, perhaps again.
    Created,
    /// It changed.
    Changed,
    /// It was taken away.
    Removed,
}

impl Action {
    /// The name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }

    /// What was done to a budget that is `changed` now; `former`: as it was in force.
    pub(super) const fn of(former: Option<&StoredBudget>, changed: &StoredBudget) -> Self {
        match (former, changed.removed) {
            (_, true) => Self::Removed,
            (None, false) => Self::Created,
            (Some(_), false) => Self::Changed,
        }
    }

    fn parse(name: &str) -> Self {
        match name {
            "created" => Self::Created,
            "removed" => Self::Removed,
            _ => Self::Changed,
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The version that the budget had from then on.
    pub version: i64,
    /// When.
    pub at: UnixMillis,
    /// By whom: tenant and object id of an account, or the policy file.
    pub by: String,
    /// What was done.
    pub action: Action,
    /// The budget before, members as in the policy file.
    pub former: Option<Value>,
    /// The budget from then on.
    pub budget: Option<Value>,
}

pub(super) async fn note(
    connection: &mut AnyConnection,
    former: Option<&StoredBudget>,
    changed: &StoredBudget,
    author: &Author,
) -> Result<(), StoreError> {
    let former = former.filter(|former| !former.removed);
    let action = Action::of(former, changed);
    let sql = "INSERT INTO budget_changes \
        (budget, version, at, changed_by, action, former, definition) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    sqlx::query(sql)
        .bind(changed.budget.id.plain())
        .bind(changed.version)
        .bind(to_db(author.at().0))
        .bind(author.identity())
        .bind(action.as_str())
        .bind(former.map(|former| definition(&former.budget)))
        .bind((!changed.removed).then(|| definition(&changed.budget)))
        .execute(connection)
        .await?;
    Ok(())
}

/// Changes of a budget, newest first, from before the version `before`; at most `limit`.
///
/// # Errors
/// [`StoreError`].
pub async fn history(
    store: &Store,
    id: &str,
    before: i64,
    limit: u32,
) -> Result<Vec<Change>, StoreError> {
    let sql = "SELECT version, at, changed_by, action, former, definition FROM budget_changes \
        WHERE budget = $1 AND version < $2 ORDER BY version DESC LIMIT $3";
    let rows = sqlx::query(sql)
        .bind(id)
        .bind(before)
        .bind(i64::from(limit))
        .fetch_all(store.pool())
        .await?;
    let json = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
    let changes = rows.iter().map(|row| {
        Ok(Change {
            version: row.try_get("version")?,
            at: UnixMillis(from_db(row.try_get("at")?)),
            by: row.try_get("changed_by")?,
            action: Action::parse(row.try_get::<String, _>("action")?.as_str()),
            former: json(row.try_get("former")?),
            budget: json(row.try_get("definition")?),
        })
    });
    changes.collect()
}
