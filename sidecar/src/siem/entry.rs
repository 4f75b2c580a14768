//! The records of the log as a list to be brought.

use sqlx::Row as _;

use crate::forward::courier::{Placed, Supply};
use crate::store::figures::{from_db, to_db};
use crate::store::{Store, StoreError};

/// Records that are read at a time.
const ROWS: i64 = 500;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log.
    pub seq: u64,
    /// Its bytes.
    pub body: Vec<u8>,
    /// What the sidecar charged for it, in millionths of the currency; completions only.
    pub cost_micros: Option<u64>,
}

impl Placed for Entry {
    fn place(&self) -> u64 {
        self.seq
    }
}

/// The log as it stands in the database.
pub(super) struct Log {
    store: Store,
}

impl Log {
    pub(super) const fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Supply for Log {
    type Item = Entry;

    async fn from(&self, from: u64) -> Result<Vec<Entry>, StoreError> {
        // How bodies were stored concerns nobody but whoever verifies the log.
        let sql = "SELECT seq, body, cost_micros FROM audit_entries WHERE seq >= $1 AND kind <> 5 \
            ORDER BY seq LIMIT $2";
        let rows = sqlx::query(sql)
            .bind(to_db(from))
            .bind(ROWS)
            .fetch_all(self.store.pool())
            .await?;
        let entries = rows.iter().map(|row| {
            let cost: Option<i64> = row.try_get("cost_micros")?;
            Ok(Entry {
                seq: from_db(row.try_get("seq")?),
                body: row.try_get("body")?,
                cost_micros: cost.map(from_db),
            })
        });
        entries.collect()
    }
}
