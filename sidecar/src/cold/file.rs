//! One file of older records, as Parquet: a row for each record, in the order of the log, with
//! its bytes as they were hashed, and beside them what it can be found by.

mod read;
mod write;

use std::sync::{Arc, LazyLock};

use parquet::errors::ParquetError;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::Type;

pub(crate) use read::{ColdFile, Head};
pub(crate) use write::encode;

const SCHEMA: &str = "
message sekisho_audit {
    REQUIRED INT64 seq;
    REQUIRED INT64 at (TIMESTAMP(MILLIS, true));
    REQUIRED BYTE_ARRAY kind (STRING);
    REQUIRED FIXED_LEN_BYTE_ARRAY(16) record_id;
    REQUIRED FIXED_LEN_BYTE_ARRAY(32) leaf_hash;
    REQUIRED BYTE_ARRAY body (STRING);
    OPTIONAL BYTE_ARRAY tenant (STRING);
    OPTIONAL BYTE_ARRAY object_id (STRING);
    OPTIONAL BYTE_ARRAY user_id (STRING);
    OPTIONAL BYTE_ARRAY department (STRING);
    OPTIONAL BYTE_ARRAY api (STRING);
    OPTIONAL BYTE_ARRAY model (STRING);
    OPTIONAL BYTE_ARRAY denial (STRING);
    OPTIONAL BYTE_ARRAY event (STRING);
    OPTIONAL BYTE_ARRAY outcome (STRING);
    OPTIONAL INT64 cost_micros;
    OPTIONAL BYTE_ARRAY charges (STRING);
}";

/// Places of the columns in [`SCHEMA`].
mod column {
    pub(super) const SEQ: usize = 0;
    pub(super) const AT: usize = 1;
    pub(super) const KIND: usize = 2;
    pub(super) const RECORD_ID: usize = 3;
    pub(super) const LEAF_HASH: usize = 4;
    pub(super) const BODY: usize = 5;
    pub(super) const TENANT: usize = 6;
    pub(super) const COST: usize = 15;
    pub(super) const CHARGES: usize = 16;
}

static TYPE: LazyLock<Option<Arc<Type>>> =
    LazyLock::new(|| parse_message_type(SCHEMA).ok().map(Arc::new));

/// Why a file cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It is not Parquet, or is damaged.
    #[error("it cannot be read as Parquet: {0}")]
    Parquet(#[from] ParquetError),
    /// It is Parquet of something else.
    #[error("it has other columns than records have")]
    Columns,
    /// A row that no record can be.
    #[error("row {0} of it is no record")]
    Row(usize),
    /// It is so damaged that reading it failed.
    #[error("it is damaged")]
    Damaged,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::entry::Index;
    use crate::log::tables::Stored;
    use prost::bytes::Bytes;

    fn rows(count: usize) -> Vec<Stored> {
        let row = |n: usize| {
            let seq = i64::try_from(n).unwrap();
            let some = |text: &str| n.is_multiple_of(3).then(|| format!("{text}{}", n % 7));
            Stored {
                seq,
                record_id: vec![u8::try_from(n % 251).unwrap(); 16],
                kind: 1 + seq % 5,
                at: 1_795_424_400_000 + seq,
                leaf_hash: vec![u8::try_from(n % 241).unwrap(); 32],
                body: Bytes::from(format!("{{\"n\":{n},\"工\":\"関所\"}}")),
                index: Index {
                    user: some("E"),
                    outcome: some("o"),
                    ..Index::default()
                },
                cost: n.is_multiple_of(2).then_some(seq),
                charges: some("[]"),
            }
        };
        (0..count).map(row).collect()
    }

    #[test]
    fn rows_read_back_as_they_were_over_several_groups() {
        for count in [0, 1, 4_999, 5_000, 5_001, 11_000] {
            let rows = rows(count);
            let content = encode(&rows).unwrap();
            let file = ColdFile::open(content.clone()).unwrap();
            assert_eq!(file.rows().unwrap(), rows, "{count}");
            assert_eq!(encode(&rows).unwrap(), content, "the same each time");
        }
    }

    #[test]
    fn only_what_is_wanted_is_unpacked() {
        let rows = rows(6_000);
        let file = ColdFile::open(encode(&rows).unwrap()).unwrap();
        let wanted = |head: &Head<'_>| head.index.user.as_deref() == Some("E3") && head.seq > 5_000;
        let found = file.find(wanted).unwrap();
        let expected: Vec<Stored> = rows
            .into_iter()
            .filter(|row| row.index.user.as_deref() == Some("E3") && row.seq > 5_000)
            .collect();
        assert!(!expected.is_empty());
        assert_eq!(found, expected);
    }

    #[test]
    fn whatever_was_changed_gives_an_error_or_other_rows_but_never_ends_the_program() {
        let rows = rows(6);
        let content = encode(&rows).unwrap();
        for at in 0..content.len() {
            let mut changed = content.to_vec();
            changed[at] ^= 0x55;
            let _ = ColdFile::open(changed.into()).and_then(|file| file.rows());
        }
        for length in 0..content.len() {
            let cut = content.slice(..length);
            assert!(ColdFile::open(cut).is_err(), "{length}");
        }
        assert!(ColdFile::open(Bytes::from_static(b"PAR1 no PAR1")).is_err());
    }

    #[test]
    fn what_no_record_can_be_is_not_written() {
        let mut odd = rows(3);
        odd[2].kind = 9;
        assert!(matches!(encode(&odd), Err(FileError::Row(2))));
        let mut odd = rows(3);
        odd[1].record_id.pop();
        assert!(matches!(encode(&odd), Err(FileError::Row(1))));
    }
}
