//! Alerts as a list to be brought, and who takes them by a webhook.

use super::config::Wanted;
use super::message;
use crate::forward::Trouble;
use crate::forward::courier::{Placed, Recipient, Supply};
use crate::forward::webhook::Webhook;
use crate::store::alerts::{StoredAlert, list};
use crate::store::{Store, StoreError};

/// Alerts that are read at a time.
const ROWS: u32 = 100;

impl Placed for StoredAlert {
    fn place(&self) -> u64 {
        self.seq
    }
}

/// The alerts as they stand in the database.
pub(super) struct List {
    store: Store,
}

impl List {
    pub(super) const fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Supply for List {
    type Item = StoredAlert;

    async fn from(&self, from: u64) -> Result<Vec<StoredAlert>, StoreError> {
        list::since(&self.store, from, ROWS).await
    }
}

/// Posts those that are wanted, one by one.
pub(super) struct Post {
    webhook: Webhook,
    wanted: Wanted,
}

impl Post {
    pub(super) const fn new(webhook: Webhook, wanted: Wanted) -> Self {
        Self { webhook, wanted }
    }
}

impl Recipient for Post {
    type Item = StoredAlert;

    async fn bring(&mut self, items: &[StoredAlert]) -> Result<usize, Trouble> {
        let is_wanted = |item: &&StoredAlert| self.wanted.is(item.alert.rule, item.alert.severity);
        let unwanted = items.iter().take_while(|item| !is_wanted(item)).count();
        let Some(alert) = items.get(unwanted) else {
            return Ok(items.len());
        };
        let body = message::body(alert).map_err(|error| Trouble::Message(error.into()))?;
        self.webhook.post(&alert.id, body).await?;
        Ok(unwanted + 1)
    }
}
