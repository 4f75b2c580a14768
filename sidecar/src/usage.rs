//! What departments used, from roll-ups that the writer keeps in the same transaction as
//! the records: one row per day, department, user, API and model.

use jiff::civil::Date;
use sekisho_domain::{
    Budget, ByteCount, DepartmentId, Micros, Policy, Tokens, UnixMillis, Usage, UsageSource,
};
use serde::Serialize;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::ledger::{Calendar, Window};
use crate::store::figures::{from_db, to_db};
use crate::store::script::{Rows, Script, Value};
use crate::store::{Store, StoreError, budgets};

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

/// What calls used by kind. Rows from before have no such figures, and get none: of the
/// calls that made them a part would be missing.
pub(crate) const DDL_3: &str = "
ALTER TABLE usage_rollups ADD COLUMN estimated BIGINT;
ALTER TABLE usage_rollups ADD COLUMN cached_input_tokens BIGINT;
ALTER TABLE usage_rollups ADD COLUMN cache_write_input_tokens BIGINT;
ALTER TABLE usage_rollups ADD COLUMN audio_input_tokens BIGINT;
ALTER TABLE usage_rollups ADD COLUMN image_input_tokens BIGINT;
ALTER TABLE usage_rollups ADD COLUMN reasoning_output_tokens BIGINT;
ALTER TABLE usage_rollups ADD COLUMN audio_output_tokens BIGINT;
ALTER TABLE usage_rollups ADD COLUMN image_output_tokens BIGINT;
ALTER TABLE usage_rollups ADD COLUMN bytes BIGINT;
";

/// The columns of [`Figures`], in the order of [`Figures::values`].
macro_rules! columns {
    ($for_each:ident, $separator:literal) => {
        concat!(
            $for_each!("requests"),
            $separator,
            $for_each!("refused"),
            $separator,
            $for_each!("estimated"),
            $separator,
            $for_each!("input_tokens"),
            $separator,
            $for_each!("output_tokens"),
            $separator,
            $for_each!("cached_input_tokens"),
            $separator,
            $for_each!("cache_write_input_tokens"),
            $separator,
            $for_each!("audio_input_tokens"),
            $separator,
            $for_each!("image_input_tokens"),
            $separator,
            $for_each!("reasoning_output_tokens"),
            $separator,
            $for_each!("audio_output_tokens"),
            $separator,
            $for_each!("image_output_tokens"),
            $separator,
            $for_each!("bytes"),
            $separator,
            $for_each!("cost_micros")
        )
    };
}

macro_rules! name {
    ($column:literal) => {
        $column
    };
}

macro_rules! grown {
    ($column:literal) => {
        concat!(
            $column,
            " = usage_rollups.",
            $column,
            " + excluded.",
            $column
        )
    };
}

macro_rules! summed {
    ($column:literal) => {
        concat!("CAST(SUM(", $column, ") AS BIGINT) AS ", $column)
    };
}

pub(crate) use {columns, name, summed};

/// Every column of [`Figures`].
pub(crate) const COLUMNS: &str = columns!(name, ", ");

const ADD: Rows = Rows {
    head: concat!(
        "INSERT INTO usage_rollups (day, department, user_id, api, model, ",
        columns!(name, ", "),
        ") VALUES"
    ),
    columns: PLACES + FIGURES,
    tail: concat!(
        "ON CONFLICT (day, department, user_id, api, model) DO UPDATE SET ",
        columns!(grown, ", ")
    ),
};

const SUMS: &str = columns!(summed, ", ");

/// Most budgets of a department that are shown with its usage.
const MOST_BUDGETS: u32 = 1000;

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

/// How many columns [`Place`] has.
const PLACES: usize = 5;
/// How many columns [`Figures`] has.
const FIGURES: usize = 14;

/// Sums over calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Calls that were admitted and have ended.
    pub requests: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// Calls of which the provider did not report everything.
    pub estimated: u64,
    /// Prompt tokens.
    pub input_tokens: Tokens,
    /// Generated tokens.
    pub output_tokens: Tokens,
    /// Of the prompt tokens, those that came from the provider's cache.
    pub cached_input_tokens: Tokens,
    /// Of the prompt tokens, those that went to the provider's cache.
    pub cache_write_input_tokens: Tokens,
    /// Of the prompt tokens, those of sound.
    pub audio_input_tokens: Tokens,
    /// Of the prompt tokens, those of pictures.
    pub image_input_tokens: Tokens,
    /// Of the generated tokens, those of reasoning.
    pub reasoning_output_tokens: Tokens,
    /// Of the generated tokens, those of sound.
    pub audio_output_tokens: Tokens,
    /// Of the generated tokens, those of pictures.
    pub image_output_tokens: Tokens,
    /// Bodies of requests and answers.
    pub bytes: ByteCount,
    /// Cost in millionths of the currency.
    pub cost_micros: Micros,
}

impl Figures {
    /// One call that was admitted and has ended.
    #[must_use]
    pub fn of(usage: &Usage, source: UsageSource, cost: Micros) -> Self {
        Self {
            requests: 1,
            refused: 0,
            estimated: u64::from(source == UsageSource::Estimated),
            input_tokens: usage.input,
            output_tokens: usage.output,
            cached_input_tokens: usage.cached_input,
            cache_write_input_tokens: usage.cache_write_input,
            audio_input_tokens: usage.audio_input,
            image_input_tokens: usage.image_input,
            reasoning_output_tokens: usage.reasoning_output,
            audio_output_tokens: usage.audio_output,
            image_output_tokens: usage.image_output,
            bytes: usage.bytes,
            cost_micros: cost,
        }
    }

    /// One call that was refused.
    #[must_use]
    pub fn refusal() -> Self {
        Self {
            refused: 1,
            ..Self::default()
        }
    }

    /// Adds other sums.
    pub fn add(&mut self, other: &Self) {
        let mut sums = self.values();
        for (sum, more) in sums.iter_mut().zip(other.values()) {
            *sum = sum.saturating_add(more);
        }
        *self = Self::from_values(sums);
    }

    /// What is left without a part of these sums.
    #[must_use]
    pub fn without(&self, part: &Self) -> Self {
        let mut left = self.values();
        for (left, less) in left.iter_mut().zip(part.values()) {
            *left = left.saturating_sub(less);
        }
        Self::from_values(left)
    }

    /// Without what rows of older releases do not have.
    #[must_use]
    pub(crate) fn without_kinds(&self) -> Self {
        Self {
            requests: self.requests,
            refused: self.refused,
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            cost_micros: self.cost_micros,
            ..Self::default()
        }
    }

    /// In the order of the columns.
    fn values(&self) -> [u64; FIGURES] {
        [
            self.requests,
            self.refused,
            self.estimated,
            self.input_tokens.0,
            self.output_tokens.0,
            self.cached_input_tokens.0,
            self.cache_write_input_tokens.0,
            self.audio_input_tokens.0,
            self.image_input_tokens.0,
            self.reasoning_output_tokens.0,
            self.audio_output_tokens.0,
            self.image_output_tokens.0,
            self.bytes.0,
            self.cost_micros.0,
        ]
    }

    fn from_values(values: [u64; FIGURES]) -> Self {
        let [
            requests,
            refused,
            estimated,
            input,
            output,
            cached,
            written,
            heard,
            seen,
            thought,
            spoken,
            drawn,
            bytes,
            cost,
        ] = values;
        Self {
            requests,
            refused,
            estimated,
            input_tokens: Tokens(input),
            output_tokens: Tokens(output),
            cached_input_tokens: Tokens(cached),
            cache_write_input_tokens: Tokens(written),
            audio_input_tokens: Tokens(heard),
            image_input_tokens: Tokens(seen),
            reasoning_output_tokens: Tokens(thought),
            audio_output_tokens: Tokens(spoken),
            image_output_tokens: Tokens(drawn),
            bytes: ByteCount(bytes),
            cost_micros: Micros(cost),
        }
    }

    /// As the database keeps them, in the order of the columns.
    pub(crate) fn to_db(self) -> [i64; FIGURES] {
        self.values().map(to_db)
    }

    /// From a row with every column; what is not kept is zero.
    pub(crate) fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let mut values = [0; FIGURES];
        for (value, column) in values.iter_mut().zip(COLUMNS.split(", ")) {
            let figure: Option<i64> = row.try_get(column)?;
            *value = from_db(figure.unwrap_or(0));
        }
        Ok(Self::from_values(values))
    }

    /// Whether a row has the kinds, too, or is of an older release.
    pub(crate) fn has_kinds(row: &AnyRow) -> Result<bool, sqlx::Error> {
        let bytes: Option<i64> = row.try_get("bytes")?;
        Ok(bytes.is_some())
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepartmentDetail {
    /// ISO 4217 code of all costs.
    pub currency: String,
    /// Sums.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetUsage {
    /// The budget.
    pub budget: Budget,
    /// Its window; none for calls under way.
    pub window: Option<Window>,
    /// Used by calls that have ended.
    pub settled: u64,
    /// Set aside for calls under way.
    pub reserved: u64,
    /// Leased to gateways beyond that.
    pub free: u64,
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
    let sql = concat!(
        "SELECT day, user_id, api, model, ",
        columns!(name, ", "),
        " FROM usage_rollups WHERE department = $1 AND day >= $2 AND day <= $3 \
         ORDER BY day, user_id, api, model"
    );
    let rows = sqlx::query(sql)
        .bind(id.0.clone())
        .bind(days.from.to_string())
        .bind(days.to.to_string())
        .fetch_all(store.pool())
        .await?;
    let mut lines = Vec::with_capacity(rows.len());
    let mut figures = Figures::default();
    for row in &rows {
        let line = line(row)?;
        figures.add(&line.figures);
        lines.push(line);
    }
    Ok(Some(DepartmentDetail {
        currency: policy.currency.clone(),
        usage: department_usage(policy, id.clone(), figures),
        lines,
        budgets: budgets_of(store, policy, id, now).await?,
    }))
}

/// Usage of one person, oldest day first; of what one department paid alone, where one is named.
///
/// # Errors
/// [`StoreError`].
pub async fn person(
    store: &Store,
    user: &str,
    department: Option<&str>,
    days: Days,
) -> Result<Vec<Line>, StoreError> {
    let sql = format!(
        "SELECT day, user_id, api, model, {SUMS} FROM usage_rollups \
         WHERE user_id = $1 AND ($2 = '' OR department = $2) AND day >= $3 AND day <= $4 \
         GROUP BY day, user_id, api, model ORDER BY day, api, model"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(user)
        .bind(department.unwrap_or_default())
        .bind(days.from.to_string())
        .bind(days.to.to_string())
        .fetch_all(store.pool())
        .await?;
    rows.iter().map(line).collect()
}

fn line(row: &AnyRow) -> Result<Line, StoreError> {
    Ok(Line {
        day: row.try_get("day")?,
        user: row.try_get("user_id")?,
        api: row.try_get("api")?,
        model: row.try_get("model")?,
        figures: Figures::read(row)?,
    })
}

async fn budgets_of(
    store: &Store,
    policy: &Policy,
    department: &DepartmentId,
    now: UnixMillis,
) -> Result<Vec<BudgetUsage>, StoreError> {
    let Ok(calendar) = Calendar::new(&policy.time_zone) else {
        return Ok(Vec::new());
    };
    let stored = budgets::list(store, Some(department.as_str()), "", MOST_BUDGETS).await?;
    let budgets = stored.into_iter().map(|stored| stored.budget).collect();
    standing(store, &calendar, budgets, now).await
}

/// Where budgets stand in their windows at `now`.
///
/// # Errors
/// [`StoreError`].
pub async fn standing(
    store: &Store,
    calendar: &Calendar,
    budgets: Vec<Budget>,
    now: UnixMillis,
) -> Result<Vec<BudgetUsage>, StoreError> {
    let mut standing = Vec::with_capacity(budgets.len());
    for budget in budgets {
        let window = match budget.window {
            Some(unit) => calendar.window(unit, now),
            None => Window::ENDLESS,
        };
        let sql = "SELECT \
            CAST(COALESCE((SELECT SUM(settled) FROM ledger_windows \
                WHERE budget = $1 AND window_start = $2), 0) AS BIGINT) AS settled, \
            CAST(COALESCE((SELECT SUM(free) FROM ledger_accounts \
                WHERE budget = $1 AND window_start = $2), 0) AS BIGINT) AS free, \
            CAST(COALESCE((SELECT SUM(reserved) FROM ledger_accounts \
                WHERE budget = $1 AND window_start = $2), 0) AS BIGINT) AS reserved";
        let row = sqlx::query(sql)
            .bind(budget.id.0.clone())
            .bind(to_db(window.start.0))
            .fetch_one(store.pool())
            .await?;
        standing.push(BudgetUsage {
            window: budget.window.is_some().then_some(window),
            settled: from_db(row.try_get("settled")?),
            free: from_db(row.try_get("free")?),
            reserved: from_db(row.try_get("reserved")?),
            budget,
        });
    }
    Ok(standing)
}

/// Adds to the roll-ups.
pub(crate) fn add(script: &mut Script, sums: impl IntoIterator<Item = (Place, Figures)>) {
    script.write(ADD, sums, |(place, figures)| -> [Value; PLACES + FIGURES] {
        let place = [
            place.day,
            place.department,
            place.user,
            place.api,
            place.model,
        ];
        let figures = figures.to_db().map(Value::from);
        let mut row = place.map(Value::from).into_iter().chain(figures);
        std::array::from_fn(|_| row.next().unwrap_or(Value::NoInteger))
    });
}
