//! Corrections: what was shown and is still so.

use sekisho_domain::{EventOutcome, UserId};
use serde_json::{Value, json};

use super::drift::taken_over;
use super::{Direction, Drift, EntraSync, Said, SyncError};
use crate::entra::fault::GraphError;
use crate::entra::operations::{user_amend, user_revoke_sessions};
use crate::entra::pace::Pace;
use crate::events::{Author, Telling};
use crate::provisioning::ObjectId;
use crate::store::people;
use crate::writer::Writer;

/// What differed, who was corrected, and who was not and why.
pub(super) type Corrected = (Vec<Drift>, Vec<UserId>, Vec<(UserId, String)>);

impl EntraSync {
    pub(super) async fn correct(
        &self,
        shown: Vec<Drift>,
        direction: Direction,
        writer: &Writer,
        mut author: Author,
    ) -> Result<Corrected, SyncError> {
        let now = self.look().await?;
        let (still, changed): (Vec<Drift>, Vec<Drift>) =
            shown.into_iter().partition(|drift| now.contains(drift));
        let why = "it has changed since it was shown";
        let mut left: Vec<(UserId, String)> = changed
            .into_iter()
            .map(|drift| (drift.person, why.to_owned()))
            .collect();
        let mut corrected = Vec::new();
        match direction {
            Direction::ToEntra => {
                for drift in &still {
                    match self.bring(drift, writer, &mut author).await? {
                        Ok(()) => corrected.push(drift.person.clone()),
                        Err(why) => left.push((drift.person.clone(), why)),
                    }
                }
            }
            Direction::FromEntra => {
                self.take(&still, writer, &mut author, (&mut corrected, &mut left))
                    .await?;
            }
        }
        Ok((still, corrected, left))
    }

    /// Makes one account as the directory says. It is on record before it is done.
    async fn bring(
        &self,
        drift: &Drift,
        writer: &Writer,
        author: &mut Author,
    ) -> Result<Result<(), String>, SyncError> {
        let Some(entra) = &drift.entra else {
            let why = "there is no account: bring the person's row again, and one is made";
            return Ok(Err(why.to_owned()));
        };
        record(writer, tell(author, drift, entra)).await?;
        let error = match self.amend(drift, entra).await {
            Ok(()) => return Ok(Ok(())),
            Err(error) => error,
        };
        let outcome = match error {
            GraphError::Lost(_) | GraphError::Unavailable { .. } => EventOutcome::Unknown,
            _ => EventOutcome::Failure,
        };
        record(writer, tell(author, drift, entra).outcome(outcome)).await?;
        Ok(Err(error.to_string()))
    }

    async fn amend(&self, drift: &Drift, entra: &Said) -> Result<(), GraphError> {
        let id = ObjectId(drift.account.clone());
        let graph = self.graph();
        let call = user_amend::call(&id, entra, &drift.directory);
        graph.ask(&call, Pace::UNHURRIED).await?;
        if entra.enabled && !drift.directory.enabled {
            let call = user_revoke_sessions::call(&id);
            graph.ask(&call, Pace::UNHURRIED).await?;
        }
        Ok(())
    }

    /// Makes the directory as Entra ID says, in one transaction with its events.
    async fn take(
        &self,
        drifts: &[Drift],
        writer: &Writer,
        author: &mut Author,
        (corrected, left): (&mut Vec<UserId>, &mut Vec<(UserId, String)>),
    ) -> Result<(), SyncError> {
        let shared = &*self.0;
        let policy = shared.hub.policy();
        let taken = people::change(&shared.store, author, |everybody| {
            let mut changed = Vec::new();
            for drift in drifts {
                let person = everybody.iter().find(|person| person.id == drift.person);
                let Some(person) = person else { continue };
                match taken_over(person, drift, &policy) {
                    Ok(new) if new != *person => {
                        corrected.push(drift.person.clone());
                        changed.push(new);
                    }
                    Ok(_) => {
                        let why = "the directory says so already, in its own way".to_owned();
                        left.push((drift.person.clone(), why));
                    }
                    Err(why) => left.push((drift.person.clone(), why.to_owned())),
                }
            }
            Ok::<_, std::convert::Infallible>((changed, ()))
        })
        .await?;
        match taken {
            Ok(()) => {}
            Err(never) => match never {},
        }
        writer
            .take_pending()
            .await
            .map_err(|_| SyncError::Unrecorded)
    }
}

/// What is on record: no name.
fn tell(author: &mut Author, drift: &Drift, entra: &Said) -> Telling {
    let state = |said: &Said| -> Value {
        json!({"department": said.department, "job_title": said.job_title, "enabled": said.enabled})
    };
    let mut told = author
        .tell("account.correct", drift.person.as_str())
        .before(Some(state(entra)))
        .after(Some(state(&drift.directory)));
    if entra.name != drift.directory.name {
        told = told.detail("changed as well: name");
    }
    told
}

async fn record(writer: &Writer, told: Telling) -> Result<(), SyncError> {
    let recorded = writer.record(told).await;
    recorded.map(|_| ()).map_err(|_| SyncError::Unrecorded)
}
