//! `people.notices` of the policy file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use crate::mail::Language;

/// Longest `contact`, bytes.
const MOST_CONTACT: usize = 256;
/// Most hours that a link is good for.
const MOST_HOURS: u32 = 24 * 30;

/// Notices by mail; they need the section `mail`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawNotices {
    /// How the first password reaches its owner.
    pub password: Delivery,
    /// In which language; default: that of `mail`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// Where people sign in, as the notice says; default: https://myaccount.microsoft.com
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in_url: Option<String>,
    /// Whom people ask for help, as the notice says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Where people reach `/v1/notices/` of this sidecar, for `password: link`; `https`, but on a
    /// loopback address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_url: Option<String>,
    /// For how many hours a link is good, 1 to 720; default: 72.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_hours: Option<u32>,
}

/// How a first password reaches its owner.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// In one mail with the user name.
    #[default]
    Combined,
    /// In a mail of its own.
    Split,
    /// On a page that shows it once; the mail has the link to it.
    Link,
}

/// How people are told of their accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoticeSettings {
    /// How the first password reaches its owner.
    pub delivery: Delivery,
    /// In which language; none: that of mail.
    pub language: Option<Language>,
    /// Where people sign in.
    pub sign_in_url: String,
    /// Whom they ask; empty: nobody is named.
    pub contact: String,
    /// What links begin with, without a `/` at the end; with [`Delivery::Link`].
    pub link_url: String,
    /// For how many hours a link is good.
    pub link_hours: u32,
}

/// Checks the section; `problem` is told of what is wrong, by member.
pub(in crate::provisioning) fn read(
    raw: RawNotices,
    mut problem: impl FnMut(&str, &str),
) -> NoticeSettings {
    let sign_in_url = raw
        .sign_in_url
        .unwrap_or_else(|| "https://myaccount.microsoft.com".to_owned());
    if !is_page(&sign_in_url) {
        problem("notices.sign_in_url", "must be an https URL (or http)");
    }
    let contact = raw.contact.unwrap_or_default();
    if contact.len() > MOST_CONTACT || contact.chars().any(char::is_control) {
        let text = "must be one line of at most 256 bytes";
        problem("notices.contact", text);
    }
    let link_hours = raw.link_hours.unwrap_or(72);
    if !(1..=MOST_HOURS).contains(&link_hours) {
        problem("notices.link_hours", "must be 1 to 720");
    }
    let link_url = raw.link_url.unwrap_or_default();
    let has_links = raw.password == Delivery::Link || !link_url.is_empty();
    if has_links && !is_safe(&link_url) {
        problem(
            "notices.link_url",
            "must be the https URL at which people reach this sidecar, without query or fragment (http is for a loopback address)",
        );
    }
    NoticeSettings {
        delivery: raw.password,
        language: raw.language,
        sign_in_url,
        contact,
        link_url: link_url.trim_end_matches('/').to_owned(),
        link_hours,
    }
}

/// Whether a reader can follow it, and it does nothing else.
fn is_page(text: &str) -> bool {
    let url = Url::parse(text).ok();
    url.is_some_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
}

/// Whether nobody on the way reads what is on the page.
fn is_safe(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let is_loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let is_private = url.scheme() == "https" || (url.scheme() == "http" && is_loopback);
    let has_more = url.query().is_some() || url.fragment().is_some() || !url.username().is_empty();
    is_private && !has_more && url.has_host()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn problems(section: Value) -> Vec<String> {
        let raw = serde_json::from_value(section).unwrap();
        let mut found = Vec::new();
        read(raw, |path, _| found.push(path.to_owned()));
        found
    }

    #[test]
    fn a_link_leads_to_where_nobody_else_reads() {
        for (url, is_one) in [
            ("https://sekisho.example.com", true),
            ("https://sekisho.example.com/people/", true),
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080", true),
            ("http://localhost:8080", true),
            ("http://sekisho.example.com", false),
            ("https://sekisho.example.com/?a=b", false),
            ("https://sekisho.example.com/#a", false),
            ("https://user@sekisho.example.com/", false),
            ("sekisho.example.com", false),
            ("", false),
        ] {
            let found = problems(json!({"password": "link", "link_url": url}));
            assert_eq!(found.is_empty(), is_one, "{url}: {found:?}");
        }
    }

    #[test]
    fn everything_wrong_is_named() {
        let found = problems(
            json!({"sign_in_url": "here", "contact": "a\nb", "link_hours": 0,
                                    "link_url": "http://a.example"}),
        );
        let all = [
            "notices.sign_in_url",
            "notices.contact",
            "notices.link_hours",
            "notices.link_url",
        ];
        assert_eq!(found, all);
        assert_eq!(problems(json!({})), Vec::<String>::new());
    }
}
