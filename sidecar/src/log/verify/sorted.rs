//! Whether searches find all records, and nothing else.

use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

use super::{MOST_FINDINGS, Report, What};
use crate::log::sorted::{ALL, By};
use crate::log::tables::TreeRow;
use crate::store::figures::to_db;

/// Compares the sorted records with those of the log that are said to be.
pub(super) async fn compare(
    connection: &mut AnyConnection,
    tree: &TreeRow,
    report: &mut Report,
) -> Result<(), sqlx::Error> {
    let TreeRow { size, sorted, .. } = *tree;
    if sorted > size {
        report.add(None, None, What::SortedTo { sorted, size });
    }
    for By { table, column, .. } in ALL {
        let lacking = format!(
            "SELECT seq FROM audit_entries WHERE {column} IS NOT NULL AND seq < $1 AND NOT EXISTS \
             (SELECT 1 FROM {table} WHERE whose = {column} AND moment = at AND place = seq) \
             ORDER BY seq LIMIT {MOST_FINDINGS}"
        );
        let wrong = format!(
            "SELECT place AS seq FROM {table} WHERE NOT EXISTS \
             (SELECT 1 FROM audit_entries WHERE seq = place AND at = moment AND {column} = whose \
             AND seq < $1) ORDER BY place LIMIT {MOST_FINDINGS}"
        );
        for (sql, what) in [
            (lacking, What::NotSorted(table)),
            (wrong, What::WronglySorted(table)),
        ] {
            let rows = sqlx::query(AssertSqlSafe(sql)).bind(to_db(sorted));
            for row in rows.fetch_all(&mut *connection).await? {
                report.add(Some(row.try_get("seq")?), None, what.clone());
            }
        }
    }
    Ok(())
}
