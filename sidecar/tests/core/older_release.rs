//! A database that an older release has written.

use sekisho::store::Store;
use sekisho_domain::{ByteCount, Tokens, Usage};
use sqlx::AssertSqlSafe;

use crate::world::{World, sqlite, usage_of};

/// What version 3 of the schema has added.
const KINDS: [&str; 9] = [
    "estimated",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "audio_input_tokens",
    "image_input_tokens",
    "reasoning_output_tokens",
    "audio_output_tokens",
    "image_output_tokens",
    "bytes",
];

/// What versions 5 and 6 have added.
const BUDGETS: &str = "DROP TABLE budget_events; DROP TABLE budgets; DROP TABLE budget_changes; \
    ALTER TABLE ledger_terms DROP COLUMN definition;";

/// What version 20 has added, and what it has taken away.
const SORTED: &str = "DROP TABLE audit_by_user; DROP TABLE audit_by_department; \
    ALTER TABLE audit_tree DROP COLUMN sorted; \
    CREATE INDEX audit_entries_department ON audit_entries (department, at); \
    CREATE INDEX audit_entries_user ON audit_entries (user_id, at);";

/// What version 7 has added, and what it has taken away.
const EVENTS: &str = "DROP TABLE pending_events; DROP INDEX audit_entries_event; \
    DROP INDEX audit_entries_unknown; ALTER TABLE audit_entries DROP COLUMN event; \
    ALTER TABLE audit_entries DROP COLUMN outcome;";

async fn call(world: &World, worker: u8, n: u64, usage: Usage) {
    let mut worker = world.worker(worker);
    let leases = worker.lease(&[("sales-tokens", 2000)]).await.leases;
    let call = worker.call(n, "sales");
    worker
        .entries(vec![call.admit(&leases), call.complete(usage)])
        .await;
}

fn kinds() -> Usage {
    Usage {
        cached_input: Tokens(7),
        reasoning_output: Tokens(3),
        bytes: ByteCount(900),
        ..usage_of(100, 50)
    }
}

#[tokio::test]
async fn rows_without_kinds_stay_readable_and_fit_the_log() {
    let world = World::on_sqlite().await;
    call(&world, 1, 1, kinds()).await;
    let url = sqlite(world.folder.path());
    let drop_kinds = KINDS.map(|column| {
        format!(
            "ALTER TABLE usage_rollups DROP COLUMN {column}; ALTER TABLE key_usage DROP COLUMN {column};"
        )
    });
    let to_version_2 = drop_kinds.concat()
        + BUDGETS
        + SORTED
        + EVENTS
        + "DROP TABLE active_sidecar; DROP TABLE state_marks; \
           DROP TABLE forward_cursors; DROP TABLE mail_outbox; \
           DROP TABLE alerts; DROP TABLE alert_memory; DROP TABLE people_removed; \
           DROP TABLE provisioning_jobs; DROP TABLE provisioning_tasks; \
           DROP TABLE provisioned_accounts; DROP TABLE embedded_accounts; \
           DROP TABLE notice_links; \
           DROP TABLE units; DROP TABLE unit_changes; DROP INDEX people_department; \
           DROP TABLE setting_changes; DROP TABLE audit_contents; DROP TABLE contents_keys; \
           DROP TABLE push_subscriptions; DROP TABLE push_outbox; \
           DROP TABLE pickups; DROP TABLE report_runs; \
           DROP TABLE cold_place; DROP TABLE cold_files; DROP TABLE audit_cold; \
           DELETE FROM schema_version WHERE version > 2;";
    sqlx::raw_sql(AssertSqlSafe(to_version_2))
        .execute(world.store.pool())
        .await
        .unwrap();
    // Opening brings it up to date.
    Store::open(&url).await.unwrap().pool().close().await;
    World::sound(&world.verify().await);
    let world = world.restarted().await;
    call(&world, 2, 2, kinds()).await;
    World::sound(&world.verify().await);
    let total = world.summary().await.total;
    assert_eq!((total.requests, total.input_tokens), (2, Tokens(200)));
    // Of the day's first call nobody can tell any more, so of the day nothing is told.
    assert_eq!(
        (total.cached_input_tokens, total.bytes),
        (Tokens(0), ByteCount(0))
    );
    // The next day's rows have everything.
    world.hand.advance(86_400_000);
    call(&world, 3, 3, kinds()).await;
    let total = world.summary().await.total;
    assert_eq!(
        (
            total.cached_input_tokens,
            total.reasoning_output_tokens,
            total.bytes,
            total.estimated
        ),
        (Tokens(7), Tokens(3), ByteCount(900), 0)
    );
    World::sound(&world.verify().await);
}
