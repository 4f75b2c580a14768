//! What an auditor asks.

use jiff::Timestamp;

use crate::fill::company::{API, Company, MODELS, MONTH, RARE_API, START};

/// A kind of question.
pub(super) struct Question {
    pub(super) what: &'static str,
    /// Page after page to the end, instead of one.
    pub(super) whole: bool,
    /// Whether there is anything to find.
    pub(super) finds: bool,
    about: fn(Company, &mut fastrand::Rng) -> Vec<(&'static str, String)>,
}

impl Question {
    /// Parameters of a question about one of the first months. They need no escaping.
    pub(super) fn asked(
        &self,
        company: Company,
        months: u64,
        random: &mut fastrand::Rng,
    ) -> Vec<(&'static str, String)> {
        let from = START + random.u64(..months.max(1)) * MONTH;
        let mut asked = (self.about)(company, random);
        if asked.iter().any(|(name, _)| *name == ALL_TIME) {
            asked.retain(|(name, _)| *name != ALL_TIME);
        } else {
            asked.push(("from", moment(from)));
            asked.push(("to", moment(from + MONTH)));
        }
        if asked.iter().any(|(name, _)| *name == LATER) {
            asked.retain(|(name, _)| *name != LATER);
            asked.push(("cursor", format!("{}-0", from + MONTH / 2)));
        }
        if self.whole {
            asked.push(("limit", "1000".to_owned()));
        }
        asked
    }
}

/// A page from the middle of the month on, as it comes after many others.
const LATER: &str = "later";
/// Without a month.
const ALL_TIME: &str = "all time";
/// In no record.
const NOWHERE: &str = "nobody-ever-said-this";

const fn page(
    what: &'static str,
    about: fn(Company, &mut fastrand::Rng) -> Vec<(&'static str, String)>,
) -> Question {
    Question {
        what,
        whole: false,
        finds: true,
        about,
    }
}

const fn vain(
    what: &'static str,
    about: fn(Company, &mut fastrand::Rng) -> Vec<(&'static str, String)>,
) -> Question {
    Question {
        finds: false,
        ..page(what, about)
    }
}

/// All kinds, each asked many times. Those that find nothing look at as many records as a page may.
pub(super) const QUESTIONS: &[Question] = &[
    page("person", |company, random| {
        vec![("user", company.anybody(random).id)]
    }),
    page("person who calls most", |company, _| {
        vec![("user", company.busiest().id)]
    }),
    page("person who calls most, a later page", |company, _| {
        vec![("user", company.busiest().id), (LATER, String::new())]
    }),
    page("person who hardly calls", |company, _| {
        vec![("user", company.seldom().id)]
    }),
    Question {
        whole: true,
        ..page("person, all pages", |company, random| {
            vec![("user", company.anybody(random).id)]
        })
    },
    page("person and model", |company, random| {
        vec![
            ("user", company.anybody(random).id),
            ("model", any_model(random)),
        ]
    }),
    page("person, refused", |company, random| {
        vec![
            ("user", company.anybody(random).id),
            ("decision", "refuse".to_owned()),
        ]
    }),
    page("person who calls most, refused", |company, _| {
        vec![
            ("user", company.busiest().id),
            ("decision", "refuse".to_owned()),
        ]
    }),
    page("person and text", |company, random| {
        vec![
            ("user", company.anybody(random).id),
            ("text", "japan-east".to_owned()),
        ]
    }),
    vain(
        "person who calls most, text that is nowhere",
        |company, _| vec![("user", company.busiest().id), ("text", NOWHERE.to_owned())],
    ),
    page("department", |company, random| {
        vec![("department", company.anybody(random).department)]
    }),
    page("department, a later page", |company, random| {
        vec![
            ("department", company.anybody(random).department),
            (LATER, String::new()),
        ]
    }),
    page("department, refused", |company, random| {
        vec![
            ("department", company.anybody(random).department),
            ("decision", "refuse".to_owned()),
        ]
    }),
    page("department and model", |company, random| {
        vec![
            ("department", company.anybody(random).department),
            ("model", any_model(random)),
        ]
    }),
    vain("department, text that is nowhere", |company, random| {
        vec![
            ("department", company.anybody(random).department),
            ("text", NOWHERE.to_owned()),
        ]
    }),
    page("refused", |_, _| vec![("decision", "refuse".to_owned())]),
    page("refused, a later page", |_, _| {
        vec![("decision", "refuse".to_owned()), (LATER, String::new())]
    }),
    vain("refused by a code that is nowhere", |_, _| {
        vec![("denial", "revoked_session".to_owned())]
    }),
    page("API", |_, _| vec![("api", API.to_owned())]),
    page("API that is hardly called", |_, _| {
        vec![("api", RARE_API.to_owned())]
    }),
    page("text", |_, _| vec![("text", "japan-east".to_owned())]),
    vain("text that is nowhere", |_, _| {
        vec![("text", NOWHERE.to_owned())]
    }),
    page("everything", |_, _| Vec::new()),
    page("everything, a later page", |_, _| {
        vec![(LATER, String::new())]
    }),
    page("everything, of all time", |_, _| {
        vec![(ALL_TIME, String::new())]
    }),
    vain("events of all time", |_, _| {
        vec![("decision", "event".to_owned()), (ALL_TIME, String::new())]
    }),
    vain("calls that have not ended, of all time", |_, _| {
        vec![("outcome", "open".to_owned()), (ALL_TIME, String::new())]
    }),
    vain("calls of unknown end, of all time", |_, _| {
        vec![("outcome", "unknown".to_owned()), (ALL_TIME, String::new())]
    }),
];

fn any_model(random: &mut fastrand::Rng) -> String {
    random
        .choice(&MODELS)
        .copied()
        .unwrap_or_default()
        .to_owned()
}

fn moment(millis: u64) -> String {
    let millis = i64::try_from(millis).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis)
        .unwrap_or_default()
        .to_string()
}
