//! Somebody else's reader of Parquet.

use serde_json::json;
use tokio::process::Command;

use super::{count, files, mover, written};
use crate::cloud::cache;

/// The statements of `docs/retention.md`.
fn shown() -> Vec<&'static str> {
    let page = include_str!("../../../../docs/retention.md");
    let (_, rest) = page.split_once("```sql\n").unwrap();
    let (statements, _) = rest.split_once("```").unwrap();
    statements.lines().collect()
}

/// Runs statements in the folder in which `cold` is, and answers with the rows of each.
const READ: &str = "
import duckdb, json, os, sys
os.chdir(sys.argv[1])
print(json.dumps([duckdb.sql(sql).fetchall() for sql in sys.argv[2:]], default=str))
";

#[tokio::test]
async fn duckdb_reads_what_was_moved_as_the_page_shows() {
    let (world, _) = written().await;
    // The day of the page.
    let sql = "SELECT COUNT(*) FROM audit_entries WHERE user_id = 'E001' AND at < 1795446000000";
    let of_day = count(&world, sql).await;
    let moved = mover(&world, 2).await.round(world.clock.now()).await;
    assert!(files(&world).len() > 5);
    let everything = "SELECT count(*), min(seq), count(DISTINCT seq), \
        count(*) FILTER (json_extract_string(body, '$.schema') = 'sekisho.audit.v1') \
        FROM read_parquet('cold/*/*.parquet')";
    let python = cache().join("stores/bin/python");
    let read = Command::new(&python)
        .args(["-c", READ])
        .arg(world.folder.path())
        .args(shown())
        .arg(everything)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{}: {said}", python.display());
    let read: Vec<Vec<serde_json::Value>> = serde_json::from_slice(&read.stdout).unwrap();
    let [of_people, first, wrong, all] = &read[..] else {
        panic!("{read:?}");
    };
    let caller = of_people.iter().find(|row| row[0] == "E001").unwrap();
    assert_eq!(caller[1], of_day);
    assert_eq!((first.len(), &first[9][0]), (10, &9.into()));
    assert_eq!(wrong[..], [json!([0])]);
    let records = moved.unwrap().records;
    assert_eq!(all[..], [json!([records, 0, records, records])]);
}
