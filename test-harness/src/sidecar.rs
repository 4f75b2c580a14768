//! The real sidecar, in this process: its store, writer and Link server, on a folder of its own.

mod key_server;
mod people;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use jiff::civil::date;
use sekisho::clock::{Clock, Hand};
use sekisho::contents::read::{Body, Kept, Unreadable};
use sekisho::contents::{self, MasterKey};
use sekisho::jwks::{JwksError, KeySets};
use sekisho::ledger::{Calendar, UnknownTimeZone};
use sekisho::link::{Link, LinkAddress, LinkListener};
use sekisho::log::verify::{Copies, VerifyError, verify};
use sekisho::log::{Filter, search};
use sekisho::policy_file::PolicyFile;
use sekisho::snapshot::SnapshotHub;
use sekisho::store::{Store, StoreError, keys};
use sekisho::usage::{Days, Figures};
use sekisho::writer::{BudgetOrder, BudgetOutcome, Post, StartError, Writer};
use sekisho_domain::policy::raw::RawBudget;
use sekisho_domain::{Budget, DepartmentId, IssuerKey, Policy, RecordId, RecordKind, UnixMillis};
use sekisho_link::{directory, v1};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::{Handle, Runtime};

use key_server::KeyServer;
pub use people::{IssuedKey, PEPPER, Registered};

/// Why the sidecar does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum SidecarError {
    /// The operating system refuses.
    #[error("the sidecar did not start")]
    Io(#[from] std::io::Error),
    /// The database refuses.
    #[error("the sidecar's database")]
    Store(#[from] StoreError),
    /// The writer does not start.
    #[error("the sidecar's writer did not start")]
    Writer(#[from] StartError),
    /// The policy's time zone.
    #[error(transparent)]
    TimeZone(#[from] UnknownTimeZone),
    /// A record in the log that cannot be read.
    #[error("the log holds a record that is no JSON")]
    Record(#[from] serde_json::Error),
    /// A name that nobody has.
    #[error("`{0}` is not known to the sidecar")]
    Unknown(String),
    /// The log cannot be verified.
    #[error("the log cannot be verified")]
    Unverifiable(#[from] VerifyError),
    /// The log does not verify.
    #[error("the log does not verify: {}", .0.join("; "))]
    Verify(Vec<String>),
    /// The fetcher of signing keys does not start.
    #[error("the sidecar does not fetch signing keys")]
    KeySets(#[from] JwksError),
    /// No signing keys came.
    #[error("the sidecar got no signing keys")]
    NoIssuerKeys,
    /// It was stopped.
    #[error("the sidecar does not run")]
    Stopped,
    /// A change was not pushed.
    #[error("a change of the directory did not reach the filters within a second")]
    NotPushed,
}

/// How often something is tried that takes a moment.
const TRIES: u32 = 1_000;
const ANY_PORT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

/// What a sidecar begins with.
pub struct Setup {
    /// The policy.
    pub policy: PolicyFile,
    /// The directory.
    pub people: Vec<Registered>,
    /// Subscription keys.
    pub keys: Vec<IssuedKey>,
    /// The signing keys of the policy's issuer.
    pub issuer_keys: v1::IssuerKeySet,
    /// Where its clock begins and stands until it is moved; none: the machine's clock.
    pub stands_at: Option<UnixMillis>,
}

/// A running sidecar.
pub struct Sidecar {
    folder: TempDir,
    policy: Arc<Policy>,
    policy_json: Vec<u8>,
    /// Publishes the keys of the policy's first issuer.
    key_server: KeyServer,
    clock: Clock,
    hand: Option<Hand>,
    probe: LogProbe,
    process: Option<Process>,
}

/// What would be the sidecar's process: gone at once when its runtime goes.
struct Process {
    runtime: Runtime,
    store: Store,
    writer: Writer,
    link: Link,
    hub: SnapshotHub,
    address: SocketAddr,
}

/// Counts the records of the log, for whoever has only this.
#[derive(Clone, Debug, Default)]
pub struct LogProbe(Arc<Mutex<Option<Store>>>);

impl LogProbe {
    /// How many records are durable now; 0 if nobody can say.
    pub async fn size(&self) -> u64 {
        let store = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(store) = store else { return 0 };
        match search(&store, &Filter::default(), None, 1).await {
            Ok(page) => page
                .records
                .first()
                .map_or(0, |newest| newest.seq.saturating_add(1)),
            Err(_) => 0,
        }
    }

    fn set(&self, store: Option<Store>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = store;
    }
}

/// A record of the log.
#[derive(Clone, Debug)]
pub struct LogRecord {
    /// Its place, from 0.
    pub place: u64,
    /// What it says.
    pub record: Value,
}

impl Sidecar {
    /// Starts a sidecar in a new folder.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub fn start(setup: Setup) -> Result<Self, SidecarError> {
        Self::start_with(setup, LogProbe::default())
    }

    /// Starts a sidecar in a new folder, whose log this probe is to count.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub fn start_with(setup: Setup, probe: LogProbe) -> Result<Self, SidecarError> {
        let (clock, hand) = match setup.stands_at {
            Some(moment) => {
                let (clock, hand) = Clock::moved(moment);
                (clock, Some(hand))
            }
            None => (Clock::system(), None),
        };
        let (keys, _) = directory::issuer_keys(&setup.issuer_keys);
        let key_server = KeyServer::start(&keys)?;
        let mut policy = setup.policy.policy;
        for issuer in &mut policy.issuers {
            if issuer.issuer == setup.issuer_keys.issuer {
                issuer.jwks_uri = Some(key_server.uri());
            }
        }
        let mut sidecar = Self {
            folder: TempDir::with_prefix("sekisho-scenario-")?,
            policy: Arc::new(policy),
            policy_json: setup.policy.json,
            key_server,
            clock,
            hand,
            probe,
            process: None,
        };
        let runtime = runtime()?;
        let store = runtime.block_on(async {
            let store = Store::open(&sidecar.database()).await?;
            people::register(&store, &setup.people, sidecar.clock.now()).await?;
            people::issue(&store, &setup.keys, sidecar.clock.now()).await?;
            Ok::<_, SidecarError>(store)
        })?;
        sidecar.run(runtime, store)?;
        Ok(sidecar)
    }

    fn database(&self) -> String {
        format!("sqlite:{}", self.folder.path().join("sekisho.db").display())
    }

    fn run(&mut self, runtime: Runtime, store: Store) -> Result<(), SidecarError> {
        let (policy, json) = (Arc::clone(&self.policy), self.policy_json.clone());
        let hub = SnapshotHub::new(Arc::clone(&policy), json, PEPPER.to_vec());
        let (clock, checkpoints) = (self.clock.clone(), self.checkpoints());
        let calendar = Calendar::new(&policy.time_zone)?;
        let (writer, link, hub, address) = runtime.block_on(async {
            let writer = write(&store, &policy, &clock, checkpoints).await?;
            let pushed = sekisho::people::watch::push_all(&store, &hub, &calendar, &clock).await?;
            let key_sets = KeySets::start(&store, &hub, &clock).await?;
            published(&hub).await?;
            let link = Link::new(writer.clone(), hub.clone()).with_key_sets(key_sets);
            let listener = LinkListener::bind(&LinkAddress::Tcp(ANY_PORT)).await?;
            let address = listener.local_addr().unwrap_or(ANY_PORT);
            tokio::spawn(listener.serve(link.clone(), std::future::pending()));
            let watching =
                sekisho::people::watch::watch(store.clone(), hub.clone(), calendar, clock, pushed);
            tokio::spawn(watching);
            Ok::<_, SidecarError>((writer, link, hub, address))
        })?;
        self.probe.set(Some(store.clone()));
        self.process = Some(Process {
            runtime,
            store,
            writer,
            link,
            hub,
            address,
        });
        Ok(())
    }

    /// Everything that it has written, file by file, each with its name.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn files(&self) -> std::io::Result<Vec<(String, Vec<u8>)>> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    files.push((name.into_owned(), std::fs::read(&path)?));
                }
            }
        }
        Ok(files)
    }

    fn checkpoints(&self) -> PathBuf {
        self.folder.path().join("checkpoints")
    }

    /// Ends the process without warning and begins a new one on the same folder.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub fn restart(&mut self) -> Result<(), SidecarError> {
        self.kill();
        let runtime = runtime()?;
        let store = runtime.block_on(Store::open(&self.database()))?;
        self.run(runtime, store)
    }

    fn kill(&mut self) {
        self.probe.set(None);
        if let Some(process) = self.process.take() {
            process.runtime.shutdown_timeout(Duration::from_millis(200));
        }
    }

    fn process(&self) -> Result<&Process, SidecarError> {
        self.process.as_ref().ok_or(SidecarError::Stopped)
    }

    /// Where Link listens.
    ///
    /// # Errors
    /// [`SidecarError::Stopped`].
    pub fn link(&self) -> Result<SocketAddr, SidecarError> {
        Ok(self.process()?.address)
    }

    /// Opens sessions without a connection, and runs them.
    ///
    /// # Errors
    /// [`SidecarError::Stopped`].
    pub fn sessions(&self) -> Result<(Handle, Link), SidecarError> {
        let process = self.process()?;
        Ok((process.runtime.handle().clone(), process.link.clone()))
    }

    /// What it pushes to gateways: for whoever has people and keys that no import can make.
    ///
    /// # Errors
    /// [`SidecarError::Stopped`].
    pub fn hub(&self) -> Result<&SnapshotHub, SidecarError> {
        Ok(&self.process()?.hub)
    }

    /// Moves its clock, where that can be moved.
    #[must_use]
    pub const fn hand(&self) -> Option<&Hand> {
        self.hand.as_ref()
    }

    /// Its time.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// The policy that it serves.
    #[must_use]
    pub const fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Disables a person's account or enables it again, as the REST API does.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub fn suspend(&self, person: &str, suspended: bool) -> Result<(), SidecarError> {
        let process = self.process()?;
        let mut author = people::author(self.now());
        let changed =
            sekisho::store::people::suspend(&process.store, person, suspended, &mut author, None);
        let changed = process.runtime.block_on(changed)?;
        changed
            .map(|_| ())
            .ok_or_else(|| SidecarError::Unknown(person.to_owned()))
    }

    /// Revokes a person's sessions, as the REST API does.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub fn revoke_sessions(&self, person: &str) -> Result<(), SidecarError> {
        let process = self.process()?;
        let mut author = people::author(self.now());
        let revoked =
            sekisho::store::people::revoke_sessions(&process.store, person, &mut author, None);
        let revoked = process.runtime.block_on(revoked)?;
        revoked
            .map(|_| ())
            .ok_or_else(|| SidecarError::Unknown(person.to_owned()))
    }

    /// Gives a subscription key this secret; the one that it had stays valid for a while.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub fn rotate(&self, key: &str, secret: &str, overlap: Duration) -> Result<(), SidecarError> {
        let process = self.process()?;
        let now = self.now();
        let overlap = u64::try_from(overlap.as_millis()).unwrap_or(u64::MAX);
        let mut author = people::author(now);
        let event = (&mut author, "apikey.rotate");
        let rotated = keys::change(&process.store, key, None, event, |key| {
            let hash = people::hash(secret);
            key.former = Some(keys::Former {
                hash: std::mem::replace(&mut key.hash, hash),
                until: now.plus_millis(overlap),
            });
            Ok::<_, std::convert::Infallible>(())
        });
        let rotated = process.runtime.block_on(rotated)?;
        rotated
            .map(|_| ())
            .ok_or_else(|| SidecarError::Unknown(key.to_owned()))
    }

    /// Sets a budget, members as in the policy, as the REST API does. Whether gateways have
    /// anything to hear of it.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub fn set_budget(&self, budget: &Value) -> Result<bool, SidecarError> {
        let raw: RawBudget = serde_json::from_value(budget.clone())?;
        let wanted = Budget::check(&raw, &self.policy);
        let wanted = wanted.map_err(|_| SidecarError::Unknown(budget.to_string()))?;
        self.order(raw.id, Some(wanted))
    }

    /// Removes a budget, as the REST API does.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub fn remove_budget(&self, id: &str) -> Result<bool, SidecarError> {
        self.order(id.to_owned(), None)
    }

    fn order(&self, id: String, wanted: Option<Budget>) -> Result<bool, SidecarError> {
        let process = self.process()?;
        let before = process.hub.counts().version;
        let order = BudgetOrder {
            id: id.clone(),
            wanted,
            condition: Box::new(|_| true),
            author: people::author(self.now()),
        };
        let outcome = process
            .runtime
            .block_on(process.writer.change_budget(order));
        match outcome.map_err(|_| SidecarError::Stopped)? {
            BudgetOutcome::Created(stored)
            | BudgetOutcome::Changed(stored)
            | BudgetOutcome::Removed(stored) => process.hub.upsert_budgets(vec![stored.to_link()]),
            BudgetOutcome::Unknown | BudgetOutcome::Condition => {
                return Err(SidecarError::Unknown(id));
            }
        }
        Ok(process.hub.counts().version > before)
    }

    /// The issuer publishes these keys from now on, and no others.
    pub fn publish(&self, keys: &[IssuerKey]) {
        self.key_server.publish(keys);
    }

    /// How often the issuer's keys were fetched.
    #[must_use]
    pub fn key_fetches(&self) -> u64 {
        self.key_server.fetches()
    }

    /// Revokes a subscription key.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub fn revoke(&self, key: &str) -> Result<(), SidecarError> {
        let process = self.process()?;
        let mut author = people::author(self.now());
        let revoked = keys::revoke(&process.store, key, &mut author);
        let revoked = process.runtime.block_on(revoked)?;
        revoked
            .map(|_| ())
            .ok_or_else(|| SidecarError::Unknown(key.to_owned()))
    }

    /// All records of calls, in the order of the log.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub fn records(&self) -> Result<Vec<LogRecord>, SidecarError> {
        let process = self.process()?;
        let mut records = Vec::new();
        let mut cursor = None;
        loop {
            let everything = Filter::default();
            let page = search(&process.store, &everything, cursor, 1000);
            let page = process.runtime.block_on(page)?;
            for found in page.records {
                let record: Value = serde_json::from_slice(&found.body)?;
                let kind = record.get("kind").and_then(Value::as_str);
                if kind != Some(RecordKind::Event.as_str()) {
                    let place = found.seq;
                    records.push(LogRecord { place, record });
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                records.sort_by_key(|record| record.place);
                return Ok(records);
            }
        }
    }

    /// What was kept of a call's bodies: of the request and of the answer; or why that cannot be
    /// read. Waits for the call's end.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub fn kept(&self, id: &str) -> Result<Result<[Vec<u8>; 2], String>, SidecarError> {
        let id = RecordId::parse(id).ok_or_else(|| SidecarError::Unknown(id.to_owned()))?;
        let process = self.process()?;
        let key = contents_key();
        let mut tries = 0;
        loop {
            let read = contents::read::read(&process.store, &key, id);
            match process.runtime.block_on(read) {
                Err(Unreadable::Open | Unreadable::Unknown) if tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(Duration::from_millis(5));
                }
                read => {
                    let bytes = |body: Option<Body>| body.map(|body| body.bytes);
                    let both = |kept: Kept| [kept.request, kept.response].map(bytes);
                    let read = read.map(|kept| both(kept).map(Option::unwrap_or_default));
                    return Ok(read.map_err(|why| why.to_string()));
                }
            }
        }
    }

    /// How many records are durable.
    ///
    /// # Errors
    /// [`SidecarError::Stopped`].
    pub fn log_size(&self) -> Result<u64, SidecarError> {
        Ok(self.process()?.runtime.block_on(self.probe.size()))
    }

    /// What a department used, over all days.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub fn usage(&self, department: &str) -> Result<Figures, SidecarError> {
        let process = self.process()?;
        let id = DepartmentId(department.to_owned());
        let days = Days {
            from: date(2000, 1, 1),
            to: date(2999, 12, 31),
        };
        let now = self.clock.now();
        let detail = sekisho::usage::department(&process.store, &self.policy, &id, days, now);
        let detail = process.runtime.block_on(detail)?;
        let detail = detail.ok_or_else(|| SidecarError::Unknown(department.to_owned()))?;
        Ok(detail.usage.figures)
    }

    /// Verifies the whole log, as `sekisho audit verify` does.
    ///
    /// # Errors
    /// [`SidecarError::Verify`] with what is wrong.
    pub fn verify(&self) -> Result<(), SidecarError> {
        let process = self.process()?;
        let report = process.runtime.block_on(async {
            process
                .writer
                .tick()
                .await
                .map_err(|_| SidecarError::Stopped)?;
            let (log_key, checkpoints) = (log_key(), self.checkpoints());
            let key = log_key.verifying_key();
            let copies = Copies {
                checkpoints: Some(&checkpoints),
                archive: None,
            };
            let report = verify(&process.store, &self.policy, &key, copies).await?;
            Ok::<_, SidecarError>(report)
        })?;
        if report.is_ok() {
            return Ok(());
        }
        let findings = report.findings.iter().map(|finding| match finding.seq {
            Some(seq) => format!("record {seq}: {}", finding.what),
            None => finding.what.to_string(),
        });
        Err(SidecarError::Verify(findings.collect()))
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Begins to write, once the writer of a process that was ended has let go.
async fn write(
    store: &Store,
    policy: &Arc<Policy>,
    clock: &Clock,
    checkpoints: PathBuf,
) -> Result<Writer, StartError> {
    let mut tries = 0;
    loop {
        let post = Post {
            policy: Arc::clone(policy),
            clock: clock.clone(),
            log_key: log_key(),
            checkpoint_dir: Some(checkpoints.clone()),
            contents_key: Some(contents_key()),
            reserve_bytes: 0,
        };
        match Writer::start_with(store.clone(), post).await {
            Err(StartError::Taken(_)) if tries < TRIES => tries += 1,
            started => return started,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the issuers' keys have been fetched.
async fn published(hub: &SnapshotHub) -> Result<(), SidecarError> {
    for _ in 0..TRIES {
        if !hub.counts().issuer_keys.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Err(SidecarError::NoIssuerKeys)
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("sidecar")
        .enable_all()
        .build()
}

fn contents_key() -> MasterKey {
    MasterKey::new([8; 32])
}

fn log_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}
