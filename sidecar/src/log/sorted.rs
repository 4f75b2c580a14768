//! Records of a person and of a department, in the order of time.
//!
//! These would be indexes, but for what an index costs: each record of a transaction goes to a page
//! of its own in it, wherever its person is, and all of them are written and synced before anybody
//! hears that the record is durable. So records are sorted after they are durable, many at a time,
//! and whoever searches looks through those that are not sorted yet: the last second's.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::tables::Appended;
use crate::store::figures::to_db;
use crate::store::script::{Rows, Script};

/// Version 20. `sorted`: all records before this place are in both tables; whoever has neither is in
/// none. `whose` is the id of a person or the code of a department.
pub(crate) const DDL_20: &str = "
CREATE TABLE audit_by_user (
    whose TEXT NOT NULL,
    moment BIGINT NOT NULL,
    place BIGINT NOT NULL,
    PRIMARY KEY (whose, moment, place)
) {clustered};
CREATE TABLE audit_by_department (
    whose TEXT NOT NULL,
    moment BIGINT NOT NULL,
    place BIGINT NOT NULL,
    PRIMARY KEY (whose, moment, place)
) {clustered};
INSERT INTO audit_by_user (whose, moment, place) SELECT user_id, at, seq FROM audit_entries
    WHERE user_id IS NOT NULL ORDER BY user_id, at, seq;
INSERT INTO audit_by_department (whose, moment, place) SELECT department, at, seq FROM audit_entries
    WHERE department IS NOT NULL ORDER BY department, at, seq;
DROP INDEX audit_entries_user;
DROP INDEX audit_entries_department;
ALTER TABLE audit_tree ADD COLUMN sorted BIGINT NOT NULL DEFAULT 0;
UPDATE audit_tree SET sorted = size;
";

/// A table of sorted records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct By {
    pub(crate) table: &'static str,
    /// Of `audit_entries`.
    pub(crate) column: &'static str,
    fill: Rows,
    take_out: &'static str,
    whose: fn(&Unsorted) -> Option<&str>,
}

// A row that is there already makes no start fail: `sekisho audit verify` tells of it.
const TAIL: &str = "ON CONFLICT DO NOTHING";

pub(crate) const BY_USER: By = By {
    table: "audit_by_user",
    column: "user_id",
    fill: Rows {
        head: "INSERT INTO audit_by_user (whose, moment, place) VALUES",
        columns: 3,
        tail: TAIL,
    },
    take_out: "DELETE FROM audit_by_user WHERE (whose, moment, place) IN \
        (SELECT user_id, at, seq FROM audit_entries WHERE seq >= $1 AND seq < $2)",
    whose: |record| record.user.as_deref(),
};

pub(crate) const BY_DEPARTMENT: By = By {
    table: "audit_by_department",
    column: "department",
    fill: Rows {
        head: "INSERT INTO audit_by_department (whose, moment, place) VALUES",
        columns: 3,
        tail: TAIL,
    },
    take_out: "DELETE FROM audit_by_department WHERE (whose, moment, place) IN \
        (SELECT department, at, seq FROM audit_entries WHERE seq >= $1 AND seq < $2)",
    whose: |record| record.department.as_deref(),
};

/// All of them.
pub(crate) const ALL: [By; 2] = [BY_USER, BY_DEPARTMENT];

const SORTED: Rows = Rows {
    head: "UPDATE audit_tree SET sorted = given.column2 FROM (VALUES",
    columns: 3,
    tail: ") AS given WHERE id = 1 AND sorted = given.column1 AND epoch = given.column3",
};

/// A record that is not sorted yet.
#[derive(Clone, Debug)]
pub(crate) struct Unsorted {
    seq: i64,
    at: i64,
    user: Option<String>,
    department: Option<String>,
}

impl Unsorted {
    pub(crate) fn of(appended: &Appended) -> Self {
        let Appended { seq, recorded, .. } = appended;
        Self {
            seq: to_db(*seq),
            at: to_db(recorded.at.0),
            user: recorded.index.user.clone(),
            department: recorded.index.department.clone(),
        }
    }
}

/// The records from this place on, which a former writer has left.
pub(crate) async fn left(
    connection: &mut AnyConnection,
    from: u64,
) -> Result<Vec<Unsorted>, sqlx::Error> {
    let sql = "SELECT seq, at, user_id, department FROM audit_entries WHERE seq >= $1 ORDER BY seq";
    let rows = sqlx::query(sql).bind(to_db(from)).fetch_all(connection);
    let unsorted = |row: &AnyRow| {
        Ok(Unsorted {
            seq: row.try_get("seq")?,
            at: row.try_get("at")?,
            user: row.try_get("user_id")?,
            department: row.try_get("department")?,
        })
    };
    rows.await?.iter().map(unsorted).collect()
}

/// Sorts these records, which are those from `from` to before `to`, the first that are not; as long
/// as `epoch` is the one in force.
pub(crate) fn sort<'a>(
    script: &mut Script,
    records: impl Iterator<Item = &'a Unsorted> + Clone,
    (from, to): (u64, u64),
    epoch: i64,
) {
    for by in ALL {
        let rows = records.clone().filter_map(|record| {
            let whose = (by.whose)(record)?;
            Some((whose, record.at, record.seq))
        });
        // In the order of the tree: each of its pages is found once.
        let mut rows: Vec<_> = rows.collect();
        rows.sort_unstable();
        script.write(by.fill, rows, |(whose, moment, place)| {
            [whose.to_owned().into(), moment.into(), place.into()]
        });
    }
    script.guard(SORTED, [to_db(from).into(), to_db(to).into(), epoch.into()]);
}

/// Takes these records out, before they are taken out of the log's own table.
pub(crate) async fn take_out(
    connection: &mut AnyConnection,
    (from, to): (u64, u64),
) -> Result<(), sqlx::Error> {
    for by in ALL {
        sqlx::query(by.take_out)
            .bind(to_db(from))
            .bind(to_db(to))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
