//! What the sidecar itself puts on record: who changed what, and what other systems tell.
//!
//! A change of the database and its event are one transaction: the change's transaction
//! leaves the event in [`pending`](crate::store::pending), and the writer takes it into the
//! log. Whatever changes nothing in the database is recorded by
//! [`Writer::record`](crate::writer::Writer::record) before it is done.

use std::borrow::Cow;

use sekisho_domain::event::OWN_SOURCE;
use sekisho_domain::record::Caller;
use sekisho_domain::{AuditRecord, Event, EventOutcome, RecordId, RecordKind, UnixMillis};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::log::Recorded;

/// Longest name of an event, bytes.
pub const MOST_NAME: usize = 64;
/// Longest target, bytes.
pub const MOST_TARGET: usize = 256;
/// Longest detail, bytes.
pub const MOST_DETAIL: usize = 1024;
/// Largest `before` or `after`, bytes of JSON. A larger one is on record as its size and
/// SHA-256.
pub const MOST_STATE: usize = 16 * 1024;

/// Deepest nesting of `before` or `after` that is on record as it is.
pub const MOST_DEPTH: usize = 32;

/// Somebody who does something now, and whose doing is put on record.
#[derive(Clone, Debug)]
pub struct Author {
    caller: Caller<'static>,
    at: UnixMillis,
    seed: [u8; 32],
    told: u64,
}

impl Author {
    /// `seed`: random bytes, from which the ids of the events follow.
    #[must_use]
    pub const fn new(caller: Caller<'static>, at: UnixMillis, seed: [u8; 32]) -> Self {
        Self {
            caller,
            at,
            seed,
            told: 0,
        }
    }

    /// A program that nobody has signed in to: a command, or the sidecar at its start.
    #[must_use]
    pub fn program(name: &'static str, at: UnixMillis, seed: [u8; 32]) -> Self {
        let caller = Caller {
            application: Some(name.into()),
            ..Caller::default()
        };
        Self::new(caller, at, seed)
    }

    /// When it is done.
    #[must_use]
    pub const fn at(&self) -> UnixMillis {
        self.at
    }

    /// Who it is, as records say it.
    #[must_use]
    pub const fn caller(&self) -> &Caller<'static> {
        &self.caller
    }

    /// Who it is, as one text: tenant and object id, or the program.
    #[must_use]
    pub fn identity(&self) -> String {
        let caller = &self.caller;
        match (&caller.tenant, &caller.object_id) {
            (Some(tenant), Some(object_id)) => format!("{tenant}/{object_id}"),
            _ => caller.application.as_deref().unwrap_or_default().to_owned(),
        }
    }

    /// An event of this author that is yet to be described.
    pub fn tell(&mut self, name: impl Into<Cow<'static, str>>, target: &str) -> Telling {
        let random = Sha256::new()
            .chain_update(self.seed)
            .chain_update(self.told.to_be_bytes())
            .finalize();
        let random = random.first_chunk().copied().unwrap_or_default();
        self.told += 1;
        let id = RecordId::v7(self.at, random);
        Telling::new(id, self.at, self.caller.clone(), name.into(), target)
    }
}

/// An event that is being described.
#[derive(Clone, Debug)]
pub struct Telling {
    id: RecordId,
    at: UnixMillis,
    caller: Caller<'static>,
    event: Event<'static>,
}

impl Telling {
    fn new(
        id: RecordId,
        at: UnixMillis,
        caller: Caller<'static>,
        name: Cow<'static, str>,
        target: &str,
    ) -> Self {
        Self {
            id,
            at,
            caller,
            event: Event {
                source: Cow::Borrowed(OWN_SOURCE),
                name: Cow::Owned(cut(&name, MOST_NAME)),
                target: (!target.is_empty()).then(|| Cow::Owned(cut(target, MOST_TARGET))),
                occurred_at: None,
                before: None,
                after: None,
                outcome: EventOutcome::Success,
                detail: None,
            },
        }
    }

    /// The record has this id: telling the same again adds nothing.
    #[must_use]
    pub const fn under(mut self, id: RecordId) -> Self {
        self.id = id;
        self
    }

    /// To whom or what it happened.
    #[must_use]
    pub fn about(mut self, target: &str) -> Self {
        self.event.target = Some(Cow::Owned(cut(target, MOST_TARGET)));
        self
    }

    /// The id of its record.
    #[must_use]
    pub const fn id(&self) -> RecordId {
        self.id
    }

    /// What it says by now.
    #[must_use]
    pub const fn event(&self) -> &Event<'static> {
        &self.event
    }

    /// Another system tells it, not the sidecar.
    #[must_use]
    pub fn from(mut self, source: &str, occurred_at: Option<UnixMillis>) -> Self {
        self.event.source = Cow::Owned(cut(source, MOST_NAME));
        self.event.occurred_at = occurred_at;
        self
    }

    /// What it was.
    #[must_use]
    pub fn before(mut self, state: Option<Value>) -> Self {
        self.event.before = state.map(bounded);
        self
    }

    /// What it is from now on.
    #[must_use]
    pub fn after(mut self, state: Option<Value>) -> Self {
        self.event.after = state.map(bounded);
        self
    }

    /// How it ended; otherwise: well.
    #[must_use]
    pub const fn outcome(mut self, outcome: EventOutcome) -> Self {
        self.event.outcome = outcome;
        self
    }

    /// More about it.
    #[must_use]
    pub fn detail(mut self, detail: &str) -> Self {
        self.event.detail = Some(Cow::Owned(cut(detail, MOST_DETAIL)));
        self
    }

    /// The record.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn record(self) -> Result<Recorded, serde_json::Error> {
        let mut record = AuditRecord::new(RecordKind::Event, self.id, self.at);
        record.caller = self.caller;
        record.event = Some(Box::new(self.event));
        Recorded::of_own(&record)
    }
}

/// The text, or as much of its beginning as may be on record.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most)
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}

/// The state, or what can be said about one that is too large.
fn bounded(state: Value) -> Value {
    let bytes = state.to_string().into_bytes();
    if bytes.len() <= MOST_STATE && is_shallow(&state, MOST_DEPTH) {
        return state;
    }
    json!({"bytes": bytes.len(), "sha256": digest(&bytes)})
}

/// Whether nothing in it is nested deeper than this: readers of records end at some depth.
#[must_use]
pub fn is_shallow(state: &Value, depth: usize) -> bool {
    let inside = |mut values: Box<dyn Iterator<Item = &Value> + '_>| match depth.checked_sub(1) {
        Some(depth) => values.all(|value| is_shallow(value, depth)),
        None => false,
    };
    match state {
        Value::Array(values) => inside(Box::new(values.iter())),
        Value::Object(members) => inside(Box::new(members.values())),
        _ => true,
    }
}

/// SHA-256 in hexadecimal digits.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::entry::MOST_BYTES;

    fn author() -> Author {
        Author::program("test", UnixMillis(1_000), [7; 32])
    }

    #[test]
    fn every_event_has_an_id_of_its_own_that_follows_from_the_seed() {
        let ids = |mut author: Author| {
            let mut id = || author.tell("a.b", "t").record().unwrap().id;
            [id(), id()]
        };
        let [first, second] = ids(author());
        assert_ne!(first, second);
        assert_eq!(ids(author()), [first, second]);
    }

    #[test]
    fn whatever_is_told_fits_into_a_record() {
        let long = "関".repeat(40_000);
        let state = || Some(json!({"x": long}));
        let told = author().tell(long.clone(), &long);
        let told = told.from(&long, None).before(state()).after(state());
        let recorded = told.detail(&long).record().unwrap();
        assert!(recorded.body.len() < MOST_BYTES / 4);
        let record: AuditRecord<'_> = serde_json::from_slice(&recorded.body).unwrap();
        let event = record.event.unwrap();
        assert_eq!(event.target.unwrap().len(), 255);
        assert_eq!(event.after.unwrap()["bytes"], 120_008);
    }

    #[test]
    fn what_is_nested_too_deep_for_readers_is_on_record_as_its_digest() {
        let nested = |depth| (0..depth).fold(json!(1), |inside, _| json!([inside]));
        assert!(is_shallow(&nested(MOST_DEPTH), MOST_DEPTH));
        let told = author().tell("a", "").after(Some(nested(120)));
        let recorded = told.record().unwrap();
        let record: AuditRecord<'_> = serde_json::from_slice(&recorded.body).unwrap();
        assert_eq!(record.event.unwrap().after.unwrap()["bytes"], 241);
    }

    #[test]
    fn the_largest_states_that_are_kept_whole_fit_together() {
        let text = "\u{1}".repeat(MOST_STATE / 6 - 2);
        let state = || Some(json!(text));
        let detail = "\u{1}".repeat(MOST_DETAIL);
        let told = author().tell("a", &detail).before(state()).after(state());
        let recorded = told.detail(&detail).record().unwrap();
        assert!(recorded.body.len() <= MOST_BYTES, "{}", recorded.body.len());
        let record: AuditRecord<'_> = serde_json::from_slice(&recorded.body).unwrap();
        assert_eq!(record.event.unwrap().before, state());
    }

    #[test]
    fn who_has_signed_in_is_named_by_account_and_a_program_by_its_name() {
        assert_eq!(author().identity(), "test");
        let caller = Caller {
            tenant: Some("t".into()),
            object_id: Some("o".into()),
            application: Some("app".into()),
            ..Caller::default()
        };
        let author = Author::new(caller, UnixMillis(1), [0; 32]);
        assert_eq!(author.identity(), "t/o");
    }
}
