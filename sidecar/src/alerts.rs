//! Alerts: rules that follow the log, and people and systems that are told.
//!
//! A rule is a pure function from what it remembers, the next record and its configuration to
//! what it remembers then and an alert. The watcher reads the log from where it was, and
//! stores alerts, what the rules remember, and how far it is in one transaction: a record is
//! seen once, and an alert is there once, whoever is killed meanwhile. An alert is an event on
//! record, too. Who is to be told is brought the alerts by a courier, at least once and in order.

pub mod alert;
pub mod config;
mod deliver;
mod letters;
pub mod message;
pub mod rules;
pub mod sight;
mod watch;

use sekisho_domain::UnixMillis;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::forward::courier::Courier;
use crate::forward::webhook::Webhook;
use crate::forward::{List, Standings, Trouble};
use crate::ledger::Calendar;
use crate::mail::Mail;
use crate::settings::LiveSettings;
use crate::store::Store;
use crate::store::alerts::list;
use crate::writer::Writer;
pub use alert::{Alert, RuleName, Severity, Subject};
pub use config::{AlertWebhook, Alerts};
use deliver::{List as AlertList, Post};
use letters::Letters;
pub use watch::RECORDS as CURSOR;
use watch::Watcher;

/// The name of the cursor of a recipient.
#[must_use]
pub fn cursor(recipient: &str) -> String {
    format!("alerts/{recipient}")
}

/// A recipient that can never be brought anything.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` under `alerts`: {}", trouble.sentence())]
pub struct Unusable {
    name: String,
    trouble: Trouble,
}

/// Whether every recipient can be brought something, as far as that can be known without
/// asking it: secrets and certificates are there.
///
/// # Errors
/// [`Unusable`], for the first that cannot.
pub fn check(alerts: &Alerts, clock: &Clock) -> Result<(), Unusable> {
    for recipient in &alerts.webhooks {
        let webhook = Webhook::new(recipient.target.clone(), clock.clone());
        webhook.map_err(|trouble| Unusable::of(recipient, trouble))?;
    }
    Ok(())
}

impl Unusable {
    fn of(recipient: &AlertWebhook, trouble: Trouble) -> Self {
        let name = recipient.name.clone();
        Self { name, trouble }
    }
}

/// Begins to look at what is recorded, and to tell of what is found. A recipient that is new
/// is told of what is found from now on; rules that were never run begin with the records of
/// the last day. `alerts`: who is told; what raises alerts is asked of `settings`.
///
/// # Errors
/// [`Unusable`].
pub async fn start(
    store: &Store,
    calendar: &Calendar,
    (alerts, settings, mail): (&Alerts, &LiveSettings, Option<&Mail>),
    writer: &Writer,
    clock: &Clock,
    standings: &Standings,
) -> Result<Vec<JoinHandle<()>>, Unusable> {
    let mut tasks = Vec::new();
    for recipient in &alerts.webhooks {
        let begun = begin(store, recipient, clock, standings).await;
        tasks.push(begun.map_err(|trouble| Unusable::of(recipient, trouble))?);
    }
    let watcher = Watcher::new(
        store,
        calendar,
        settings,
        writer,
        clock,
        Letters::new(mail, &alerts.mails),
        standings,
    );
    tasks.push(tokio::spawn(watcher.run()));
    Ok(tasks)
}

async fn begin(
    store: &Store,
    recipient: &AlertWebhook,
    clock: &Clock,
    standings: &Standings,
) -> Result<JoinHandle<()>, Trouble> {
    let webhook = Webhook::new(recipient.target.clone(), clock.clone())?;
    let post = Post::new(webhook, recipient.wanted.clone());
    let names = (cursor(&recipient.name), "webhook", List::Alerts);
    let first = list::next(store).await?;
    let parties = (AlertList::new(store.clone()), post);
    let (store, clock) = (store.clone(), clock.clone());
    let courier = Courier::new(store, clock, names, first, parties, standings).await?;
    Ok(tokio::spawn(courier.run()))
}

/// From which moment on records are looked at by rules that were never run.
const fn since(now: UnixMillis) -> UnixMillis {
    UnixMillis(now.0.saturating_sub(24 * 3_600_000))
}
