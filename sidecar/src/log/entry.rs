//! One entry as it comes over Link, checked and read once.

use prost::bytes::Bytes;
use sekisho_domain::record::SCHEMA;
use sekisho_domain::{
    AuditRecord, BudgetId, Covered, Micros, Outcome, Policy, RecordId, RecordKind, UnixMillis,
    Usage, UsageSource,
};
use sekisho_link::v1;
use sekisho_providers::operations;

use super::tree::{Hash, leaf_hash};
use crate::ledger::{Asked, HolderId};

/// Largest record, bytes: what an entry of an archive can hold. Records hold no contents of
/// calls.
pub const MOST_BYTES: usize = u16::MAX as usize;

/// Why an entry is not a record.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// It has no kind that this release knows.
    #[error("an entry of unknown kind")]
    Kind,
    /// Its id is not 16 bytes.
    #[error("a record id that is not 16 bytes")]
    Id,
    /// Over [`MOST_BYTES`].
    #[error("a record of {0} bytes")]
    Size(usize),
    /// Not JSON of the schema.
    #[error("record `{id}` is not of schema `{SCHEMA}`")]
    Schema {
        /// The entry's id.
        id: RecordId,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The record says something else than its envelope.
    #[error("record `{0}` contradicts its envelope")]
    Envelope(RecordId),
    /// A piece of a body that is too large, or belongs nowhere.
    #[error("record `{0}` has a piece of a body that is none")]
    Contents(RecordId),
    /// A reservation names no holder, or more than can be counted.
    #[error("record `{0}` has a reservation that is none")]
    Reservation(RecordId),
}

/// What of a record is kept beside its body for searching.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// Directory tenant.
    pub tenant: Option<String>,
    /// Object id.
    pub object_id: Option<String>,
    /// The company's id of the person.
    pub user: Option<String>,
    /// Department code.
    pub department: Option<String>,
    /// API of the policy.
    pub api: Option<String>,
    /// Model that was asked for.
    pub model: Option<String>,
    /// Denial code.
    pub denial: Option<String>,
    /// Name of an event.
    pub event: Option<String>,
    /// How a call or what an event tells of has ended.
    pub outcome: Option<String>,
}

impl Index {
    /// What a record says.
    #[must_use]
    pub fn of(record: &AuditRecord<'_>) -> Self {
        let text = |text: &Option<std::borrow::Cow<'_, str>>| {
            text.as_ref().map(|text| text.clone().into_owned())
        };
        Self {
            tenant: text(&record.caller.tenant),
            object_id: text(&record.caller.object_id),
            user: text(&record.caller.user),
            department: text(&record.caller.department),
            api: text(&record.call.api),
            model: text(&record.call.model),
            denial: record.denial.map(|code| code.as_str().to_owned()),
            event: record
                .event
                .as_ref()
                .map(|event| event.name.clone().into_owned()),
            outcome: outcome(record).map(str::to_owned),
        }
    }
}

fn outcome(record: &AuditRecord<'_>) -> Option<&'static str> {
    let of_event = record.event.as_ref().map(|event| event.outcome.as_str());
    of_event.or(record.outcome.map(Outcome::as_str))
}

/// A checked record.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Which moment.
    pub kind: RecordKind,
    /// Which call.
    pub id: RecordId,
    /// When.
    pub at: UnixMillis,
    /// Its hash as a leaf.
    pub leaf: Hash,
    /// Its bytes.
    pub body: Bytes,
    /// What it can be found by.
    pub index: Index,
    /// Usage, if it says.
    pub usage: Option<Usage>,
    /// Where that comes from.
    pub source: UsageSource,
    /// Cost, if it says.
    pub cost: Option<Micros>,
    /// HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// By which subscription key.
    pub key: Option<String>,
    /// Which operation of the catalogue.
    pub operation: Option<String>,
    /// What was set aside for the call.
    pub asked: Vec<Asked>,
}

impl Recorded {
    /// Checks an entry.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn new(entry: v1::Entry) -> Result<Self, Malformed> {
        let kind = match entry.kind() {
            v1::entry::Kind::Admit => RecordKind::Admit,
            v1::entry::Kind::Complete => RecordKind::Complete,
            v1::entry::Kind::Refuse => RecordKind::Refuse,
            v1::entry::Kind::Extend | v1::entry::Kind::Unspecified => {
                return Err(Malformed::Kind);
            }
        };
        let id = RecordId::from_slice(&entry.record_id).ok_or(Malformed::Id)?;
        let recorded = Self::read(kind, id, entry.record)?;
        let asked = all_asked(id, entry.reservations)?;
        Ok(Self { asked, ..recorded })
    }

    /// Checks a record against its envelope.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn read(kind: RecordKind, id: RecordId, body: Bytes) -> Result<Self, Malformed> {
        if body.len() > MOST_BYTES {
            return Err(Malformed::Size(body.len()));
        }
        let record: AuditRecord<'_> =
            serde_json::from_slice(&body).map_err(|source| Malformed::Schema { id, source })?;
        let is_event = record.kind == RecordKind::Event;
        if record.kind != kind
            || record.record_id != id
            || record.schema != SCHEMA
            || record.event.is_some() != is_event
            || record.sealed.is_some() != (record.kind == RecordKind::Contents)
        {
            return Err(Malformed::Envelope(id));
        }
        let (at, index) = (record.at, Index::of(&record));
        let (usage, cost, status) = (record.usage, record.cost_micros, record.status);
        let source = record.usage_source.unwrap_or_default();
        let key = record.caller.key.map(std::borrow::Cow::into_owned);
        let operation = record.call.operation.map(std::borrow::Cow::into_owned);
        Ok(Self {
            kind,
            id,
            at,
            leaf: leaf_hash(&body),
            body,
            index,
            usage,
            source,
            cost,
            status,
            key,
            operation,
            asked: Vec::new(),
        })
    }

    /// A record that the sidecar itself makes.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn of_own(record: &AuditRecord<'_>) -> Result<Self, serde_json::Error> {
        let body = Bytes::from(serde_json::to_vec(record)?);
        Ok(Self {
            kind: record.kind,
            id: record.record_id,
            at: record.at,
            leaf: leaf_hash(&body),
            body,
            index: Index::of(record),
            usage: None,
            source: UsageSource::default(),
            cost: None,
            status: None,
            key: record.caller.key.clone().map(std::borrow::Cow::into_owned),
            operation: None,
            asked: Vec::new(),
        })
    }

    /// Whether the call was admitted but refused before it went upstream: the completion
    /// names a denial, and nothing is charged.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        self.kind == RecordKind::Complete && self.index.denial.is_some()
    }

    /// What later records of the call are charged by.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Facts {
            at: self.at,
            department: text(&self.index.department),
            user: text(&self.index.user),
            key: text(&self.key),
            api: text(&self.index.api),
            operation: text(&self.operation),
            model: text(&self.index.model),
            worst: self.usage.unwrap_or_default(),
            worst_cost: self.cost,
        }
    }
}

/// Checks an entry that is no record: how much is set aside for which call by now.
///
/// # Errors
/// [`Malformed`].
pub(crate) fn extension(entry: v1::Entry) -> Result<(RecordId, Vec<Asked>), Malformed> {
    let id = RecordId::from_slice(&entry.record_id).ok_or(Malformed::Id)?;
    Ok((id, all_asked(id, entry.reservations)?))
}

fn all_asked(id: RecordId, all: Vec<v1::Reservation>) -> Result<Vec<Asked>, Malformed> {
    let all = all.into_iter();
    all.map(|reservation| asked(reservation).ok_or(Malformed::Reservation(id)))
        .collect()
}

fn asked(reservation: v1::Reservation) -> Option<Asked> {
    i64::try_from(reservation.reserved).ok()?;
    i64::try_from(reservation.window_start).ok()?;
    Some(Asked {
        holder: HolderId(reservation.holder.as_ref().try_into().ok()?),
        budget: BudgetId(reservation.budget),
        window_start: UnixMillis(reservation.window_start),
        amount: reservation.reserved,
    })
}

/// What an admitted call is charged by, whatever its completion says about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// When it was admitted: its day, and the price in force.
    pub at: UnixMillis,
    /// Who pays.
    pub department: String,
    /// Who called.
    pub user: String,
    /// By which subscription key.
    pub key: String,
    /// What was called.
    pub api: String,
    /// Which operation of its provider's catalogue.
    pub operation: String,
    /// Which model.
    pub model: String,
    /// The most that it can use.
    pub worst: Usage,
    /// The most that it can cost, by the worker's account.
    pub worst_cost: Option<Micros>,
}

impl Facts {
    /// What decides by which budgets the call is covered.
    #[must_use]
    pub fn covered<'f>(&'f self, policy: &Policy) -> Covered<'f> {
        let api = policy.apis.iter().find(|api| api.id.as_str() == self.api);
        let of_provider = api.map(|api| operations(api.provider));
        let mut known = of_provider.into_iter().flatten();
        let operation = known.find(|operation| operation.name == self.operation);
        Covered {
            department: &self.department,
            user: &self.user,
            key: &self.key,
            api: &self.api,
            model: &self.model,
            modality: operation.map(|operation| operation.modality),
        }
    }

    /// What `usage` of this call costs by the price book; `stated` where that has no price.
    #[must_use]
    pub fn cost(
        &self,
        policy: &Policy,
        usage: &Usage,
        source: UsageSource,
        stated: Option<Micros>,
    ) -> Micros {
        let api = policy.apis.iter().find(|api| api.id.as_str() == self.api);
        let price = api.and_then(|api| policy.price(api, &self.model, self.at));
        match price {
            Some(price) => price.charge(usage, source),
            None => stated.or(self.worst_cost).unwrap_or_default(),
        }
    }

    /// The most that it can cost.
    #[must_use]
    pub fn most(&self, policy: &Policy) -> Micros {
        self.cost(policy, &self.worst, UsageSource::Estimated, self.worst_cost)
    }

    /// What a call is charged that ended so: what it states, or its worst case if it
    /// states nothing. An error of the provider costs nothing.
    #[must_use]
    pub fn charged(&self, policy: &Policy, end: &Recorded) -> (Usage, UsageSource, Micros) {
        let (usage, source) = match end.usage {
            Some(usage) => (usage, end.source),
            None => (self.worst, UsageSource::Estimated),
        };
        if end.status.is_some_and(|status| status >= 400) {
            return (usage, source, Micros(0));
        }
        (usage, source, self.cost(policy, &usage, source, end.cost))
    }
}
