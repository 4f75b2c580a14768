//! The section `reports` of the policy file.

use jiff::civil::Time;
use schemars::JsonSchema;
use sekisho_domain::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::forward::config::Checking;
use crate::mail::{Address, Language, address};
use crate::objects;
use crate::report::period::Length;
use crate::report::{MOST_PEOPLE, PEOPLE};

/// A report that is sent when a day or a month is over.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawReport {
    /// Its name. What was sent is remembered under it, and files are in a folder of this name.
    pub name: String,
    /// What it is about.
    pub every: Every,
    /// When it is made on the day after, by the company's clocks: `HH:MM`.
    #[serde(default = "morning")]
    pub at: String,
    /// Addresses to which it goes, as HTML; needs the section `mail`.
    #[serde(default)]
    pub to: Vec<String>,
    /// Where files go: `file:///FOLDER`, `az://CONTAINER/PREFIX` or `s3://BUCKET/PREFIX`. Accounts and
    /// credentials come from the sidecar's environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// In which forms files are written.
    #[serde(default = "html")]
    pub formats: Vec<Form>,
    /// In which language; default: that of `mail`, or Japanese.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// How many people are shown one by one, at most 1000.
    #[serde(default = "people")]
    pub people: u32,
}

fn morning() -> String {
    "06:00".to_owned()
}

fn html() -> Vec<Form> {
    vec![Form::Html]
}

const fn people() -> u32 {
    PEOPLE
}

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    /// Each day.
    Day,
    /// Each month.
    Month,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A page.
    Html,
    /// A table.
    Csv,
    /// For programs.
    Json,
}

impl Form {
    /// How names of its files end.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

/// A report that is sent when a day or a month is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub every: Length,
    /// When it is made.
    pub at: Time,
    /// To whom it goes.
    pub to: Vec<Address>,
    /// Where files go.
    pub into: Option<String>,
    /// In which forms.
    pub formats: Vec<Form>,
    /// In which language.
    pub language: Option<Language>,
    /// How many people are shown one by one.
    pub people: u32,
}

/// Reads the section; every problem is noted.
pub(crate) fn read(section: Option<Value>, problems: &mut Vec<Problem>) -> Vec<Schedule> {
    let mut checking = Checking::new(problems);
    let mut schedules = Vec::new();
    for (path, raw) in checking.list::<RawReport>("reports", section) {
        checking.name(&path, &raw.name);
        let at = Time::strptime("%H:%M", &raw.at).unwrap_or_else(|_| {
            checking.problem(format!("{path}.at"), "must be a time such as `06:00`");
            Time::midnight()
        });
        if raw.to.is_empty() && raw.into.is_none() {
            checking.problem(&path, "needs `to`, `into` or both: it would go nowhere");
        }
        if let Some(into) = &raw.into
            && let Err(error) = objects::check(into)
        {
            checking.problem(format!("{path}.into"), error.to_string());
        }
        if raw.formats.is_empty() {
            checking.problem(format!("{path}.formats"), "must name one form at least");
        }
        if raw.people > MOST_PEOPLE {
            checking.problem(format!("{path}.people"), "must be at most 1000");
        }
        let to = match raw.to.as_slice() {
            [] => Vec::new(),
            to => address::read_all(&mut checking, &format!("{path}.to"), to),
        };
        schedules.push(Schedule {
            every: match raw.every {
                Every::Day => Length::Day,
                Every::Month => Length::Month,
            },
            name: raw.name,
            at,
            to,
            into: raw.into,
            formats: raw.formats,
            language: raw.language,
            people: raw.people,
        });
    }
    schedules
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let section = json!([
            {"name": "board", "every": "month", "to": ["a@example.com"], "into": "file:///var/reports",
             "formats": ["html", "csv", "json"], "at": "23:59", "language": "en", "people": 0},
            {"name": "board", "every": "day", "to": ["a@example.com", "a@example.com"], "at": "24:00"},
            {"name": "c", "every": "week", "to": ["a@example.com"]},
            {"name": "d", "every": "day", "into": "/var", "formats": [], "people": 1001},
            {"name": "e", "every": "day"},
        ]);
        let mut problems = Vec::new();
        let read = read(Some(section), &mut problems);
        let paths: Vec<_> = problems.iter().map(|p| p.path.as_str()).collect();
        let expected = [
            "reports[2].every",
            "reports[1].name",
            "reports[1].at",
            "reports[1].to[1]",
            "reports[3].into",
            "reports[3].formats",
            "reports[3].people",
            "reports[4]",
        ];
        assert_eq!(paths, expected);
        let board = &read[0];
        assert_eq!((board.every, board.people), (Length::Month, 0));
        assert_eq!(board.at, Time::constant(23, 59, 0, 0));
    }
}
