//! Reading a file.

use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FixedLenByteArrayType, Int64Type};
use parquet::file::reader::{FileReader as _, RowGroupReader, SerializedFileReader};
use prost::bytes::Bytes;
use sekisho_domain::RecordKind;

use super::{FileError, TYPE, column};
use crate::log::entry::Index;
use crate::log::tables::{Stored, kind_number};

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

/// In the order of the columns.
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
