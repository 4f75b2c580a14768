//! Records on the wire, written as they come: what a general encoder takes of memory for each of
//! them and each of their parts, and takes again when it measures them, costs more than the
//! writing.

use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use sekisho_domain::RecordId;

use crate::v1::contents::Half;
use crate::v1::entry::Kind;

/// Number of `Up.entries`.
const ENTRIES: u32 = 3;
/// Number of `Up.contents`.
const CONTENTS: u32 = 8;
/// Numbers of `Contents`, whose first is the call.
const CALL: u32 = 1;
const HALF: u32 = 2;
const NUMBER: u32 = 3;
const PIECE: u32 = 4;
/// Numbers of `Entry`.
const KIND: u32 = 1;
const RECORD_ID: u32 = 2;
const RECORD: u32 = 3;
const RESERVATIONS: u32 = 4;
/// Numbers of `Reservation`.
const HOLDER: u32 = 1;
const BUDGET: u32 = 2;
const WINDOW_START: u32 = 3;
const RESERVED: u32 = 4;
const USED: u32 = 5;

/// What a record says of a part of a lease that was set aside for its call: a `Reservation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved<'a> {
    /// Which lease, as [`lease`] writes it.
    pub lease: &'a [u8],
    /// How much was set aside, in the budget's unit.
    pub reserved: u64,
    /// How much of it was used.
    pub used: u64,
}

/// Writes down which lease: its holder, its budget by the name of its counter, and the start of
/// the budget's window in Unix milliseconds.
#[must_use]
pub fn lease(holder: &[u8; 16], budget: &str, window_start: u64) -> Box<[u8]> {
    let mut out = Vec::new();
    bytes(HOLDER, holder, &mut out);
    bytes(BUDGET, budget.as_bytes(), &mut out);
    number(WINDOW_START, window_start, &mut out);
    out.into_boxed_slice()
}

/// Appends an entry of `Up`.
pub(crate) fn write<'a>(
    out: &mut Vec<u8>,
    kind: Kind,
    record_id: &RecordId,
    record: &[u8],
    reservations: impl Iterator<Item = Reserved<'a>> + Clone,
) {
    let inner = |reserved: Reserved<'_>| field_len(reserved.len());
    let length = field_len(record_id.0.len())
        + field_len(record.len())
        + number_len(kind as u64)
        + reservations.clone().map(inner).sum::<usize>();
    encode_key(ENTRIES, WireType::LengthDelimited, out);
    encode_varint(length as u64, out);
    number(KIND, kind as u64, out);
    bytes(RECORD_ID, &record_id.0, out);
    bytes(RECORD, record, out);
    for reserved in reservations {
        encode_key(RESERVATIONS, WireType::LengthDelimited, out);
        encode_varint(reserved.len() as u64, out);
        out.extend_from_slice(reserved.lease);
        number(RESERVED, reserved.reserved, out);
        number(USED, reserved.used, out);
    }
}

/// Appends a piece of what is kept of a body.
pub(crate) fn write_contents(
    out: &mut Vec<u8>,
    record_id: &RecordId,
    half: Half,
    count: u32,
    piece: &[u8],
) {
    let length = field_len(record_id.0.len())
        + number_len(half as u64)
        + number_len(count.into())
        + field_len(piece.len());
    encode_key(CONTENTS, WireType::LengthDelimited, out);
    encode_varint(length as u64, out);
    bytes(CALL, &record_id.0, out);
    number(HALF, half as u64, out);
    number(NUMBER, count.into(), out);
    bytes(PIECE, piece, out);
}

impl Reserved<'_> {
    fn len(&self) -> usize {
        self.lease.len() + number_len(self.reserved) + number_len(self.used)
    }
}

/// What a field of so many bytes takes. All our fields have numbers whose key is one byte; an
/// empty field is written as well, which means the same.
const fn field_len(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

/// What a number takes; 0 is the default, which is not written.
const fn number_len(value: u64) -> usize {
    match value {
        0 => 0,
        value => 1 + encoded_len_varint(value),
    }
}

fn bytes(field: u32, value: &[u8], out: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

fn number(field: u32, value: u64, out: &mut Vec<u8>) {
    if value > 0 {
        encode_key(field, WireType::Varint, out);
        encode_varint(value, out);
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::v1;

    #[test]
    fn the_sidecar_reads_what_was_written() {
        let long = "営".repeat(100);
        let several = [
            ("a", 0, 0, 0),
            (&long, 1_795_000_000_000, u64::MAX, 127),
            ("", 1, 128, 16_384),
        ];
        let leases = several.map(|(budget, start, ..)| lease(&[7; 16], budget, start));
        let mut up = v1::Up::default();
        let mut out = Vec::new();
        for (nth, kind) in [
            Kind::Unspecified,
            Kind::Admit,
            Kind::Complete,
            Kind::Refuse,
            Kind::Extend,
        ]
        .into_iter()
        .enumerate()
        {
            for (id, size) in [(0, 0), (9, 1), (255, 127), (1, 128), (2, 70_000)] {
                let (id, record) = (RecordId([id; 16]), vec![b'r'; size]);
                let several = &several[..nth.min(several.len())];
                let held = several.iter().zip(&leases);
                let held = held.map(|((_, _, reserved, used), lease)| Reserved {
                    lease,
                    reserved: *reserved,
                    used: *used,
                });
                write(&mut out, kind, &id, &record, held);
                let reservations = several
                    .iter()
                    .map(|(budget, window_start, reserved, used)| v1::Reservation {
                        holder: vec![7; 16].into(),
                        budget: (*budget).to_owned(),
                        window_start: *window_start,
                        reserved: *reserved,
                        used: *used,
                    });
                up.entries.push(v1::Entry {
                    kind: kind.into(),
                    record_id: id.0.to_vec().into(),
                    record: record.into(),
                    reservations: reservations.collect(),
                });
            }
        }
        for (half, count, size) in [
            (Half::Request, 0, 0),
            (Half::Response, 1, 127),
            (Half::Unspecified, u32::MAX, 40_000),
        ] {
            let (id, piece) = (RecordId([3; 16]), vec![b'p'; size]);
            write_contents(&mut out, &id, half, count, &piece);
            up.contents.push(v1::Contents {
                record_id: id.0.to_vec().into(),
                half: half.into(),
                number: count,
                piece: piece.into(),
            });
        }
        assert_eq!(v1::Up::decode(out.as_slice()).unwrap(), up);
    }
}
