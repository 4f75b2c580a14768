//! Bodies that have been kept for as long as the policy wants.

use std::time::Duration;

use jiff::ToSpan as _;

use super::destroy::{self, Destroyed, Extent, Reason};
use crate::clock::Clock;
use crate::events::Author;
use crate::ledger::Calendar;
use crate::settings::LiveSettings;
use crate::store::{Store, StoreError};

/// Between looks.
const LOOK: Duration = Duration::from_secs(600);

/// Destroys the keys of days that are more than `days` days ago.
///
/// # Errors
/// [`StoreError`].
pub async fn expire(
    store: &Store,
    calendar: &Calendar,
    days: u32,
    author: &mut Author,
) -> Result<Destroyed, StoreError> {
    let today = calendar.day(author.at());
    let before = today.saturating_sub(i64::from(days).days());
    let extent = Extent {
        department: None,
        before: Some(before),
    };
    destroy::destroy(store, &extent, Reason::Expired, author).await
}

/// Does it again and again, by as many days as the settings say then. Never ends.
pub async fn keep(store: Store, calendar: Calendar, clock: Clock, settings: LiveSettings) {
    loop {
        let mut seed = [0; 32];
        if let (Some(days), Ok(())) = (settings.now().contents_days, getrandom::fill(&mut seed)) {
            let mut author = Author::program("sekisho serve", clock.now(), seed);
            match expire(&store, &calendar, days, &mut author).await {
                Ok(Destroyed { keys: 0, .. }) => {}
                Ok(destroyed) => tracing::info!(
                    records = destroyed.records,
                    keys = destroyed.keys,
                    "contents have expired and cannot be read any more"
                ),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, "contents that have expired could not be destroyed");
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}
