//! Who changed what about a department or a title, and when. Rows are only ever added.

use sekisho_domain::UnixMillis;
use serde_json::Value;
use sqlx::{AnyConnection, Row as _};

use super::{Kind, Unit};
use crate::events::Author;
use crate::store::figures::{from_db, to_db};
use crate::store::{Store, StoreError};

/// What was done to a unit.
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

    pub(super) const fn of(former: Option<&Unit>, changed: &Unit) -> Self {
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
    /// The version that the unit had from then on.
    pub version: i64,
    /// When.
    pub at: UnixMillis,
    /// By whom: tenant and object id of an account, or a program.
    pub by: String,
    /// What was done.
    pub action: Action,
    /// As it was, members as in the policy file.
    pub former: Option<Value>,
    /// As it was from then on.
    pub definition: Option<Value>,
}

pub(super) async fn note(
    connection: &mut AnyConnection,
    former: Option<&Unit>,
    changed: &Unit,
    author: &Author,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO unit_changes \
        (kind, id, version, at, changed_by, action, former, definition) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    sqlx::query(sql)
        .bind(changed.kind.as_str())
        .bind(&changed.id)
        .bind(changed.version)
        .bind(to_db(author.at().0))
        .bind(author.identity())
        .bind(Action::of(former, changed).as_str())
        .bind(former.map(|former| former.definition.to_string()))
        .bind((!changed.removed).then(|| changed.definition.to_string()))
        .execute(connection)
        .await?;
    Ok(())
}

/// Changes of a unit, newest first, from before the version `before`; at most `limit`.
///
/// # Errors
/// [`StoreError`].
pub async fn history(
    store: &Store,
    kind: Kind,
    id: &str,
    before: i64,
    limit: u32,
) -> Result<Vec<Change>, StoreError> {
    let sql = "SELECT version, at, changed_by, action, former, definition FROM unit_changes \
        WHERE kind = $1 AND id = $2 AND version < $3 ORDER BY version DESC LIMIT $4";
    let rows = sqlx::query(sql)
        .bind(kind.as_str())
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
            definition: json(row.try_get("definition")?),
        })
    });
    changes.collect()
}
