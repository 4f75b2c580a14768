//! What is kept of bodies: taken in piece by piece while a call is open, summed up in the log when
//! it has ended.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use sekisho_domain::{
    AuditRecord, RecordId, RecordKind, Sealed, SealedHalf, SealedKey, UnixMillis,
};
use sekisho_link::Half;
use sqlx::AnyConnection;

use super::{Core, Poison, Work};
use crate::contents::MasterKey;
use crate::contents::keys::{Ring, random};
use crate::contents::seal::{NONCE, Spot};
use crate::contents::tables::{self, Piece, Sum};
use crate::log::Recorded;
use crate::writer::batch::{self, Batch, Part};

/// What is stored so far of the calls that are open.
#[derive(Default)]
pub(super) struct OpenContents {
    calls: HashMap<RecordId, Open>,
    master: Option<MasterKey>,
    next_key: u64,
}

/// One call.
#[derive(Default)]
struct Open {
    department: String,
    request: Sum,
    response: Sum,
    /// SHA-256 of each key as it is stored.
    keys: BTreeMap<u64, String>,
}

impl Open {
    const fn sum(&mut self, half: Half) -> &mut Sum {
        match half {
            Half::Response => &mut self.response,
            Half::Request | Half::Unspecified => &mut self.request,
        }
    }

    fn add(&mut self, piece: &Piece, key_sha256: &str) {
        self.sum(piece.half).add(&piece.sealed);
        self.keys
            .entry(piece.key)
            .or_insert_with(|| key_sha256.to_owned());
    }

    fn sealed(&self) -> Sealed {
        let half = |sum: &Sum| {
            (sum.pieces > 0).then(|| SealedHalf {
                pieces: sum.pieces,
                sha256: sum.sha256(),
            })
        };
        let key = |(id, sha256): (&u64, &String)| SealedKey {
            id: *id,
            sha256: sha256.clone(),
        };
        Sealed {
            keys: self.keys.iter().map(key).collect(),
            request: half(&self.request),
            response: half(&self.response),
        }
    }
}

impl OpenContents {
    /// What a former writer has stored of the calls that are open still.
    pub(super) async fn load(
        connection: &mut AnyConnection,
        master: Option<MasterKey>,
    ) -> Result<Self, sqlx::Error> {
        let mut calls: HashMap<RecordId, Open> = HashMap::new();
        let mut keys: HashMap<u64, (String, String)> = HashMap::new();
        for piece in tables::of_open_calls(connection).await? {
            let (department, sha256) = match keys.entry(piece.key) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(unknown) => {
                    let key = tables::key(connection, piece.key).await?;
                    let read = key.map(|key| {
                        let wrapped = key.wrapped.unwrap_or_default();
                        (key.department, tables::sha256(&wrapped))
                    });
                    unknown.insert(read.unwrap_or_default()).clone()
                }
            };
            let open = calls.entry(piece.record_id).or_default();
            open.department = department;
            open.add(&piece, &sha256);
        }
        Ok(Self {
            calls,
            master,
            next_key: tables::next_key(connection).await?,
        })
    }

    /// Whether bodies can be kept at all.
    pub(super) const fn has_master(&self) -> bool {
        self.master.is_some()
    }
}

impl Core {
    /// Makes the keys ready that these batches need.
    pub(super) async fn prepare_contents(
        &mut self,
        batches: &[Batch],
        work: &mut Work,
        now: UnixMillis,
    ) -> Result<(), Poison> {
        let Some(master) = &self.contents.master else {
            return Ok(());
        };
        let mut places = HashSet::new();
        for batch in batches {
            let calls: HashSet<RecordId> = batch.parts.iter().map(|part| part.call).collect();
            for call in calls {
                let known = self.facts.get(&call).cloned();
                let facts = known.or_else(|| {
                    let mut entries = batches.iter().flat_map(|batch| &batch.entries);
                    entries.find_map(|entry| match entry {
                        batch::Entry::Record(record)
                            if record.kind == RecordKind::Admit && record.id == call =>
                        {
                            Some(record.facts())
                        }
                        _ => None,
                    })
                });
                if let Some(facts) = facts {
                    let day = self.ledger.calendar().day(facts.at).to_string();
                    places.insert((facts.department, day));
                }
            }
        }
        for (department, day) in places {
            let place = (department.as_str(), day.as_str());
            let next = &mut self.contents.next_key;
            work.ring
                .prepare(&mut self.connection, master, place, next, now)
                .await?;
        }
        Ok(())
    }

    /// Takes pieces in. Those of calls that are not open, and those that are here already, are
    /// dropped.
    pub(super) fn keep(
        &mut self,
        parts: impl IntoIterator<Item = Part>,
        work: &mut Work,
    ) -> Result<(), Poison> {
        for part in parts {
            let Some(facts) = self.facts.get(&part.call) else {
                continue;
            };
            let day = self.ledger.calendar().day(facts.at).to_string();
            let Some(ready) = work.ring.get(&facts.department, &day) else {
                continue;
            };
            let open = self.contents.calls.entry(part.call).or_default();
            open.department.clone_from(&facts.department);
            if part.number != open.sum(part.half).pieces {
                continue;
            }
            let spot = Spot {
                record_id: part.call,
                half: part.half,
                number: part.number,
                department: &facts.department,
            };
            let sealed = ready.key.seal(&part.piece, random::<NONCE>()?, spot);
            let piece = Piece {
                record_id: part.call,
                half: part.half,
                number: part.number,
                key: ready.id,
                sealed: sealed.into(),
            };
            open.add(&piece, &ready.sha256);
            work.pieces.push(piece);
        }
        Ok(())
    }

    /// The call has ended: the log says what was stored of it.
    pub(super) fn seal(
        &mut self,
        id: RecordId,
        work: &mut Work,
        now: UnixMillis,
    ) -> Result<(), Poison> {
        let Some(open) = self.contents.calls.remove(&id) else {
            return Ok(());
        };
        let mut record = AuditRecord::new(RecordKind::Contents, id, now);
        record.caller.department =
            (!open.department.is_empty()).then(|| open.department.clone().into());
        record.sealed = Some(Box::new(open.sealed()));
        let recorded = Recorded::of_own(&record)?;
        self.append(recorded, None, None, work);
        Ok(())
    }

    /// The keys and pieces of a transaction.
    pub(super) fn save_contents(work: &mut Work, script: &mut crate::store::script::Script) {
        let ring = std::mem::take(&mut work.ring);
        let pieces = std::mem::take(&mut work.pieces);
        if !pieces.is_empty() {
            let used: HashSet<u64> = pieces.iter().map(|piece| piece.key).collect();
            let mut new = Ring::into_new(ring);
            new.retain(|key| used.contains(&key.id));
            tables::add(script, new, pieces);
        }
    }
}
