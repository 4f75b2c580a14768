//! What must be in the log of calls, and what must not.

use sekisho_domain::Policy;
use sekisho_domain::policy::AuditMode;
use serde_json::Value;

use super::{RunError, Runner, TRIES};
use crate::gateway::{Disturbance, Exchange};
use crate::scenario::judge::{self, header};
use crate::sidecar::{LogRecord, SidecarError};

/// Where the record of a call is named.
const RECORD: &str = "x-sekisho-record";

impl Runner<'_> {
    /// The records of one call: by the id that the answer named, or else those of the first
    /// call that came into the log since.
    pub(super) fn records_of(
        &self,
        id: Option<&str>,
        before: u64,
    ) -> Result<Vec<Value>, SidecarError> {
        let records = self.gateway.sidecar().records()?;
        let of = |record: &LogRecord| record_id(&record.record).map(str::to_owned);
        let id = id.map(str::to_owned).or_else(|| {
            records
                .iter()
                .filter(|record| record.place >= before)
                .find_map(of)
        });
        let own = records.into_iter().filter(|record| of(record) == id);
        Ok(own.map(|record| record.record).collect())
    }

    /// The promise of strict audit: when the provider saw the call, its admit was durable.
    pub(super) fn admitted_before(
        &self,
        id: Option<&str>,
        exchange: &Exchange,
    ) -> Result<Vec<String>, SidecarError> {
        let (Some(id), Some(seen)) = (id, exchange.seen.first()) else {
            return Ok(Vec::new());
        };
        let sidecar = self.gateway.sidecar();
        let records = sidecar.records()?;
        let admit = records.iter().find(|record| {
            record_id(&record.record) == Some(id)
                && record.record.get("kind").and_then(Value::as_str) == Some("admit")
        });
        let late = match admit {
            Some(admit) if !is_strict(sidecar.policy(), &admit.record) => false,
            Some(admit) => admit.place >= seen.log_size,
            None => false,
        };
        Ok(if late {
            vec!["the provider saw the call before its admit was durable".to_owned()]
        } else {
            Vec::new()
        })
    }

    /// What must hold when all is over: whatever was answered is on record, every admit has
    /// its end, and the log verifies.
    pub(super) fn finish(&mut self) -> Result<Vec<String>, RunError> {
        self.gateway.disturb(Disturbance::Resume)?;
        let mut wrong = Vec::new();
        for _ in 0..TRIES {
            wrong = self.unfinished()?;
            if wrong.is_empty() {
                break;
            }
            self.gateway.wait();
        }
        match self.gateway.sidecar().verify() {
            Ok(()) => {}
            Err(error @ SidecarError::Verify(_)) => wrong.push(error.to_string()),
            Err(error) => return Err(error.into()),
        }
        wrong.extend(self.given_away()?);
        Ok(wrong)
    }

    /// Where a provider's secret stands that is no place for it.
    fn given_away(&self) -> Result<Vec<String>, SidecarError> {
        let mut exposed = self.gateway.exposed();
        let records = self.gateway.sidecar().records()?;
        let records = records.iter().map(|record| record.record.to_string());
        exposed.push(("the audit log", records.collect()));
        Ok(judge::given_away(&exposed))
    }

    fn unfinished(&self) -> Result<Vec<String>, SidecarError> {
        let records = self.gateway.sidecar().records()?;
        let has = |id: &str, kind: Option<&str>| {
            records.iter().any(|record| {
                record_id(&record.record) == Some(id)
                    && kind.is_none_or(|kind| {
                        record.record.get("kind").and_then(Value::as_str) == Some(kind)
                    })
            })
        };
        let mut wrong = Vec::new();
        for id in &self.named {
            if !has(id, None) {
                wrong.push(format!("call {id} was answered and is not in the log"));
            }
        }
        for record in &records {
            let kind = record.record.get("kind").and_then(Value::as_str);
            let (Some("admit"), Some(id)) = (kind, record_id(&record.record)) else {
                continue;
            };
            // An admit whose call was refused after all is taken back by the refusal.
            if !has(id, Some("complete")) && !has(id, Some("refuse")) {
                let call = record
                    .record
                    .get("call")
                    .map(Value::to_string)
                    .unwrap_or_default();
                wrong.push(format!(
                    "call {id} was admitted and has no end in the log: {call}"
                ));
            }
        }
        Ok(wrong)
    }
}

pub(super) fn record_id(record: &Value) -> Option<&str> {
    record.get("record_id")?.as_str()
}

/// The record that the answer names.
pub(super) fn named_record(exchange: &Exchange) -> Option<String> {
    let headers = &exchange.response.as_ref()?.headers;
    let value = header(headers, RECORD)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

fn is_strict(policy: &Policy, admit: &Value) -> bool {
    let api = admit.pointer("/call/api").and_then(Value::as_str);
    let api = policy
        .apis
        .iter()
        .find(|known| Some(known.id.as_str()) == api);
    api.is_none_or(|api| api.audit == AuditMode::Strict)
}
