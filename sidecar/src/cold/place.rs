//! Where older records are. The database says it, so that whoever can read the database finds
//! them.

use std::sync::Arc;

use sqlx::Row as _;
use tokio::sync::Mutex;

use super::{ColdError, tables};
use crate::objects::{Objects, ObjectsError, environment};
use crate::store::{Store, StoreError};

/// The place, opened at the first need; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Place(Arc<Mutex<Option<(String, Objects)>>>);

/// Why it is not known where older records are.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The database has older records and does not say where.
    #[error("the database does not say where older records are")]
    Unknown,
    /// Files that were moved are not at the place of the policy.
    #[error(
        "`{file}` with older records is not in `{place}`: copy all files from the former place \
         there, or name that under `retention.to`"
    )]
    Elsewhere {
        /// The newest file.
        file: String,
        /// Where it is not.
        place: String,
    },
}

impl Place {
    /// Opens a place whatever the database says.
    ///
    /// # Errors
    /// [`ObjectsError`].
    pub fn at(url: &str) -> Result<Self, ObjectsError> {
        Ok(Self::of(Objects::open(url, environment())?))
    }

    /// These objects, whatever the database says.
    #[must_use]
    pub fn of(objects: Objects) -> Self {
        Self(Arc::new(Mutex::new(Some((String::new(), objects)))))
    }

    /// The objects there.
    pub(crate) async fn open(&self, store: &Store) -> Result<Objects, ColdError> {
        let mut opened = self.0.lock().await;
        if let Some((url, objects)) = &*opened
            && url.is_empty()
        {
            return Ok(objects.clone());
        }
        let url = url(store).await?.ok_or(PlaceError::Unknown)?;
        if let Some((of, objects)) = &*opened
            && *of == url
        {
            return Ok(objects.clone());
        }
        let objects = Objects::open(&url, environment())?;
        *opened = Some((url, objects.clone()));
        Ok(objects)
    }
}

async fn url(store: &Store) -> Result<Option<String>, StoreError> {
    let row = sqlx::query("SELECT url FROM cold_place WHERE id = 1");
    let row = row.fetch_optional(store.pool()).await?;
    Ok(row.map(|row| row.try_get("url")).transpose()?)
}

/// The place of the policy from now on. What was moved before must be there: the newest file is
/// looked for.
///
/// # Errors
/// [`ColdError`]; the former place counts then.
pub(super) async fn settle(store: &Store, place: &str, objects: &Objects) -> Result<(), ColdError> {
    let mut connection = store.pool().acquire().await?;
    let newest = tables::last(&mut connection).await?;
    if let Some(newest) = newest.filter(|file| file.state.is_readable())
        && url(store).await?.as_deref() != Some(place)
    {
        let folder = tables::folder(&newest.day);
        let file = newest.name();
        let there = objects.list(&folder).await?;
        if !there.iter().any(|object| object.name == file) {
            let place = objects.shown().to_owned();
            return Err(PlaceError::Elsewhere { file, place }.into());
        }
    }
    sqlx::query(
        "INSERT INTO cold_place (id, url) VALUES (1, $1) \
         ON CONFLICT (id) DO UPDATE SET url = excluded.url",
    )
    .bind(place)
    .execute(&mut *connection)
    .await?;
    Ok(())
}
