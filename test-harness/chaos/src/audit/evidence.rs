//! What is on record, joined with what others saw.

use std::collections::{HashMap, HashSet};

use sekisho::store::Store;
use sekisho_domain::{AuditRecord, RecordId, RecordKind};
use sqlx::Row as _;

use super::report::Counts;
use crate::ChaosError;
use crate::load::Heard;

/// Rows that are read at a time.
const ROWS: i64 = 4096;

/// The records of one call.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    admitted: bool,
    completed: bool,
    refused: bool,
}

/// Everything that is on record.
#[derive(Debug, Default)]
pub(super) struct Log {
    records: HashSet<(RecordId, RecordKind)>,
    /// By the proxy's name of the request.
    calls: HashMap<String, Known>,
    refusals_dropped: u64,
}

impl Log {
    pub(super) async fn read(database: &str) -> Result<Self, ChaosError> {
        let store = Store::open(database).await?;
        let mut log = Self::default();
        let sql = "SELECT seq, body FROM audit_entries WHERE seq > $1 ORDER BY seq LIMIT $2";
        let mut last = -1i64;
        loop {
            let rows = sqlx::query(sql).bind(last).bind(ROWS);
            let rows = rows.fetch_all(store.pool()).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                last = row.try_get("seq")?;
                let body: Vec<u8> = row.try_get("body")?;
                log.add(&serde_json::from_slice(&body)?);
            }
        }
        let sql = "SELECT refusals_dropped FROM audit_tree";
        let row = sqlx::query(sql).fetch_one(store.pool()).await?;
        let dropped: i64 = row.try_get("refusals_dropped")?;
        log.refusals_dropped = dropped.unsigned_abs();
        store.pool().close().await;
        Ok(log)
    }

    fn add(&mut self, record: &AuditRecord<'_>) {
        self.records.insert((record.record_id, record.kind));
        let Some(request) = &record.call.request_id else {
            return;
        };
        let known = self.calls.entry(request.clone().into_owned()).or_default();
        match record.kind {
            RecordKind::Admit => known.admitted = true,
            RecordKind::Complete => known.completed = true,
            RecordKind::Refuse => known.refused = true,
            RecordKind::Event | RecordKind::Contents => {}
        }
    }

    fn of(&self, request: &str) -> Known {
        self.calls.get(request).copied().unwrap_or_default()
    }

    /// Whether a call was admitted and has not ended.
    pub(super) fn is_anything_open(&self) -> bool {
        let has = |id: RecordId, kind| self.records.contains(&(id, kind));
        self.records.iter().any(|(id, kind)| {
            *kind == RecordKind::Admit
                && !has(*id, RecordKind::Complete)
                && !has(*id, RecordKind::Refuse)
        })
    }

    /// How many of these records there are not. Of refusals those do not count that the log only
    /// has the number of.
    pub(super) fn missing(&self, acked: &[(RecordId, RecordKind)]) -> u64 {
        let (mut refusals, mut others) = (0u64, 0u64);
        for record in acked {
            if !self.records.contains(record) {
                let is_refusal = record.1 == RecordKind::Refuse;
                *(if is_refusal {
                    &mut refusals
                } else {
                    &mut others
                }) += 1;
            }
        }
        others + refusals.saturating_sub(self.refusals_dropped)
    }

    /// Counts what must not be: `acked` are records of which a worker was told, `called` the
    /// requests that reached the provider, `heard` what clients did.
    pub(super) fn join(
        &self,
        acked: &[(RecordId, RecordKind)],
        called: &[String],
        heard: &[Heard],
    ) -> Counts {
        let mut counts = Counts {
            acked: acked.len() as u64,
            lost: self.missing(acked),
            provider_calls: called.len() as u64,
            refusals_dropped: self.refusals_dropped,
            ..Counts::default()
        };
        for request in called {
            // Nobody calls a provider before the admit is acknowledged.
            counts.acked += 1;
            if !self.of(request).admitted {
                counts.called_without_admit += 1;
                counts.lost += 1;
            }
        }
        for heard in heard {
            let known = self.of(heard.request.as_deref().unwrap_or_default());
            match (heard.status, heard.whole) {
                (Some(200), true) => {
                    // Nobody ends an answer before its completion is acknowledged.
                    counts.answered += 1;
                    counts.acked += 1;
                    if !(known.admitted && known.completed) {
                        counts.answered_without_record += 1;
                        counts.lost += 1;
                    }
                }
                (Some(200), false) => counts.cut_off += 1,
                (Some(400..500 | 503), _) => {
                    counts.refused += 1;
                    let recorded = known.refused || known.completed;
                    counts.refused_without_record += u64::from(!recorded);
                }
                _ => counts.other += 1,
            }
        }
        counts
    }
}
