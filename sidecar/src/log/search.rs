//! Finding records.

use sekisho_domain::{RecordId, RecordKind, UnixMillis};
use sqlx::any::AnyArguments;
use sqlx::{Arguments as _, AssertSqlSafe};

use super::tables::{self, COLUMNS, Stored};
use crate::store::figures::to_db;
use crate::store::{Store, StoreError};

/// Most records of one page.
pub const MOST: u32 = 1000;

/// Which records; absent members do not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Not before this moment, by the gateway's clock.
    pub from: Option<UnixMillis>,
    /// Before this moment.
    pub to: Option<UnixMillis>,
    /// Of one call.
    pub record_id: Option<RecordId>,
    /// Of one person, by the company's id.
    pub user: Option<String>,
    /// Of one department, by code.
    pub department: Option<String>,
    /// Of one API.
    pub api: Option<String>,
    /// Of one model.
    pub model: Option<String>,
    /// Only admits, completions or refusals.
    pub kind: Option<RecordKind>,
    /// With this denial code.
    pub denial: Option<String>,
}

/// A record that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its place in the log.
    pub seq: u64,
    /// Its bytes: JSON of schema `sekisho.audit.v1`.
    pub body: Vec<u8>,
    /// What the sidecar charged for it, in millionths of the currency; completions only.
    pub cost_micros: Option<u64>,
}

/// Records, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The records.
    pub records: Vec<Found>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<u64>,
}

/// Finds records, newest first. `cursor`: [`Page::next`] of the page before; `limit`: 1 to
/// [`MOST`], others are moved there.
///
/// # Errors
/// [`StoreError`].
pub async fn search(
    store: &Store,
    filter: &Filter,
    cursor: Option<u64>,
    limit: u32,
) -> Result<Page, StoreError> {
    let limit = limit.clamp(1, MOST);
    let mut query = Where::default();
    query.number("seq <", cursor.map(to_db));
    query.number("at >=", filter.from.map(|at| to_db(at.0)));
    query.number("at <", filter.to.map(|at| to_db(at.0)));
    query.number("kind =", filter.kind.map(tables::kind_number));
    query.bytes("record_id =", filter.record_id.map(|id| id.0.to_vec()));
    query.text("user_id =", &filter.user);
    query.text("department =", &filter.department);
    query.text("api =", &filter.api);
    query.text("model =", &filter.model);
    query.text("denial =", &filter.denial);
    let sql = format!(
        "SELECT {COLUMNS} FROM audit_entries{} ORDER BY seq DESC LIMIT {}",
        query.sql,
        u64::from(limit) + 1
    );
    let rows = sqlx::query_with(AssertSqlSafe(sql), query.arguments);
    let rows = rows.fetch_all(store.pool()).await?;
    let mut page = Page::default();
    for row in &rows {
        if u32::try_from(page.records.len()) == Ok(limit) {
            page.next = page.records.last().map(|last| last.seq);
            break;
        }
        let stored = Stored::read(row)?;
        page.records.push(Found {
            seq: u64::try_from(stored.seq).unwrap_or(0),
            body: stored.body.to_vec(),
            cost_micros: stored.cost.and_then(|cost| u64::try_from(cost).ok()),
        });
    }
    Ok(page)
}

/// Conditions of fixed text with values as parameters.
#[derive(Default)]
struct Where {
    sql: String,
    arguments: AnyArguments,
    count: usize,
}

impl Where {
    fn condition(&mut self, condition: &'static str) {
        self.count += 1;
        let word = if self.count == 1 { " WHERE " } else { " AND " };
        self.sql.push_str(word);
        self.sql.push_str(condition);
        self.sql.push_str(&format!(" ${}", self.count));
    }

    fn number(&mut self, condition: &'static str, value: Option<i64>) {
        if let Some(value) = value
            && self.arguments.add(value).is_ok()
        {
            self.condition(condition);
        }
    }

    fn bytes(&mut self, condition: &'static str, value: Option<Vec<u8>>) {
        if let Some(value) = value
            && self.arguments.add(value).is_ok()
        {
            self.condition(condition);
        }
    }

    fn text(&mut self, condition: &'static str, value: &Option<String>) {
        if let Some(value) = value.clone()
            && self.arguments.add(value).is_ok()
        {
            self.condition(condition);
        }
    }
}
