//! A database, a policy, a writer, and workers that speak to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use prost::Message as _;
use sekisho::clock::{Clock, Hand};
use sekisho::contents::MasterKey;
use sekisho::events::Author;
use sekisho::link::{Link, LinkError, LinkSession};
use sekisho::log::verify::{Copies, Report, verify};
use sekisho::snapshot::SnapshotHub;
use sekisho::store::Store;
use sekisho::store::units::{Units, seed};
use sekisho::usage::{self, Days, Summary};
use sekisho::writer::{Post, StartError, Writer};
use sekisho_domain::policy::Contents;
use sekisho_domain::{
    AuditRecord, Cut, DenialCode, Micros, Outcome, Policy, RecordId, RecordKind, Tokens,
    UnixMillis, Usage, UsageSource,
};
use sekisho_link::v1;
use tempfile::TempDir;

/// 2026-11-23T09:00:00Z.
pub(crate) const START: UnixMillis = UnixMillis(1_795_424_400_000);

pub(crate) fn policy_json() -> serde_json::Value {
    serde_json::json!({
        "version": 1, "organisation": "Example", "time_zone": "Asia/Tokyo", "currency": "JPY",
        "scopes": {"all_apis": null},
        "issuers": [{"issuer": "https://login.example/t/v2.0", "tenant": "t", "audiences": ["api://x"],
                     "jwks_uri": "https://login.example/keys"}],
        "upstreams": [{"name": "azure", "provider": "azure_openai", "url": "https://a.example"}],
        "apis": [{"name": "azure", "provider": "azure_openai", "operations": ["chat_completions"],
                  "scope": "all_apis", "models": [{"name": "gpt-4o", "upstream": "azure"}]}],
        "departments": [{"id": "sales", "name": "Sales"}, {"id": "hr", "name": "People"}],
        "budgets": [
            {"id": "sales-tokens", "department": "sales", "meter": "tokens", "window": "day", "limit": 10_000_000},
            {"id": "sales-yen", "department": "sales", "meter": "cost", "window": "month", "limit": "1000000"},
            {"id": "hr-calls", "department": "hr", "meter": "requests", "window": "minute", "limit": 3},
        ],
        "prices": [{"model": "gpt-4o", "from": "2024-10-01", "input_per_million": 375, "output_per_million": 1500}],
    })
}

pub(crate) fn policy() -> Arc<Policy> {
    Arc::new(Policy::parse(policy_json()).unwrap())
}

pub(crate) fn log_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

pub(crate) fn contents_key() -> MasterKey {
    MasterKey::new([5; 32])
}

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) store: Store,
    pub(crate) policy: Arc<Policy>,
    pub(crate) clock: Clock,
    pub(crate) hand: Hand,
    pub(crate) writer: Writer,
    pub(crate) hub: SnapshotHub,
    pub(crate) link: Link,
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::moved(START);
        let store = open(&folder).await;
        Self::begin(folder, store, clock, hand).await
    }

    /// On SQLite, whatever the others test on.
    pub(crate) async fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::moved(START);
        let store = Store::open(&sqlite(folder.path())).await.unwrap();
        Self::begin(folder, store, clock, hand).await
    }

    /// Begins to write, once a former writer has let go.
    async fn begin(folder: TempDir, store: Store, clock: Clock, hand: Hand) -> Self {
        let policy = policy();
        let writer = loop {
            let post = Post {
                policy: policy.clone(),
                clock: clock.clone(),
                log_key: log_key(),
                checkpoint_dir: Some(folder.path().join("checkpoints")),
                contents_key: Some(contents_key()),
                reserve_bytes: 0,
            };
            match Writer::start_with(store.clone(), post).await {
                Err(StartError::Taken(_)) => {
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
                started => break started.unwrap(),
            }
        };
        let json = policy_json().to_string().into_bytes();
        let hub = SnapshotHub::new(policy.clone(), json, b"pepper".to_vec());
        let (departments, titles) = hub.units_of_file();
        let mut author = Author::program("sekisho serve", clock.now(), [9; 32]);
        let check = |units: &Units| hub.replace_units(units);
        let seeded = seed(&store, &departments, &titles, &mut author, check).await;
        seeded.unwrap().unwrap();
        let link = Link::new(writer.clone(), hub.clone());
        Self {
            folder,
            store,
            policy,
            clock,
            hand,
            writer,
            hub,
            link,
        }
    }

    /// Stops everything and begins anew on the same database.
    pub(crate) async fn restarted(self) -> Self {
        drop((self.link, self.hub, self.writer));
        Self::begin(self.folder, self.store, self.clock, self.hand).await
    }

    pub(crate) fn exported(&self) -> PathBuf {
        self.folder.path().join("checkpoints")
    }

    pub(crate) async fn verify(&self) -> Report {
        let key = log_key().verifying_key();
        let archive = self.archive_folder();
        let copies = Copies {
            checkpoints: Some(&self.exported()),
            archive: Some(archive.as_path()).filter(|folder| folder.exists()),
        };
        verify(&self.store, &self.policy, &key, copies)
            .await
            .unwrap()
    }

    pub(crate) fn archive_folder(&self) -> PathBuf {
        self.folder.path().join("archive")
    }

    #[track_caller]
    pub(crate) fn sound(report: &Report) {
        assert!(report.is_ok(), "{:#?}", report.findings);
    }

    pub(crate) async fn summary(&self) -> Summary {
        let days = Days {
            from: "2026-11-01".parse().unwrap(),
            to: "2026-11-30".parse().unwrap(),
        };
        usage::summary(&self.store, &self.policy, days)
            .await
            .unwrap()
    }

    pub(crate) fn worker(&self, n: u8) -> Worker {
        Worker::new(&self.link, n, n, Vec::new(), self.clock.clone())
    }
}

/// The writer does nothing as long as this is there.
pub(crate) struct Held {
    _open: std::sync::mpsc::Sender<()>,
}

pub(crate) async fn hold(writer: &Writer) -> Held {
    let (open, gate) = std::sync::mpsc::channel();
    let (holds, held) = tokio::sync::oneshot::channel();
    writer.spawn(async move {
        holds.send(()).unwrap();
        let _ = gate.recv();
    });
    held.await.unwrap();
    Held { _open: open }
}

/// Whether the tests run on PostgreSQL.
pub(crate) fn on_postgres() -> bool {
    std::env::var_os("SEKISHO_TEST_POSTGRES").is_some()
}

/// Each test has its own schema.
fn schema(folder: &Path) -> String {
    let name = folder.file_name().unwrap().to_str().unwrap();
    let schema: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    schema.to_lowercase()
}

/// The URL of the test's schema.
pub(crate) fn schema_url(folder: &Path) -> String {
    let url = std::env::var("SEKISHO_TEST_POSTGRES").unwrap();
    let join = if url.contains('?') { '&' } else { '?' };
    format!("{url}{join}options=-csearch_path%3D{}", schema(folder))
}

pub(crate) async fn make_schema(folder: &Path) {
    let url = std::env::var("SEKISHO_TEST_POSTGRES").unwrap();
    sqlx::any::install_default_drivers();
    let plain = sqlx::AnyPool::connect(&url).await.unwrap();
    let sql = format!("CREATE SCHEMA {}", schema(folder));
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(&plain)
        .await
        .unwrap();
    plain.close().await;
}

pub(crate) async fn open(folder: &TempDir) -> Store {
    if on_postgres() {
        make_schema(folder.path()).await;
        return Store::open(&schema_url(folder.path())).await.unwrap();
    }
    Store::open(&sqlite(folder.path())).await.unwrap()
}

pub(crate) fn sqlite(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("sekisho.db").display())
}

/// What a worker does, without a gateway around it.
pub(crate) struct Worker {
    pub(crate) session: LinkSession,
    pub(crate) holder: [u8; 16],
    clock: Clock,
    hello: Option<v1::Hello>,
    seq: u64,
}

impl Worker {
    pub(crate) fn new(link: &Link, vm: u8, holder: u8, gone: Vec<[u8; 16]>, clock: Clock) -> Self {
        Self {
            session: link.open(),
            holder: [holder; 16],
            clock,
            hello: Some(v1::Hello {
                vm: vec![vm; 16].into(),
                holder: vec![holder; 16].into(),
                gone: gone.iter().map(|id| id.to_vec().into()).collect(),
                stages: vec!["quota".into(), "audit".into()],
                ..v1::Hello::default()
            }),
            seq: 0,
        }
    }

    pub(crate) async fn send(&mut self, up: v1::Up) -> Result<v1::Down, LinkError> {
        let up = self.batch(up);
        self.session.send(&up.encode_to_vec()).await?;
        loop {
            let down = self.session.recv().await?;
            if down.ack > 0 {
                assert_eq!(down.ack, self.seq);
                return Ok(down);
            }
        }
    }

    pub(crate) fn batch(&mut self, up: v1::Up) -> v1::Up {
        self.seq += 1;
        v1::Up {
            seq: self.seq,
            hello: self.hello.take(),
            ..up
        }
    }

    pub(crate) async fn entries(&mut self, entries: Vec<v1::Entry>) -> v1::Down {
        let up = v1::Up {
            entries,
            ..v1::Up::default()
        };
        self.send(up).await.unwrap()
    }

    pub(crate) async fn lease(&mut self, demands: &[(&str, u64)]) -> v1::LeaseAnswer {
        let demand = |(budget, amount): &(&str, u64)| v1::Demand {
            budget: (*budget).to_owned(),
            amount: *amount,
        };
        let request = v1::LeaseRequest {
            id: 1,
            demands: demands.iter().map(demand).collect(),
        };
        let up = v1::Up {
            lease_requests: vec![request],
            ..v1::Up::default()
        };
        self.send(up).await.unwrap().lease_answers.remove(0)
    }

    pub(crate) fn call(&self, n: u64, department: &'static str) -> Call {
        let [a, b, c, d, e, f, g, h] = n.to_be_bytes();
        Call {
            id: RecordId::v7(self.clock.now(), [a, b, c, d, e, f, g, h, 0, 0]),
            department,
            at: self.clock.now(),
            holder: self.holder,
            key: None,
        }
    }
}

/// One call of a person of a department, or with a key.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) id: RecordId,
    pub(crate) department: &'static str,
    pub(crate) at: UnixMillis,
    pub(crate) holder: [u8; 16],
    pub(crate) key: Option<&'static str>,
}

pub(crate) fn usage_of(input: u64, output: u64) -> Usage {
    Usage {
        input: Tokens(input),
        output: Tokens(output),
        ..Usage::default()
    }
}

impl Call {
    fn record(&self, kind: RecordKind) -> AuditRecord<'static> {
        let mut record = AuditRecord::new(kind, self.id, self.at);
        record.caller.tenant = Some("t".into());
        record.caller.user = Some("E001".into());
        record.caller.department = Some(self.department.into());
        record.caller.key = self.key.map(Into::into);
        record.call.api = Some("azure".into());
        record.call.model = Some("gpt-4o".into());
        record
    }

    fn entry(&self, kind: v1::entry::Kind, record: &AuditRecord<'_>) -> v1::Entry {
        v1::Entry {
            kind: kind.into(),
            record_id: self.id.0.to_vec().into(),
            record: serde_json::to_vec(record).unwrap().into(),
            reservations: Vec::new(),
        }
    }

    fn reservation(&self, lease: &v1::Lease, amount: u64) -> v1::Reservation {
        v1::Reservation {
            holder: self.holder.to_vec().into(),
            budget: lease.budget.clone(),
            window_start: lease.window_start,
            reserved: amount,
            used: 0,
        }
    }

    /// Worst case: 1000 tokens in, 1000 out: 1.875 yen.
    pub(crate) fn admit(&self, leases: &[v1::Lease]) -> v1::Entry {
        let mut record = self.record(RecordKind::Admit);
        record.usage = Some(usage_of(1000, 1000));
        record.cost_micros = Some(Micros(1_875_000));
        let mut entry = self.entry(v1::entry::Kind::Admit, &record);
        let reserve = |lease: &v1::Lease| {
            let amount = match lease.budget.as_str() {
                "sales-tokens" => 2000,
                "sales-yen" => 1_875_000,
                _ => 1,
            };
            self.reservation(lease, amount)
        };
        entry.reservations = leases.iter().map(reserve).collect();
        entry
    }

    pub(crate) fn complete(&self, usage: Usage) -> v1::Entry {
        let mut record = self.record(RecordKind::Complete);
        record.usage = Some(usage);
        record.usage_source = Some(UsageSource::Reported);
        record.status = Some(200);
        record.outcome = Some(Outcome::Answered);
        self.entry(v1::entry::Kind::Complete, &record)
    }

    /// A piece of a body.
    pub(crate) fn piece(&self, half: v1::contents::Half, number: u32, text: &str) -> v1::Contents {
        v1::Contents {
            record_id: self.id.0.to_vec().into(),
            half: half.into(),
            number,
            piece: text.as_bytes().to_vec().into(),
        }
    }

    /// The end of a call whose bodies were kept.
    pub(crate) fn complete_kept(&self, cut: Option<Cut>) -> v1::Entry {
        let mut record = self.record(RecordKind::Complete);
        record.usage = Some(usage_of(10, 10));
        record.usage_source = Some(UsageSource::Reported);
        record.status = Some(200);
        record.outcome = Some(Outcome::Answered);
        record.contents = Some(Contents::Redacted);
        record.response_cut = cut;
        self.entry(v1::entry::Kind::Complete, &record)
    }

    pub(crate) fn withdraw(&self) -> v1::Entry {
        let mut record = self.record(RecordKind::Complete);
        record.denial = Some(DenialCode::RecordUnavailable);
        record.usage = Some(Usage::default());
        self.entry(v1::entry::Kind::Complete, &record)
    }

    pub(crate) fn refuse(&self) -> v1::Entry {
        let mut record = self.record(RecordKind::Refuse);
        record.denial = Some(DenialCode::BudgetExhausted);
        self.entry(v1::entry::Kind::Refuse, &record)
    }
}
