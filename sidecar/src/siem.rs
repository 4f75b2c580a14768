//! Records for a SIEM: every record of the log is brought to each destination of the policy
//! file (`siem`), at least once and in the order of the log.
//!
//! What is sent is what the record says of who, what, when, decision, usage and cost. Contents
//! of calls, tokens and keys are in no record, so they are in no event.

mod azure_monitor;
mod cef;
pub mod config;
mod entry;
mod file;
mod http;
pub mod ocsf;
mod syslog;

use std::sync::Arc;

use sekisho_domain::Policy;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::forward::courier::{Courier, Recipient};
use crate::forward::{List, Standings, Trouble};
use crate::store::Store;
pub use config::{Destination, To};
pub use entry::Entry;
use entry::Log;
use ocsf::Context;

/// The name of a destination's cursor.
#[must_use]
pub fn cursor(destination: &str) -> String {
    format!("siem/{destination}")
}

/// Whether every destination can be brought something, as far as that can be known without
/// asking it: secrets and certificates are there.
///
/// # Errors
/// [`Unusable`], for the first that cannot.
pub fn check(destinations: &[Destination], clock: &Clock) -> Result<(), Unusable> {
    for destination in destinations {
        let context = Arc::new(Context::default());
        let usable = Sink::new(&destination.to, context, clock);
        usable.map_err(|trouble| Unusable::of(destination, trouble))?;
    }
    Ok(())
}

/// A destination that can never be brought anything.
#[derive(Debug, thiserror::Error)]
#[error("destination `{name}` under `siem`: {}", trouble.sentence())]
pub struct Unusable {
    name: String,
    trouble: Trouble,
}

impl Unusable {
    fn of(destination: &Destination, trouble: Trouble) -> Self {
        let name = destination.name.clone();
        Self { name, trouble }
    }
}

/// Begins to bring records to every destination, each by a task of its own. A destination that
/// is new gets what the database has from its beginning on. `origin`: the name of the log.
///
/// # Errors
/// [`Unusable`].
pub async fn start(
    store: &Store,
    policy: &Policy,
    destinations: &[Destination],
    origin: &str,
    clock: &Clock,
    standings: &Standings,
) -> Result<Vec<JoinHandle<()>>, Unusable> {
    let context = Arc::new(Context::new(origin, policy));
    let mut tasks = Vec::new();
    for destination in destinations {
        let begun = begin(store, destination, &context, clock, standings).await;
        tasks.push(begun.map_err(|trouble| Unusable::of(destination, trouble))?);
    }
    Ok(tasks)
}

async fn begin(
    store: &Store,
    destination: &Destination,
    context: &Arc<Context>,
    clock: &Clock,
    standings: &Standings,
) -> Result<JoinHandle<()>, Trouble> {
    let sink = Sink::new(&destination.to, Arc::clone(context), clock)?;
    let names = (cursor(&destination.name), destination.to.kind(), List::Log);
    let parties = (Log::new(store.clone()), sink);
    let (store, clock) = (store.clone(), clock.clone());
    let courier = Courier::new(store, clock, names, 0, parties, standings).await?;
    Ok(tokio::spawn(courier.run()))
}

/// A destination of any kind.
enum Sink {
    File(file::Lines),
    Http(http::Collector),
    Azure(Box<azure_monitor::Ingestion>),
    Syslog(Box<syslog::Receiver>),
}

impl Sink {
    fn new(to: &To, context: Arc<Context>, clock: &Clock) -> Result<Self, Trouble> {
        let clock = clock.clone();
        Ok(match to {
            To::OcsfFile(path) => Self::File(file::Lines::new(path.clone(), context)),
            To::OcsfHttp(target) => {
                Self::Http(http::Collector::new(target.clone(), context, clock)?)
            }
            To::AzureMonitor(target) => {
                let ingestion = azure_monitor::Ingestion::new(target, context, clock)?;
                Self::Azure(Box::new(ingestion))
            }
            To::CefSyslog(target) => Self::Syslog(Box::new(syslog::Receiver::new(target.clone())?)),
        })
    }
}

impl Recipient for Sink {
    type Item = Entry;

    async fn bring(&mut self, items: &[Entry]) -> Result<usize, Trouble> {
        match self {
            Self::File(lines) => lines.bring(items).await,
            Self::Http(collector) => collector.bring(items).await,
            Self::Azure(ingestion) => ingestion.bring(items).await,
            Self::Syslog(receiver) => receiver.bring(items).await,
        }
    }
}
