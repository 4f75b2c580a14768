//! Records as JSON, what all records of a call have in common written once.

use sekisho_domain::AuditRecord;
use serde::Serialize;

use crate::{Passage, call, caller};

/// What a usual record takes, so that its buffer seldom grows.
const RECORD_BYTES: usize = 1024;

/// Where a record that names nobody and nothing has room for them. What stands before it is
/// of the gateway's own making, so this is the first place that looks so.
const ROOM: &[u8] = b"\"call\":{}";

/// Who called and what, as it stands in every record of a call: its members `caller` and
/// `call`.
#[derive(Clone, Debug, Default)]
pub struct About(Vec<u8>);

impl About {
    /// Of a call whose passage says by now all that its records shall say.
    #[must_use]
    pub fn new(passage: &Passage) -> Self {
        let mut json = Vec::with_capacity(RECORD_BYTES);
        let caller = caller(passage);
        if !caller.is_unknown() {
            json.extend_from_slice(b"\"caller\":");
            write(&mut json, &caller);
            json.push(b',');
        }
        json.extend_from_slice(b"\"call\":");
        write(&mut json, &call(passage));
        Self(json)
    }

    /// The JSON of a record that itself names nobody and nothing.
    pub(crate) fn record(&self, record: &AuditRecord<'_>) -> Vec<u8> {
        let mut rest = Vec::with_capacity(RECORD_BYTES);
        write(&mut rest, record);
        let room = rest.windows(ROOM.len()).position(|bytes| bytes == ROOM);
        let Some((before, after)) = room.and_then(|at| rest.split_at_checked(at)) else {
            return rest;
        };
        let after = after.get(ROOM.len()..).unwrap_or_default();
        [before, &self.0, after].concat()
    }
}

/// Strings, numbers and units only: encoding cannot fail.
fn write(json: &mut Vec<u8>, part: &impl Serialize) {
    if serde_json::to_writer(&mut *json, part).is_err() {
        json.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_domain::{RecordId, RecordKind, UnixMillis};

    #[test]
    fn a_record_is_written_as_if_it_were_in_one_piece() {
        let named = Passage {
            department: "\"call\":{}".into(),
            path: "/v1/\"call\":{}".into(),
            method: "POST".into(),
            ..Passage::default()
        };
        for passage in [named, Passage::default()] {
            let begun = || AuditRecord::new(RecordKind::Admit, RecordId([9; 16]), UnixMillis(12));
            let mut whole = begun();
            whole.caller = caller(&passage);
            whole.call = call(&passage);
            let written = About::new(&passage).record(&begun());
            assert_eq!(written, serde_json::to_vec(&whole).unwrap());
        }
    }
}
