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

/// Every mail; one a module of the sidecar needs is added here.
pub(super) const KINDS: &[Kind] = &[Kind {
    name: NOTIFICATION,
    files: &[
        ("notification.ja.txt", include_str!("notification.ja.txt")),
        ("notification.en.txt", include_str!("notification.en.txt")),
    ],
    sample: || json!({"subject": "停止のお知らせ", "text": "今夜、停止します。"}),
}];
