//! The embedded directory: accounts in the sidecar's own database, for trying out and for
//! companies whose identity provider takes accounts from there. Nobody signs in here, so it
//! keeps no password, only since when one is set.

use sekisho_domain::{UnixMillis, UserId};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Connection as _, Row as _};

use super::accounts::{
    Account, AccountKey, AccountSpec, Accounts, Answer, Carrying, ObjectId, Order, Outcome, Place,
    Refusal, UserName,
};
use crate::clock::Clock;
use crate::people::embedded_object_id;
use crate::store::figures::to_db;
use crate::store::{Store, StoreError};

/// `app_roles` and `group_ids`: separated by line feeds.
pub(crate) const DDL: &str = "
CREATE TABLE embedded_accounts (
    object_id TEXT NOT NULL PRIMARY KEY,
    employee TEXT NOT NULL UNIQUE,
    user_name TEXT NOT NULL UNIQUE,
    mail_nickname TEXT NOT NULL,
    display_name TEXT NOT NULL,
    mail TEXT NOT NULL,
    department TEXT NOT NULL,
    job_title TEXT NOT NULL,
    phone TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    group_ids TEXT NOT NULL,
    app_roles TEXT NOT NULL,
    password_set_at BIGINT NOT NULL,
    sessions_revoked_at BIGINT NOT NULL
);
";

/// Accounts in the database.
#[derive(Clone, Debug)]
pub struct Embedded {
    store: Store,
    tenant: String,
    clock: Clock,
}

impl Embedded {
    /// Accounts of this tenant, a UUID: ids follow from it.
    #[must_use]
    pub fn new(store: Store, tenant: &str, clock: Clock) -> Self {
        Self {
            store,
            tenant: tenant.to_owned(),
            clock,
        }
    }

    async fn each(&self, order: &Order) -> Result<Outcome, StoreError> {
        let mut connection = self.store.pool().acquire().await?;
        let mut transaction = connection
            .begin_with(self.store.dialect().begin_writing())
            .await?;
        let outcome = self.within(&mut transaction, order).await?;
        transaction.commit().await?;
        Ok(outcome)
    }

    async fn within(
        &self,
        connection: &mut AnyConnection,
        order: &Order,
    ) -> Result<Outcome, StoreError> {
        let now = self.clock.now();
        match order {
            Order::Find(key) => {
                let found = find(connection, key).await?;
                Ok(Outcome::Done(Answer::Found(found)))
            }
            Order::Create { spec, .. } => self.create(connection, spec, now).await,
            Order::Update { id, spec } => update(connection, id, spec).await,
            Order::Enable(id) => set(connection, id, "enabled", 1).await,
            Order::Disable(id) => {
                set(connection, id, "sessions_revoked_at", to_db(now.0)).await?;
                set(connection, id, "enabled", 0).await
            }
            Order::RevokeSessions(id) => {
                set(connection, id, "sessions_revoked_at", to_db(now.0)).await
            }
            Order::SetPassword { id, .. } => {
                set(connection, id, "password_set_at", to_db(now.0)).await
            }
            // Nobody is ever locked out of where nobody signs in.
            Order::Unlock(id) => set(connection, id, "enabled", -1).await,
            Order::Place { id, place } => placed(connection, id, place).await,
            Order::Delete(id) => {
                let sql = "DELETE FROM embedded_accounts WHERE object_id = $1";
                let done = sqlx::query(sql).bind(&id.0).execute(connection).await?;
                Ok(done_or_gone(done.rows_affected()))
            }
        }
    }

    async fn create(
        &self,
        connection: &mut AnyConnection,
        spec: &AccountSpec,
        now: UnixMillis,
    ) -> Result<Outcome, StoreError> {
        if let Some(what) = taken(connection, spec, None).await? {
            return Ok(Outcome::Refused(Refusal::Taken { what }));
        }
        // An address that somebody had before leads to the id of that time: then by the number.
        let candidates = [
            spec.mail.clone(),
            format!("{}/{}", spec.employee.as_str(), spec.mail),
        ];
        for name in candidates {
            let Some(id) = embedded_object_id(&self.tenant, &name) else {
                let why =
                    "the tenant of the policy is no UUID, from which ids of accounts could follow";
                return Ok(Outcome::Refused(Refusal::Impossible { why }));
            };
            let free = "SELECT 1 FROM embedded_accounts WHERE object_id = $1 \
                        UNION SELECT 1 FROM people WHERE object_id = $1 AND id <> $2";
            let known = sqlx::query(free)
                .bind(&id)
                .bind(spec.employee.as_str())
                .fetch_optional(&mut *connection)
                .await?;
            if known.is_none() {
                insert(connection, &id, spec, now).await?;
                return Ok(Outcome::Done(Answer::Created(ObjectId(id))));
            }
        }
        let what = "id";
        Ok(Outcome::Refused(Refusal::Taken { what }))
    }
}

impl Accounts for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn most_at_once(&self) -> usize {
        64
    }

    fn carry_out<'a>(&'a self, orders: &'a [Order]) -> Carrying<'a> {
        Box::pin(async move {
            let mut outcomes = Vec::with_capacity(orders.len());
            for order in orders {
                outcomes.push(match self.each(order).await {
                    Ok(outcome) => outcome,
                    Err(error) => {
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            "the embedded directory cannot be used"
                        );
                        Outcome::Unknown {
                            why: "the database failed".to_owned(),
                        }
                    }
                });
            }
            outcomes
        })
    }
}

fn done_or_gone(rows: u64) -> Outcome {
    if rows == 0 {
        Outcome::Refused(Refusal::Gone)
    } else {
        Outcome::DONE
    }
}

async fn find(
    connection: &mut AnyConnection,
    key: &AccountKey,
) -> Result<Option<Account>, StoreError> {
    let (sql, value) = match key {
        AccountKey::Object(id) => (
            "SELECT * FROM embedded_accounts WHERE object_id = $1",
            id.0.as_str(),
        ),
        AccountKey::Employee(id) => (
            "SELECT * FROM embedded_accounts WHERE employee = $1",
            id.as_str(),
        ),
        AccountKey::UserName(name) => (
            "SELECT * FROM embedded_accounts WHERE user_name = $1",
            name.0.as_str(),
        ),
    };
    let row = sqlx::query(sql)
        .bind(value)
        .fetch_optional(connection)
        .await?;
    Ok(row.as_ref().map(account).transpose()?)
}

fn account(row: &AnyRow) -> Result<Account, sqlx::Error> {
    Ok(Account {
        id: ObjectId(row.try_get("object_id")?),
        spec: AccountSpec {
            employee: UserId(row.try_get("employee")?),
            user_name: UserName(row.try_get("user_name")?),
            mail_nickname: row.try_get("mail_nickname")?,
            display_name: row.try_get("display_name")?,
            mail: row.try_get("mail")?,
            department: row.try_get("department")?,
            job_title: row.try_get("job_title")?,
            phone: row.try_get("phone")?,
            enabled: row.try_get::<i64, _>("enabled")? != 0,
        },
    })
}

/// What of it another account has.
async fn taken(
    connection: &mut AnyConnection,
    spec: &AccountSpec,
    own: Option<&ObjectId>,
) -> Result<Option<&'static str>, StoreError> {
    let keys = [
        ("employee id", AccountKey::Employee(spec.employee.clone())),
        ("user name", AccountKey::UserName(spec.user_name.clone())),
    ];
    for (what, key) in keys {
        let other = find(connection, &key).await?;
        if other.is_some_and(|other| Some(&other.id) != own) {
            return Ok(Some(what));
        }
    }
    Ok(None)
}

async fn insert(
    connection: &mut AnyConnection,
    id: &str,
    spec: &AccountSpec,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO embedded_accounts (object_id, employee, user_name, mail_nickname, \
               display_name, mail, department, job_title, phone, enabled, group_ids, app_roles, \
               password_set_at, sessions_revoked_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '', '', $11, 0)";
    sqlx::query(sql)
        .bind(id)
        .bind(spec.employee.as_str())
        .bind(&spec.user_name.0)
        .bind(&spec.mail_nickname)
        .bind(&spec.display_name)
        .bind(&spec.mail)
        .bind(&spec.department)
        .bind(&spec.job_title)
        .bind(&spec.phone)
        .bind(i64::from(spec.enabled))
        .bind(to_db(now.0))
        .execute(connection)
        .await?;
    Ok(())
}

async fn update(
    connection: &mut AnyConnection,
    id: &ObjectId,
    spec: &AccountSpec,
) -> Result<Outcome, StoreError> {
    if let Some(what) = taken(connection, spec, Some(id)).await? {
        return Ok(Outcome::Refused(Refusal::Taken { what }));
    }
    let sql = "UPDATE embedded_accounts SET employee = $2, user_name = $3, mail_nickname = $4, \
               display_name = $5, mail = $6, department = $7, job_title = $8, phone = $9 \
               WHERE object_id = $1";
    let done = sqlx::query(sql)
        .bind(&id.0)
        .bind(spec.employee.as_str())
        .bind(&spec.user_name.0)
        .bind(&spec.mail_nickname)
        .bind(&spec.display_name)
        .bind(&spec.mail)
        .bind(&spec.department)
        .bind(&spec.job_title)
        .bind(&spec.phone)
        .execute(connection)
        .await?;
    Ok(done_or_gone(done.rows_affected()))
}

/// Sets one column; a negative value leaves it.
async fn set(
    connection: &mut AnyConnection,
    id: &ObjectId,
    column: &'static str,
    value: i64,
) -> Result<Outcome, StoreError> {
    let sql = match column {
        "enabled" => {
            "UPDATE embedded_accounts SET enabled = CASE WHEN $2 < 0 THEN enabled ELSE $2 END WHERE object_id = $1"
        }
        "password_set_at" => {
            "UPDATE embedded_accounts SET password_set_at = $2 WHERE object_id = $1"
        }
        _ => "UPDATE embedded_accounts SET sessions_revoked_at = $2 WHERE object_id = $1",
    };
    let done = sqlx::query(sql)
        .bind(&id.0)
        .bind(value)
        .execute(connection)
        .await?;
    Ok(done_or_gone(done.rows_affected()))
}

async fn placed(
    connection: &mut AnyConnection,
    id: &ObjectId,
    place: &Place,
) -> Result<Outcome, StoreError> {
    let sql = "UPDATE embedded_accounts SET group_ids = $2, app_roles = $3 WHERE object_id = $1";
    let done = sqlx::query(sql)
        .bind(&id.0)
        .bind(place.groups.join("\n"))
        .bind(place.app_roles.join("\n"))
        .execute(connection)
        .await?;
    Ok(done_or_gone(done.rows_affected()))
}
