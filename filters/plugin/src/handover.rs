//! What one module of a chain hands on to the next, through the proxy's filter state.
//!
//! Filter state cannot be written by clients, unlike headers. The property has one
//! segment: Envoy makes names of several segments unreadable. It is MessagePack, members by
//! their names: every call writes it, and JSON would cost it several times as much.

use sekisho_audit::Passage;
use sekisho_domain::{Micros, Usage};
use sekisho_providers::Edit;
use sekisho_quota::Reservation;
use serde::{Deserialize, Serialize};

use crate::host;

const PASSAGE: &str = "sekisho";
const USED: &str = "sekisho_used";

/// A call as the modules before this one left it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Handover {
    pub(crate) passage: Passage,
    pub(crate) reservations: Vec<Reservation>,
    /// The model as the client wrote it, if that is not the name under which it is offered.
    pub(crate) written: String,
    /// What makes the stream report usage that its client has not asked for.
    pub(crate) ask: Option<Edit>,
}

/// What a call used in the end; `None`: it never went upstream.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Used(pub(crate) Option<(Usage, Micros)>);

impl Handover {
    /// What was handed to this module.
    pub(crate) fn read() -> Option<Self> {
        decode(&host::property(PASSAGE)?)
    }

    /// Hands it to the next.
    pub(crate) fn write(&self) {
        host::set_property(PASSAGE, &encode(self));
    }
}

impl Used {
    /// What a later module has said, if it has.
    pub(crate) fn read() -> Option<Self> {
        decode(&host::property(USED)?)
    }

    /// Tells the earlier modules.
    pub(crate) fn write(self) {
        host::set_property(USED, &encode(&self));
    }
}

/// What a handover takes, so that its buffer seldom grows.
const USUAL_BYTES: usize = 1024;

/// Texts, numbers and lists only: encoding cannot fail. Nothing is what no module reads.
fn encode(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
    if value.serialize(&mut serializer).is_err() {
        bytes.clear();
    }
    bytes
}

fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    rmp_serde::from_slice(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_domain::{RecordId, Tokens, UnixMillis};

    #[test]
    fn the_next_module_reads_what_was_written() {
        let usage = Usage {
            output: Tokens(7),
            ..Usage::default()
        };
        let reservation = serde_json::from_value(serde_json::json!({
            "lease": {"holder": vec![255; 16], "budget": "b", "window_start": 2},
            "meter": "tokens",
            "amount": u64::MAX,
        }));
        let reservation: Reservation = reservation.unwrap();
        let handover = Handover {
            passage: Passage {
                record_id: RecordId([7; 16]),
                received: UnixMillis(1),
                department: "営業部".into(),
                asked_output: Some(3),
                model_span: Some((4, 5)),
                stream: true,
                worst: usage,
                ..Passage::default()
            },
            reservations: vec![reservation],
            written: "gpt-4o-latest".to_owned(),
            ask: None,
        };
        let read: Handover = decode(&encode(&handover)).unwrap();
        assert_eq!(format!("{read:?}"), format!("{handover:?}"));
        for used in [Used(None), Used(Some((usage, Micros(9))))] {
            let read: Used = decode(&encode(&used)).unwrap();
            assert_eq!(read.0, used.0);
        }
    }

    #[test]
    fn what_is_cut_short_or_nothing_is_not_read() {
        let whole = encode(&Handover::default());
        for length in 0..whole.len() {
            assert!(decode::<Handover>(whole.get(..length).unwrap()).is_none());
        }
    }
}
