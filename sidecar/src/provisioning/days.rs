//! What days bring: first and last days of use, and accounts that nobody uses.
//!
//! Gateways know by themselves who may call on which day. This brings accounts up to date with
//! it: once a day in the company's time zone, and when a sidecar becomes the active one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::ToSpan as _;
use jiff::civil::Date;
use sekisho_domain::record::Caller;
use sekisho_domain::{RecordId, UnixMillis};
use sqlx::{AnyConnection, Connection as _, Row as _};
use tokio::sync::Notify;

use super::config::{Disuse, PeopleSettings};
use super::desk::follow_up;
use super::jobs::{self, Deed, NewJob};
use super::notices::links;
use crate::clock::Clock;
use crate::events::Author;
use crate::ledger::Calendar;
use crate::people::Person;
use crate::settings::LiveSettings;
use crate::store::{Store, StoreError, people};

/// How often is looked whether a new day has begun.
const PERIOD: Duration = Duration::from_secs(20);

/// Brings accounts up to date with every new day.
#[derive(Clone, Debug)]
pub struct Days {
    store: Store,
    calendar: Calendar,
    clock: Clock,
    settings: LiveSettings,
    wake: Arc<Notify>,
}

impl Days {
    /// `wake`: wakes whoever carries jobs out.
    #[must_use]
    pub const fn new(
        store: Store,
        calendar: Calendar,
        clock: Clock,
        settings: LiveSettings,
        wake: Arc<Notify>,
    ) -> Self {
        Self {
            store,
            calendar,
            clock,
            settings,
            wake,
        }
    }

    /// For ever.
    pub async fn run(self) {
        let mut done: Option<(Date, Arc<PeopleSettings>)> = None;
        let mut changes = self.settings.changes();
        loop {
            let today = self.calendar.day(self.clock.now());
            // Also when it is another number of days from now on.
            let by = Arc::clone(&changes.borrow_and_update().people);
            if done.as_ref() != Some(&(today, Arc::clone(&by))) {
                match self.day().await {
                    Ok(()) => done = Some((today, by)),
                    Err(error) => tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "first and last days cannot be brought to accounts"
                    ),
                }
            }
            let _ = tokio::time::timeout(PERIOD, changes.changed()).await;
        }
    }

    /// What this day brings. A second time it brings nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn day(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let today = self.calendar.day(now);
        let mut author = author(now)?;
        let mut connection = self.store.pool().acquire().await?;
        let mut transaction = connection
            .begin_with(self.store.dialect().begin_writing())
            .await?;
        links::forget(&mut transaction, now).await?;
        let version = people::next_version(&mut transaction).await?;
        let everybody = people::everybody_in(&mut transaction).await?;
        let settings = Arc::clone(&self.settings.now().people);
        let disused = disused(&settings, &mut transaction, &everybody, today).await?;
        if let Some((_, Disuse::Disable)) = settings.unused {
            for person in &disused {
                let after = Person {
                    suspended: true,
                    ..(*person).clone()
                };
                let event = (&mut author, "user.disable");
                people::save_in(&mut transaction, version, event, Some(person), &after).await?;
                let job = job("disuse", Deed::Disable, person, &author)?;
                jobs::add(&mut transaction, &job).await?;
            }
        }
        for (person, deed) in differing(&mut transaction, &everybody, today).await? {
            let job = job("dates", deed, person, &author)?;
            jobs::add(&mut transaction, &job).await?;
        }
        transaction.commit().await?;
        self.wake.notify_one();
        Ok(())
    }

    /// Whoever may call and has not for as many days as the policy says; none, if it says none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unused(&self) -> Result<Vec<Person>, StoreError> {
        let today = self.calendar.day(self.clock.now());
        let mut connection = self.store.pool().acquire().await?;
        let everybody = people::everybody_in(&mut connection).await?;
        let settings = Arc::clone(&self.settings.now().people);
        let found = disused(&settings, &mut connection, &everybody, today).await?;
        Ok(found.into_iter().cloned().collect())
    }
}

/// Whoever may call and has not for as many days as the settings say; exceptions are not among
/// them.
async fn disused<'e>(
    settings: &PeopleSettings,
    connection: &mut AnyConnection,
    everybody: &'e [Person],
    today: Date,
) -> Result<Vec<&'e Person>, StoreError> {
    let Some((days, _)) = settings.unused else {
        return Ok(Vec::new());
    };
    let since = today.checked_sub(i32::from(days).days()).unwrap_or(today);
    let Some(used) = used_since(connection, since).await? else {
        return Ok(Vec::new());
    };
    let may = everybody.iter().filter(|person| {
        person.active_on(today)
            && person.start <= since
            && !settings.is_exception(person.id.as_str())
    });
    Ok(may
        .filter(|person| !used.contains(person.id.as_str()))
        .collect())
}

/// Whoever has called on this day or later; `None`: usage is not counted for that long.
async fn used_since(
    connection: &mut AnyConnection,
    since: Date,
) -> Result<Option<HashSet<String>>, StoreError> {
    let row = sqlx::query("SELECT COALESCE(MIN(day), '') AS first FROM usage_rollups")
        .fetch_one(&mut *connection)
        .await?;
    let first: String = row.try_get("first")?;
    if first.is_empty() || first > since.to_string() {
        return Ok(None);
    }
    let sql = "SELECT DISTINCT user_id FROM usage_rollups WHERE day >= $1 AND requests > 0";
    let rows = sqlx::query(sql)
        .bind(since.to_string())
        .fetch_all(connection)
        .await?;
    let users: Result<_, sqlx::Error> = rows.iter().map(|row| row.try_get("user_id")).collect();
    Ok(Some(users?))
}

/// People whose account may sign in and should not, or the other way round. Whoever is being
/// brought up to date already is not among them.
async fn differing<'e>(
    connection: &mut AnyConnection,
    everybody: &'e [Person],
    today: Date,
) -> Result<Vec<(&'e Person, Deed)>, StoreError> {
    let sql = "SELECT a.person AS person, a.enabled AS enabled FROM provisioned_accounts a \
               WHERE NOT EXISTS (SELECT 1 FROM provisioning_tasks t \
               WHERE t.person = a.person AND t.state = 'waiting')";
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    let mut accounts: HashMap<String, i64> = HashMap::new();
    for row in &rows {
        accounts.insert(row.try_get("person")?, row.try_get("enabled")?);
    }
    let differing = everybody.iter().filter_map(|person| {
        let enabled = *accounts.get(person.id.as_str())?;
        let wanted = person.active_on(today);
        let differs = enabled != i64::from(wanted);
        let deed = if wanted { Deed::Enable } else { Deed::Disable };
        differs.then_some((person, deed))
    });
    Ok(differing.collect())
}

fn job(
    kind: &'static str,
    deed: Deed,
    person: &Person,
    author: &Author,
) -> Result<NewJob, StoreError> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(no_random)?;
    let id = RecordId::v7(author.at(), random).to_string();
    let job = follow_up(deed, person, id, author);
    Ok(NewJob { kind, ..job })
}

fn author(now: UnixMillis) -> Result<Author, StoreError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(no_random)?;
    let caller = Caller {
        application: Some("sekisho serve".into()),
        ..Caller::default()
    };
    Ok(Author::new(caller, now, seed))
}

fn no_random(error: getrandom::Error) -> StoreError {
    StoreError::Database(sqlx::Error::Io(std::io::Error::other(error)))
}
