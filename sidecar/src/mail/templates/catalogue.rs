//! What mails there are.

use serde_json::{Value, json};

/// What somebody writes by hand, or another system: see `POST /v1/notifications/email`.
pub const NOTIFICATION: &str = "notification";

/// One mail.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// Its files: name and content, a text in each language.
    pub files: &'static [(&'static str, &'static str)],
    /// Values that it may name, each with something in it.
    pub sample: fn() -> Value,
}

impl Kind {
    /// Names that its files can have, also in a company's folder.
    pub(super) fn names(self) -> impl Iterator<Item = String> + Clone {
        let ends = ["ja.txt", "ja.html", "en.txt", "en.html"];
        ends.into_iter()
            .map(move |end| format!("{}.{end}", self.name))
    }
}

/// A person's user name and password: see [`crate::provisioning::notices`].
pub const ACCOUNT: &str = "account";
/// Of two mails the one with the user name.
pub const ACCOUNT_NAME: &str = "account_name";
/// Of two mails the one with the password.
pub const ACCOUNT_PASSWORD: &str = "account_password";
/// The user name, and a link that shows the password once.
pub const ACCOUNT_LINK: &str = "account_link";

/// What a rule has found: see [`crate::alerts`].
pub const ALERT: &str = "alert";
/// What happened on a day or in a month: see [`crate::report`].
pub const REPORT: &str = "report";

/// Every mail; one a module of the sidecar needs is added here.
pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: NOTIFICATION,
        files: &[
            ("notification.ja.txt", include_str!("notification.ja.txt")),
            ("notification.en.txt", include_str!("notification.en.txt")),
        ],
        sample: || json!({"subject": "停止のお知らせ", "text": "今夜、停止します。"}),
    },
    Kind {
        name: ALERT,
        files: &[
            ("alert.ja.txt", include_str!("alert.ja.txt")),
            ("alert.en.txt", include_str!("alert.en.txt")),
        ],
        sample: || {
            json!({
                "id": "alert_0f343b0931126a20f133d67c2b018a3b", "rule": "refusal_burst",
                "severity": "medium", "subject": "user 001", "text": "...",
                "at": "2026-11-30T04:12:07Z", "department": "sales",
                "record_id": "019ad2c6-4b94-7c1e-9b0a-3f1c5f6f8a11",
            })
        },
    },
    Kind {
        name: REPORT,
        files: &[
            ("report.ja.txt", include_str!("report.ja.txt")),
            ("report.en.txt", include_str!("report.en.txt")),
        ],
        sample: || {
            json!({
                "length": "month", "period": "2026-11", "from": "2026-11-01", "to": "2026-11-30",
                "time_zone": "Asia/Tokyo", "requests": 1, "refused": 1, "unknown_ends": 1,
                "input_tokens": 1, "output_tokens": 1, "cost": "1", "currency": "JPY",
                "alerts": 1, "changes": 1, "is_whole": true,
            })
        },
    },
    Kind {
        name: ACCOUNT,
        files: &[
            ("account.ja.txt", include_str!("account.ja.txt")),
            ("account.en.txt", include_str!("account.en.txt")),
        ],
        sample: account,
    },
    Kind {
        name: ACCOUNT_NAME,
        files: &[
            ("account_name.ja.txt", include_str!("account_name.ja.txt")),
            ("account_name.en.txt", include_str!("account_name.en.txt")),
        ],
        sample: || without(&["password"]),
    },
    Kind {
        name: ACCOUNT_PASSWORD,
        files: &[
            (
                "account_password.ja.txt",
                include_str!("account_password.ja.txt"),
            ),
            (
                "account_password.en.txt",
                include_str!("account_password.en.txt"),
            ),
        ],
        sample: || without(&["user_name"]),
    },
    Kind {
        name: ACCOUNT_LINK,
        files: &[
            ("account_link.ja.txt", include_str!("account_link.ja.txt")),
            ("account_link.en.txt", include_str!("account_link.en.txt")),
        ],
        sample: || {
            let mut sample = without(&["password"]);
            if let Some(sample) = sample.as_object_mut() {
                let link = "https://sekisho.example.com/v1/notices/id#code";
                sample.insert("link".to_owned(), json!(link));
                sample.insert("code".to_owned(), json!("code"));
                sample.insert("hours".to_owned(), json!(72));
            }
            sample
        },
    },
];

fn account() -> Value {
    json!({
        "name": "山田太郎", "user_name": "taro@example.com", "password": "aB2-cD3-",
        "sign_in_url": "https://myaccount.microsoft.com", "contact": "helpdesk@example.com",
        "is_new": true,
    })
}

fn without(names: &[&str]) -> Value {
    let mut sample = account();
    if let Some(sample) = sample.as_object_mut() {
        for name in names {
            sample.remove(*name);
        }
    }
    sample
}
