//! The section `mail` of the policy file.

use std::net::IpAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use sekisho_domain::Problem;
use sekisho_domain::policy::SecretSource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::address::Address;
use super::templates::Language;
use crate::forward::config::Checking;

/// Most days that a letter is tried.
const MOST_DAYS: u64 = 30;
/// Longest `sender_name`, bytes.
const MOST_NAME: usize = 128;

/// The mail server, and who writes.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawMail {
    /// `host:port` of the mail server; usually port 587 with `starttls`, 465 with `implicit`.
    pub server: String,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: Protection,
    /// PEM file of the authorities that vouch for the server; default: those of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Account at the server. Without it none is signed in to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Environment variable of the sidecar that holds the account's password. With `user`, exactly
    /// one of this and `secret_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    /// File that the sidecar reads the password from, each time that it connects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<String>,
    /// The address that writes.
    pub sender: String,
    /// The name beside it.
    #[serde(default)]
    pub sender_name: String,
    /// Where the server sends what it could not deliver later (the envelope sender); default:
    /// `sender`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounces_to: Option<String>,
    /// What the sidecar calls itself in `EHLO`; default: the name of its machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hello: Option<String>,
    /// In which language mails are, where nobody says another.
    #[serde(default)]
    pub language: Language,
    /// Folder of templates that stand for those of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templates: Option<String>,
    /// How many days a mail of the outbox is tried, 1 to 30.
    #[serde(default = "default_days")]
    pub days: u64,
}

const fn default_days() -> u64 {
    3
}

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// By TLS that is begun with `STARTTLS`; a server that does not offer it gets nothing.
    #[default]
    Starttls,
    /// By TLS from its first byte on.
    Implicit,
    /// Not at all: for a server on a loopback address.
    None,
}

/// How mail is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailSettings {
    /// Host of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub protection: Protection,
    /// Who vouches for the server.
    pub authorities: Option<PathBuf>,
    /// Account, and where its password is.
    pub account: Option<(String, SecretSource)>,
    /// The address that writes.
    pub sender: Address,
    /// The name beside it; empty: none.
    pub sender_name: String,
    /// Where the server sends what it could not deliver later.
    pub bounces_to: Address,
    /// The sidecar's name in `EHLO`.
    pub hello: Option<String>,
    /// In which language mails are, where nobody says another.
    pub language: Language,
    /// Folder of templates.
    pub templates: Option<PathBuf>,
    /// How many days a mail of the outbox is tried.
    pub days: u64,
}

/// Reads the section; every problem is noted.
pub(crate) fn read(section: Option<Value>, problems: &mut Vec<Problem>) -> Option<MailSettings> {
    let section = section.filter(|section| !section.is_null())?;
    let mut checking = Checking::new(problems);
    let raw: RawMail = checking.read("mail", section)?;
    let (host, port) = checking.address("mail.server".to_owned(), &raw.server);
    protection(&mut checking, &raw, &host);
    let account = account(&mut checking, &raw);
    let sender = address(&mut checking, "mail.sender", &raw.sender);
    let bounces_to = match &raw.bounces_to {
        Some(text) => address(&mut checking, "mail.bounces_to", text),
        None => sender.clone(),
    };
    names(&mut checking, &raw);
    let mut file = |member: &str, path: &Option<String>| {
        let path = path.as_deref()?;
        Some(checking.file(format!("mail.{member}"), path))
    };
    Some(MailSettings {
        host,
        port,
        protection: raw.tls,
        authorities: file("ca_file", &raw.ca_file),
        templates: file("templates", &raw.templates),
        account,
        sender: sender?,
        sender_name: raw.sender_name,
        bounces_to: bounces_to?,
        hello: raw.hello,
        language: raw.language,
        days: raw.days,
    })
}

fn protection(checking: &mut Checking<'_>, raw: &RawMail, host: &str) {
    if raw.tls != Protection::None {
        return;
    }
    let is_loopback = host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    if !is_loopback && !host.is_empty() {
        let text = "`none` is for a server on a loopback address: others on the way would read mails and password";
        checking.problem("mail.tls", text);
    }
    if raw.ca_file.is_some() {
        let text = "says whom TLS trusts, but `tls: none` says that there is none";
        checking.problem("mail.ca_file", text);
    }
}

fn account(checking: &mut Checking<'_>, raw: &RawMail) -> Option<(String, SecretSource)> {
    match &raw.user {
        Some(user) => {
            if user.is_empty() || user.chars().any(char::is_control) {
                let text = "must not be empty or have control characters";
                checking.problem("mail.user", text);
            }
            let (env, file) = (raw.secret_env.clone(), raw.secret_file.clone());
            Some((user.clone(), checking.secret("mail", env, file)))
        }
        None => {
            if raw.secret_env.is_some() || raw.secret_file.is_some() {
                checking.problem("mail.user", "is missing, but there is a secret");
            }
            None
        }
    }
}

fn names(checking: &mut Checking<'_>, raw: &RawMail) {
    if raw.sender_name.len() > MOST_NAME || raw.sender_name.chars().any(char::is_control) {
        let text = format!("must have at most {MOST_NAME} bytes and no control characters");
        checking.problem("mail.sender_name", text);
    }
    let is_host = |host: &String| {
        let is_of_host = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
        (1..=253).contains(&host.len()) && host.bytes().all(is_of_host)
    };
    if raw.hello.as_ref().is_some_and(|hello| !is_host(hello)) {
        checking.problem("mail.hello", "must be the name of a host");
    }
    if !(1..=MOST_DAYS).contains(&raw.days) {
        checking.problem("mail.days", format!("must be 1 to {MOST_DAYS}"));
    }
}

fn address(checking: &mut Checking<'_>, path: &str, text: &str) -> Option<Address> {
    match text.parse() {
        Ok(address) => Some(address),
        Err(error) => {
            let error: super::NotAnAddress = error;
            checking.problem(path, error.to_string());
            None
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    pub(in crate::mail) fn settings() -> MailSettings {
        let section = json!({"server": "mail.example:587", "sender": "sekisho@example.com"});
        read(Some(section), &mut Vec::new()).unwrap()
    }

    #[test]
    fn a_section_is_read_with_its_defaults() {
        let settings = settings();
        assert_eq!(
            (settings.host.as_str(), settings.port),
            ("mail.example", 587)
        );
        assert_eq!(settings.protection, Protection::Starttls);
        assert_eq!(settings.bounces_to, settings.sender);
        assert_eq!((settings.language, settings.days), (Language::Ja, 3));
        assert_eq!(read(None, &mut Vec::new()), None);
        assert_eq!(read(Some(Value::Null), &mut Vec::new()), None);
    }

    #[test]
    fn a_server_without_tls_is_one_on_this_machine() {
        for (server, sound) in [
            ("127.0.0.1:25", true),
            ("localhost:25", true),
            ("[::1]:25", true),
            ("mail.example:25", false),
            ("10.0.0.1:25", false),
        ] {
            let mut problems = Vec::new();
            let section = json!({"server": server, "tls": "none", "sender": "a@example.com"});
            read(Some(section), &mut problems);
            assert_eq!(problems.is_empty(), sound, "{server}: {problems:?}");
        }
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let section = json!({
            "server": "mail.example", "tls": "none", "ca_file": "/ca.pem",
            "secret_env": "X", "sender": "a, b", "sender_name": "x\r\ny", "bounces_to": "x",
            "hello": "a b", "days": 0, "templates": "here",
        });
        let mut problems = Vec::new();
        read(Some(section), &mut problems);
        let mut found: Vec<_> = problems.into_iter().map(|problem| problem.path).collect();
        found.sort();
        assert_eq!(
            found,
            [
                "mail.bounces_to",
                "mail.ca_file",
                "mail.days",
                "mail.hello",
                "mail.sender",
                "mail.sender_name",
                "mail.server",
                "mail.templates",
                "mail.user",
            ]
        );
        for (section, place) in [
            (json!([]), "mail"),
            (
                json!({"server": "a:1", "sender": "a@b.example", "tsl": "none"}),
                "mail.tsl",
            ),
            (
                json!({"server": "a:1", "sender": "a@b.example", "user": "u"}),
                "mail",
            ),
        ] {
            let mut problems = Vec::new();
            read(Some(section), &mut problems);
            assert_eq!(problems[0].path, place, "{problems:?}");
        }
    }
}
