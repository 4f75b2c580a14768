//! The section `push` of the policy file.

use std::path::PathBuf;

use schemars::JsonSchema;
use sekisho_domain::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::forward::config::Checking;
use crate::forward::webhook::{RawWebhook, WebhookTarget};

/// Most days that a message is tried: push services keep none longer.
const MOST_DAYS: u64 = 28;

/// Messages to browsers and webhooks.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawPush {
    /// Whom the people of a push service write to: `mailto:` and an address, or an https URL.
    pub contact: String,
    /// How many days a message is tried, 1 to 28.
    #[serde(default = "default_days")]
    pub days: u64,
    /// Hosts of push services to which messages may go, `*.` for all under a name; default: every
    /// one with a public address.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Hosts of push services that may have addresses that are not public.
    #[serde(default)]
    pub private_hosts: Vec<String>,
    /// PEM file of the authorities that vouch for push services; default: those of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Where messages can be posted besides (Standard Webhooks).
    #[serde(default)]
    pub webhooks: Vec<RawPushWebhook>,
}

const fn default_days() -> u64 {
    3
}

/// Where messages can be posted.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawPushWebhook {
    /// Its name, by which messages are sent there.
    pub name: String,
    /// Where to, and the secret by which it knows us.
    pub webhook: RawWebhook,
}

/// How messages are pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushSettings {
    /// Whom the people of a push service write to.
    pub contact: String,
    /// How many days a message is tried.
    pub days: u64,
    /// Hosts of push services, lower case; none: every one.
    pub hosts: Vec<String>,
    /// Those whose addresses need not be public, lower case.
    pub private_hosts: Vec<String>,
    /// Who vouches for push services.
    pub authorities: Option<PathBuf>,
    /// Webhooks, by name.
    pub webhooks: Vec<(String, WebhookTarget)>,
}

/// Reads the section; every problem is noted.
pub(crate) fn read(section: Option<Value>, problems: &mut Vec<Problem>) -> Option<PushSettings> {
    let section = section.filter(|section| !section.is_null())?;
    let mut checking = Checking::new(problems);
    let raw: RawPush = checking.read("push", section)?;
    if !is_contact(&raw.contact) {
        let text = "must be `mailto:` and an address, or an https URL";
        checking.problem("push.contact", text);
    }
    if !(1..=MOST_DAYS).contains(&raw.days) {
        checking.problem("push.days", format!("must be 1 to {MOST_DAYS}"));
    }
    let hosts = hosts(&mut checking, "push.hosts", raw.hosts);
    let private_hosts = self::hosts(&mut checking, "push.private_hosts", raw.private_hosts);
    let authorities = raw
        .ca_file
        .map(|file| checking.file("push.ca_file".to_owned(), &file));
    let mut webhooks = Vec::new();
    for (at, webhook) in raw.webhooks.into_iter().enumerate() {
        let path = format!("push.webhooks[{at}]");
        checking.name(&path, &webhook.name);
        let path = format!("{path}.webhook");
        let target = WebhookTarget::read(&mut checking, &path, webhook.webhook);
        webhooks.extend(target.map(|target| (webhook.name, target)));
    }
    Some(PushSettings {
        contact: raw.contact,
        days: raw.days,
        hosts,
        private_hosts,
        authorities,
        webhooks,
    })
}

fn is_contact(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    match url.scheme() {
        "mailto" => url.path().contains('@'),
        "https" => url.has_host(),
        _ => false,
    }
}

fn hosts(checking: &mut Checking<'_>, path: &str, hosts: Vec<String>) -> Vec<String> {
    for (at, host) in hosts.iter().enumerate() {
        let name = host.strip_prefix("*.").unwrap_or(host);
        let is_host = !name.is_empty()
            && !name.contains(['/', '@', '*', ' '])
            && url::Host::parse(name).is_ok();
        if !is_host {
            let text = format!("`{host}` is no host such as `push.example.com` or `*.example.com`");
            checking.problem(format!("{path}[{at}]"), text);
        }
    }
    let lower = hosts.into_iter().map(|host| host.to_lowercase());
    lower.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let mut problems = Vec::new();
        let section = json!({
            "contact": "operations@example.com", "days": 0, "hosts": ["*", "a.example"],
            "private_hosts": ["https://a.example"], "ca_file": "here",
            "webhooks": [{"name": "a b", "webhook": {"url": "http://x.example", "secret_env": "X"}}],
        });
        read(Some(section), &mut problems);
        let mut paths: Vec<_> = problems.iter().map(|problem| &*problem.path).collect();
        paths.sort_unstable();
        assert_eq!(
            paths,
            [
                "push.ca_file",
                "push.contact",
                "push.days",
                "push.hosts[0]",
                "push.private_hosts[0]",
                "push.webhooks[0].name",
                "push.webhooks[0].webhook.url",
            ]
        );
    }

    #[test]
    fn a_contact_is_enough() {
        let mut problems = Vec::new();
        let section = json!({"contact": "mailto:operations@example.com"});
        let settings = read(Some(section), &mut problems).unwrap();
        assert_eq!((settings.days, problems), (3, Vec::new()));
        assert_eq!(read(None, &mut Vec::new()), None);
    }
}
