//! The directory as a CSV file that can be read again, and opened by a spreadsheet.

use sekisho_domain::Policy;

use super::columns::{self, OBJECT_ID};
use crate::people::{Person, formula};

/// People as a file of the usual columns and `object_id`, in UTF-8 with a byte order mark, for
/// without one Excel takes it for CP932. Values that a spreadsheet would run as formulas begin
/// with `'`, which reading takes off again.
///
/// # Errors
/// It cannot be written; memory can always be.
pub fn write(people: &[Person], policy: &Policy) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(b"\xef\xbb\xbf".to_vec());
    writer.write_record(columns::names().chain([OBJECT_ID]))?;
    for person in people {
        let department = policy.departments.get(person.department.as_str());
        let department = department.map_or(person.department.as_str(), |known| known.name.as_str());
        let start = person.start.to_string();
        let end = person.end.map(|day| day.to_string()).unwrap_or_default();
        let status = if person.enabled { "active" } else { "inactive" };
        let values = [
            person.id.as_str(),
            &person.name,
            &person.email,
            department,
            &person.job_title,
            &person.phone,
            &start,
            &end,
            status,
            &person.object_id,
        ];
        writer.write_record(values.map(formula::neutral))?;
    }
    writer
        .into_inner()
        .map_err(|error| error.into_error().into())
}

/// A file of one person, whose values somebody says by the names of columns; others are empty.
#[must_use]
pub fn single(values: &[(&'static str, String)]) -> String {
    let quoted = |value: &str| format!("\"{}\"", value.replace('"', "\"\""));
    let columns = columns::names().chain([OBJECT_ID]);
    let (names, row): (Vec<&str>, Vec<String>) = columns
        .map(|column| {
            let value = values.iter().find(|(name, _)| *name == column);
            (column, quoted(value.map_or("", |(_, value)| value)))
        })
        .unzip();
    format!("{}\n{}\n", names.join(","), row.join(","))
}
