//! What of a report comes from the records themselves: counted by the database, the newest
//! shown one by one.

use std::cmp::Reverse;

use sekisho_domain::{AuditRecord, Micros, RecordId, UnixMillis};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

use super::answer::{
    AlertLine, Alerts, ChangeLine, ChangesMade, CodeLine, EventLine, Refusals, RefusedPerson,
    RuleLine, UnknownEnd, UnknownEnds,
};
use super::gather::shown;
use super::older::{Older, together};
use super::{Language, Period};
use crate::ledger::Window;
use crate::log::tables::{COLUMNS, Stored};
use crate::store::StoreError;
use crate::store::alerts::list::{self, Filter};
use crate::store::figures::{from_db, to_db};

/// Most unknown ends that are shown one by one.
pub(super) const MOST_ENDS: i64 = 50;
/// Most alerts that are shown one by one.
const MOST_ALERTS: u32 = 100;
/// Most events that are shown one by one.
pub(super) const MOST_EVENTS: i64 = 100;

/// The event that stands in a list of its own.
pub(super) const OWN_LIST: &str = "alert.raise";

pub(super) async fn refusals(
    connection: &mut AnyConnection,
    older: &Older,
    period: Period,
    window: Window,
    most: u32,
) -> Result<Refusals, StoreError> {
    let sql = "SELECT denial, CAST(COUNT(*) AS BIGINT) AS refused FROM audit_entries \
        WHERE denial IS NOT NULL AND at >= $1 AND at < $2 \
        GROUP BY denial ORDER BY COUNT(*) DESC, denial";
    let rows = within(sql, window).fetch_all(&mut *connection).await?;
    let warm = counts(&rows, "denial", "refused")?;
    let codes = together(warm, &older.refusals).into_iter();
    let codes: Vec<CodeLine> = codes
        .map(|(code, count)| CodeLine { code, count })
        .collect();
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
    older: &Older,
    window: Window,
) -> Result<UnknownEnds, StoreError> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) AS ends, \
        CAST(COALESCE(SUM(cost_micros), 0) AS BIGINT) AS cost FROM audit_entries \
        WHERE outcome = 'unknown' AND kind = 2 AND at >= $1 AND at < $2";
    let all = within(sql, window).fetch_one(&mut *connection).await?;
    let newest = newest(
        "outcome = 'unknown' AND kind = 2",
        (connection, window),
        (&older.newest_ends, MOST_ENDS),
    );
    let cost = from_db(all.try_get("cost")?).saturating_add(older.ends_cost);
    Ok(UnknownEnds {
        count: from_db(all.try_get("ends")?).saturating_add(older.ends),
        cost: Micros(cost).to_string(),
        shown: newest.await?.iter().map(unknown_end).collect(),
    })
}

/// The newest records of a window, in the database or among those that were moved.
async fn newest(
    which: &'static str,
    (connection, window): (&mut AnyConnection, Window),
    (older, most): (&[Stored], i64),
) -> Result<Vec<Stored>, sqlx::Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM audit_entries WHERE {which} AND at >= $1 AND at < $2 \
         ORDER BY at DESC, seq DESC LIMIT $3"
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(to_db(window.start.0))
        .bind(to_db(window.end.0))
        .bind(most);
    let rows = rows.fetch_all(connection).await?;
    let mut all = rows
        .iter()
        .map(Stored::read)
        .collect::<Result<Vec<_>, _>>()?;
    all.extend(older.iter().cloned());
    all.sort_by_key(|row| Reverse((row.at, row.seq)));
    all.truncate(usize::try_from(most).unwrap_or(0));
    Ok(all)
}

/// Counts by name.
fn counts(rows: &[AnyRow], name: &str, count: &str) -> Result<Vec<(String, u64)>, sqlx::Error> {
    let read = |row: &AnyRow| Ok((row.try_get(name)?, from_db(row.try_get(count)?)));
    rows.iter().map(read).collect()
}

fn unknown_end(row: &Stored) -> UnknownEnd {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let id = RecordId::from_slice(&row.record_id);
    UnknownEnd {
        at: shown(UnixMillis(from_db(row.at))),
        record_id: id.map_or_else(String::new, |id| id.to_string()),
        user: text(&row.index.user),
        department: text(&row.index.department),
        api: text(&row.index.api),
        model: text(&row.index.model),
        cost: Micros(from_db(row.cost.unwrap_or(0))).to_string(),
    }
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
    older: &Older,
    window: Window,
) -> Result<ChangesMade, StoreError> {
    let sql = "SELECT event, CAST(COUNT(*) AS BIGINT) AS events FROM audit_entries \
        WHERE event IS NOT NULL AND event <> 'alert.raise' AND at >= $1 AND at < $2 \
        GROUP BY event ORDER BY COUNT(*) DESC, event";
    let rows = within(sql, window).fetch_all(&mut *connection).await?;
    let warm = counts(&rows, "event", "events")?;
    let events = together(warm, &older.events).into_iter();
    let events: Vec<EventLine> = events
        .map(|(event, count)| EventLine { event, count })
        .collect();
    let newest = newest(
        "event IS NOT NULL AND event <> 'alert.raise'",
        (connection, window),
        (&older.newest_events, MOST_EVENTS),
    );
    let newest = newest.await?;
    Ok(ChangesMade {
        count: events.iter().map(|line| line.count).sum(),
        events,
        shown: newest.iter().filter_map(|row| change(&row.body)).collect(),
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
