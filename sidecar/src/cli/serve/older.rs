//! Retention, as the policy file says.

use std::path::Path;

use ed25519_dalek::VerifyingKey;
use url::Url;

use super::Failure;
use crate::alerts;
use crate::clock::Clock;
use crate::cold::{Keeper, Mover, Retention};
use crate::ledger::Calendar;
use crate::objects::{Objects, environment};
use crate::siem::{self, Destination};
use crate::store::Store;
use crate::vitals::{Kind, Pulse, Vitals};
use crate::writer::Writer;

/// The folder in the state where older records go unless the policy says another place.
const FOLDER: &str = "cold";

pub(super) async fn keeper(
    (store, calendar, clock): (&Store, &Calendar, &Clock),
    (writer, key): (&Writer, VerifyingKey),
    retention: &Retention,
    (destinations, state): (&[Destination], &Path),
    vitals: &Vitals,
) -> Result<Keeper, Failure> {
    let place = match &retention.to {
        Some(place) => place.clone(),
        None => folder(state)?,
    };
    let objects = Objects::open(&place, environment())?;
    let shown = objects.shown().to_owned();
    let origin = writer.origin().to_owned();
    let of = (store.clone(), calendar.clone());
    let mover = Mover::start(of.0, of.1, (origin, key), (&place, objects), retention).await?;
    let pulse = Pulse::default();
    vitals.add(Kind::Retention, shown, pulse.clone());
    let readers = destinations
        .iter()
        .map(|destination| siem::cursor(&destination.name))
        .chain([alerts::CURSOR.to_owned()]);
    Ok(Keeper {
        mover: mover.behind(readers.collect()),
        days: retention.days,
        clock: clock.clone(),
        writer: writer.clone(),
        pulse,
    })
}

fn folder(state: &Path) -> Result<String, Failure> {
    let folder = std::path::absolute(state)?.join(FOLDER);
    let url = Url::from_directory_path(&folder)
        .map_err(|()| Failure::because(format_args!("`{}` is no folder", folder.display())))?;
    Ok(url.into())
}
