//! The audit log: records are leaves of an RFC 6962 Merkle tree; a signed checkpoint of
//! its root is made every second in which something was added, and kept in two places.

pub mod archive;
pub mod checkpoint;
pub mod entry;
pub mod export;
pub mod note;
pub mod proof;
pub mod prove;
pub mod search;
pub mod sheet;
pub(crate) mod sorted;
pub(crate) mod tables;
pub mod tiles;
pub mod tree;
pub mod verify;

pub(crate) use entry::extension;
pub use entry::{Malformed, Recorded};
pub use search::{Cursor, Filter, Page, search};

/// The name of the log in a database.
///
/// # Errors
/// The database cannot be read, or no sidecar has ever written to it.
pub async fn origin_of(store: &crate::store::Store) -> Result<String, sqlx::Error> {
    let mut connection = store.pool().acquire().await?;
    let tree = tables::tree(&mut connection).await?;
    Ok(tree.ok_or(sqlx::Error::RowNotFound)?.origin)
}

/// How many records the log has; 0 before a sidecar has ever written to it.
///
/// # Errors
/// [`StoreError`](crate::store::StoreError).
pub async fn size(store: &crate::store::Store) -> Result<u64, crate::store::StoreError> {
    let mut connection = store.pool().acquire().await?;
    let tree = tables::tree(&mut connection).await?;
    Ok(tree.map_or(0, |tree| tree.size))
}
