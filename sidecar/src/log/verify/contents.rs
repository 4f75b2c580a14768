//! Bodies that were kept: what is stored of them must be what the log says, and keys must be
//! there, or destroyed on record.

use std::collections::{HashMap, HashSet};

use sekisho_domain::{AuditRecord, RecordId, Sealed, SealedHalf};
use sqlx::{AnyConnection, Row as _};

use super::{Report, What};
use crate::contents::destroy::Told;
use crate::contents::tables::{self, At, StoredKey, Sum};
use crate::log::Recorded;

/// Pieces that are read at a time.
const ROWS: i64 = 200;

/// What the log says.
#[derive(Debug, Default)]
pub(super) struct Contents {
    sealed: HashMap<RecordId, (i64, Sealed)>,
    told: Vec<Told>,
    /// Calls whose records are gone, and whose bodies are about to go.
    gone: HashSet<RecordId>,
}

/// What is stored of one call.
#[derive(Default)]
struct Found {
    request: Sum,
    response: Sum,
    /// A piece of no half, or out of its order.
    is_odd: bool,
    keys: HashSet<u64>,
}

impl Contents {
    pub(super) fn see(&mut self, seq: i64, record: &Recorded) {
        let Ok(whole) = serde_json::from_slice::<AuditRecord<'_>>(&record.body) else {
            return;
        };
        if let Some(sealed) = whole.sealed {
            self.sealed.insert(record.id, (seq, *sealed));
        }
        self.told
            .extend(whole.event.and_then(|event| Told::read(&event)));
    }

    /// The records of these calls are gone.
    pub(super) fn without(&mut self, gone: HashSet<RecordId>) {
        self.gone = gone;
    }

    /// Compares it with what is stored. `open`: calls that have not ended.
    pub(super) async fn compare(
        mut self,
        connection: &mut AnyConnection,
        open: &HashSet<RecordId>,
        report: &mut Report,
    ) -> Result<(), sqlx::Error> {
        self.read_waiting(connection).await?;
        report.contents = self.sealed.len() as u64;
        self.compare_keys(connection, report).await?;
        let mut at: At = (Vec::new(), 0, 0);
        let mut current: Option<(Vec<u8>, Found)> = None;
        loop {
            let rows = tables::behind(connection, &at, ROWS).await?;
            let count = rows.len();
            for (place, piece) in rows {
                let record = &place.0;
                if current.as_ref().is_none_or(|(of, _)| of != record)
                    && let Some((of, found)) = current.replace((record.clone(), Found::default()))
                {
                    self.compare_call(&of, &found, open, report);
                }
                if let Some((_, found)) = &mut current {
                    found.add(&place, piece.key, &piece.sealed);
                }
                at = place;
            }
            if i64::try_from(count).unwrap_or(ROWS) < ROWS {
                break;
            }
        }
        if let Some((of, found)) = current {
            self.compare_call(&of, &found, open, report);
        }
        let mut lost: Vec<(i64, RecordId)> = self
            .sealed
            .iter()
            .filter(|(_, (_, sealed))| sealed.request.is_some() || sealed.response.is_some())
            .map(|(id, (seq, _))| (*seq, *id))
            .collect();
        lost.sort_unstable();
        for (seq, id) in lost {
            report.add(Some(seq), Some(id), What::ContentsLost);
        }
        Ok(())
    }

    /// Events that the next sidecar takes into the log count, too: their changes were made.
    async fn read_waiting(&mut self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let rows = sqlx::query("SELECT body FROM pending_events");
        for row in rows.fetch_all(connection).await? {
            let body: Vec<u8> = row.try_get("body")?;
            let record = serde_json::from_slice::<AuditRecord<'_>>(&body).ok();
            let event = record.and_then(|record| record.event);
            self.told.extend(event.and_then(|event| Told::read(&event)));
        }
        Ok(())
    }

    async fn compare_keys(
        &self,
        connection: &mut AnyConnection,
        report: &mut Report,
    ) -> Result<(), sqlx::Error> {
        let keys = tables::keys(connection).await?;
        let keys: HashMap<u64, StoredKey> = keys.into_iter().map(|key| (key.id, key)).collect();
        let mut calls: Vec<_> = self.sealed.iter().collect();
        calls.sort_unstable_by_key(|(_, (seq, _))| *seq);
        for (id, (seq, sealed)) in calls {
            let mut is_destroyed = false;
            for named in &sealed.keys {
                let state = keys
                    .get(&named.id)
                    .map(|key| self.state(key, &named.sha256));
                match state {
                    Some(State::Right) => {}
                    Some(State::Destroyed) => is_destroyed = true,
                    Some(State::Wrong) | None => {
                        let what = What::ContentsKey(named.id);
                        report.add(Some(*seq), Some(*id), what);
                    }
                }
            }
            report.destroyed += u64::from(is_destroyed);
        }
        Ok(())
    }

    fn state(&self, key: &StoredKey, sha256: &str) -> State {
        match (&key.wrapped, &key.destroyed_by) {
            (Some(wrapped), None) if tables::sha256(wrapped) == sha256 => State::Right,
            (None, Some(by)) => {
                let mut told = self.told.iter();
                let is_told = told.any(|told| told.has(key.id, &key.department, &key.day, by));
                if is_told {
                    State::Destroyed
                } else {
                    State::Wrong
                }
            }
            _ => State::Wrong,
        }
    }

    fn compare_call(
        &mut self,
        record: &[u8],
        found: &Found,
        open: &HashSet<RecordId>,
        report: &mut Report,
    ) {
        let id = RecordId::from_slice(record);
        match id.and_then(|id| self.sealed.remove(&id)) {
            Some((seq, sealed)) => {
                let keys: HashSet<u64> = sealed.keys.iter().map(|key| key.id).collect();
                let is_right = !found.is_odd
                    && fits(&found.request, sealed.request.as_ref())
                    && fits(&found.response, sealed.response.as_ref())
                    && found.keys == keys;
                if !is_right {
                    report.add(Some(seq), id, What::ContentsChanged);
                }
            }
            None if id.is_some_and(|id| open.contains(&id) || self.gone.contains(&id)) => {}
            None => report.add(None, id, What::ContentsUnknown),
        }
    }
}

enum State {
    Right,
    Destroyed,
    Wrong,
}

impl Found {
    fn add(&mut self, (_, half, number): &At, key: u64, sealed: &[u8]) {
        let sum = match half {
            1 => &mut self.request,
            2 => &mut self.response,
            _ => {
                self.is_odd = true;
                return;
            }
        };
        self.is_odd |= i64::from(sum.pieces) != *number;
        sum.add(sealed);
        self.keys.insert(key);
    }
}

fn fits(sum: &Sum, expected: Option<&SealedHalf>) -> bool {
    match expected {
        Some(expected) => sum.pieces == expected.pieces && sum.sha256() == expected.sha256,
        None => sum.pieces == 0,
    }
}
