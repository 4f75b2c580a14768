//! The sums of a report, all as of one moment.

use jiff::Timestamp;
use sekisho_domain::{DepartmentId, Policy, UnixMillis};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};

use super::answer::{DayLine, DepartmentLine, ModelLine, People, PersonLine, Span, UsageSums};
use super::{Period, Report, lists, older};
use crate::ledger::{Calendar, Window};
use crate::store::figures::from_db;
use crate::store::{Dialect, Store, StoreError};
use crate::usage::{Figures, summed};

/// What a report is made with.
#[derive(Clone, Copy, Debug)]
pub struct Context<'c> {
    /// The database.
    pub store: &'c Store,
    /// The policy in force.
    pub policy: &'c Policy,
    /// The company's calendar.
    pub calendar: &'c Calendar,
    /// The moment at which it is made.
    pub now: UnixMillis,
}

/// Makes the report of a period, with `people` of those who called one by one.
///
/// # Errors
/// [`StoreError`].
pub async fn gather(
    context: Context<'_>,
    period: Period,
    people: u32,
) -> Result<Report, StoreError> {
    // One state of the database for all: so the parts add up to the whole.
    let begin = match context.store.dialect() {
        Dialect::Sqlite => "BEGIN",
        Dialect::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    };
    let mut connection = context.store.pool().acquire().await?;
    let mut transaction = connection.begin_with(begin).await?;
    let window = period.window(context.calendar);
    let older = older::gather(context.store, &mut transaction, window).await?;
    let days = sums(&mut transaction, period, "day", "day").await?;
    let mut total = Figures::default();
    for (_, figures) in &days {
        total.add(figures);
    }
    let report = Report {
        organisation: context.policy.organisation.clone(),
        period: span(context, period, window),
        made_at: shown(context.now),
        currency: context.policy.currency.clone(),
        total: UsageSums::from(&total),
        days: days
            .into_iter()
            .map(|([day, _], figures)| DayLine {
                day,
                sums: UsageSums::from(&figures),
            })
            .collect(),
        departments: departments(&mut transaction, context.policy, period).await?,
        models: models(&mut transaction, context.policy, period, window).await?,
        people: callers(&mut transaction, period, &total, people).await?,
        refusals: lists::refusals(&mut transaction, &older, period, window, people).await?,
        unknown_ends: lists::unknown_ends(&mut transaction, &older, window).await?,
        alerts: lists::alerts(&mut transaction, window).await?,
        changes: lists::changes(&mut transaction, &older, window).await?,
    };
    transaction.commit().await?;
    Ok(report)
}

fn span(context: Context<'_>, period: Period, window: Window) -> Span {
    let days = period.days();
    Span {
        length: period.length().as_str(),
        from: days.from.to_string(),
        to: days.to.to_string(),
        time_zone: context.policy.time_zone.clone(),
        start: shown(window.start),
        end: shown(window.end),
        is_over: period.is_over(context.calendar, context.now),
    }
}

/// RFC 3339 in UTC.
pub(super) fn shown(moment: UnixMillis) -> String {
    let millis = i64::try_from(moment.0).unwrap_or(i64::MAX);
    let timestamp = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    timestamp.to_string()
}

const SUMS: &str = crate::usage::columns!(summed, ", ");

/// UsageSums by one or two columns of the roll-ups (the same twice: one), in the order of these.
async fn sums(
    connection: &mut AnyConnection,
    period: Period,
    first: &'static str,
    second: &'static str,
) -> Result<Vec<([String; 2], Figures)>, StoreError> {
    let columns = match first == second {
        true => first.to_owned(),
        false => format!("{first}, {second}"),
    };
    let sql = format!(
        "SELECT {columns}, {SUMS} FROM usage_rollups WHERE day >= $1 AND day <= $2 \
         GROUP BY {columns} ORDER BY {columns}"
    );
    let days = period.days();
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(days.from.to_string())
        .bind(days.to.to_string())
        .fetch_all(connection)
        .await?;
    let read = |row: &AnyRow| {
        let names = [row.try_get(first)?, row.try_get(second)?];
        Ok((names, Figures::read(row)?))
    };
    rows.iter().map(read).collect()
}

async fn departments(
    connection: &mut AnyConnection,
    policy: &Policy,
    period: Period,
) -> Result<Vec<DepartmentLine>, StoreError> {
    let mut by_id = std::collections::BTreeMap::new();
    for department in policy.departments.keys() {
        by_id.insert(department.0.clone(), Figures::default());
    }
    for ([department, _], figures) in sums(connection, period, "department", "department").await? {
        by_id.insert(department, figures);
    }
    let lines = by_id.into_iter().map(|(department, figures)| {
        let id = DepartmentId(department.clone());
        let known = policy.departments.get(&id);
        DepartmentLine {
            name: known.map_or_else(|| department.clone(), |known| known.name.clone()),
            department,
            sums: UsageSums::from(&figures),
        }
    });
    Ok(lines.collect())
}

async fn models(
    connection: &mut AnyConnection,
    policy: &Policy,
    period: Period,
    window: Window,
) -> Result<Vec<ModelLine>, StoreError> {
    let mut sums = sums(connection, period, "api", "model").await?;
    sums.sort_by_key(|(_, figures)| std::cmp::Reverse((figures.cost_micros, figures.requests)));
    let lines = sums.into_iter().map(|([api, model], figures)| ModelLine {
        prices: prices(policy, &api, &model, window),
        sums: UsageSums::from(&figures),
        api,
        model,
    });
    Ok(lines.collect())
}

/// First days of the prices that apply in the window.
fn prices(policy: &Policy, api: &str, model: &str, window: Window) -> Vec<String> {
    let api = policy.apis.iter().find(|known| known.id.as_str() == api);
    let name = api.and_then(|api| match model {
        "" => api.price.as_deref(),
        model => api.models.get(model).map(|model| model.price.as_str()),
    });
    let in_force = name.map(|name| policy.prices.between(name, window.start, window.end));
    let days = in_force.into_iter().flatten();
    days.map(|price| price.from.clone()).collect()
}

async fn callers(
    connection: &mut AnyConnection,
    period: Period,
    total: &Figures,
    most: u32,
) -> Result<People, StoreError> {
    let days = period.days();
    let (from, to) = (days.from.to_string(), days.to.to_string());
    let count = "SELECT CAST(COUNT(DISTINCT user_id) AS BIGINT) AS people FROM usage_rollups \
        WHERE day >= $1 AND day <= $2 AND user_id <> ''";
    let row = sqlx::query(count).bind(from.clone()).bind(to.clone());
    let count: i64 = row.fetch_one(&mut *connection).await?.try_get("people")?;
    let sql = format!(
        "SELECT user_id, {SUMS} FROM usage_rollups WHERE day >= $1 AND day <= $2 \
         GROUP BY user_id ORDER BY SUM(cost_micros) DESC, SUM(requests) DESC, user_id LIMIT $3"
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(from)
        .bind(to)
        .bind(i64::from(most))
        .fetch_all(&mut *connection)
        .await?;
    let (mut seen, mut shown) = (Figures::default(), Vec::with_capacity(rows.len()));
    for row in &rows {
        let figures = Figures::read(row)?;
        seen.add(&figures);
        let user: String = row.try_get("user_id")?;
        shown.push(PersonLine {
            name: lists::name_of(connection, &user).await?,
            user,
            sums: UsageSums::from(&figures),
        });
    }
    Ok(People {
        count: from_db(count),
        shown,
        others: UsageSums::from(&total.without(&seen)),
    })
}
