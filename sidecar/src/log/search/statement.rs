//! The statements of a search. Conditions are fixed texts with values as parameters.

use sekisho_domain::RecordKind;
use sqlx::any::AnyArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Row as _};

use super::text::pattern;
use super::{Cursor, End, Filter, STEP};
use crate::log::sorted::{BY_DEPARTMENT, BY_USER, By};
use crate::log::tables::{self, COLUMNS};
use crate::store::figures::to_db;
use crate::store::{Dialect, Store, StoreError};

/// Which records the filter is looked up in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Along {
    /// Those of one call or event.
    Record,
    /// Admits of calls that have not ended.
    Open,
    /// Ends that nobody knows.
    Unknown,
    Events,
    User,
    Refusals,
    Department,
    /// Records of a person or a department that are not sorted yet.
    Lately,
    All,
}

impl Along {
    fn of(filter: &Filter) -> Self {
        let asked = [
            (filter.record_id.is_some(), Self::Record),
            (filter.end == Some(End::Open), Self::Open),
            (filter.end == Some(End::As("unknown")), Self::Unknown),
            (
                filter.event.is_some() || filter.kind == Some(RecordKind::Event),
                Self::Events,
            ),
            (filter.user.is_some(), Self::User),
            (
                filter.denial.is_some() || filter.kind == Some(RecordKind::Refuse),
                Self::Refusals,
            ),
            (filter.department.is_some(), Self::Department),
        ];
        let mut asked = asked.into_iter();
        let first = asked.find_map(|(is_asked, along)| is_asked.then_some(along));
        first.unwrap_or(Self::All)
    }

    /// Few records whatever the time: the database is to find them first and sort them after.
    const fn is_few(self) -> bool {
        matches!(self, Self::Record | Self::Open | Self::Lately)
    }

    /// The table that has them in the order of time, if it is another than the log's own.
    const fn sorted(self) -> Option<By> {
        match self {
            Self::User => Some(BY_USER),
            Self::Department => Some(BY_DEPARTMENT),
            _ => None,
        }
    }

    /// What is read, with the condition that joins it.
    fn source(self) -> (String, Option<&'static str>) {
        match self.sorted() {
            None => ("audit_entries".to_owned(), None),
            // SQLite goes through the tables of a `CROSS JOIN` as they stand.
            Some(by) => (
                format!("{} CROSS JOIN audit_entries", by.table),
                Some("seq = place"),
            ),
        }
    }

    /// How moments are compared, and places.
    const fn names(self) -> (&'static str, &'static str) {
        if self.sorted().is_some() {
            ("moment", "place")
        } else if self.is_few() {
            // No index has this order, so none is used for it.
            ("at + 0", "seq")
        } else {
            ("at", "seq")
        }
    }

    fn order(self) -> String {
        let (at, seq) = self.names();
        format!(" ORDER BY {at} DESC, {seq} DESC")
    }
}

/// A statement with its values.
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) arguments: AnyArguments,
    /// Whether it looks at so many records at most, however few it finds.
    pub(super) is_bounded: bool,
}

/// The statement that finds at most `limit` records among the next `examined`.
pub(super) fn find(
    filter: &Filter,
    cursor: Option<Cursor>,
    (limit, examined): (u32, u32),
    dialect: Dialect,
) -> Statement {
    let along = Along::of(filter);
    let mut query = Where::default();
    let (source, join) = along.source();
    if let Some(join) = join {
        query.fixed(join);
    }
    inner(&mut query, filter, cursor, along);
    let (inner, order) = (query.take(), along.order());
    let rest = rest(&mut query, filter, along, dialect);
    let is_bounded = rest.is_some();
    let sql = match rest {
        None => format!("SELECT {COLUMNS} FROM {source}{inner}{order} LIMIT {limit}"),
        Some(rest) => {
            // SQLite would look at all before it sorts what comes in order already.
            let order_again = match dialect {
                Dialect::Sqlite => "",
                Dialect::Postgres => " ORDER BY at DESC, seq DESC",
            };
            format!(
                "SELECT {COLUMNS} FROM (SELECT {COLUMNS} FROM {source}{inner}{order} \
                 LIMIT {examined}) AS examined{rest}{order_again} LIMIT {limit}"
            )
        }
    };
    Statement {
        sql,
        arguments: query.arguments,
        is_bounded,
    }
}

/// Whether [`find`] knows only of records that are sorted.
pub(super) fn is_sorted(filter: &Filter) -> bool {
    Along::of(filter).sorted().is_some()
}

/// The statement that finds at most `limit` records among those that are not sorted yet: those at
/// these places.
pub(super) fn lately(
    filter: &Filter,
    cursor: Option<Cursor>,
    (from, to): (i64, i64),
    limit: u32,
    dialect: Dialect,
) -> Statement {
    let mut query = Where::default();
    // Both ends, although there is nothing behind: PostgreSQL takes a range that has one for a third
    // of the table.
    query.number("seq", ">=", Some(from));
    query.number("seq", "<", Some(to));
    inner(&mut query, filter, cursor, Along::Lately);
    let inner = query.take();
    let rest = rest(&mut query, filter, Along::Lately, dialect).unwrap_or_default();
    let order = Along::Lately.order();
    let both = rest.replacen(" WHERE ", " AND ", 1);
    Statement {
        sql: format!("SELECT {COLUMNS} FROM audit_entries{inner}{both}{order} LIMIT {limit}"),
        arguments: query.arguments,
        is_bounded: false,
    }
}

/// The statement that finds the last record that [`find`] has looked at, if there are more.
pub(super) fn end(filter: &Filter, cursor: Option<Cursor>, examined: u32) -> Statement {
    let along = Along::of(filter);
    let mut query = Where::default();
    inner(&mut query, filter, cursor, along);
    let (at, seq) = along.names();
    let sql = format!(
        "SELECT {at} AS at, {seq} AS seq FROM {}{}{} LIMIT 1 OFFSET {}",
        along.sorted().map_or("audit_entries", |by| by.table),
        query.take(),
        along.order(),
        examined.saturating_sub(1)
    );
    Statement {
        sql,
        arguments: query.arguments,
        is_bounded: true,
    }
}

/// The conditions that an index answers.
fn inner(query: &mut Where, filter: &Filter, cursor: Option<Cursor>, along: Along) {
    match along {
        Along::Record => {
            query.bytes("record_id =", filter.record_id.map(|id| id.0.to_vec()));
        }
        Along::Open => {
            query.fixed("kind = 1");
            query.fixed("record_id IN (SELECT record_id FROM ledger_calls)");
        }
        Along::Unknown => query.fixed("outcome = 'unknown'"),
        Along::Events => query.fixed("event IS NOT NULL"),
        Along::User => query.text("whose =", &filter.user),
        Along::Refusals => query.fixed("denial IS NOT NULL"),
        Along::Department => query.text("whose =", &filter.department),
        // The places are given.
        Along::Lately | Along::All => {}
    }
    let (at, seq) = along.names();
    query.number(at, ">=", filter.from.map(|at| to_db(at.0)));
    // One bound, whichever comes first: SQLite enters an index by one alone, and would read on
    // from the filter's all that earlier pages have had.
    let to = filter.to.map(|at| to_db(at.0));
    let after = cursor.map(|cursor| cursor.at.saturating_add(1));
    query.number(at, "<", to.into_iter().chain(after).min());
    if let Some(cursor) = cursor {
        query.after(cursor, (at, seq));
    }
}

/// The other conditions; `None`: there are none.
fn rest(query: &mut Where, filter: &Filter, along: Along, dialect: Dialect) -> Option<String> {
    if along != Along::User {
        query.text("user_id =", &filter.user);
    }
    if along != Along::Department {
        query.text("department =", &filter.department);
    }
    query.text("object_id =", &filter.object_id);
    query.text("api =", &filter.api);
    query.text("model =", &filter.model);
    query.text("denial =", &filter.denial);
    query.text("event =", &filter.event);
    let is_told = along == Along::Events && filter.event.is_none();
    let kind = filter.kind.filter(|_| !is_told);
    query.number("kind", "=", kind.map(tables::kind_number));
    if let Some(End::As(outcome)) = filter.end
        && along != Along::Unknown
    {
        query.text("outcome =", &Some(outcome.to_owned()));
    }
    if let Some(text) = &filter.text {
        query.like(&pattern(text, dialect), dialect);
    }
    let sql = query.take();
    (!sql.is_empty()).then_some(sql)
}

/// How the database would find a page, in its own words.
///
/// # Errors
/// [`StoreError`].
pub async fn plan(store: &Store, filter: &Filter) -> Result<String, StoreError> {
    let dialect = store.dialect();
    let Statement { sql, arguments, .. } = find(filter, None, (100, STEP), dialect);
    let (explain, column) = match dialect {
        Dialect::Sqlite => ("EXPLAIN QUERY PLAN", "detail"),
        Dialect::Postgres => ("EXPLAIN", "QUERY PLAN"),
    };
    let rows = sqlx::query_with(AssertSqlSafe(format!("{explain} {sql}")), arguments)
        .fetch_all(store.pool())
        .await?;
    let lines = rows.iter().map(|row| row.try_get::<String, _>(column));
    Ok(lines.collect::<Result<Vec<_>, _>>()?.join("\n"))
}

#[derive(Default)]
struct Where {
    sql: String,
    arguments: AnyArguments,
    parameters: usize,
}

impl Where {
    /// What was added since the last time.
    fn take(&mut self) -> String {
        std::mem::take(&mut self.sql)
    }

    fn fixed(&mut self, condition: &str) {
        let word = if self.sql.is_empty() {
            " WHERE "
        } else {
            " AND "
        };
        self.sql.push_str(word);
        self.sql.push_str(condition);
    }

    /// The name of the parameter that was just added.
    fn parameter(&mut self) -> String {
        self.parameters += 1;
        format!("${}", self.parameters)
    }

    fn compared(&mut self, condition: &str) {
        let parameter = self.parameter();
        self.fixed(&format!("{condition} {parameter}"));
    }

    fn number(&mut self, name: &str, relation: &str, value: Option<i64>) {
        if let Some(value) = value
            && self.arguments.add(value).is_ok()
        {
            self.compared(&format!("{name} {relation}"));
        }
    }

    fn bytes(&mut self, condition: &'static str, value: Option<Vec<u8>>) {
        if let Some(value) = value
            && self.arguments.add(value).is_ok()
        {
            self.compared(condition);
        }
    }

    fn text(&mut self, condition: &'static str, value: &Option<String>) {
        if let Some(value) = value.clone()
            && self.arguments.add(value).is_ok()
        {
            self.compared(condition);
        }
    }

    /// Of the records of the cursor's moment only those before it in the log.
    fn after(&mut self, cursor: Cursor, (at, seq): (&str, &str)) {
        if self.arguments.add(cursor.at).is_ok() && self.arguments.add(cursor.seq).is_ok() {
            let (moment, place) = (self.parameter(), self.parameter());
            self.fixed(&format!("({at} < {moment} OR {seq} < {place})"));
        }
    }

    fn like(&mut self, pattern: &str, dialect: Dialect) {
        if self.arguments.add(pattern.to_owned()).is_ok() {
            let parameter = self.parameter();
            self.fixed(&match dialect {
                Dialect::Sqlite => format!("CAST(body AS TEXT) LIKE {parameter} ESCAPE '!'"),
                Dialect::Postgres => {
                    format!("encode(body, 'escape') ILIKE {parameter} ESCAPE '!'")
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use sekisho_domain::UnixMillis;

    use super::*;

    #[test]
    fn a_page_is_found_along_what_is_rarest() {
        let user = Some("E001".to_owned());
        let cases = [
            (Filter::default(), Along::All),
            (
                Filter {
                    user: user.clone(),
                    department: Some("hr".into()),
                    ..Filter::default()
                },
                Along::User,
            ),
            (
                Filter {
                    user: user.clone(),
                    end: Some(End::As("unknown")),
                    ..Filter::default()
                },
                Along::Unknown,
            ),
            (
                Filter {
                    kind: Some(RecordKind::Refuse),
                    department: Some("hr".into()),
                    ..Filter::default()
                },
                Along::Refusals,
            ),
        ];
        for (filter, along) in cases {
            assert_eq!(Along::of(&filter), along, "{filter:?}");
        }
    }

    #[test]
    fn an_index_is_entered_where_the_page_begins() {
        let month = Filter {
            from: Some(UnixMillis(100)),
            to: Some(UnixMillis(200)),
            ..Filter::default()
        };
        let bounds = |at| {
            let cursor = Some(Cursor { at, seq: 7 });
            find(&month, cursor, (5, 100), Dialect::Sqlite).sql
        };
        for at in [150, 250] {
            let sql = bounds(at);
            assert!(
                sql.contains("WHERE at >= $1 AND at < $2 AND (at < $3 OR seq < $4)"),
                "{sql}"
            );
        }
    }

    #[test]
    fn only_what_no_index_answers_limits_how_much_is_looked_at() {
        let person = Filter {
            user: Some("E001".into()),
            ..Filter::default()
        };
        let sql = find(&person, None, (5, 100), Dialect::Sqlite).sql;
        assert!(
            sql.ends_with("LIMIT 5") && !sql.contains("examined"),
            "{sql}"
        );
        let asking = Filter {
            api: Some("azure".into()),
            ..person
        };
        let sql = find(&asking, None, (5, 100), Dialect::Sqlite).sql;
        assert!(
            sql.contains("LIMIT 100) AS examined WHERE api = $2"),
            "{sql}"
        );
    }
}
