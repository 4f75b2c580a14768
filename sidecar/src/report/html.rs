//! A report as a page. The template escapes whatever it shows.

use jiff::civil::Date;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;
use serde_json::Value;

use super::Report;

const TEMPLATE: &str = include_str!("page/report.html");
const ENGLISH: &str = include_str!("page/words.en.json");
const JAPANESE: &str = include_str!("page/words.ja.json");

/// Height of the chart's tallest bar.
const HEIGHT: u64 = 100;

/// What language a page is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Japanese.
    Japanese,
}

impl Language {
    /// Its tag (RFC 5646).
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Japanese => "ja",
        }
    }

    /// The language of a tag.
    #[must_use]
    pub fn of(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or_default();
        [Self::English, Self::Japanese]
            .into_iter()
            .find(|known| primary.eq_ignore_ascii_case(known.tag()))
    }

    const fn words(self) -> &'static str {
        match self {
            Self::English => ENGLISH,
            Self::Japanese => JAPANESE,
        }
    }
}

/// What the template shows.
#[derive(Debug, Serialize)]
struct Page<'r> {
    lang: &'static str,
    w: Value,
    r: &'r Report,
    bars: Vec<Bar>,
}

/// A day in the chart.
#[derive(Debug, Serialize)]
struct Bar {
    day: String,
    requests: u64,
    cost: String,
    height: u64,
}

pub(super) fn page(report: &Report, language: Language) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("grouped", |number: u64| grouped(&number.to_string()));
    environment.add_filter("money", |amount: String| grouped(&amount));
    environment.add_template("report.html", TEMPLATE)?;
    let words: Value = serde_json::from_str(language.words()).map_err(|error| {
        minijinja::Error::new(minijinja::ErrorKind::BadSerialization, "the words")
            .with_source(error)
    })?;
    let page = Page {
        lang: language.tag(),
        w: words,
        r: report,
        bars: bars(report),
    };
    let page = minijinja::value::Serde(page);
    environment.get_template("report.html")?.render(page)
}

/// Every day of the period, also those without calls.
fn bars(report: &Report) -> Vec<Bar> {
    let days = report.period.from.parse::<Date>();
    let (Ok(from), Ok(to)) = (days, report.period.to.parse::<Date>()) else {
        return Vec::new();
    };
    let most = report.days.iter().map(|line| line.sums.requests).max();
    let most = most.unwrap_or(0).max(1);
    let days = from
        .series(jiff::ToSpan::day(1))
        .take_while(|day| *day <= to);
    let bar = |day: Date| {
        let day = day.to_string();
        let line = report.days.iter().find(|line| line.day == day);
        let requests = line.map_or(0, |line| line.sums.requests);
        Bar {
            cost: line.map_or_else(|| "0".to_owned(), |line| line.sums.cost.clone()),
            height: u64::try_from(u128::from(requests) * u128::from(HEIGHT) / u128::from(most))
                .unwrap_or(HEIGHT),
            day,
            requests,
        }
    };
    days.map(bar).collect()
}

/// A plain decimal with its digits in groups of three: `1,234,567.5`.
fn grouped(amount: &str) -> String {
    let (whole, fraction) = match amount.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (amount, None),
    };
    let mut shown = String::with_capacity(amount.len() + amount.len() / 3);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    if let Some(fraction) = fraction {
        shown.push('.');
        shown.push_str(fraction);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_in_groups_of_three() {
        for (amount, wanted) in [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1,000"),
            ("123456.25", "123,456.25"),
            ("1234567.000001", "1,234,567.000001"),
        ] {
            assert_eq!(grouped(amount), wanted);
        }
    }

    #[test]
    fn both_languages_have_the_same_words() {
        let names = |language: Language| {
            let words: Value = serde_json::from_str(language.words()).unwrap();
            let words = words.as_object().unwrap().clone();
            words.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(names(Language::English), names(Language::Japanese));
    }

    #[test]
    fn a_language_is_known_by_its_tag() {
        assert_eq!(Language::of("ja-JP"), Some(Language::Japanese));
        assert_eq!(Language::of("EN"), Some(Language::English));
        assert_eq!(Language::of("fr"), None);
    }
}
