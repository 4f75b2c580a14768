//! What of a report comes from the records themselves: counted by the database, the newest
//! shown one by one.

use sekisho_domain::{AuditRecord, Micros, RecordId, UnixMillis};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::answer::{
    AlertLine, Alerts, ChangeLine, ChangesMade, CodeLine, EventLine, Refusals, RefusedPerson,
    RuleLine, UnknownEnd, UnknownEnds,
};
use super::gather::shown;
use super::{Language, Period};
use crate::ledger::Window;
use crate::store::StoreError;
use crate::store::alerts::list::{self, Filter};
use crate::store::figures::{from_db, to_db};

/// Most unknown ends that are shown one by one.
const MOST_ENDS: i64 = 50;
/// Most alerts that are shown one by one.
const MOST_ALERTS: u32 = 100;
/// Most events that are shown one by one.
const MOST_EVENTS: i64 = 100;

pub(super) async fn refusals(
    connection: &mut AnyConnection,
    period: Period,
    window: Window,
    most: u32,
) -> Result<Refusals, StoreError> {
    let sql = "SELECT denial, CAST(COUNT(*) AS BIGINT) AS refused FROM audit_entries \
        WHERE denial IS NOT NULL AND at >= $1 AND at < $2 \
        GROUP BY denial ORDER BY COUNT(*) DESC, denial";
    let rows = within(sql, window).fetch_all(&mut *connection).await?;
    let codes = rows.iter().map(|row| {
        Ok::<_, sqlx::Error>(CodeLine {
            code: row.try_get("denial")?,
            count: from_db(row.try_get("refused")?),
        })
    });
    let codes = codes.collect::<Result<Vec<_>, _>>()?;
    Ok(Refusals {
        count: codes.iter().map(|line| line.count).sum(),
        codes,
        people: refused_people(connection, period, most).await?,
    })
}

async fn refused_people(
    connection: &mut AnyConnection,
    period: Period,
    most: u32,
) -> Result<Vec<RefusedPerson>, StoreError> {
    let sql = "SELECT user_id, CAST(SUM(refused) AS BIGINT) AS refused FROM usage_rollups \
        WHERE day >= $1 AND day <= $2 GROUP BY user_id HAVING SUM(refused) > 0 \
        ORDER BY SUM(refused) DESC, user_id LIMIT $3";
    let days = period.days();
    let rows = sqlx::query(sql)
        .bind(days.from.to_string())
        .bind(days.to.to_string())
        .bind(i64::from(most))
        .fetch_all(&mut *connection)
        .await?;
    let mut people = Vec::with_capacity(rows.len());
    for row in &rows {
        let user: String = row.try_get("user_id")?;
        people.push(RefusedPerson {
            name: name_of(connection, &user).await?,
            user,
            count: from_db(row.try_get("refused")?),
        });
    }
    Ok(people)
}

/// The name of a person, while the directory has one.
pub(super) async fn name_of(
    connection: &mut AnyConnection,
    user: &str,
) -> Result<Option<String>, StoreError> {
    let row = sqlx::query("SELECT name FROM people WHERE id = $1")
        .bind(user.to_owned())
        .fetch_optional(connection)
        .await?;
    let name: Option<String> = row.map(|row| row.try_get("name")).transpose()?;
    Ok(name.filter(|name| !name.is_empty()))
}

pub(super) async fn unknown_ends(
    connection: &mut AnyConnection,
    window: Window,
) -> Result<UnknownEnds, StoreError> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) AS ends, \
        CAST(COALESCE(SUM(cost_micros), 0) AS BIGINT) AS cost FROM audit_entries \
        WHERE outcome = 'unknown' AND kind = 2 AND at >= $1 AND at < $2";
    let all = within(sql, window).fetch_one(&mut *connection).await?;
    let sql = "SELECT record_id, at, user_id, department, api, model, cost_micros \
        FROM audit_entries WHERE outcome = 'unknown' AND kind = 2 AND at >= $1 AND at < $2 \
        ORDER BY at DESC, seq DESC LIMIT $3";
    let newest = within(sql, window).bind(MOST_ENDS);
    let newest = newest.fetch_all(connection).await?;
    Ok(UnknownEnds {
        count: from_db(all.try_get("ends")?),
        cost: Micros(from_db(all.try_get("cost")?)).to_string(),
        shown: newest.iter().map(unknown_end).collect::<Result<_, _>>()?,
    })
}

fn unknown_end(row: &AnyRow) -> Result<UnknownEnd, sqlx::Error> {
    let text = |column| {
        let text: Option<String> = row.try_get(column)?;
        Ok::<_, sqlx::Error>(text.unwrap_or_default())
    };
    let id: Vec<u8> = row.try_get("record_id")?;
    let cost: Option<i64> = row.try_get("cost_micros")?;
    Ok(UnknownEnd {
        at: shown(UnixMillis(from_db(row.try_get("at")?))),
        record_id: RecordId::from_slice(&id).map_or_else(String::new, |id| id.to_string()),
        user: text("user_id")?,
        department: text("department")?,
        api: text("api")?,
        model: text("model")?,
        cost: Micros(from_db(cost.unwrap_or(0))).to_string(),
    })
}

pub(super) async fn alerts(
    connection: &mut AnyConnection,
    window: Window,
) -> Result<Alerts, StoreError> {
    let counts = list::counts(connection, window.start, window.end).await?;
    let filter = Filter {
        from: Some(window.start),
        to: Some(window.end),
        ..Filter::default()
    };
    let newest = list::newest_on(connection, &filter, None, MOST_ALERTS).await?;
    let shown = newest.into_iter().map(|stored| AlertLine {
        at: shown(stored.alert.at),
        rule: stored.alert.rule.as_str(),
        severity: stored.alert.severity.as_str(),
        text: stored.alert.sentence(Language::English),
        text_ja: stored.alert.sentence(Language::Japanese),
        is_acknowledged: stored.acknowledged.is_some(),
        id: stored.id,
    });
    let rules = counts.into_iter().map(|(rule, severity, count)| RuleLine {
        rule,
        severity,
        count,
    });
    let rules: Vec<RuleLine> = rules.collect();
    Ok(Alerts {
        count: rules.iter().map(|line| line.count).sum(),
        rules,
        shown: shown.collect(),
    })
}

/// Alerts are shown by themselves.
pub(super) async fn changes(
    connection: &mut AnyConnection,
    window: Window,
) -> Result<ChangesMade, StoreError> {
    let sql = "SELECT event, CAST(COUNT(*) AS BIGINT) AS events FROM audit_entries \
        WHERE event IS NOT NULL AND event <> 'alert.raise' AND at >= $1 AND at < $2 \
        GROUP BY event ORDER BY COUNT(*) DESC, event";
    let rows = within(sql, window).fetch_all(&mut *connection).await?;
    let events = rows.iter().map(|row| {
        Ok::<_, sqlx::Error>(EventLine {
            event: row.try_get("event")?,
            count: from_db(row.try_get("events")?),
        })
    });
    let events = events.collect::<Result<Vec<_>, _>>()?;
    let sql = "SELECT body FROM audit_entries \
        WHERE event IS NOT NULL AND event <> 'alert.raise' AND at >= $1 AND at < $2 \
        ORDER BY at DESC, seq DESC LIMIT $3";
    let newest = within(sql, window).bind(MOST_EVENTS);
    let newest = newest.fetch_all(connection).await?;
    let bodies = newest.iter().map(|row| row.try_get("body"));
    let bodies = bodies.collect::<Result<Vec<Vec<u8>>, _>>()?;
    Ok(ChangesMade {
        count: events.iter().map(|line| line.count).sum(),
        events,
        shown: bodies.iter().filter_map(|body| change(body)).collect(),
    })
}

/// What is no record of an event is for `sekisho audit verify` to tell.
fn change(body: &[u8]) -> Option<ChangeLine> {
    let record: AuditRecord<'_> = serde_json::from_slice(body).ok()?;
    let event = record.event.as_deref()?;
    let caller = &record.caller;
    let names = [&caller.user, &caller.object_id, &caller.application];
    let by = names.into_iter().flatten().next();
    Some(ChangeLine {
        at: shown(record.at),
        event: event.name.clone().into_owned(),
        source: event.source.clone().into_owned(),
        target: event.target.as_deref().map(str::to_owned),
        by: by.map_or_else(String::new, |by| by.clone().into_owned()),
        outcome: event.outcome.as_str(),
        record_id: record.record_id.to_string(),
    })
}

type Query = sqlx::query::Query<'static, sqlx::Any, sqlx::any::AnyArguments>;

fn within(sql: &'static str, window: Window) -> Query {
    sqlx::query(sql)
        .bind(to_db(window.start.0))
        .bind(to_db(window.end.0))
}
