//! A log of many records, as a company's calls make them: written by the product's own writer, so
//! that it is what a sidecar leaves, and a sidecar can serve it.

pub(crate) mod company;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use ed25519_dalek::SigningKey;
use sekisho::clock::{Clock, Hand};
use sekisho::ledger::{HolderId, VmId};
use sekisho::policy_file::{self, PolicyFileError};
use sekisho::store::{Dialect, Store, StoreError};
use sekisho::writer::{ApplyError, Post, Session, StartError, Writer};
use sekisho_domain::UnixMillis;
use sekisho_link::v1;
use sekisho_test_worker::entry;
use sqlx::{AssertSqlSafe, Row as _};

use crate::clock;
use company::Company;

/// Calls come in bursts of a minute, with rests in between: the writer keeps in mind what the last
/// minutes brought, and would have to look older calls up.
const MOST_CALLS: u64 = 500;
/// Bursts at least, so that there are calls on all days.
const BURSTS: u64 = 1_000;
const BURST_MILLIS: u64 = 60_000;
/// Lines about how far it is.
const LINES: u64 = 20;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The database, without records
    #[arg(long, value_name = "URL")]
    db: String,
    /// The policy of the sidecar that is going to serve it: departments `d0` to `d39`
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    #[command(flatten)]
    size: company::Size,
}

/// Why a database cannot be filled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FillError {
    #[error("the database: {0}")]
    Store(#[from] StoreError),
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the policy: {0}")]
    Policy(#[from] PolicyFileError),
    #[error("the writer: {0}")]
    Start(#[from] StartError),
    #[error("the writer: {0}")]
    Apply(#[from] ApplyError),
    #[error("the writer has stopped: {0}")]
    Stopped(std::sync::Arc<str>),
    #[error("there are records already: give a database without any")]
    NotEmpty,
    #[error("of a batch of {0} records some were refused: a budget of the policy is used up")]
    Refused(usize),
    #[error("no runtime: {0}")]
    Runtime(std::io::Error),
    #[error("what a batch was told is lost: {0}")]
    Task(#[from] tokio::task::JoinError),
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, FillError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(FillError::Runtime)?;
    runtime.block_on(fill(arguments))?;
    Ok(ExitCode::SUCCESS)
}

async fn fill(arguments: &Arguments) -> Result<(), FillError> {
    let store = Store::open(&arguments.db).await?;
    if records(&store).await? > 0 {
        return Err(FillError::NotEmpty);
    }
    let company = Company::new(arguments.size.people);
    let records = arguments.size.records;
    let (clock, hand) = Clock::moved(UnixMillis(company::START));
    let mut random = fastrand::Rng::with_seed(1);
    let mut key = [0; 32];
    random.fill(&mut key);
    let post = Post {
        policy: policy_file::load(&arguments.policy)?.policy.into(),
        clock,
        log_key: SigningKey::from_bytes(&key),
        checkpoint_dir: None,
        contents_key: None,
        reserve_bytes: 0,
    };
    let mut sender = Sender {
        writer: Writer::start_with(store.clone(), post).await?,
        hand,
        random,
        progress: Progress::new(records),
    };
    sender.send_all(&company, records).await?;
    sender.writer.tick().await.map_err(ApplyError::from)?;
    settle(&store).await?;
    sender.progress.end();
    Ok(())
}

async fn records(store: &Store) -> Result<u64, FillError> {
    let sql = "SELECT CAST(COALESCE(MAX(seq) + 1, 0) AS BIGINT) AS records FROM audit_entries";
    let row = sqlx::query(sql).fetch_one(store.pool()).await?;
    let records: i64 = row.try_get("records")?;
    Ok(u64::try_from(records).unwrap_or(0))
}

/// Does what a sidecar and the database do beside, sooner or later.
async fn settle(store: &Store) -> Result<(), FillError> {
    // No call has a subscription key: whoever sums up what keys used would find nothing.
    let summed = "UPDATE key_usage_position SET next_seq = \
        (SELECT COALESCE(MAX(seq) + 1, 0) FROM audit_entries)";
    let carried = match store.dialect() {
        Dialect::Sqlite => "PRAGMA wal_checkpoint(TRUNCATE)",
        // As its autovacuum does.
        Dialect::Postgres => "VACUUM ANALYZE audit_entries",
    };
    for sql in [summed, carried] {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(store.pool())
            .await?;
    }
    Ok(())
}

/// Sends what a gateway's worker would.
struct Sender {
    writer: Writer,
    hand: Hand,
    random: fastrand::Rng,
    progress: Progress,
}

impl Sender {
    /// One batch is on its way while the next is made.
    async fn send_all(&mut self, company: &Company, records: u64) -> Result<(), FillError> {
        let calls = Company::calls(records);
        let burst = (calls / BURSTS).clamp(1, MOST_CALLS);
        let pause = company::MONTHS * company::MONTH / calls.div_ceil(burst);
        let (mut written, mut call, mut begins) = (0, 0, company::START);
        let mut under_way = None;
        while written < records {
            let mut batch = v1::Up::default();
            for number in 0..burst {
                let at = UnixMillis(begins + number * BURST_MILLIS / burst);
                let made = company.call(call, at);
                batch.entries.extend(made.iter().filter_map(entry));
                call += 1;
            }
            if let Some((count, task)) = under_way.take() {
                let task: tokio::task::JoinHandle<_> = task;
                task.await??;
                self.progress.done(count);
            }
            written += batch.entries.len() as u64;
            let count = batch.entries.len() as u64;
            self.hand.set(UnixMillis(begins + BURST_MILLIS));
            let sent = send(self.writer.clone(), batch, self.random.fork());
            under_way = Some((count, tokio::spawn(sent)));
            begins += pause;
        }
        if let Some((count, task)) = under_way {
            task.await??;
            self.progress.done(count);
        }
        Ok(())
    }
}

/// Sends a batch on a stream of its own: between two of them a worker has been silent for long.
async fn send(
    writer: Writer,
    mut batch: v1::Up,
    mut random: fastrand::Rng,
) -> Result<(), FillError> {
    let count = batch.entries.len();
    batch.seq = 1;
    batch.hello = Some(v1::Hello::default());
    let mut name = || random.u128(1..).to_be_bytes();
    let session = Session {
        holder: HolderId(name()),
        vm: VmId(name()),
        leasing: false,
    };
    let down = match writer.apply(&session, batch).await {
        Err(ApplyError::Gone(_)) => return Err(FillError::Stopped(writer.poisoned().await)),
        applied => applied?,
    };
    writer.disconnect(session.holder);
    if down.refused.is_empty() {
        Ok(())
    } else {
        Err(FillError::Refused(count))
    }
}

/// Says how far it is, and how fast.
struct Progress {
    all: u64,
    done: u64,
    began: Instant,
    /// Where the last line was printed, and when.
    line: (u64, Instant),
}

impl Progress {
    fn new(all: u64) -> Self {
        let began = clock::now();
        Self {
            all,
            done: 0,
            began,
            line: (0, began),
        }
    }

    fn done(&mut self, records: u64) {
        self.done += records;
        let (from, since) = self.line;
        if self.done - from >= self.all.div_ceil(LINES) {
            let rate = rate(self.done - from, since);
            println!(
                "  {:>10} of {} records, {rate:.0} a second",
                self.done, self.all
            );
            self.line = (self.done, clock::now());
        }
    }

    fn end(&self) {
        let seconds = self.began.elapsed().as_secs_f64();
        let rate = rate(self.done, self.began);
        println!(
            "  {} records in {seconds:.0} s, {rate:.0} a second",
            self.done
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "records of a second")]
fn rate(records: u64, since: Instant) -> f64 {
    records as f64 / since.elapsed().as_secs_f64().max(0.001)
}
