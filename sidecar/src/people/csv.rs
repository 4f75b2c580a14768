//! The CSV file of people: every row is checked, and all problems are found at once.

use std::collections::{HashMap, HashSet};
use std::fmt;

use jiff::civil::Date;
use sekisho_domain::{DepartmentId, Policy};
use uuid::Uuid;

/// Columns that must be there, in any order.
const COLUMNS: [&str; 9] = [
    "user_id",
    "name",
    "email",
    "department",
    "job_title",
    "phone",
    "start_date",
    "end_date",
    "status",
];
/// A column that may be there: the account's object id.
const OBJECT_ID: &str = "object_id";
/// Longest value in characters.
const LONGEST: usize = 256;

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
}

/// Something wrong in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProblem {
    /// Line in the file, from 1.
    pub line: u64,
    /// Column by its name, if it is about one.
    pub column: Option<&'static str>,
    /// What; values are masked.
    pub message: String,
}

impl fmt::Display for RowProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            Some(column) => write!(f, "line {}, column `{column}`: {}", self.line, self.message),
            None => write!(f, "line {}: {}", self.line, self.message),
        }
    }
}

/// Reads the file: UTF-8, with or without a byte order mark.
///
/// # Errors
/// Every problem of every row; then no row can be used.
pub fn read(file: &[u8], policy: &Policy) -> Result<Vec<Row>, Vec<RowProblem>> {
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .has_headers(false)
        .trim(csv::Trim::All)
        .from_reader(file);
    let mut records = reader.byte_records();
    let columns = match records.next() {
        Some(Ok(header)) => columns(&header)?,
        Some(Err(error)) => return Err(vec![unreadable(1, &error)]),
        None => return Err(vec![at_line(1, "the file is empty")]),
    };
    let mut check = Check {
        policy,
        problems: Vec::new(),
        seen: HashMap::new(),
    };
    let mut rows = Vec::new();
    for record in records {
        match record {
            Ok(record) => rows.extend(check.row(&columns, &record)),
            Err(error) => check.problems.push(unreadable(0, &error)),
        }
    }
    if rows.is_empty() && check.problems.is_empty() {
        check
            .problems
            .push(at_line(1, "the file has a header but no people"));
    }
    if check.problems.is_empty() {
        Ok(rows)
    } else {
        Err(check.problems)
    }
}

/// The first character and three stars: enough to find the value, too little to spread it.
#[must_use]
pub fn masked(value: &str) -> String {
    let first: String = value.chars().take(1).filter(|c| !c.is_control()).collect();
    format!("`{first}***`")
}

fn at_line(line: u64, message: &str) -> RowProblem {
    RowProblem {
        line,
        column: None,
        message: message.to_owned(),
    }
}

fn unreadable(line: u64, error: &csv::Error) -> RowProblem {
    let line = error.position().map_or(line, csv::Position::line);
    at_line(line, "is not readable as CSV")
}

/// Which column of ours each column of the file is.
fn columns(header: &csv::ByteRecord) -> Result<Vec<&'static str>, Vec<RowProblem>> {
    let mut problems = Vec::new();
    let mut columns = Vec::new();
    let mut missing: HashSet<&str> = COLUMNS.into_iter().collect();
    for name in header {
        let name = String::from_utf8_lossy(name);
        let known = COLUMNS
            .into_iter()
            .chain([OBJECT_ID])
            .find(|column| *column == name);
        match known {
            Some(column) if columns.contains(&column) => {
                problems.push(at_line(1, &format!("column `{column}` is there twice")));
            }
            Some(column) => {
                missing.remove(column);
                columns.push(column);
            }
            None => {
                let known = COLUMNS.join(", ");
                let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
                problems.push(at_line(
                    1,
                    &format!("unknown column `{name}`; the columns are {known} and, where known, {OBJECT_ID}"),
                ));
            }
        }
    }
    for column in COLUMNS
        .into_iter()
        .filter(|column| missing.contains(column))
    {
        problems.push(at_line(1, &format!("column `{column}` is missing")));
    }
    if problems.is_empty() {
        Ok(columns)
    } else {
        Err(problems)
    }
}

struct Check<'p> {
    policy: &'p Policy,
    problems: Vec<RowProblem>,
    /// Values that must be unique, with the line on which each was first.
    seen: HashMap<(&'static str, String), u64>,
}

impl Check<'_> {
    fn row(&mut self, columns: &[&'static str], record: &csv::ByteRecord) -> Option<Row> {
        let line = record.position().map_or(0, csv::Position::line);
        let before = self.problems.len();
        if record.len() != columns.len() {
            let message = format!(
                "has {} values, the header has {}",
                record.len(),
                columns.len()
            );
            self.problems.push(at_line(line, &message));
            return None;
        }
        let mut values: HashMap<&'static str, String> = HashMap::new();
        for (column, value) in columns.iter().zip(record) {
            let value = self.text(line, column, value);
            values.insert(column, value);
        }
        let mut take = |column: &str| values.remove(column).unwrap_or_default();
        let (id, name, email) = (take("user_id"), take("name"), take("email").to_lowercase());
        let (department, job_title, phone) = (take("department"), take("job_title"), take("phone"));
        let (start, end, status) = (take("start_date"), take("end_date"), take("status"));
        let object_id = take(OBJECT_ID).to_lowercase();

        self.required(line, "user_id", &id);
        self.required(line, "name", &name);
        self.unique(line, "user_id", &id);
        if self.required(line, "email", &email) && !is_email(&email) {
            self.problem(line, "email", &email, "is not an e-mail address");
        }
        self.unique(line, "email", &email);
        let department = self.department(line, &department);
        if !phone
            .chars()
            .all(|c| c.is_ascii_digit() || "+-() ".contains(c))
        {
            self.problem(line, "phone", &phone, "is not a telephone number");
        }
        let start = if self.required(line, "start_date", &start) {
            self.date(line, "start_date", &start)
        } else {
            None
        };
        let end = if end.is_empty() {
            None
        } else {
            self.date(line, "end_date", &end)
        };
        if let (Some(start), Some(last)) = (start, end)
            && last < start
        {
            self.problem(
                line,
                "end_date",
                &last.to_string(),
                "is before `start_date`",
            );
        }
        let enabled = match status.as_str() {
            "active" => true,
            "inactive" => false,
            "" => !self.required(line, "status", ""),
            _ => {
                self.problem(
                    line,
                    "status",
                    &status,
                    "is neither `active` nor `inactive`",
                );
                false
            }
        };
        if !object_id.is_empty() && Uuid::parse_str(&object_id).is_err() {
            self.problem(line, OBJECT_ID, &object_id, "is not a UUID");
        }
        self.unique(line, OBJECT_ID, &object_id);
        if self.problems.len() > before {
            return None;
        }
        Some(Row {
            line,
            id,
            name,
            email,
            department: department?,
            job_title,
            phone,
            start: start?,
            end,
            enabled,
            object_id: Some(object_id).filter(|id| !id.is_empty()),
        })
    }

    /// Text that can be shown and stored anywhere: no control characters, and nothing that
    /// a spreadsheet would run as a formula.
    fn text(&mut self, line: u64, column: &'static str, value: &[u8]) -> String {
        let Ok(value) = std::str::from_utf8(value) else {
            self.problem(line, column, "", "is not UTF-8");
            return String::new();
        };
        if value.chars().count() > LONGEST {
            self.problem(line, column, value, "is longer than 256 characters");
        }
        if value.chars().any(char::is_control) {
            self.problem(line, column, value, "has a line break or control character");
        }
        let formula = if column == "phone" { "=@" } else { "=@+-" };
        if value.starts_with(|c| formula.contains(c)) {
            self.problem(line, column, value, "begins as a spreadsheet formula does");
        }
        value.to_owned()
    }

    fn problem(&mut self, line: u64, column: &'static str, value: &str, what: &str) {
        self.problems.push(RowProblem {
            line,
            column: Some(column),
            message: format!("{} {what}", masked(value)),
        });
    }

    fn required(&mut self, line: u64, column: &'static str, value: &str) -> bool {
        if value.is_empty() {
            self.problems.push(RowProblem {
                line,
                column: Some(column),
                message: "must not be empty".to_owned(),
            });
        }
        !value.is_empty()
    }

    fn unique(&mut self, line: u64, column: &'static str, value: &str) {
        if value.is_empty() {
            return;
        }
        let first = *self.seen.entry((column, value.to_owned())).or_insert(line);
        if first != line {
            self.problem(line, column, value, &format!("is on line {first} already"));
        }
    }

    fn department(&mut self, line: u64, value: &str) -> Option<DepartmentId> {
        if !self.required(line, "department", value) {
            return None;
        }
        let department = self.policy.department(value);
        if department.is_none() {
            self.problem(line, "department", value, "is no department of the policy");
        }
        department.map(|department| department.id.clone())
    }

    fn date(&mut self, line: u64, column: &'static str, value: &str) -> Option<Date> {
        let date = parse_date(value);
        if date.is_none() {
            self.problem(
                line,
                column,
                value,
                "is not a day as `2023/04/01` or `2023-04-01`",
            );
        }
        date
    }
}

/// `2023/04/01`, `2023/4/1` or `2023-04-01`.
fn parse_date(text: &str) -> Option<Date> {
    let separator = if text.contains('/') { '/' } else { '-' };
    let mut parts = text.split(separator);
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = |part: &str, most: usize| {
        (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    if parts.next().is_some()
        || year.len() != 4
        || !digits(year, 4)
        || !digits(month, 2)
        || !digits(day, 2)
    {
        return None;
    }
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

/// One `@`, a local part and a domain with a point; the rest is for the mail server to say.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    text.len() <= 254
        && !local.is_empty()
        && domain.contains('.')
        && domain.split('.').all(|label| !label.is_empty())
        && domain
            .chars()
            .all(|c| c.is_alphanumeric() || c == '.' || c == '-')
        && !text.contains(|c: char| c.is_whitespace() || "\"<>(),:;[]\\".contains(c))
}

#[cfg(test)]
mod tests;
