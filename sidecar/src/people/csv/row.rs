//! One row of the file, value by value.

use std::collections::{HashMap, HashSet};

use jiff::civil::Date;
use sekisho_domain::{DepartmentId, Policy};
use uuid::Uuid;

use super::columns::OBJECT_ID;
use super::{Row, RowProblem, Rules, Seen};
use crate::people::{characters, formula};
use crate::store::units::{Kind, NewUnit};

/// Most characters of each value, by what Entra ID takes (`employeeId`, `displayName`, ...).
const LONGEST: [(&str, usize); 9] = [
    ("user_id", 16),
    ("name", 256),
    ("email", 113),
    ("department", 64),
    ("job_title", 128),
    ("phone", 64),
    ("start_date", 10),
    ("end_date", 10),
    ("status", 16),
];

/// Checks row after row.
pub(super) struct Check<'p> {
    policy: &'p Policy,
    rules: Rules,
    pub(super) problems: Vec<RowProblem>,
    seen: Seen,
    /// What the row names and nobody has set up.
    creates: Vec<NewUnit>,
    /// What must be unique and is not.
    pub(super) repeated: HashSet<(&'static str, String)>,
}

impl<'p> Check<'p> {
    pub(super) fn new(policy: &'p Policy, rules: Rules) -> Self {
        Self {
            policy,
            rules,
            problems: Vec::new(),
            seen: Seen::new(),
            creates: Vec::new(),
            repeated: HashSet::new(),
        }
    }

    /// The row, if nothing is wrong with it.
    pub(super) fn row(
        &mut self,
        columns: &[&'static str],
        record: &csv::StringRecord,
    ) -> Option<Row> {
        let line = record.position().map_or(0, csv::Position::line);
        let before = self.problems.len();
        self.creates.clear();
        if record.len() != columns.len() {
            let (has, header) = (record.len(), columns.len());
            let reason = format!("has {has} values, the header has {header}");
            self.problems.push(RowProblem::of_line(line, reason));
            return None;
        }
        let mut values: HashMap<&'static str, String> = HashMap::new();
        for (column, value) in columns.iter().zip(record) {
            values.insert(column, self.text(line, column, value));
        }
        let mut take = |column: &str| values.remove(column).unwrap_or_default();
        let (id, name, email) = (take("user_id"), take("name"), take("email").to_lowercase());
        let (department, job_title, phone) = (take("department"), take("job_title"), take("phone"));
        let (start, end, status) = (take("start_date"), take("end_date"), take("status"));
        let object_id = take(OBJECT_ID).to_lowercase();

        self.id(line, &id);
        self.required(line, "name", &name);
        if self.required(line, "email", &email) && !is_email(&email) {
            self.problem(line, "email", &email, "is not an e-mail address");
        }
        self.unique(line, "email", &email);
        let department = self.department(line, &department);
        self.title(line, &job_title);
        if !is_phone(&phone) {
            self.problem(line, "phone", &phone, "is not a telephone number");
        }
        let (start, end) = self.days(line, &start, &end);
        let enabled = self.status(line, &status);
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
            enabled: enabled?,
            object_id: Some(object_id).filter(|id| !id.is_empty()),
            creates: std::mem::take(&mut self.creates),
        })
    }

    /// Text that can be shown and stored anywhere, to the letter: every character is one that
    /// can be read, and nothing is what a spreadsheet would run as a formula.
    fn text(&mut self, line: u64, column: &'static str, value: &str) -> String {
        let value = formula::plain(value);
        let longest = LONGEST.into_iter().find(|(name, _)| *name == column);
        let longest = longest.map_or(36, |(_, longest)| longest);
        if value.chars().count() > longest {
            let reason = format!("is longer than {longest} characters");
            self.problem(line, column, value, &reason);
        }
        if let Some(fault) = value.chars().find_map(characters::fault) {
            self.problem(line, column, value, fault);
        }
        let formula = if column == "phone" { "=@" } else { "=@+-" };
        if value.starts_with(|c| formula.contains(c)) {
            self.problem(line, column, value, "begins as a spreadsheet formula does");
        }
        value.to_owned()
    }

    fn problem(&mut self, line: u64, column: &'static str, value: &str, reason: &str) {
        let problem = RowProblem::of_value(line, column, value, reason);
        self.problems.push(problem);
    }

    fn required(&mut self, line: u64, column: &'static str, value: &str) -> bool {
        if value.is_empty() {
            self.problem(line, column, value, "must not be empty");
        }
        !value.is_empty()
    }

    fn unique(&mut self, line: u64, column: &'static str, value: &str) {
        if value.is_empty() {
            return;
        }
        let name = (column, value.to_owned());
        let first = *self.seen.entry(name.clone()).or_insert(line);
        if first != line {
            self.repeated.insert(name);
            self.problem(line, column, value, &format!("is on line {first} already"));
        }
    }

    /// It is in addresses of the API, and what an account is found by.
    fn id(&mut self, line: u64, value: &str) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.required(line, "user_id", value) && !value.chars().all(is_plain) {
            let reason = "may have ASCII letters, digits, `-`, `_` and `.` alone";
            self.problem(line, "user_id", value, reason);
        }
        self.unique(line, "user_id", value);
    }

    fn department(&mut self, line: u64, value: &str) -> Option<DepartmentId> {
        if !self.required(line, "department", value) {
            return None;
        }
        if let Some(department) = self.policy.department(value) {
            return Some(department.id.clone());
        }
        if self.rules.create_departments {
            let new = NewUnit::named(Kind::Department, value);
            let id = new.id.as_str().into();
            self.creates.push(new);
            return Some(id);
        }
        self.problem(line, "department", value, "is no department of the policy");
        None
    }

    fn title(&mut self, line: u64, value: &str) {
        let mut titles = self.policy.titles.iter();
        if value.is_empty() || titles.any(|(id, title)| id.as_str() == value || title.name == value)
        {
            return;
        }
        if self.rules.create_titles {
            self.creates.push(NewUnit::named(Kind::Title, value));
        } else if self.rules.known_titles {
            self.problem(line, "job_title", value, "is no title of the policy");
        }
    }

    fn days(&mut self, line: u64, start: &str, end: &str) -> (Option<Date>, Option<Date>) {
        let start = if self.required(line, "start_date", start) {
            self.date(line, "start_date", start)
        } else {
            None
        };
        let last = if end.is_empty() {
            None
        } else {
            self.date(line, "end_date", end)
        };
        if let (Some(start), Some(last)) = (start, last)
            && last < start
        {
            self.problem(line, "end_date", end, "is before `start_date`");
        }
        (start, last)
    }

    fn date(&mut self, line: u64, column: &'static str, value: &str) -> Option<Date> {
        let date = parse_date(value);
        if date.is_none() {
            let reason = "is not a day as `2023/04/01` or `2023-04-01`";
            self.problem(line, column, value, reason);
        }
        date
    }

    fn status(&mut self, line: u64, value: &str) -> Option<bool> {
        if !self.required(line, "status", value) {
            return None;
        }
        match value.to_ascii_lowercase().as_str() {
            "active" | "有効" => Some(true),
            "inactive" | "無効" => Some(false),
            _ => {
                let reason = "is neither `active` nor `inactive`";
                self.problem(line, "status", value, reason);
                None
            }
        }
    }
}

/// `2023/04/01`, `2023/4/1` or `2023-04-01`.
pub(super) fn parse_date(text: &str) -> Option<Date> {
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

fn is_phone(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_digit() || "+-() ".contains(c))
}

/// One `@`, a local part and a domain with a point; the rest is for the mail server to say.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    !local.is_empty()
        && domain.contains('.')
        && domain.split('.').all(|label| !label.is_empty())
        && domain
            .chars()
            .all(|c| c.is_alphanumeric() || c == '.' || c == '-')
        && !text.contains(|c: char| c.is_whitespace() || "\"<>(),:;[]\\".contains(c))
}
