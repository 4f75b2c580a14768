//! Records as a company's calls make them.

use std::io::Write as _;
use std::time::Duration;

use sekisho::store::Store;
use sekisho_domain::{
    AuditRecord, Micros, Outcome, RecordId, RecordKind, Tokens, UnixMillis, Usage, UsageSource,
};
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Connection as _, Row as _};

use super::SearchError;
use crate::clock;

/// 2026-09-01T00:00:00Z, and three months from there on.
const START: u64 = 1_788_220_800_000;
const MONTH: u64 = 30 * 24 * 3600 * 1000;
const MONTHS: u64 = 3;

/// Rows of a statement, and of a transaction.
const ROWS: u64 = 400;
const TRANSACTION: u64 = 20_000;
/// Between words about how far it is.
const WORDS: Duration = Duration::from_secs(15);

const MODELS: [&str; 4] = ["gpt-4o", "gpt-4o-mini", "claude-sonnet", "gemini-pro"];
const DEPARTMENTS: u32 = 40;

/// Somebody who calls.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) id: String,
    pub(super) department: String,
    object_id: String,
}

/// Everybody who calls.
#[derive(Debug)]
pub(super) struct Company {
    people: Vec<Person>,
}

impl Company {
    pub(super) fn new(people: u32) -> Self {
        let person = |n: u32| Person {
            id: format!("E{n:05}"),
            department: format!("department-{}", n % DEPARTMENTS),
            object_id: format!("{n:08x}-1111-4222-8333-444455556666"),
        };
        Self {
            people: (0..people.max(1)).map(person).collect(),
        }
    }

    pub(super) fn any_person(&self, random: &mut fastrand::Rng) -> &Person {
        static NOBODY: Person = Person {
            id: String::new(),
            department: String::new(),
            object_id: String::new(),
        };
        self.people
            .get(random.usize(..self.people.len().max(1)))
            .unwrap_or(&NOBODY)
    }

    /// One of the months with records: its first moment, and the first after it.
    pub(super) fn any_month(&self, random: &mut fastrand::Rng) -> (u64, u64) {
        let from = START + random.u64(..MONTHS) * MONTH;
        (from, from + MONTH)
    }
}

/// Adds records until there are so many, evenly over the months.
pub(super) async fn fill(
    store: &Store,
    company: &Company,
    records: u64,
    is_sqlite: bool,
) -> Result<(), SearchError> {
    let mut connection = store.pool().acquire().await?;
    if is_sqlite {
        sqlx::raw_sql("PRAGMA synchronous = OFF; PRAGMA cache_size = -262144")
            .execute(&mut *connection)
            .await?;
    }
    let sql = "SELECT CAST(COALESCE(MAX(seq) + 1, 0) AS BIGINT) AS there FROM audit_entries";
    let row = sqlx::query(sql).fetch_one(&mut *connection).await?;
    let there: i64 = row.try_get("there")?;
    let mut next = u64::try_from(there).unwrap_or(0);
    let step = (MONTHS * MONTH) as f64 / records as f64;
    let mut words = clock::now();
    while next < records {
        let mut transaction = connection.begin().await?;
        let end = records.min(next + TRANSACTION);
        while next < end {
            let to = end.min(next + ROWS);
            let sql = insert(to - next);
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for seq in next..to {
                query = bind(query, company, seq, step);
            }
            query.execute(&mut *transaction).await?;
            next = to;
        }
        transaction.commit().await?;
        if words.elapsed() >= WORDS {
            words = clock::now();
            print!("  {next} records\r");
            let _ = std::io::stdout().flush();
        }
    }
    let settle = if is_sqlite {
        "PRAGMA synchronous = FULL; PRAGMA wal_checkpoint(TRUNCATE)"
    } else {
        "VACUUM ANALYZE audit_entries"
    };
    sqlx::raw_sql(AssertSqlSafe(settle.to_owned()))
        .execute(&mut *connection)
        .await?;
    Ok(())
}

/// What a row has.
const COLUMNS: [&str; 17] = [
    "seq",
    "record_id",
    "kind",
    "at",
    "leaf_hash",
    "body",
    "tenant",
    "object_id",
    "user_id",
    "department",
    "api",
    "model",
    "denial",
    "event",
    "outcome",
    "cost_micros",
    "charges",
];

/// A statement for so many rows. Places are numbered: PostgreSQL knows no other.
fn insert(rows: u64) -> String {
    let mut sql = format!("INSERT INTO audit_entries ({}) VALUES ", COLUMNS.join(", "));
    let mut place = 0;
    for row in 0..rows {
        let numbers = COLUMNS.map(|_| {
            place += 1;
            format!("${place}")
        });
        let comma = if row == 0 { "" } else { ", " };
        sql.push_str(&format!("{comma}({})", numbers.join(", ")));
    }
    sql
}

/// Adds a row. Of every two records the first is an admit and the second its end.
fn bind<'q>(
    query: Query<'q, Any, AnyArguments>,
    company: &Company,
    seq: u64,
    step: f64,
) -> Query<'q, Any, AnyArguments> {
    let call = seq / 2;
    let mut random = fastrand::Rng::with_seed(call);
    let person = company.any_person(&mut random);
    let model = *random.choice(&MODELS).unwrap_or(&"gpt-4o");
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "milliseconds of three months"
    )]
    let arrived = START + (call as f64 * 2.0 * step) as u64;
    let is_end = seq % 2 == 1;
    let at = arrived + if is_end { 1_800 } else { 3 };
    let mut tail = [0; 10];
    random.fill(&mut tail);
    let id = RecordId::v7(UnixMillis(arrived), tail);
    let body = body(id, at, is_end, person, model, &mut random);
    let mut leaf = [0; 32];
    random.fill(&mut leaf);
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    query
        .bind(number(seq))
        .bind(id.0.to_vec())
        .bind(if is_end { 2i64 } else { 1 })
        .bind(number(at))
        .bind(leaf.to_vec())
        .bind(body)
        .bind("0b4c8a5e-0000-4000-8000-000000000001".to_owned())
        .bind(person.object_id.clone())
        .bind(person.id.clone())
        .bind(person.department.clone())
        .bind("azure-openai".to_owned())
        .bind(model.to_owned())
        .bind(None::<String>)
        .bind(None::<String>)
        .bind(is_end.then(|| "answered".to_owned()))
        .bind(is_end.then_some(1_875_000i64))
        .bind(None::<String>)
}

fn body(
    id: RecordId,
    at: u64,
    is_end: bool,
    person: &Person,
    model: &str,
    random: &mut fastrand::Rng,
) -> Vec<u8> {
    let kind = if is_end {
        RecordKind::Complete
    } else {
        RecordKind::Admit
    };
    let mut record = AuditRecord::new(kind, id, UnixMillis(at));
    record.caller.tenant = Some("0b4c8a5e-0000-4000-8000-000000000001".into());
    record.caller.object_id = Some(person.object_id.as_str().into());
    record.caller.user = Some(person.id.as_str().into());
    record.caller.department = Some(person.department.as_str().into());
    record.caller.address = Some("10.20.30.40".into());
    record.call.method = Some("POST".into());
    record.call.path = Some("/openai/deployments/gpt-4o/chat/completions".into());
    record.call.api = Some("azure-openai".into());
    record.call.operation = Some("chat_completions".into());
    record.call.model = Some(model.into());
    record.call.upstream = Some("azure-japan-east".into());
    record.call.request_id = Some("5f0b8f6e-3f7d-4a2c-9d53-6a9d2f3b1c77".into());
    record.usage = Some(Usage {
        input: Tokens(random.u64(10..4_000)),
        output: Tokens(random.u64(10..1_000)),
        ..Usage::default()
    });
    record.usage_source = Some(UsageSource::Reported);
    record.cost_micros = Some(Micros(1_875_000));
    if is_end {
        record.status = Some(200);
        record.outcome = Some(Outcome::Answered);
        record.duration_millis = Some(1_800);
    }
    serde_json::to_vec(&record).unwrap_or_default()
}
