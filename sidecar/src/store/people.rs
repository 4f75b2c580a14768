//! The directory's table, and the counter by which running sidecars see that it changed.

use std::collections::HashMap;

use jiff::civil::Date;
use sekisho_domain::{DepartmentId, UnixMillis, UserId};
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Connection as _, Row as _};

use super::figures::{from_db, to_db};
use super::{Store, StoreError, pending};
use crate::events::Author;
use crate::people::Person;

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

/// People in the order of their ids, after the id `after`, at most `limit`.
///
/// # Errors
/// [`StoreError`].
pub async fn list(store: &Store, after: &str, limit: u32) -> Result<Vec<Person>, StoreError> {
    let rows = sqlx::query("SELECT * FROM people WHERE id > $1 ORDER BY id LIMIT $2")
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(store.pool())
        .await?;
    rows.iter().map(person).collect()
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

/// Suspends a person or lifts the suspension; the person as he or she is then, or `None`.
///
/// # Errors
/// [`StoreError`].
pub async fn suspend(
    store: &Store,
    id: &str,
    suspended: bool,
    author: &mut Author,
) -> Result<Option<Person>, StoreError> {
    let event = if suspended {
        "user.disable"
    } else {
        "user.enable"
    };
    update(store, id, (author, event), |person| {
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
) -> Result<Option<Person>, StoreError> {
    let now = author.at();
    update(store, id, (author, "user.revoke_sessions"), |person| {
        person.tokens_valid_from = person.tokens_valid_from.max(now);
    })
    .await
}

/// Changes one person, with nobody else changing anybody meanwhile. Also if nothing is
/// different then it takes a version and is on record: somebody asked for it.
async fn update(
    store: &Store,
    id: &str,
    (author, event): (&mut Author, &'static str),
    set: impl FnOnce(&mut Person),
) -> Result<Option<Person>, StoreError> {
    let mut connection = store.pool().acquire().await?;
    let mut transaction = connection
        .begin_with(store.dialect().begin_writing())
        .await?;
    let version = next_version(&mut transaction).await?;
    let row = sqlx::query("SELECT * FROM people WHERE id = $1")
        .bind(id)
        .fetch_optional(&mut *transaction)
        .await?;
    let Some(before) = row.as_ref().map(person).transpose()? else {
        transaction.rollback().await?;
        return Ok(None);
    };
    let mut after = before.clone();
    set(&mut after);
    save(&mut transaction, &after, version).await?;
    note(&mut transaction, author, event, Some(&before), &after).await?;
    transaction.commit().await?;
    Ok(Some(after))
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
pub(in crate::store) async fn next_version(
    connection: &mut AnyConnection,
) -> Result<i64, StoreError> {
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
