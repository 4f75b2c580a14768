//! The one writer of audit log, ledger and roll-ups.
//!
//! Natural group commit: while one transaction is being synced, batches gather; the next
//! transaction takes them all. Nothing is acknowledged before its transaction is durable,
//! and after a failed commit nothing is acknowledged ever again.

mod batch;
mod core;
mod orders;
mod recent;
mod standby;
mod task;

use std::path::PathBuf;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use sekisho_domain::{Policy, RecordId};
use sekisho_link::v1;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::contents::MasterKey;
use crate::events::Telling;
use crate::ledger::{HolderId, UnknownTimeZone, VmId};
use crate::log::{Malformed, Recorded};
use crate::store::{Store, StoreError};
use crate::vitals::Pulse;
use batch::Batch;
use core::Core;
pub use orders::{BudgetOrder, BudgetOutcome, Recording};

/// How long leases live after the last batch of their VM, milliseconds.
pub const LEASE_TTL_MILLIS: u64 = 10_000;

/// Batches that wait for the writer before senders have to wait themselves.
const QUEUE: usize = 1024;

/// Why the writer cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database failed.
    #[error("the log and the ledger cannot be loaded")]
    Database(#[from] sqlx::Error),
    /// SQLite gives no connection to write on.
    #[error("the database cannot be opened for writing")]
    Sqlite(#[from] rusqlite::Error),
    /// The policy's time zone.
    #[error(transparent)]
    TimeZone(#[from] UnknownTimeZone),
    /// The stored tree is damaged; `sekisho audit verify` says more.
    #[error("the stored tree of the log is damaged: run `sekisho audit verify`")]
    Tree(#[from] crate::log::tree::NotATree),
    /// The log has more or fewer records than its tree says.
    #[error("the log has {records} records, its tree {size}: run `sekisho audit verify`")]
    Records {
        /// Rows of the log.
        records: u64,
        /// Size of the tree.
        size: u64,
    },
    /// More records are said to be sorted than there are.
    #[error(
        "of the {size} records of the log {sorted} are said to be sorted: run `sekisho audit verify`"
    )]
    Sorted {
        /// Records that are said to be sorted.
        sorted: u64,
        /// Size of the tree.
        size: u64,
    },
    /// Another process writes to this database.
    #[error("another sidecar writes to this database (`{0}`)")]
    Taken(String),
    /// The folder of checkpoints.
    #[error("the folder of checkpoints `{folder}` cannot be used")]
    Checkpoints {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The space for the ends of calls.
    #[error("disk space cannot be kept for the ends of calls")]
    Reserve(#[source] std::io::Error),
    /// The stored budgets.
    #[error("the budgets of the policy cannot be taken over")]
    Budgets(#[source] StoreError),
    /// The operating system has no randomness.
    #[error("no random bytes for the name of the log")]
    Random,
    /// The operating system has no thread.
    #[error("no thread to write on")]
    Thread(#[source] std::io::Error),
    /// The writer's thread ended before it began to write.
    #[error(transparent)]
    Gone(#[from] WriterGone),
}

/// The writer has stopped; nothing more will be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the writer has stopped")]
pub struct WriterGone;

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Something in it is not what it should be; nothing of it was taken.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Its stream's holder is no longer known: the VM was silent for too long. Nothing of
    /// it was taken; a new stream makes a new holder.
    #[error("the holder's leases have expired")]
    Expired,
    /// It brings bodies, and this writer has no key to encrypt them with.
    #[error("bodies cannot be kept: there is no key to encrypt them with")]
    NoContentsKey,
    /// See [`WriterGone`].
    #[error(transparent)]
    Gone(#[from] WriterGone),
}

/// Why an event is not on record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It cannot be written.
    #[error("an event cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// See [`WriterGone`].
    #[error(transparent)]
    Gone(#[from] WriterGone),
}

/// Who sends a batch: one stream of one VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Holder of the stream's leases.
    pub holder: HolderId,
    /// The VM behind it.
    pub vm: VmId,
    /// Whether it decides by budgets.
    pub leasing: bool,
}

/// A call of which its proxy says that nobody will ever tell its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The call.
    pub id: RecordId,
    /// Why, in the proxy's words.
    pub why: String,
}

/// What a writer needs besides the database.
#[derive(Clone, Debug)]
pub struct Post {
    /// The policy in force.
    pub policy: Arc<Policy>,
    /// Tells the time.
    pub clock: Clock,
    /// Signs the log's checkpoints.
    pub log_key: SigningKey,
    /// The second place of checkpoints.
    pub checkpoint_dir: Option<PathBuf>,
    /// The key under which the keys of bodies are encrypted; none: a gateway that wants bodies kept
    /// is not served.
    pub contents_key: Option<MasterKey>,
    /// Space beside an SQLite database that is kept for the ends of calls, bytes; 0: none.
    pub reserve_bytes: u64,
}

/// Speaks to the writer; cheap to clone. The writer stops when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Writer {
    requests: mpsc::Sender<Request>,
    poison: watch::Receiver<Option<Arc<str>>>,
    origin: Arc<str>,
    thread: Handle,
    pulses: Pulses,
}

/// How what the writer depends on is.
#[derive(Clone, Debug, Default)]
pub struct Pulses {
    /// The log and the ledger.
    pub log: Pulse,
    /// Room for the ends of calls.
    pub disk: Pulse,
    /// The second place of checkpoints.
    pub checkpoints: Pulse,
}

/// A batch that was handed over.
#[derive(Debug)]
pub struct Submitted(oneshot::Receiver<Result<v1::Down, ApplyError>>);

impl Submitted {
    /// Its acknowledgement, once all of it is durable. Cancel-safe; not to be asked for again.
    ///
    /// # Errors
    /// [`ApplyError`], as of [`Writer::apply`].
    pub async fn answered(&mut self) -> Result<v1::Down, ApplyError> {
        (&mut self.0).await.map_err(|_| WriterGone)?
    }

    /// The same, if it is there already.
    pub fn try_answered(&mut self) -> Option<Result<v1::Down, ApplyError>> {
        match self.0.try_recv() {
            Ok(answer) => Some(answer),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => Some(Err(WriterGone.into())),
        }
    }
}

#[derive(Debug)]
enum Request {
    Apply(Box<Batch>, oneshot::Sender<Result<v1::Down, ApplyError>>),
    Listen(HolderId, mpsc::UnboundedSender<v1::Down>),
    Disconnect(HolderId),
    Budget(Box<BudgetOrder>, oneshot::Sender<BudgetOutcome>),
    Record(Box<Recorded>, oneshot::Sender<Recording>),
    Lost(Vec<Lost>, oneshot::Sender<Vec<bool>>),
    Pending(oneshot::Sender<()>),
    Tick(oneshot::Sender<()>),
}

impl Writer {
    /// Takes over log and ledger of `store` and begins to write.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        store: Store,
        policy: Arc<Policy>,
        clock: Clock,
        log_key: SigningKey,
        checkpoint_dir: Option<PathBuf>,
    ) -> Result<Self, StartError> {
        let post = Post {
            policy,
            clock,
            log_key,
            checkpoint_dir,
            contents_key: None,
            reserve_bytes: 0,
        };
        Self::begin(store, post, None).await
    }

    /// Does the same with all that a writer may have.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_with(store: Store, post: Post) -> Result<Self, StartError> {
        Self::begin(store, post, None).await
    }

    /// Does the same when the turn comes: on PostgreSQL that is when no other sidecar is
    /// active any more. `api` is where the others send whoever wants to change something.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn stand_by(store: Store, post: Post, api: String) -> Result<Self, StartError> {
        Self::begin(store, post, Some(api)).await
    }

    async fn begin(store: Store, post: Post, api: Option<String>) -> Result<Self, StartError> {
        let (requests, received) = mpsc::channel(QUEUE);
        let (poisoned, poison) = watch::channel(None);
        let (loaded, ready) = oneshot::channel();
        // A thread of its own: SQLite is called directly, and acknowledgements must not
        // queue behind anything else that the process does.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let thread = runtime.handle().clone();
        let (watched, heard) = (store.clone(), poison.clone());
        let pulses = Pulses::default();
        let noted = pulses.clone();
        let run = async move {
            let mut loaded = loaded;
            let clock = post.clock.clone();
            let loading = Core::load(&store, post, api.as_deref(), noted.clone());
            let core = tokio::select! {
                core = loading => core,
                // Nobody waits for the turn any longer.
                () = loaded.closed() => return,
            };
            match core {
                Ok(core) => {
                    // Whoever does not wait for the start keeps no `Writer` either.
                    let _ = loaded.send(Ok(core.origin().into()));
                    task::run(core, clock, received, poisoned, noted).await;
                }
                Err(error) => {
                    let _ = loaded.send(Err(error));
                }
            }
        };
        std::thread::Builder::new()
            .name("sekisho-writer".to_owned())
            // A task like those it answers: were it the one that the thread blocks on, tokio would ask
            // the system for news each time that a batch wakes it.
            .spawn(move || runtime.block_on(runtime.spawn(run)))
            .map_err(StartError::Thread)?;
        let origin = ready.await.map_err(|_| WriterGone)??;
        tokio::spawn(standby::beat(watched, heard));
        Ok(Self {
            requests,
            poison,
            origin,
            thread,
            pulses,
        })
    }

    /// How what it depends on is.
    #[must_use]
    pub const fn pulses(&self) -> &Pulses {
        &self.pulses
    }

    /// Runs something on the writer's thread: what waits for every acknowledgement gets it
    /// sooner where it does not come from another thread. Ends with the writer.
    pub fn spawn<T: Send + 'static>(
        &self,
        beside: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.thread.spawn(beside)
    }

    /// Applies a batch of `session`; returns its acknowledgement once all of it is durable.
    ///
    /// # Errors
    /// [`ApplyError`]; nothing of the batch has been taken then, unless the writer is gone:
    /// then nobody knows.
    pub async fn apply(&self, session: &Session, up: v1::Up) -> Result<v1::Down, ApplyError> {
        self.submit(session, up).await?.answered().await
    }

    /// Hands a batch of `session` over, behind those before. If one of a session is not taken,
    /// none that was handed over later is taken either.
    ///
    /// # Errors
    /// [`ApplyError`]; nothing of the batch has been taken then.
    pub async fn submit(&self, session: &Session, up: v1::Up) -> Result<Submitted, ApplyError> {
        // Parsing and hashing is done here, on the session's task.
        let batch = Box::new(Batch::read(*session, up)?);
        let (answer, answered) = oneshot::channel();
        let request = Request::Apply(batch, answer);
        self.requests.send(request).await.map_err(|_| WriterGone)?;
        Ok(Submitted(answered))
    }

    /// What is pushed to a holder goes to this sender, from before its first batch on.
    ///
    /// # Errors
    /// [`WriterGone`].
    pub async fn listen(
        &self,
        holder: HolderId,
        session: mpsc::UnboundedSender<v1::Down>,
    ) -> Result<(), WriterGone> {
        let request = Request::Listen(holder, session);
        self.requests.send(request).await.map_err(|_| WriterGone)
    }

    /// Changes a budget. When this returns it is durable, and whoever asks for leases from
    /// then on gets them by it; what gateways know of it is the caller's to push.
    ///
    /// # Errors
    /// [`WriterGone`]: nobody knows then whether it was done.
    pub async fn change_budget(&self, order: BudgetOrder) -> Result<BudgetOutcome, WriterGone> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Budget(Box::new(order), answer);
        self.requests.send(request).await.map_err(|_| WriterGone)?;
        answered.await.map_err(|_| WriterGone)
    }

    /// Puts an event on record; returns once it is durable. Events of changes in the database
    /// do not come this way: see [`crate::store::pending`].
    ///
    /// # Errors
    /// [`RecordError`]; if the writer is gone nobody knows whether it is on record.
    pub async fn record(&self, event: Telling) -> Result<Recording, RecordError> {
        let recorded = Box::new(event.record()?);
        let (answer, answered) = oneshot::channel();
        let request = Request::Record(recorded, answer);
        self.requests.send(request).await.map_err(|_| WriterGone)?;
        Ok(answered.await.map_err(|_| WriterGone)?)
    }

    /// Ends calls of which nobody will tell the end, at their worst, as those whose gateway fell
    /// silent; returns, once that is durable, of which of them there is any record. Of calls that
    /// have ended nothing is changed.
    ///
    /// # Errors
    /// [`WriterGone`]: then they end when their gateway has been silent for long enough.
    pub async fn lose(&self, lost: Vec<Lost>) -> Result<Vec<bool>, WriterGone> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Lost(lost, answer);
        self.requests.send(request).await.map_err(|_| WriterGone)?;
        answered.await.map_err(|_| WriterGone)
    }

    /// Takes into the log whatever changes have left to be recorded. Those that were committed
    /// before this was called are in it when it returns.
    ///
    /// # Errors
    /// [`WriterGone`]: then the writer that comes next does it.
    pub async fn take_pending(&self) -> Result<(), WriterGone> {
        let (done, answered) = oneshot::channel();
        let request = Request::Pending(done);
        self.requests.send(request).await.map_err(|_| WriterGone)?;
        answered.await.map_err(|_| WriterGone)
    }

    /// The session's stream is closed.
    pub fn disconnect(&self, holder: HolderId) {
        if let Err(mpsc::error::TrySendError::Full(request)) =
            self.requests.try_send(Request::Disconnect(holder))
        {
            let requests = self.requests.clone();
            tokio::spawn(async move { requests.send(request).await });
        }
    }

    /// Does at once what is due from time to time: ends the calls of silent VMs, takes
    /// leases of past windows back, makes a checkpoint.
    ///
    /// # Errors
    /// [`WriterGone`].
    pub async fn tick(&self) -> Result<(), WriterGone> {
        let (done, answered) = oneshot::channel();
        let tick = Request::Tick(done);
        self.requests.send(tick).await.map_err(|_| WriterGone)?;
        answered.await.map_err(|_| WriterGone)
    }

    /// Waits until the writer fails; returns why. The process must then exit: what was not
    /// acknowledged is in doubt, and only a new start reads what is true.
    pub async fn poisoned(&self) -> Arc<str> {
        let mut poison = self.poison.clone();
        match poison.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_else(|| "stopped".into()),
            Err(_) => "the writer has stopped".into(),
        }
    }

    /// The name of the log, also of its key.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }
}
