//! Departments and titles, and who changed what about them when.
//!
//! The policy file seeds them: what it says is taken over at each start, except for those that were
//! set or removed over the REST API, which are the API's from then on.

mod create;
mod history;
mod seed;

pub use create::{NewUnit, create_in};
pub use history::{Action, Change, history};
pub use seed::seed;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::figures::from_db;
use super::people::next_version;
use super::{Store, StoreError, pending};
use crate::events::Author;

/// `kind`: `department` or `title`. `place`: in the order in which the policy has them.
/// `definition`: members as in the policy file. `origin`: who has the last word, `file` or `api`. A row
/// stays when its unit is removed.
pub(crate) const DDL: &str = "
CREATE TABLE units (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    place BIGINT NOT NULL,
    definition TEXT NOT NULL,
    origin TEXT NOT NULL,
    removed BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX units_version ON units (version);
CREATE TABLE unit_changes (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    at BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    action TEXT NOT NULL,
    former TEXT,
    definition TEXT,
    PRIMARY KEY (kind, id, version)
);
CREATE INDEX people_department ON people (department, id);
";

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Who pays.
    Department,
    /// What people are.
    Title,
}

impl Kind {
    /// The name in the database and in events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Department => "department",
            Self::Title => "title",
        }
    }
}

/// Who has the last word about a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The policy file.
    File,
    /// Whoever changed it over the REST API.
    Api,
}

impl Origin {
    /// The name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Api => "api",
        }
    }
}

/// A department or a title as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// What it is.
    pub kind: Kind,
    /// Its code.
    pub id: String,
    /// Its place in the order of the policy.
    pub place: i64,
    /// Members as in the policy file, the code among them.
    pub definition: Value,
    /// Who has the last word about it.
    pub origin: Origin,
    /// It is no more.
    pub removed: bool,
    /// The version of the directory at which it was changed last.
    pub version: i64,
}

impl Unit {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        let name = self.definition.get("name").and_then(Value::as_str);
        name.unwrap_or(&self.id)
    }

    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        let text = |column: &str| row.try_get::<String, _>(column);
        let definition = serde_json::from_str(&text("definition")?)
            .map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Self {
            kind: match text("kind")?.as_str() {
                "title" => Kind::Title,
                _ => Kind::Department,
            },
            id: text("id")?,
            place: row.try_get("place")?,
            definition,
            origin: match text("origin")?.as_str() {
                "file" => Origin::File,
                _ => Origin::Api,
            },
            removed: row.try_get::<i64, _>("removed")? != 0,
            version: row.try_get("version")?,
        })
    }
}

/// The departments and titles in force, each in the order of the policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// Every department.
    pub departments: Vec<Unit>,
    /// Every title.
    pub titles: Vec<Unit>,
}

impl Units {
    fn new(all: Vec<Unit>) -> Self {
        let (departments, titles) = all
            .into_iter()
            .filter(|unit| !unit.removed)
            .partition(|unit| unit.kind == Kind::Department);
        Self {
            departments,
            titles,
        }
    }

    fn of(&mut self, kind: Kind) -> &mut Vec<Unit> {
        match kind {
            Kind::Department => &mut self.departments,
            Kind::Title => &mut self.titles,
        }
    }

    /// What they are when one of them is so.
    fn with(&self, changed: &Unit) -> Self {
        let mut units = self.clone();
        let kind = units.of(changed.kind);
        kind.retain(|unit| unit.id != changed.id);
        if !changed.removed {
            kind.push(changed.clone());
            kind.sort_by(|a, b| (a.place, &a.id).cmp(&(b.place, &b.id)));
        }
        units
    }
}

/// What is to become of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It is so from now on.
    Set(Value),
    /// It is no more.
    Removed,
}

/// Whoever would be left without the unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// People of it.
    pub people: u64,
    /// Subscription keys that it pays for and that are not revoked.
    pub keys: u64,
    /// Budgets that bind it.
    pub budgets: u64,
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// As it is now.
    pub unit: Unit,
    /// Nothing of it was different.
    pub is_same: bool,
    /// All that are in force now.
    pub units: Units,
}

/// The version of the newest change; `None`: nothing was ever seeded.
///
/// # Errors
/// [`StoreError`].
pub async fn newest_version(store: &Store) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT COALESCE(MAX(version), -1) AS newest FROM units";
    let row = sqlx::query(sql).fetch_one(store.pool()).await?;
    let newest: i64 = row.try_get("newest")?;
    Ok((newest >= 0).then_some(newest))
}

/// The departments and titles in force.
///
/// # Errors
/// [`StoreError`].
pub async fn in_force(store: &Store) -> Result<Units, StoreError> {
    let mut connection = store.pool().acquire().await?;
    Ok(Units::new(all(&mut connection).await?))
}

/// One unit; also if it was removed.
///
/// # Errors
/// [`StoreError`].
pub async fn find(store: &Store, kind: Kind, id: &str) -> Result<Option<Unit>, StoreError> {
    let row = sqlx::query("SELECT * FROM units WHERE kind = $1 AND id = $2")
        .bind(kind.as_str())
        .bind(id)
        .fetch_optional(store.pool())
        .await?;
    row.as_ref().map(Unit::read).transpose()
}

/// How many people each department has by its code, or each title as people write it.
///
/// # Errors
/// [`StoreError`].
pub async fn people_by(
    store: &Store,
    kind: Kind,
) -> Result<std::collections::HashMap<String, u64>, StoreError> {
    let sql = match kind {
        Kind::Department => {
            "SELECT department AS unit, COUNT(*) AS n FROM people GROUP BY department"
        }
        Kind::Title => "SELECT job_title AS unit, COUNT(*) AS n FROM people GROUP BY job_title",
    };
    let rows = sqlx::query(sql).fetch_all(store.pool()).await?;
    let read = |row: &AnyRow| Ok((row.try_get("unit")?, from_db(row.try_get("n")?)));
    rows.iter().map(read).collect()
}

/// Decides on a unit with nobody else changing any meanwhile, and saves what was decided with its
/// event. `decide` gets it as it is in force, if it is, and its members; `check` gets all that would be
/// in force. If either is an error nothing is changed.
///
/// # Errors
/// [`StoreError`]; the decision's own error is inside.
pub async fn change<E>(
    store: &Store,
    (kind, id): (Kind, &str),
    author: &mut Author,
    decide: impl FnOnce(Option<&Unit>, Members) -> Result<Wanted, E>,
    check: impl FnOnce(&Units) -> Result<(), E>,
) -> Result<Result<Changed, E>, StoreError> {
    let mut transaction = store.begin_writing().await?;
    // Taken first: in PostgreSQL it is the lock that lets one change in at a time.
    let version = next_version(&mut transaction).await?;
    let all = all(&mut transaction).await?;
    let stored = all.iter().find(|unit| unit.kind == kind && unit.id == id);
    let former = stored.filter(|unit| !unit.removed);
    let members = match former {
        Some(former) => members(&mut transaction, former).await?,
        None => Members::default(),
    };
    let after_all = all.iter().map(|unit| unit.place + 1).max().unwrap_or(0);
    let units = Units::new(all.clone());
    let wanted = match decide(former, members) {
        Ok(wanted) => wanted,
        Err(refused) => {
            transaction.rollback().await?;
            return Ok(Err(refused));
        }
    };
    let (definition, removed) = match (wanted, former) {
        (Wanted::Set(definition), _) => (definition, false),
        (Wanted::Removed, Some(former)) => (former.definition.clone(), true),
        (Wanted::Removed, None) => (Value::Null, true),
    };
    let changed = Unit {
        kind,
        id: id.to_owned(),
        place: stored.map_or(after_all, |unit| unit.place),
        definition,
        origin: Origin::Api,
        removed,
        version,
    };
    let is_same = former.is_some_and(|former| !removed && former.definition == changed.definition);
    if let (true, Some(former)) = (is_same, former) {
        transaction.rollback().await?;
        return Ok(Ok(Changed {
            unit: former.clone(),
            is_same,
            units,
        }));
    }
    let units = units.with(&changed);
    if let Err(refused) = check(&units) {
        transaction.rollback().await?;
        return Ok(Err(refused));
    }
    save(&mut transaction, &changed).await?;
    history::note(&mut transaction, former, &changed, author).await?;
    tell(&mut transaction, former, &changed, author).await?;
    transaction.commit().await?;
    Ok(Ok(Changed {
        unit: changed,
        is_same,
        units,
    }))
}

async fn all(connection: &mut AnyConnection) -> Result<Vec<Unit>, StoreError> {
    let rows = sqlx::query("SELECT * FROM units ORDER BY place, id")
        .fetch_all(connection)
        .await?;
    rows.iter().map(Unit::read).collect()
}

async fn members(connection: &mut AnyConnection, unit: &Unit) -> Result<Members, StoreError> {
    let sql = match unit.kind {
        Kind::Department => {
            "SELECT (SELECT COUNT(*) FROM people WHERE department = $1) AS people, \
             (SELECT COUNT(*) FROM api_keys WHERE department = $1 AND revoked = 0) AS keys, \
             (SELECT COUNT(*) FROM budgets WHERE department = $1 AND removed = 0) AS budgets"
        }
        Kind::Title => {
            "SELECT (SELECT COUNT(*) FROM people WHERE job_title = $1 OR job_title = $2) AS people, \
             CAST(0 AS BIGINT) AS keys, CAST(0 AS BIGINT) AS budgets"
        }
    };
    let query = sqlx::query(sql).bind(unit.id.clone());
    let query = match unit.kind {
        Kind::Department => query,
        Kind::Title => query.bind(unit.name().to_owned()),
    };
    let row = query.fetch_one(connection).await?;
    let count = |column| Ok::<_, sqlx::Error>(from_db(row.try_get(column)?));
    Ok(Members {
        people: count("people")?,
        keys: count("keys")?,
        budgets: count("budgets")?,
    })
}

async fn save(connection: &mut AnyConnection, unit: &Unit) -> Result<(), StoreError> {
    let sql = "INSERT INTO units (kind, id, place, definition, origin, removed, version) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (kind, id) DO UPDATE SET \
        place = excluded.place, definition = excluded.definition, origin = excluded.origin, \
        removed = excluded.removed, version = excluded.version";
    sqlx::query(sql)
        .bind(unit.kind.as_str())
        .bind(&unit.id)
        .bind(unit.place)
        .bind(unit.definition.to_string())
        .bind(unit.origin.as_str())
        .bind(i64::from(unit.removed))
        .bind(unit.version)
        .execute(connection)
        .await?;
    Ok(())
}

/// Leaves the event of a change in its transaction.
async fn tell(
    connection: &mut AnyConnection,
    former: Option<&Unit>,
    changed: &Unit,
    author: &mut Author,
) -> Result<(), StoreError> {
    let name = match (changed.kind, Action::of(former, changed)) {
        (Kind::Department, Action::Created) => "department.create",
        (Kind::Department, Action::Changed) => "department.change",
        (Kind::Department, Action::Removed) => "department.remove",
        (Kind::Title, Action::Created) => "title.create",
        (Kind::Title, Action::Changed) => "title.change",
        (Kind::Title, Action::Removed) => "title.remove",
    };
    let told = author.tell(name, &changed.id);
    let told = told.before(former.map(|former| former.definition.clone()));
    let after = (!changed.removed).then(|| changed.definition.clone());
    pending::leave(connection, told.after(after)).await
}
