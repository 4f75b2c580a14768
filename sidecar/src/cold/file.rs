//! One file of older records, as Parquet: a row for each record, in the order of the log, with
//! its bytes as they were hashed, and beside them what it can be found by.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use parquet::basic::{Compression, GzipLevel};
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, FixedLenByteArray, FixedLenByteArrayType, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, RowGroupReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, Type};
use prost::bytes::Bytes;

use crate::log::entry::Index;
use crate::log::tables::{Stored, kind_number};
use sekisho_domain::RecordKind;

/// Rows of a group: what is not searched for in one is not unpacked.
const GROUP: usize = 5_000;

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

/// Writes a file.
///
/// # Errors
/// [`FileError::Row`], counted from the first row.
pub(crate) fn encode(rows: &[Stored]) -> Result<Bytes, FileError> {
    let schema = TYPE.clone().ok_or(FileError::Columns)?;
    let plain = |name: &str| ColumnPath::from(name);
    let properties = WriterProperties::builder()
        .set_compression(Compression::GZIP(GzipLevel::default()))
        .set_created_by("sekisho".to_owned())
        // Every value is another one.
        .set_column_dictionary_enabled(plain("seq"), false)
        .set_column_dictionary_enabled(plain("record_id"), false)
        .set_column_dictionary_enabled(plain("leaf_hash"), false)
        .set_column_dictionary_enabled(plain("body"), false)
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    for (nth, rows) in rows.chunks(GROUP).enumerate() {
        let mut group = writer.next_row_group()?;
        write_group(&mut group, rows, nth * GROUP)?;
        group.close()?;
    }
    Ok(writer.into_inner()?.into())
}

type Group<'g> = SerializedRowGroupWriter<'g, Vec<u8>>;

fn write_group(group: &mut Group<'_>, rows: &[Stored], first: usize) -> Result<(), FileError> {
    let kinds = rows.iter().enumerate().map(|(nth, row)| {
        let kind = row.record_kind().ok_or(FileError::Row(first + nth))?;
        Ok(ByteArray::from(kind.as_str()))
    });
    let kinds: Vec<ByteArray> = kinds.collect::<Result<_, FileError>>()?;
    let odd = |row: &Stored| row.record_id.len() != 16 || row.leaf_hash.len() != 32;
    if let Some(nth) = rows.iter().position(odd) {
        return Err(FileError::Row(first + nth));
    }
    let fixed = |bytes: &[u8]| FixedLenByteArray::from(bytes.to_vec());
    required::<Int64Type>(group, rows.iter().map(|row| row.seq).collect())?;
    required::<Int64Type>(group, rows.iter().map(|row| row.at).collect())?;
    required::<ByteArrayType>(group, kinds)?;
    let ids = rows.iter().map(|row| fixed(&row.record_id));
    required::<FixedLenByteArrayType>(group, ids.collect())?;
    let hashes = rows.iter().map(|row| fixed(&row.leaf_hash));
    required::<FixedLenByteArrayType>(group, hashes.collect())?;
    let bodies = rows.iter().map(|row| ByteArray::from(row.body.clone()));
    required::<ByteArrayType>(group, bodies.collect())?;
    for text in TEXTS {
        texts(group, rows.iter().map(|row| text(&row.index)))?;
    }
    optional::<Int64Type>(group, rows.iter().map(|row| row.cost))?;
    texts(group, rows.iter().map(|row| row.charges.as_deref()))
}

type Text = fn(&Index) -> Option<&str>;

/// What a record can be found by, in the order of the columns.
const TEXTS: [Text; 9] = [
    |index| index.tenant.as_deref(),
    |index| index.object_id.as_deref(),
    |index| index.user.as_deref(),
    |index| index.department.as_deref(),
    |index| index.api.as_deref(),
    |index| index.model.as_deref(),
    |index| index.denial.as_deref(),
    |index| index.event.as_deref(),
    |index| index.outcome.as_deref(),
];

fn texts<'r>(
    group: &mut Group<'_>,
    texts: impl Iterator<Item = Option<&'r str>>,
) -> Result<(), FileError> {
    optional::<ByteArrayType>(group, texts.map(|text| text.map(ByteArray::from)))
}

fn required<T: DataType>(group: &mut Group<'_>, values: Vec<T::T>) -> Result<(), FileError> {
    let mut column = group.next_column()?.ok_or(FileError::Columns)?;
    column.typed::<T>().write_batch(&values, None, None)?;
    Ok(column.close()?)
}

fn optional<T: DataType>(
    group: &mut Group<'_>,
    values: impl Iterator<Item = Option<T::T>>,
) -> Result<(), FileError> {
    let (mut there, mut levels) = (Vec::new(), Vec::new());
    for value in values {
        levels.push(i16::from(value.is_some()));
        there.extend(value);
    }
    let mut column = group.next_column()?.ok_or(FileError::Columns)?;
    column
        .typed::<T>()
        .write_batch(&there, Some(&levels), None)?;
    Ok(column.close()?)
}

/// A file that is being read.
pub(crate) struct ColdFile {
    reader: SerializedFileReader<Bytes>,
}

/// What is looked at before a row is unpacked.
pub(crate) struct Head<'r> {
    pub(crate) seq: i64,
    pub(crate) at: i64,
    pub(crate) record_id: &'r [u8],
    pub(crate) kind: Option<RecordKind>,
    pub(crate) index: &'r Index,
}

impl ColdFile {
    pub(crate) fn open(content: Bytes) -> Result<Self, FileError> {
        guarded(|| {
            let reader = SerializedFileReader::new(content)?;
            let found = reader.metadata().file_metadata().schema_descr();
            let is_ours = TYPE
                .as_ref()
                .is_some_and(|ours| found.root_schema().get_fields() == ours.get_fields());
            if is_ours {
                Ok(Self { reader })
            } else {
                Err(FileError::Columns)
            }
        })
    }

    /// All of its rows.
    pub(crate) fn rows(&self) -> Result<Vec<Stored>, FileError> {
        self.find(|_| true)
    }

    /// Its rows that are wanted, in the order of the file.
    pub(crate) fn find(
        &self,
        wanted: impl Fn(&Head<'_>) -> bool,
    ) -> Result<Vec<Stored>, FileError> {
        guarded(|| {
            let mut found = Vec::new();
            let mut first = 0;
            for nth in 0..self.reader.num_row_groups() {
                let group = self.reader.get_row_group(nth)?;
                first += find_in_group(&*group, first, &wanted, &mut found)?;
            }
            Ok(found)
        })
    }
}

/// What somebody has damaged may be anything, also for the reader.
fn guarded<T>(read: impl FnOnce() -> Result<T, FileError>) -> Result<T, FileError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(FileError::Damaged))
}

/// How many rows the group has.
fn find_in_group(
    group: &dyn RowGroupReader,
    first: usize,
    wanted: &impl Fn(&Head<'_>) -> bool,
    found: &mut Vec<Stored>,
) -> Result<usize, FileError> {
    let count = usize::try_from(group.metadata().num_rows()).map_err(|_| FileError::Damaged)?;
    let seqs = values::<Int64Type>(group, column::SEQ, count)?;
    let ats = values::<Int64Type>(group, column::AT, count)?;
    let kinds = values::<ByteArrayType>(group, column::KIND, count)?;
    let ids = values::<FixedLenByteArrayType>(group, column::RECORD_ID, count)?;
    let mut indexes: Vec<Index> = vec![Index::default(); count];
    for (nth, set) in SETS.iter().enumerate() {
        let column = column::TENANT + nth;
        let texts = optionals::<ByteArrayType>(group, column, count)?;
        for (row, (index, value)) in indexes.iter_mut().zip(texts).enumerate() {
            set(
                index,
                value.map(|value| text(&value, first + row)).transpose()?,
            );
        }
    }
    let mut rows = Vec::new();
    let heads = seqs.into_iter().zip(ats).zip(kinds).zip(ids).zip(indexes);
    for (row, ((((seq, at), kind), id), index)) in heads.enumerate() {
        let kind = std::str::from_utf8(kind.data()).ok();
        let kind = KINDS
            .into_iter()
            .find(|known| kind == Some(known.as_str()))
            .ok_or(FileError::Row(first + row))?;
        let head = Head {
            seq,
            at,
            record_id: id.data(),
            kind: Some(kind),
            index: &index,
        };
        if wanted(&head) {
            let stored = Stored {
                seq,
                record_id: id.data().to_vec(),
                kind: kind_number(kind),
                at,
                leaf_hash: Vec::new(),
                body: Bytes::new(),
                index,
                cost: None,
                charges: None,
            };
            rows.push((row, stored));
        }
    }
    if rows.is_empty() {
        return Ok(count);
    }
    let mut hashes = values::<FixedLenByteArrayType>(group, column::LEAF_HASH, count)?;
    let mut bodies = values::<ByteArrayType>(group, column::BODY, count)?;
    let mut costs = optionals::<Int64Type>(group, column::COST, count)?;
    let mut charges = optionals::<ByteArrayType>(group, column::CHARGES, count)?;
    for (row, mut stored) in rows {
        let odd = || FileError::Row(first + row);
        let hash = hashes.get_mut(row).map(std::mem::take).ok_or_else(odd)?;
        stored.leaf_hash = hash.data().to_vec();
        let body = bodies.get_mut(row).map(std::mem::take).ok_or_else(odd)?;
        stored.body = Bytes::copy_from_slice(body.data());
        stored.cost = costs.get_mut(row).and_then(Option::take);
        let charged = charges.get_mut(row).and_then(Option::take);
        stored.charges = charged
            .map(|charges| text(&charges, first + row))
            .transpose()?;
        found.push(stored);
    }
    Ok(count)
}

const KINDS: [RecordKind; 5] = [
    RecordKind::Admit,
    RecordKind::Complete,
    RecordKind::Refuse,
    RecordKind::Event,
    RecordKind::Contents,
];

type SetText = fn(&mut Index, Option<String>);

/// As [`TEXTS`].
const SETS: [SetText; 9] = [
    |index, text| index.tenant = text,
    |index, text| index.object_id = text,
    |index, text| index.user = text,
    |index, text| index.department = text,
    |index, text| index.api = text,
    |index, text| index.model = text,
    |index, text| index.denial = text,
    |index, text| index.event = text,
    |index, text| index.outcome = text,
];

fn text(bytes: &ByteArray, row: usize) -> Result<String, FileError> {
    let text = std::str::from_utf8(bytes.data());
    text.map(str::to_owned).map_err(|_| FileError::Row(row))
}

fn values<T: DataType>(
    group: &dyn RowGroupReader,
    column: usize,
    count: usize,
) -> Result<Vec<T::T>, FileError> {
    let mut values = Vec::new();
    let mut reader = get_typed_column_reader::<T>(group.get_column_reader(column)?);
    let (_, read, _) = reader.read_records(count, None, None, &mut values)?;
    if read == count && values.len() == count {
        Ok(values)
    } else {
        Err(FileError::Damaged)
    }
}

fn optionals<T: DataType>(
    group: &dyn RowGroupReader,
    column: usize,
    count: usize,
) -> Result<Vec<Option<T::T>>, FileError> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let mut reader = get_typed_column_reader::<T>(group.get_column_reader(column)?);
    reader.read_records(count, Some(&mut levels), None, &mut values)?;
    if levels.len() != count {
        return Err(FileError::Damaged);
    }
    let mut values = values.into_iter();
    Ok(levels
        .into_iter()
        .map(|level| if level > 0 { values.next() } else { None })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

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
