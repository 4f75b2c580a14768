//! What departments used, from roll-ups that the writer keeps in the same transaction as
//! the records: one row per day, department, user, API and model.

use jiff::civil::Date;
use sekisho_domain::{DepartmentId, Micros, Policy, Tokens, UnixMillis};
use serde::Serialize;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::ledger::Calendar;
use crate::store::figures::{from_db, to_db};
use crate::store::script::{Rows, Script};
use crate::store::{Store, StoreError};

/// Unknown users, APIs, models and departments are the empty text.
pub(crate) const DDL: &str = "
CREATE TABLE usage_rollups (
    day TEXT NOT NULL,
    department TEXT NOT NULL,
    user_id TEXT NOT NULL,
    api TEXT NOT NULL,
    model TEXT NOT NULL,
    requests BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cost_micros BIGINT NOT NULL,
    PRIMARY KEY (day, department, user_id, api, model)
) {clustered};
";

const ADD: Rows = Rows {
    head: "INSERT INTO usage_rollups (day, department, user_id, api, model, requests, refused, \
           input_tokens, output_tokens, cost_micros) VALUES",
    columns: 10,
    tail: "ON CONFLICT (day, department, user_id, api, model) DO UPDATE SET \
           requests = usage_rollups.requests + excluded.requests, \
           refused = usage_rollups.refused + excluded.refused, \
           input_tokens = usage_rollups.input_tokens + excluded.input_tokens, \
           output_tokens = usage_rollups.output_tokens + excluded.output_tokens, \
           cost_micros = usage_rollups.cost_micros + excluded.cost_micros",
};

const SUMS: &str = "CAST(SUM(requests) AS BIGINT) AS requests, \
    CAST(SUM(refused) AS BIGINT) AS refused, CAST(SUM(input_tokens) AS BIGINT) AS input_tokens, \
    CAST(SUM(output_tokens) AS BIGINT) AS output_tokens, \
    CAST(SUM(cost_micros) AS BIGINT) AS cost_micros";

/// What a roll-up is kept by.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Day of the call in the company's time zone, `YYYY-MM-DD`.
    pub day: String,
    /// Who pays.
    pub department: String,
    /// Who called.
    pub user: String,
    /// What was called.
    pub api: String,
    /// Which model.
    pub model: String,
}

/// Sums over calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Calls that were admitted and have ended.
    pub requests: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// Prompt tokens.
    pub input_tokens: Tokens,
    /// Generated tokens.
    pub output_tokens: Tokens,
    /// Cost in millionths of the currency.
    pub cost_micros: Micros,
}

impl Figures {
    /// Adds other sums.
    pub fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.refused = self.refused.saturating_add(other.refused);
        self.input_tokens = self.input_tokens + other.input_tokens;
        self.output_tokens = self.output_tokens + other.output_tokens;
        self.cost_micros = self.cost_micros + other.cost_micros;
    }

    pub(crate) fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let figure = |column: &str| {
            let figure: Option<i64> = row.try_get(column)?;
            Ok::<u64, sqlx::Error>(from_db(figure.unwrap_or(0)))
        };
        Ok(Self {
            requests: figure("requests")?,
            refused: figure("refused")?,
            input_tokens: Tokens(figure("input_tokens")?),
            output_tokens: Tokens(figure("output_tokens")?),
            cost_micros: Micros(figure("cost_micros")?),
        })
    }
}

/// Days, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
}

/// Usage of all departments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// ISO 4217 code of all costs.
    pub currency: String,
    /// Every department of the policy, and others that were charged once; by id.
    pub departments: Vec<DepartmentUsage>,
    /// All together.
    pub total: Figures,
}

/// Usage of one department.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DepartmentUsage {
    /// Its code; empty: callers of no known department.
    pub id: DepartmentId,
    /// Its name; the code if the policy no longer has it.
    pub name: String,
    /// Its sums.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Usage of one department in detail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DepartmentDetail {
    /// ISO 4217 code of all costs.
    pub currency: String,
    /// Sums.
    #[serde(flatten)]
    pub usage: DepartmentUsage,
    /// By day, user, API and model; oldest first.
    pub lines: Vec<Line>,
    /// Its budgets, in their current windows.
    pub budgets: Vec<BudgetUsage>,
}

/// One roll-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// `YYYY-MM-DD`.
    pub day: String,
    /// Who; empty: unknown.
    pub user: String,
    /// Which API.
    pub api: String,
    /// Which model.
    pub model: String,
    /// Sums.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Where a budget stands in its current window. Amounts in its meter's unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetUsage {
    /// Its name.
    pub id: String,
    /// What it counts.
    pub meter: &'static str,
    /// First moment of the window.
    pub window_start: UnixMillis,
    /// First moment of the next.
    pub window_end: UnixMillis,
    /// Its limit.
    pub limit: u64,
    /// Used by calls that have ended.
    pub settled: u64,
    /// Leased to gateways, used or not.
    pub leased: u64,
}

/// Usage of every department.
///
/// # Errors
/// [`StoreError`].
pub async fn summary(store: &Store, policy: &Policy, days: Days) -> Result<Summary, StoreError> {
    let sql = format!(
        "SELECT department, {SUMS} FROM usage_rollups WHERE day >= $1 AND day <= $2 \
         GROUP BY department"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(days.from.to_string())
        .bind(days.to.to_string())
        .fetch_all(store.pool())
        .await?;
    let mut by_id = std::collections::BTreeMap::new();
    for department in policy.departments.keys() {
        by_id.insert(department.clone(), Figures::default());
    }
    let mut total = Figures::default();
    for row in &rows {
        let figures = Figures::read(row)?;
        total.add(&figures);
        by_id.insert(DepartmentId(row.try_get("department")?), figures);
    }
    let departments = by_id
        .into_iter()
        .map(|(id, figures)| department_usage(policy, id, figures))
        .collect();
    Ok(Summary {
        currency: policy.currency.clone(),
        departments,
        total,
    })
}

fn department_usage(policy: &Policy, id: DepartmentId, figures: Figures) -> DepartmentUsage {
    let known = policy.departments.get(&id);
    let name = known.map_or_else(|| id.0.clone(), |department| department.name.clone());
    DepartmentUsage { id, name, figures }
}

/// Usage of one department, as of `now`. `None`: the policy does not know it.
///
/// # Errors
/// [`StoreError`].
pub async fn department(
    store: &Store,
    policy: &Policy,
    id: &DepartmentId,
    days: Days,
    now: UnixMillis,
) -> Result<Option<DepartmentDetail>, StoreError> {
    if !policy.departments.contains_key(id) {
        return Ok(None);
    }
    let sql = "SELECT day, user_id, api, model, requests, refused, input_tokens, output_tokens, \
        cost_micros FROM usage_rollups WHERE department = $1 AND day >= $2 AND day <= $3 \
        ORDER BY day, user_id, api, model";
    let rows = sqlx::query(sql)
        .bind(id.0.clone())
        .bind(days.from.to_string())
        .bind(days.to.to_string())
        .fetch_all(store.pool())
        .await?;
    let mut lines = Vec::with_capacity(rows.len());
    let mut figures = Figures::default();
    for row in &rows {
        let line = Line {
            day: row.try_get("day")?,
            user: row.try_get("user_id")?,
            api: row.try_get("api")?,
            model: row.try_get("model")?,
            figures: Figures::read(row)?,
        };
        figures.add(&line.figures);
        lines.push(line);
    }
    Ok(Some(DepartmentDetail {
        currency: policy.currency.clone(),
        usage: department_usage(policy, id.clone(), figures),
        lines,
        budgets: budgets(store, policy, id, now).await?,
    }))
}

async fn budgets(
    store: &Store,
    policy: &Policy,
    department: &DepartmentId,
    now: UnixMillis,
) -> Result<Vec<BudgetUsage>, StoreError> {
    let mut budgets = Vec::new();
    let Ok(calendar) = Calendar::new(&policy.time_zone) else {
        return Ok(budgets);
    };
    for budget in policy.budgets_of(department) {
        let window = calendar.window(budget.window, now);
        let sql = "SELECT \
            CAST(COALESCE((SELECT SUM(settled) FROM ledger_windows \
                WHERE budget = $1 AND window_start = $2), 0) AS BIGINT) AS settled, \
            CAST(COALESCE((SELECT SUM(free + reserved) FROM ledger_accounts \
                WHERE budget = $1 AND window_start = $2), 0) AS BIGINT) AS leased";
        let row = sqlx::query(sql)
            .bind(budget.id.0.clone())
            .bind(to_db(window.start.0))
            .fetch_one(store.pool())
            .await?;
        budgets.push(BudgetUsage {
            id: budget.id.0.clone(),
            meter: budget.meter.as_str(),
            window_start: window.start,
            window_end: window.end,
            limit: budget.limit,
            settled: from_db(row.try_get("settled")?),
            leased: from_db(row.try_get("leased")?),
        });
    }
    Ok(budgets)
}

/// Adds to the roll-ups.
pub(crate) fn add(script: &mut Script, sums: impl IntoIterator<Item = (Place, Figures)>) {
    script.write(ADD, sums, |(place, figures)| {
        [
            place.day.into(),
            place.department.into(),
            place.user.into(),
            place.api.into(),
            place.model.into(),
            to_db(figures.requests).into(),
            to_db(figures.refused).into(),
            to_db(figures.input_tokens.0).into(),
            to_db(figures.output_tokens.0).into(),
            to_db(figures.cost_micros.0).into(),
        ]
    });
}
