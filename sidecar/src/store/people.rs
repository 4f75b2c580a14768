//! The directory's table, and the counter by which running sidecars see that it changed.

use std::collections::HashMap;

use jiff::civil::Date;
use sekisho_domain::{DepartmentId, UnixMillis, UserId};
use sekisho_link::v1;
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Connection as _, Row as _};

use super::figures::{from_db, to_db};
use super::{Store, StoreError, pending};
use crate::events::Author;
use crate::people::Person;
use crate::provisioning::jobs::{self, NewJob};

/// Every change of a person or key takes the next version, in the same transaction.
pub(crate) const DDL: &str = "
CREATE TABLE directory_version (id BIGINT NOT NULL PRIMARY KEY, version BIGINT NOT NULL);
INSERT INTO directory_version (id, version) VALUES (1, 0);
CREATE TABLE people (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    object_id TEXT NOT NULL,
    name TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE,
    department TEXT NOT NULL,
    job_title TEXT NOT NULL,
    phone TEXT NOT NULL,
    start_date TEXT NOT NULL,
    end_date TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    suspended BIGINT NOT NULL,
    version BIGINT NOT NULL,
    UNIQUE (tenant, object_id)
);
CREATE INDEX people_version ON people (version);
";

/// Version 2. Unix milliseconds; 0: sessions were never revoked.
pub(crate) const DDL_2: &str = "
ALTER TABLE people ADD COLUMN tokens_valid_from BIGINT NOT NULL DEFAULT 0;
";

/// Version of accounts. Whoever has left: gateways refuse what such an account still shows.
pub(crate) const DDL_ACCOUNTS: &str = "
CREATE TABLE people_removed (
    tenant TEXT NOT NULL,
    object_id TEXT NOT NULL,
    id TEXT NOT NULL,
    department TEXT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant, object_id)
);
CREATE INDEX people_removed_version ON people_removed (version);
";

const SAVE: &str = "
INSERT INTO people (id, tenant, object_id, name, email, department, job_title, phone,
                    start_date, end_date, enabled, suspended, tokens_valid_from, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (id) DO UPDATE SET
    tenant = excluded.tenant, object_id = excluded.object_id, name = excluded.name,
    email = excluded.email, department = excluded.department, job_title = excluded.job_title,
    phone = excluded.phone, start_date = excluded.start_date, end_date = excluded.end_date,
    enabled = excluded.enabled, suspended = excluded.suspended,
    tokens_valid_from = excluded.tokens_valid_from, version = excluded.version
";

/// The version of the directory: it grows with every change of a person or key.
///
/// # Errors
/// [`StoreError`].
pub async fn version(store: &Store) -> Result<i64, StoreError> {
    let row = sqlx::query("SELECT version FROM directory_version WHERE id = 1")
        .fetch_one(store.pool())
        .await?;
    Ok(row.try_get("version")?)
}

/// Whoever changed after this version, by id; after -1: everybody.
///
/// # Errors
/// [`StoreError`].
pub async fn changed_after(store: &Store, version: i64) -> Result<Vec<Person>, StoreError> {
    let rows = sqlx::query("SELECT * FROM people WHERE version > $1 ORDER BY id")
        .bind(version)
        .fetch_all(store.pool())
        .await?;
    rows.iter().map(person).collect()
}

/// People in the order of their ids, after the id `after`, at most `limit`; of one department
/// alone, where one is named.
///
/// # Errors
/// [`StoreError`].
pub async fn list(
    store: &Store,
    department: Option<&str>,
    after: &str,
    limit: u32,
) -> Result<Vec<Person>, StoreError> {
    let sql = "SELECT * FROM people WHERE id > $1 AND ($2 = '' OR department = $2) \
        ORDER BY id LIMIT $3";
    let rows = sqlx::query(sql)
        .bind(after)
        .bind(department.unwrap_or_default())
        .bind(i64::from(limit))
        .fetch_all(store.pool())
        .await?;
    rows.iter().map(person).collect()
}

/// People whose job title is one of these texts, as [`list`].
///
/// # Errors
/// [`StoreError`].
pub async fn titled(
    store: &Store,
    code: &str,
    name: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<Person>, StoreError> {
    let sql = "SELECT * FROM people WHERE id > $1 AND (job_title = $2 OR job_title = $3) \
        ORDER BY id LIMIT $4";
    let rows = sqlx::query(sql)
        .bind(after)
        .bind(code)
        .bind(name)
        .bind(i64::from(limit))
        .fetch_all(store.pool())
        .await?;
    rows.iter().map(person).collect()
}

/// One person, with the version of the last change.
///
/// # Errors
/// [`StoreError`].
pub async fn find_versioned(store: &Store, id: &str) -> Result<Option<(Person, i64)>, StoreError> {
    let row = sqlx::query("SELECT * FROM people WHERE id = $1")
        .bind(id)
        .fetch_optional(store.pool())
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some((person(&row)?, row.try_get("version")?)))
}

/// One person.
///
/// # Errors
/// [`StoreError`].
pub async fn find(store: &Store, id: &str) -> Result<Option<Person>, StoreError> {
    let row = sqlx::query("SELECT * FROM people WHERE id = $1")
        .bind(id)
        .fetch_optional(store.pool())
        .await?;
    row.as_ref().map(person).transpose()
}

/// Suspends a person or lifts the suspension, and leaves the job `follow` to do the same to the
/// account; the person as he or she is then, or `None`.
///
/// # Errors
/// [`StoreError`].
pub async fn suspend(
    store: &Store,
    id: &str,
    suspended: bool,
    author: &mut Author,
    follow: Option<&NewJob>,
) -> Result<Option<Person>, StoreError> {
    let event = if suspended {
        "user.disable"
    } else {
        "user.enable"
    };
    update(store, id, (author, event), follow, |person| {
        person.suspended = suspended;
    })
    .await
}

/// Revokes a person's sessions: tokens that were issued before now are refused from now
/// on. The person as he or she is then, or `None`. The moment never moves back.
///
/// # Errors
/// [`StoreError`].
pub async fn revoke_sessions(
    store: &Store,
    id: &str,
    author: &mut Author,
    follow: Option<&NewJob>,
) -> Result<Option<Person>, StoreError> {
    let now = author.at();
    update(
        store,
        id,
        (author, "user.revoke_sessions"),
        follow,
        |person| {
            person.tokens_valid_from = person.tokens_valid_from.max(now);
        },
    )
    .await
}

/// What became of a change of one person.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly always a person")]
pub enum Amended {
    /// There is no such person.
    Unknown,
    /// The person was changed since.
    Condition,
    /// Somebody else has the address.
    Taken,
    /// The person as he or she is now.
    Done(Person),
}

/// Makes one person as `set` says, if `condition` holds of the version of the last change, and
/// leaves the job `follow` to do the same to the account.
///
/// # Errors
/// [`StoreError`].
pub async fn amend(
    store: &Store,
    id: &str,
    author: &mut Author,
    condition: impl FnOnce(i64) -> bool,
    follow: Option<&NewJob>,
    set: impl FnOnce(&mut Person),
) -> Result<Amended, StoreError> {
    let mut connection = store.pool().acquire().await?;
    let mut transaction = connection
        .begin_with(store.dialect().begin_writing())
        .await?;
    let amended = amend_in(
        &mut transaction,
        id,
        (author, "user.update"),
        condition,
        follow,
        set,
    )
    .await?;
    if matches!(amended, Amended::Done(_)) {
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    Ok(amended)
}

async fn amend_in(
    connection: &mut AnyConnection,
    id: &str,
    (author, event): (&mut Author, &'static str),
    condition: impl FnOnce(i64) -> bool,
    follow: Option<&NewJob>,
    set: impl FnOnce(&mut Person),
) -> Result<Amended, StoreError> {
    let version = next_version(connection).await?;
    let row = sqlx::query("SELECT * FROM people WHERE id = $1")
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else {
        return Ok(Amended::Unknown);
    };
    let before = person(&row)?;
    if !condition(row.try_get("version")?) {
        return Ok(Amended::Condition);
    }
    let mut after = before.clone();
    set(&mut after);
    if owner_in(connection, &after).await?.is_some() {
        return Ok(Amended::Taken);
    }
    save(connection, &after, version).await?;
    note(connection, author, event, Some(&before), &after).await?;
    if let Some(job) = follow {
        jobs::add(connection, job).await?;
    }
    Ok(Amended::Done(after))
}

/// Changes one person, with nobody else changing anybody meanwhile. Also if nothing is
/// different then it takes a version and is on record: somebody asked for it.
async fn update(
    store: &Store,
    id: &str,
    event: (&mut Author, &'static str),
    follow: Option<&NewJob>,
    set: impl FnOnce(&mut Person),
) -> Result<Option<Person>, StoreError> {
    let mut connection = store.pool().acquire().await?;
    let mut transaction = connection
        .begin_with(store.dialect().begin_writing())
        .await?;
    let amended = amend_in(&mut transaction, id, event, |_| true, follow, set).await?;
    match amended {
        Amended::Done(person) => {
            transaction.commit().await?;
            Ok(Some(person))
        }
        Amended::Unknown | Amended::Condition | Amended::Taken => {
            transaction.rollback().await?;
            Ok(None)
        }
    }
}

/// Leaves the event of a change in its transaction.
async fn note(
    connection: &mut AnyConnection,
    author: &mut Author,
    event: &'static str,
    before: Option<&Person>,
    after: &Person,
) -> Result<(), StoreError> {
    let mut told = author.tell(event, after.id.as_str());
    if let Some(before) = before {
        let personal = personal_changes(before, after);
        told = told.before(Some(state(before)));
        if !personal.is_empty() {
            told = told.detail(&format!("changed as well: {}", personal.join(", ")));
        }
    }
    pending::leave(connection, told.after(Some(state(after)))).await
}

/// What is put on record of a person. The log keeps it for good, so name, address and phone
/// are not in it: the id says who it is, as long as the directory does.
fn state(person: &Person) -> Value {
    json!({
        "id": person.id.as_str(),
        "tenant": person.tenant,
        "object_id": person.object_id,
        "department": person.department.as_str(),
        "job_title": person.job_title,
        "start_date": person.start.to_string(),
        "end_date": person.end.map(|day| day.to_string()),
        "enabled": person.enabled,
        "disabled": person.suspended,
        "tokens_valid_from": person.tokens_valid_from.0,
    })
}

/// What has changed of that which is not put on record.
fn personal_changes(before: &Person, after: &Person) -> Vec<&'static str> {
    let members = [
        ("name", before.name != after.name),
        ("email", before.email != after.email),
        ("phone", before.phone != after.phone),
    ];
    let changed = members.into_iter().filter(|(_, differs)| *differs);
    changed.map(|(name, _)| name).collect()
}

/// One person, within a transaction.
pub(crate) async fn find_in(
    connection: &mut AnyConnection,
    id: &str,
) -> Result<Option<Person>, StoreError> {
    let row = sqlx::query("SELECT * FROM people WHERE id = $1")
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(person).transpose()
}

/// Everybody, within a transaction.
pub(crate) async fn everybody_in(
    connection: &mut AnyConnection,
) -> Result<Vec<Person>, StoreError> {
    let rows = sqlx::query("SELECT * FROM people ORDER BY id")
        .fetch_all(connection)
        .await?;
    rows.iter().map(person).collect()
}

/// Whoever else than `id` has this address or identity, within a transaction.
pub(crate) async fn owner_in(
    connection: &mut AnyConnection,
    wanted: &Person,
) -> Result<Option<Person>, StoreError> {
    let sql =
        "SELECT * FROM people WHERE id <> $1 AND (email = $2 OR (tenant = $3 AND object_id = $4))";
    let row = sqlx::query(sql)
        .bind(wanted.id.as_str())
        .bind(&wanted.email)
        .bind(&wanted.tenant)
        .bind(&wanted.object_id)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(person).transpose()
}

/// Saves a person with the event of it, within a transaction that has taken `version`.
pub(crate) async fn save_in(
    connection: &mut AnyConnection,
    version: i64,
    (author, event): (&mut Author, &'static str),
    before: Option<&Person>,
    after: &Person,
) -> Result<(), StoreError> {
    save(connection, after, version).await?;
    note(connection, author, event, before, after).await
}

/// Removes a person with the event of it, within a transaction that has taken `version`.
pub(crate) async fn remove_in(
    connection: &mut AnyConnection,
    version: i64,
    author: &mut Author,
    person: &Person,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM people WHERE id = $1")
        .bind(person.id.as_str())
        .execute(&mut *connection)
        .await?;
    // What reaches only them goes with them.
    sqlx::query("DELETE FROM push_subscriptions WHERE person = $1")
        .bind(person.id.as_str())
        .execute(&mut *connection)
        .await?;
    let sql = "INSERT INTO people_removed (tenant, object_id, id, department, version) \
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, object_id) DO UPDATE SET \
               id = excluded.id, department = excluded.department, version = excluded.version";
    sqlx::query(sql)
        .bind(&person.tenant)
        .bind(&person.object_id)
        .bind(person.id.as_str())
        .bind(person.department.as_str())
        .bind(version)
        .execute(&mut *connection)
        .await?;
    let told = author.tell("user.delete", person.id.as_str());
    pending::leave(connection, told.before(Some(state(person)))).await
}

/// Accounts of people who left after this version, as gateways are told: inactive. Somebody's
/// who is there again are not among them.
///
/// # Errors
/// [`StoreError`].
pub async fn removed_after(store: &Store, version: i64) -> Result<Vec<v1::User>, StoreError> {
    let sql = "SELECT tenant, object_id, id, department FROM people_removed r WHERE version > $1 \
               AND NOT EXISTS (SELECT 1 FROM people p WHERE p.id = r.id \
               OR (p.tenant = r.tenant AND p.object_id = r.object_id)) ORDER BY object_id";
    let rows = sqlx::query(sql)
        .bind(version)
        .fetch_all(store.pool())
        .await?;
    let read = |row: &AnyRow| {
        Ok(v1::User {
            tenant: row.try_get("tenant")?,
            object_id: row.try_get("object_id")?,
            id: row.try_get("id")?,
            department: row.try_get("department")?,
            active: false,
            ..v1::User::default()
        })
    };
    let users: Result<_, sqlx::Error> = rows.iter().map(read).collect();
    Ok(users?)
}

/// Decides with everybody in view and saves whom the decision names: nobody else changes
/// the directory meanwhile, and if the decision is an error nothing is saved. Each of them is
/// an event of `author`.
///
/// # Errors
/// [`StoreError`]; the decision's own error is inside.
pub async fn change<T, E>(
    store: &Store,
    author: &mut Author,
    decide: impl FnOnce(&[Person]) -> Result<(Vec<Person>, T), E>,
) -> Result<Result<T, E>, StoreError> {
    let mut connection = store.pool().acquire().await?;
    let mut transaction = connection
        .begin_with(store.dialect().begin_writing())
        .await?;
    // Taken first: in PostgreSQL it is the lock that lets one change in at a time.
    let version = next_version(&mut transaction).await?;
    let rows = sqlx::query("SELECT * FROM people ORDER BY id")
        .fetch_all(&mut *transaction)
        .await?;
    let everybody = rows.iter().map(person).collect::<Result<Vec<_>, _>>()?;
    match decide(&everybody) {
        Err(refused) => {
            transaction.rollback().await?;
            Ok(Err(refused))
        }
        Ok((changed, outcome)) if changed.is_empty() => {
            transaction.rollback().await?;
            Ok(Ok(outcome))
        }
        Ok((changed, outcome)) => {
            let known: HashMap<&str, &Person> =
                everybody.iter().map(|p| (p.id.as_str(), p)).collect();
            for person in &changed {
                let before = known.get(person.id.as_str()).copied();
                let event = before.map_or("user.create", |_| "user.update");
                save(&mut transaction, person, version).await?;
                note(&mut transaction, author, event, before, person).await?;
            }
            transaction.commit().await?;
            Ok(Ok(outcome))
        }
    }
}

/// Takes the next version of the directory within a transaction.
pub(crate) async fn next_version(connection: &mut AnyConnection) -> Result<i64, StoreError> {
    sqlx::query("UPDATE directory_version SET version = version + 1 WHERE id = 1")
        .execute(&mut *connection)
        .await?;
    let row = sqlx::query("SELECT version FROM directory_version WHERE id = 1")
        .fetch_one(connection)
        .await?;
    Ok(row.try_get("version")?)
}

async fn save(
    connection: &mut AnyConnection,
    person: &Person,
    version: i64,
) -> Result<(), StoreError> {
    sqlx::query(SAVE)
        .bind(person.id.as_str())
        .bind(&person.tenant)
        .bind(&person.object_id)
        .bind(&person.name)
        .bind(&person.email)
        .bind(person.department.as_str())
        .bind(&person.job_title)
        .bind(&person.phone)
        .bind(person.start.to_string())
        .bind(person.end.map(|day| day.to_string()).unwrap_or_default())
        .bind(i64::from(person.enabled))
        .bind(i64::from(person.suspended))
        .bind(to_db(person.tokens_valid_from.0))
        .bind(version)
        .execute(connection)
        .await?;
    Ok(())
}

fn person(row: &AnyRow) -> Result<Person, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let flag = |column: &str| row.try_get::<i64, _>(column).map(|flag| flag != 0);
    let day = |column: &str| -> Result<Option<Date>, sqlx::Error> {
        let text = text(column)?;
        let day = Some(text.as_str()).filter(|text| !text.is_empty());
        day.map(str::parse)
            .transpose()
            .map_err(|error: jiff::Error| sqlx::Error::Decode(error.into()))
    };
    Ok(Person {
        id: UserId(text("id")?),
        tenant: text("tenant")?,
        object_id: text("object_id")?,
        name: text("name")?,
        email: text("email")?,
        department: DepartmentId(text("department")?),
        job_title: text("job_title")?,
        phone: text("phone")?,
        // Never empty; were it so, the person is not active before the end of time.
        start: day("start_date")?.unwrap_or(Date::MAX),
        end: day("end_date")?,
        enabled: flag("enabled")?,
        suspended: flag("suspended")?,
        tokens_valid_from: UnixMillis(from_db(row.try_get("tokens_valid_from")?)),
    })
}
