//! The CSV file of people: every row is checked, and all problems are found at once.

mod columns;
mod row;
mod writing;

use std::collections::{HashMap, HashSet};
use std::fmt;

use jiff::civil::Date;
use sekisho_domain::{DepartmentId, Policy};

use super::encoding::{Encoding, decode};
use crate::store::units::NewUnit;
use row::Check;
pub use writing::{single, write};

/// Most people of a file.
pub const MOST_ROWS: usize = 100_000;

/// One row, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its line in the file.
    pub line: u64,
    /// The company's own id.
    pub id: String,
    /// Full name.
    pub name: String,
    /// E-mail address, lower case.
    pub email: String,
    /// Department code.
    pub department: DepartmentId,
    /// Job title or nothing.
    pub job_title: String,
    /// Telephone or nothing.
    pub phone: String,
    /// First day of use.
    pub start: Date,
    /// Last day of use.
    pub end: Option<Date>,
    /// Account status.
    pub enabled: bool,
    /// Object id, lower case, where the file gives one.
    pub object_id: Option<String>,
    /// What nobody has set up and the row names.
    pub creates: Vec<NewUnit>,
}

/// Something wrong in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProblem {
    /// Line in the file, from 1.
    pub line: u64,
    /// Column by its name, if it is about one.
    pub column: Option<&'static str>,
    /// The value, masked; none: there is none, or it is not about one.
    pub value: Option<String>,
    /// What is wrong, or with `value` before it: what it is.
    pub reason: String,
}

impl RowProblem {
    /// About a line as a whole.
    #[must_use]
    pub fn of_line(line: u64, reason: impl Into<String>) -> Self {
        Self {
            line,
            column: None,
            value: None,
            reason: reason.into(),
        }
    }

    /// About a value. An empty one is not shown.
    #[must_use]
    pub fn of_value(
        line: u64,
        column: &'static str,
        value: &str,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            line,
            column: Some(column),
            value: (!value.is_empty()).then(|| masked(value)),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for RowProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(column) = self.column {
            write!(f, ", column `{column}`")?;
        }
        match &self.value {
            Some(value) => write!(f, ": `{value}` {}", self.reason),
            None => write!(f, ": {}", self.reason),
        }
    }
}

/// The first character and three stars: enough to find the value, too little to spread it.
#[must_use]
pub fn masked(value: &str) -> String {
    let first = value.chars().take(1);
    let first: String = first
        .filter(|c| super::characters::fault(*c).is_none())
        .collect();
    format!("{first}***")
}

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Rows with nothing wrong, in the order of the file. Of rows that share what must be
    /// unique there is none.
    pub rows: Vec<Row>,
    /// Everything that is wrong, in the order of the file.
    pub problems: Vec<RowProblem>,
    /// In which encoding it is; none: in none.
    pub encoding: Option<Encoding>,
    /// Rows of the file, right or wrong.
    pub total: usize,
}

impl Reading {
    fn unreadable(problems: Vec<RowProblem>, encoding: Option<Encoding>) -> Self {
        Self {
            rows: Vec::new(),
            problems,
            encoding,
            total: 0,
        }
    }

    /// All rows, if nothing is wrong.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn whole(self) -> Result<Vec<Row>, Vec<RowProblem>> {
        if self.problems.is_empty() {
            Ok(self.rows)
        } else {
            Err(self.problems)
        }
    }
}

/// Reads the file: UTF-8, with or without a byte order mark, or CP932.
#[must_use]
pub fn read(file: &[u8], policy: &Policy, rules: &Rules) -> Reading {
    let (text, encoding) = match decode(file) {
        Ok(decoded) => decoded,
        Err(wrong) => {
            let wrong = wrong.into_iter();
            let problems = wrong.map(|line| RowProblem::of_line(line.line, line.reason));
            return Reading::unreadable(problems.collect(), None);
        }
    };
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .has_headers(false)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut records = reader.records();
    let columns = match records.next() {
        Some(Ok(header)) => columns::of(&header),
        Some(Err(error)) => Err(vec![unreadable(&error)]),
        None => Err(vec![RowProblem::of_line(1, "the file is empty")]),
    };
    let columns = match columns {
        Ok(columns) => columns,
        Err(problems) => return Reading::unreadable(problems, Some(encoding)),
    };
    let mut check = Check::new(policy, *rules);
    let mut rows = Vec::new();
    let mut total = 0;
    for record in records {
        total += 1;
        if total > MOST_ROWS {
            let reason = format!("a file may have {MOST_ROWS} people: split it");
            check.problems.push(RowProblem::of_line(0, reason));
            break;
        }
        match record {
            Ok(record) => rows.extend(check.row(&columns, &record)),
            Err(error) => check.problems.push(unreadable(&error)),
        }
    }
    if total == 0 {
        let reason = "the file has a header but no people";
        check.problems.push(RowProblem::of_line(1, reason));
    }
    let Check {
        problems, repeated, ..
    } = check;
    rows.retain(|row| !repeats(row, &repeated));
    Reading {
        rows,
        problems,
        encoding: Some(encoding),
        total,
    }
}

/// What of a file is a matter of the company's policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Job titles must be titles of the policy.
    pub known_titles: bool,
    /// Departments that the policy does not have are created.
    pub create_departments: bool,
    /// Titles that the policy does not have are created.
    pub create_titles: bool,
}

fn unreadable(error: &csv::Error) -> RowProblem {
    let line = error.position().map_or(0, csv::Position::line);
    RowProblem::of_line(line, "is not readable as CSV")
}

/// Whether another row has the same of what must be unique.
fn repeats(row: &Row, repeated: &HashSet<(&'static str, String)>) -> bool {
    let object_id = row.object_id.as_deref().unwrap_or_default();
    let values = [
        ("user_id", row.id.as_str()),
        ("email", row.email.as_str()),
        ("object_id", object_id),
    ];
    values
        .into_iter()
        .any(|(column, value)| repeated.contains(&(column, value.to_owned())))
}

/// Values that must be unique, with the line on which each was first.
type Seen = HashMap<(&'static str, String), u64>;

#[cfg(test)]
mod tests;
