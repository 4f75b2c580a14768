//! Writing a file.

use std::sync::Arc;

use parquet::basic::{Compression, GzipLevel};
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, FixedLenByteArray, FixedLenByteArrayType, Int64Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::ColumnPath;
use prost::bytes::Bytes;

use super::{FileError, TYPE};
use crate::log::entry::Index;
use crate::log::tables::Stored;

/// Rows of a group: what is not searched for in one is not unpacked.
const GROUP: usize = 5_000;

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
