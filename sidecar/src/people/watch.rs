//! Keeping the filters' view of people and keys up to date, whoever changed the database.

use std::time::Duration;

use jiff::civil::Date;

use crate::clock::Clock;
use crate::ledger::Calendar;
use crate::snapshot::SnapshotHub;
use crate::store::{Store, StoreError, budgets, keys, people, units};

/// How long a change in the database may stay unseen.
const PERIOD: Duration = Duration::from_millis(250);

/// What has been pushed to the filters.
#[derive(Clone, Copy, Debug)]
pub struct Pushed {
    version: i64,
    today: Date,
}

/// Pushes everybody, every key and every budget.
///
/// # Errors
/// [`StoreError`].
pub async fn push_all(
    store: &Store,
    hub: &SnapshotHub,
    calendar: &Calendar,
    clock: &Clock,
) -> Result<Pushed, StoreError> {
    let today = calendar.day(clock.now());
    // Read first: what changes after it is pushed a second time, never missed.
    let version = people::version(store).await?;
    push_units(store, hub, -1).await?;
    let everybody = people::changed_after(store, -1).await?;
    let mut users = people::removed_after(store, -1).await?;
    users.extend(everybody.iter().map(|person| person.to_link(today)));
    hub.replace_users(users);
    push_keys(store, hub, -1).await?;
    push_changed_budgets(store, hub, -1).await?;
    Ok(Pushed { version, today })
}

/// Pushes whatever has changed since; on a new day everybody, because first and last days
/// come and go.
///
/// # Errors
/// [`StoreError`]; `pushed` is as before then.
pub async fn push_changes(
    store: &Store,
    hub: &SnapshotHub,
    calendar: &Calendar,
    clock: &Clock,
    pushed: &mut Pushed,
) -> Result<(), StoreError> {
    let _turn = hub.turn().await;
    let today = calendar.day(clock.now());
    if today != pushed.today {
        *pushed = push_all(store, hub, calendar, clock).await?;
        return Ok(());
    }
    let version = people::version(store).await?;
    if version == pushed.version {
        return Ok(());
    }
    push_units(store, hub, pushed.version).await?;
    let changed = people::changed_after(store, pushed.version).await?;
    let mut users = people::removed_after(store, pushed.version).await?;
    users.extend(changed.iter().map(|person| person.to_link(today)));
    if !users.is_empty() {
        hub.upsert_users(users);
    }
    push_keys(store, hub, pushed.version).await?;
    push_changed_budgets(store, hub, pushed.version).await?;
    pushed.version = version;
    Ok(())
}

/// Looks for changes for ever.
pub async fn watch(
    store: Store,
    hub: SnapshotHub,
    calendar: Calendar,
    clock: Clock,
    mut pushed: Pushed,
) {
    let mut failing = false;
    loop {
        tokio::time::sleep(PERIOD).await;
        match push_changes(&store, &hub, &calendar, &clock, &mut pushed).await {
            Ok(()) => {
                store.pulse().well(clock.now());
                failing = false;
            }
            Err(error) => {
                store.pulse().failed(clock.now(), error.to_string());
                // Once per outage, not four times a second.
                if !failing {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the directory cannot be read"
                    );
                }
                failing = true;
            }
        }
    }
}

/// Departments and titles are in the policy. Before anything was seeded the file's are in force.
async fn push_units(store: &Store, hub: &SnapshotHub, after: i64) -> Result<(), StoreError> {
    let newest = units::newest_version(store).await?;
    if newest.is_none_or(|newest| newest <= after) {
        return Ok(());
    }
    let units = units::in_force(store).await?;
    if let Err(problems) = hub.replace_units(&units) {
        // Those that were in force stay so: nobody is let in further by what cannot be read.
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        let problems = problems.join("; ");
        tracing::error!(
            problems,
            "stored departments or titles do not fit the policy file"
        );
    }
    Ok(())
}

async fn push_keys(store: &Store, hub: &SnapshotHub, after: i64) -> Result<(), StoreError> {
    let changed = keys::changed_after(store, after).await?;
    if !changed.is_empty() {
        hub.upsert_keys(changed.iter().map(keys::StoredKey::to_link).collect());
    }
    Ok(())
}

/// Pushes every budget that is in force.
///
/// # Errors
/// [`StoreError`].
pub async fn push_budgets(store: &Store, hub: &SnapshotHub) -> Result<(), StoreError> {
    let _turn = hub.turn().await;
    push_changed_budgets(store, hub, -1).await
}

async fn push_changed_budgets(
    store: &Store,
    hub: &SnapshotHub,
    after: i64,
) -> Result<(), StoreError> {
    let changed = budgets::changed_after(store, after).await?;
    if !changed.is_empty() {
        hub.upsert_budgets(changed.iter().map(budgets::StoredBudget::to_link).collect());
    }
    Ok(())
}
