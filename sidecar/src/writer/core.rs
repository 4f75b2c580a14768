//! What the writer owns, and one transaction of it.

mod budgets;
mod checkpoints;
mod contents;
mod recording;
mod records;
mod room;
mod sorting;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use sekisho_domain::{AuditRecord, Outcome, Policy, RecordId, RecordKind, UnixMillis, UsageSource};
use sekisho_link::v1;
use sqlx::AnyConnection;
use tokio::sync::mpsc::UnboundedSender;

use super::batch::{Batch, Entry, Part};
use super::recent::{Memory, Recent};
use super::{ApplyError, LEASE_TTL_MILLIS, Lost, Post, Pulses, Recording, StartError, standby};
use crate::contents::keys::Ring;
use crate::contents::tables::Piece;
use crate::ledger::desk::Desk;
use crate::ledger::{self, HolderId, Ledger};
use crate::log::checkpoint::origin;
use crate::log::entry::Facts;
use crate::log::export::Export;
use crate::log::sorted::{self, Unsorted};
use crate::log::tables::{self, Appended};
use crate::log::tree::Tree;
use crate::log::{Malformed, Recorded};
use crate::store::budgets::events;
use crate::store::journal::{Journal, JournalError};
use crate::store::reserve::Reserve;
use crate::store::script::Script;
use crate::store::{Dialect, Lock, Store, active, pending};
use crate::usage::{self, Figures, Place};
use checkpoints::Exporting;
use contents::OpenContents;
use sorting::Sorting;

/// Why the writer must stop.
#[derive(Debug, thiserror::Error)]
pub(super) enum Poison {
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    #[error("a transaction failed")]
    Journal(#[source] JournalError),
    #[error("the database does not answer")]
    Stuck,
    #[error("another sidecar has taken this log over")]
    TakenOver,
    #[error("a checkpoint could not be exported")]
    Export(#[source] std::io::Error),
    #[error("disk space cannot be kept for the ends of calls")]
    Reserve(#[source] std::io::Error),
    #[error("a record of the log cannot be read")]
    Record(#[from] Malformed),
    #[error("a record cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl From<JournalError> for Poison {
    fn from(error: JournalError) -> Self {
        match error {
            // The one row that every transaction depends on is the log's, with its epoch.
            JournalError::Guard => Self::TakenOver,
            error => Self::Journal(error),
        }
    }
}

/// Log, ledger and their connections.
pub(super) struct Core {
    dialect: Dialect,
    journal: Journal,
    /// For everything that is read.
    connection: AnyConnection,
    _lock: Lock,
    /// Space for the ends of calls; none is kept on PostgreSQL, whose disk is its server's.
    reserve: Option<Reserve>,
    policy: Arc<Policy>,
    key: SigningKey,
    export: Option<Export>,
    pulses: Pulses,
    origin: String,
    epoch: i64,
    ledger: Ledger,
    tree: Tree,
    sorting: Sorting,
    checkpointed: u64,
    /// The checkpoint on its way to the second place.
    exporting: Option<Exporting>,
    recent: Recent,
    facts: HashMap<RecordId, Facts>,
    contents: OpenContents,
    warned: HashSet<&'static str>,
    desk: Desk,
    /// The place of the next event of a budget.
    next_event: u64,
    /// What is pushed to each holder goes here.
    sessions: HashMap<HolderId, UnboundedSender<v1::Down>>,
}

/// How long the database or the second place of checkpoints may take for anything. Beyond that
/// it is not slow but gone, and nobody would ever hear of an answer that is lost.
pub(super) const STUCK: Duration = Duration::from_secs(15);

/// Between looks after requests that wait for leases of others, milliseconds.
pub(super) const LOOK_MILLIS: u64 = 20;

/// A request waits for others at most so many looks; less where gateways wait for less.
const MOST_LOOKS: u64 = 5;

fn patience(policy: &Policy) -> u32 {
    let looks = policy.ack_timeout_millis / 2 / LOOK_MILLIS;
    u32::try_from(looks.clamp(1, MOST_LOOKS)).unwrap_or(1)
}

/// What became of batches and of events, in their order.
type Applied = (Vec<Result<v1::Down, ApplyError>>, Vec<Recording>);

/// What one transaction adds.
#[derive(Default)]
struct Work {
    rows: Vec<Appended>,
    sums: BTreeMap<Place, Figures>,
    refusals_dropped: u64,
    /// Events that no longer wait.
    taken: Vec<RecordId>,
    /// Records that the log has, of those that memory is in doubt about.
    known: HashSet<(RecordId, i64)>,
    /// Keys to encrypt with, and what was encrypted.
    ring: Ring,
    pieces: Vec<Piece>,
}

impl Core {
    /// Takes the log over: at once, or, with the address of the REST API to announce, when
    /// the turn comes.
    pub(super) async fn load(
        store: &Store,
        post: Post,
        api: Option<&str>,
        pulses: Pulses,
    ) -> Result<Self, StartError> {
        let Post {
            policy,
            clock,
            log_key: key,
            checkpoint_dir,
            contents_key,
            reserve_bytes,
        } = post;
        let mut ledger = Ledger::empty(&policy.time_zone)?;
        let export = checkpoint_dir
            .map(|folder| {
                Export::open(folder.clone())
                    .map_err(|source| StartError::Checkpoints { folder, source })
            })
            .transpose()?;
        let (mut connection, lock) = match api {
            None => standby::at_once(store).await?,
            Some(_) => standby::in_turn(store).await?,
        };
        let now = clock.now();
        begin(&mut connection, store.dialect()).await?;
        if tables::tree(&mut connection).await?.is_none() {
            let mut instance = [0u8; 4];
            getrandom::fill(&mut instance).map_err(|_| StartError::Random)?;
            let origin = origin(&policy.organisation, instance);
            tables::found(&mut connection, &origin).await?;
        }
        tables::take_over(&mut connection).await?;
        active::announce(&mut connection, api.unwrap_or_default()).await?;
        let row = tables::tree(&mut connection)
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        let tree = Tree::from_stored(row.size, &row.roots)?;
        if row.sorted > row.size {
            let (sorted, size) = (row.sorted, row.size);
            return Err(StartError::Sorted { sorted, size });
        }
        let records = tables::records(&mut connection).await?;
        if records != row.size {
            let size = row.size;
            return Err(StartError::Records { records, size });
        }
        budgets::take_over(&mut connection, &mut ledger, &policy.budgets, row.size, now).await?;
        ledger::tables::load(&mut connection, &mut ledger, now).await?;
        let facts = open_facts(&mut connection).await?;
        let contents = OpenContents::load(&mut connection, contents_key).await?;
        let next_event = events::next(&mut connection).await?;
        let checkpointed = tables::newest_checkpoint(&mut connection).await?;
        let left = sorted::left(&mut connection, row.sorted).await?;
        let sorting = Sorting::new(row.sorted, left);
        let recent = Recent::new(now);
        let lately = tables::since(&mut connection, recent.first()).await?;
        let recent = recent.with(lately);
        commit(&mut connection).await?;
        if let Some(contradiction) = ledger.contradiction() {
            tracing::error!(%contradiction, "the ledger contradicts itself");
        }
        let kept = store.file().filter(|_| reserve_bytes > 0);
        let reserve = kept
            .map(|database| Reserve::take(database, reserve_bytes))
            .transpose()
            .map_err(StartError::Reserve)?;
        if reserve.as_ref().is_some_and(|reserve| !reserve.is_held()) {
            tracing::error!(reserve_bytes, "the disk is too full: no call is admitted");
        }
        Ok(Self {
            dialect: store.dialect(),
            journal: Journal::open(store)?,
            connection,
            _lock: lock,
            reserve,
            desk: Desk::new(patience(&policy)),
            next_event,
            sessions: HashMap::new(),
            policy,
            key,
            export,
            pulses,
            origin: row.origin,
            epoch: row.epoch,
            ledger,
            tree,
            sorting,
            checkpointed,
            exporting: None,
            recent,
            facts,
            contents,
            warned: HashSet::new(),
        })
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// What is pushed to this holder goes here.
    pub(super) fn listen(&mut self, holder: HolderId, session: UnboundedSender<v1::Down>) {
        self.sessions.insert(holder, session);
    }

    pub(super) fn disconnect(&mut self, holder: HolderId) {
        self.ledger.disconnect(holder);
        self.sessions.remove(&holder);
        self.desk.leave(holder);
    }

    /// Tells what is due, once whoever has sent a batch has its answer: a lease is granted before
    /// it is called back.
    pub(super) fn push(&mut self) {
        for (holder, down) in self.desk.take_outgoing() {
            if let Some(session) = self.sessions.get(&holder) {
                // Its end is on the way.
                let _ = session.send(down);
            }
        }
    }

    /// Whether requests wait for leases of others.
    pub(super) fn is_anybody_waiting(&self) -> bool {
        self.desk.is_anybody_waiting()
    }

    /// Looks after those who wait, as is due every [`LOOK_MILLIS`] while anybody does.
    pub(super) async fn look_after_waiting(&mut self, now: UnixMillis) -> Result<(), Poison> {
        self.desk.grow_impatient();
        self.apply(Vec::new(), Vec::new(), now).await?;
        self.push();
        Ok(())
    }

    /// Applies batches, in order, and then events, in one transaction. What is to be told besides
    /// is told by [`Self::push`].
    pub(super) async fn apply(
        &mut self,
        batches: Vec<Batch>,
        events: Vec<Recorded>,
        now: UnixMillis,
    ) -> Result<Applied, Poison> {
        let mut work = Work::default();
        self.prepare(&batches, &events, &mut work, now).await?;
        if batches.iter().any(|batch| !batch.parts.is_empty()) {
            self.prepare_contents(&batches, &mut work, now).await?;
        }
        let mut answers = Vec::with_capacity(batches.len());
        for batch in batches {
            answers.push(self.batch(batch, &mut work, now)?);
        }
        if self.desk.is_anybody_waiting() {
            self.desk.serve_waiting(&mut self.ledger, now);
        }
        let recordings = events
            .into_iter()
            .map(|event| self.event(event, &mut work, now))
            .collect();
        self.commit(work, now).await?;
        Ok((answers, recordings))
    }

    /// Reads whatever the decisions need and memory does not have.
    async fn prepare(
        &mut self,
        batches: &[Batch],
        events: &[Recorded],
        work: &mut Work,
        now: UnixMillis,
    ) -> Result<(), Poison> {
        let mut doubtful: Vec<RecordId> = events
            .iter()
            .filter(|event| self.recent.ask(event.id, event.kind, now) == Memory::Doubtful)
            .map(|event| event.id)
            .collect();
        let mut windows = HashSet::new();
        for batch in batches {
            for entry in &batch.entries {
                let record = match entry {
                    Entry::Record(record) => record,
                    Entry::Extend(id, _) => {
                        if let Some(call) = self.ledger.open_call(id) {
                            windows.extend(call.held.iter().map(|held| held.key));
                        }
                        continue;
                    }
                };
                if self.recent.ask(record.id, record.kind, now) == Memory::Doubtful {
                    doubtful.push(record.id);
                }
                let own;
                let facts = match self.facts.get(&record.id) {
                    Some(facts) => facts,
                    None => {
                        own = record.facts();
                        &own
                    }
                };
                let call = facts.covered(&self.policy);
                let of_record = self.ledger.windows_of(&call, facts.at, &record.asked);
                windows.extend(of_record);
                if let Some(call) = self.ledger.open_call(&record.id) {
                    windows.extend(call.held.iter().map(|held| held.key));
                }
            }
            for demand in batch.requests.iter().flat_map(|request| &request.demands) {
                let index = self.ledger.index(&demand.budget);
                let window = index.and_then(|index| self.ledger.window_at(index, now));
                windows.extend(window.map(|(key, _)| key));
            }
        }
        doubtful.sort();
        doubtful.dedup();
        for id in doubtful {
            let kinds = tables::known(&mut self.connection, id).await?;
            work.known.extend(kinds.into_iter().map(|kind| (id, kind)));
        }
        ledger::tables::load_windows(&mut self.connection, &mut self.ledger, windows).await?;
        Ok(())
    }

    fn batch(
        &mut self,
        batch: Batch,
        work: &mut Work,
        now: UnixMillis,
    ) -> Result<Result<v1::Down, ApplyError>, Poison> {
        let session = batch.session;
        if !batch.parts.is_empty() && !self.contents.has_master() {
            // Its stream's next batch may be here already, and must not be taken without this one.
            self.disconnect(session.holder);
            return Ok(Err(ApplyError::NoContentsKey));
        }
        if batch.first {
            let leasing = session.leasing;
            self.ledger
                .connect(session.holder, session.vm, leasing, now);
        } else if !self.ledger.is_live(session.holder) {
            return Ok(Err(ApplyError::Expired));
        }
        self.ledger.seen(session.vm, now);
        let mut down = v1::Down {
            ack: batch.seq,
            ..v1::Down::default()
        };
        let mut parts = batch.parts;
        for entry in batch.entries {
            let record = match entry {
                Entry::Record(record) => record,
                Entry::Extend(id, asked) => {
                    self.ledger.extend(&id, session.vm, &asked);
                    continue;
                }
            };
            let (id, kind) = (record.id, record.kind);
            let ends = matches!(kind, RecordKind::Complete | RecordKind::Refuse);
            if ends && !parts.is_empty() {
                let (own, others): (Vec<Part>, _) =
                    parts.into_iter().partition(|part| part.call == id);
                parts = others;
                self.keep(own, work)?;
            }
            if !self.record(record, &session, work, now) {
                down.refused.push(id.0.to_vec().into());
            }
            if ends {
                self.seal(id, work, now)?;
            }
        }
        self.keep(parts, work)?;
        for holder in batch.gone {
            // Nobody can take another VM's leases away.
            if self.ledger.vm_of(holder) == Some(session.vm) {
                self.ledger.gone(holder);
            }
        }
        for lease in batch.returns {
            let (budget, start) = (lease.budget.as_str(), lease.window_start);
            let ledger = &mut self.ledger;
            self.desk
                .give_back(ledger, session.holder, budget, start, lease.amount);
        }
        if self.desk.is_anybody_waiting() {
            self.desk.serve_waiting(&mut self.ledger, now);
        }
        for request in batch.requests {
            let ledger = &mut self.ledger;
            let answer = self.desk.lease(ledger, session.holder, request, now);
            down.lease_answers.extend(answer);
        }
        if !down.lease_answers.is_empty() {
            down.now = now.0;
        }
        work.refusals_dropped += batch.refusals_dropped;
        Ok(Ok(down))
    }

    async fn commit(&mut self, mut work: Work, now: UnixMillis) -> Result<(), Poison> {
        let touched = self.ledger.take_touched();
        if work.rows.is_empty()
            && work.pieces.is_empty()
            && touched.is_empty()
            && work.refusals_dropped == 0
            && work.taken.is_empty()
        {
            return Ok(());
        }
        let mut script = Script::default();
        Self::save_contents(&mut work, &mut script);
        let unsorted = work.rows.iter().map(Unsorted::of).collect();
        tables::append(&mut script, work.rows);
        pending::taken(&mut script, work.taken);
        ledger::tables::save(&mut script, &self.ledger, &touched);
        events::save(&mut script, &touched.levels, self.next_event, now);
        self.next_event += touched.levels.len() as u64;
        usage::add(&mut script, work.sums);
        tables::save_tree(&mut script, &self.tree, self.epoch, work.refusals_dropped);
        self.write(&script).await?;
        self.sorting.extend(unsorted);
        Ok(())
    }

    /// Makes a script durable; if the disk is full, with the space that is kept.
    async fn write(&mut self, script: &Script) -> Result<(), Poison> {
        let connection = &mut self.connection;
        match self.journal.commit(connection, script).await {
            Err(error) if error.is_full() && self.make_room() => {
                let connection = &mut self.connection;
                Ok(self.journal.commit(connection, script).await?)
            }
            committed => Ok(committed?),
        }
    }

    /// Whoever has nothing to write must also notice that somebody else writes: gateways
    /// would stay with a sidecar that can never acknowledge anything.
    async fn still_ours(&mut self) -> Result<(), Poison> {
        if !matches!(self.journal, Journal::Postgres) {
            // The lock is a file's, which nobody can take away.
            return Ok(());
        }
        let row = tables::tree(&mut self.connection).await?;
        match row {
            Some(row) if row.epoch == self.epoch => Ok(()),
            _ => Err(Poison::TakenOver),
        }
    }

    /// What is due from time to time.
    pub(super) async fn tick(&mut self, now: UnixMillis) -> Result<(), Poison> {
        self.still_ours().await?;
        self.journal.is_sound()?;
        self.look_for_room()?;
        // Before anything is charged: what is forgotten before its commit is never stored.
        self.ledger.sweep(now);
        let mut work = Work::default();
        for vm in self.ledger.silent(now, LEASE_TTL_MILLIS) {
            for id in self.ledger.expire(vm) {
                self.unknown_end(id, None, &mut work, now).await?;
            }
        }
        self.recent.rotate(now);
        self.commit(work, now).await?;
        self.checkpoint(now).await?;
        self.pulses.log.well(now);
        self.tell_of_room(now);
        Ok(())
    }

    /// Ends calls of which their proxy says that nobody will; returns of which there is a record.
    pub(super) async fn lose(
        &mut self,
        lost: Vec<Lost>,
        now: UnixMillis,
    ) -> Result<Vec<bool>, Poison> {
        let mut work = Work::default();
        let mut known = Vec::with_capacity(lost.len());
        for Lost { id, why } in lost {
            if self.ledger.open_call(&id).is_some() {
                self.unknown_end(id, Some(&why), &mut work, now).await?;
                known.push(true);
            } else {
                let kinds = tables::known(&mut self.connection, id).await?;
                known.push(!kinds.is_empty());
            }
        }
        self.commit(work, now).await?;
        Ok(known)
    }

    /// Ends a call whose VM fell silent, or is gone for a reason that the proxy tells: nobody
    /// knows how, so at its worst.
    async fn unknown_end(
        &mut self,
        id: RecordId,
        why: Option<&str>,
        work: &mut Work,
        now: UnixMillis,
    ) -> Result<(), Poison> {
        let Some(admit) = tables::admit_of(&mut self.connection, id).await? else {
            self.ledger.cancel(&id, now);
            return Ok(());
        };
        let held = self.ledger.open_call(&id).map(|call| call.held.clone());
        let windows = held.into_iter().flatten().map(|held| held.key);
        ledger::tables::load_windows(&mut self.connection, &mut self.ledger, windows).await?;
        let mut record: AuditRecord<'_> = serde_json::from_slice(&admit)?;
        let facts = self.facts.get(&id).cloned().unwrap_or_default();
        record.kind = RecordKind::Complete;
        record.at = now;
        record.outcome = Some(Outcome::Unknown);
        record.detail = why.map(Into::into);
        record.usage = Some(facts.worst);
        record.usage_source = Some(UsageSource::Estimated);
        record.cost_micros = Some(facts.most(&self.policy));
        record.duration_millis = Some(now.since(facts.at));
        let body = serde_json::to_vec(&record)?;
        let end = Recorded::read(RecordKind::Complete, id, body.into())?;
        let why = why.unwrap_or("the gateway is silent");
        tracing::warn!(record = %id, why, "nobody knows how an open call ended; charged at its worst");
        self.complete(end, work, now);
        self.seal(id, work, now)
    }
}

async fn begin(connection: &mut AnyConnection, dialect: Dialect) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(dialect.begin_writing())
        .execute(connection)
        .await?;
    Ok(())
}

async fn commit(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("COMMIT").execute(connection).await?;
    Ok(())
}

/// What open calls will be charged by, from their admits.
async fn open_facts(
    connection: &mut AnyConnection,
) -> Result<HashMap<RecordId, Facts>, StartError> {
    let mut facts = HashMap::new();
    for (id, body) in tables::open_admits(connection).await? {
        let read = RecordId::from_slice(&id)
            .and_then(|id| Recorded::read(RecordKind::Admit, id, body.into()).ok());
        match read {
            Some(admit) => facts.insert(admit.id, admit.facts()),
            None => continue,
        };
    }
    Ok(facts)
}
