//! Settings, and who changed what about them when. Rows are only ever added; the newest is in force.

use sekisho_domain::UnixMillis;
use serde_json::json;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::figures::{from_db, to_db};
use super::{Store, StoreError, pending};
use crate::events::Author;
use crate::settings::SettingsValues;

/// `former` and `definition`: what was and is set, as JSON.
pub(crate) const DDL: &str = "
CREATE TABLE setting_changes (
    version {key},
    at BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    former TEXT NOT NULL,
    definition TEXT NOT NULL
);
";

/// One change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The version of the settings from then on, from 1.
    pub version: i64,
    /// When.
    pub at: UnixMillis,
    /// By whom: tenant and object id of an account.
    pub by: String,
    /// What was set before.
    pub former: SettingsValues,
    /// What was set from then on.
    pub values: SettingsValues,
}

impl Change {
    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        let values = |column: &str| {
            let text: String = row.try_get(column)?;
            serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(error.into()))
        };
        Ok(Self {
            version: row.try_get("version")?,
            at: UnixMillis(from_db(row.try_get("at")?)),
            by: row.try_get("changed_by")?,
            former: values("former")?,
            values: values("definition")?,
        })
    }
}

/// The version of the newest change; 0: there was none.
///
/// # Errors
/// [`StoreError`].
pub async fn newest_version(store: &Store) -> Result<i64, StoreError> {
    let sql = "SELECT COALESCE(MAX(version), 0) AS newest FROM setting_changes";
    let row = sqlx::query(sql).fetch_one(store.pool()).await?;
    Ok(row.try_get("newest")?)
}

/// The newest change; none: nothing was ever set.
///
/// # Errors
/// [`StoreError`].
pub async fn newest(store: &Store) -> Result<Option<Change>, StoreError> {
    let mut connection = store.pool().acquire().await?;
    newest_in(&mut connection).await
}

async fn newest_in(connection: &mut AnyConnection) -> Result<Option<Change>, StoreError> {
    let sql = "SELECT * FROM setting_changes ORDER BY version DESC LIMIT 1";
    let row = sqlx::query(sql).fetch_optional(connection).await?;
    row.as_ref().map(Change::read).transpose()
}

/// Sets what `decide` makes of what is set, and leaves the event of it; what is set now, and
/// whether that is something else.
///
/// # Errors
/// [`StoreError`]; inside, whatever `decide` says.
pub async fn change<E>(
    store: &Store,
    author: &mut Author,
    decide: impl FnOnce(&Change) -> Result<SettingsValues, E>,
) -> Result<Result<(Change, bool), E>, StoreError> {
    let mut transaction = store.begin_writing().await?;
    let former = newest_in(&mut transaction).await?.unwrap_or_default();
    let values = match decide(&former) {
        Ok(values) => values,
        Err(refused) => return Ok(Err(refused)),
    };
    if values == former.values {
        return Ok(Ok((former, false)));
    }
    let changed = Change {
        version: former.version + 1,
        at: author.at(),
        by: author.identity(),
        former: former.values,
        values,
    };
    let sql = "INSERT INTO setting_changes (version, at, changed_by, former, definition) \
        VALUES ($1, $2, $3, $4, $5)";
    sqlx::query(sql)
        .bind(changed.version)
        .bind(to_db(changed.at.0))
        .bind(&changed.by)
        .bind(json!(changed.former).to_string())
        .bind(json!(changed.values).to_string())
        .execute(&mut *transaction)
        .await?;
    let told = author.tell("settings.change", "settings");
    let told = told
        .before(Some(json!(changed.former)))
        .after(Some(json!(changed.values)));
    pending::leave(&mut transaction, told).await?;
    transaction.commit().await?;
    Ok(Ok((changed, true)))
}

/// Changes, newest first, from before the version `before`; at most `limit`.
///
/// # Errors
/// [`StoreError`].
pub async fn history(store: &Store, before: i64, limit: u32) -> Result<Vec<Change>, StoreError> {
    let sql = "SELECT * FROM setting_changes WHERE version < $1 ORDER BY version DESC LIMIT $2";
    let rows = sqlx::query(sql)
        .bind(before)
        .bind(i64::from(limit))
        .fetch_all(store.pool())
        .await?;
    rows.iter().map(Change::read).collect()
}
