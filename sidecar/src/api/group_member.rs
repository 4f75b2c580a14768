//! What adding and removing a member have in common.

use axum::http::StatusCode;
use sekisho_domain::EventOutcome;
use uuid::Uuid;

use super::Api;
use super::access::Access;
use super::graph_problem::graph_problem;
use super::problem::Problem;
use crate::entra::{Graph, GraphError, Membership};
use crate::events::{Author, Telling};
use crate::store::people;
use crate::writer::Writer;

/// What is done to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Add,
    Remove,
}

/// Does it, and has on record that it is done before it is, and that it was not if it was not.
pub(super) async fn change(
    api: &Api,
    administrator: &Access,
    deed: Deed,
    group: &str,
    user: &str,
) -> Result<StatusCode, Problem> {
    let shared = &api.0;
    let Some(tenant) = shared.entra.get() else {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "the embedded directory has no groups but its departments: change the person's department",
        ));
    };
    let group = Uuid::try_parse(group).map_err(|_| unknown())?;
    let group = group.hyphenated().to_string();
    let person = people::find(&shared.store, user).await?;
    let person = person.ok_or_else(|| Problem::not_found("the directory has no such person"))?;
    let (writer, mut author) = (
        shared.recording()?,
        administrator.author(shared.clock.now())?,
    );
    record(writer, tell(&mut author, deed, &group, user)).await?;
    let done = carry_out(tenant.graph(), deed, &group, &person.object_id).await;
    let problem = match done {
        Ok(Membership::Done) => return Ok(StatusCode::NO_CONTENT),
        Ok(Membership::Unknown) => (EventOutcome::Failure, unknown()),
        Err(error) => {
            let outcome = match error {
                GraphError::Lost(_) | GraphError::Unavailable { .. } => EventOutcome::Unknown,
                _ => EventOutcome::Failure,
            };
            (outcome, refused(&error))
        }
    };
    let (outcome, problem) = problem;
    let told = tell(&mut author, deed, &group, user).outcome(outcome);
    record(writer, told).await?;
    Err(problem)
}

async fn carry_out(
    graph: &Graph,
    deed: Deed,
    group: &str,
    member: &str,
) -> Result<Membership, GraphError> {
    match deed {
        Deed::Add => graph.add_member(group, member).await,
        Deed::Remove => graph.remove_member(group, member).await,
    }
}

fn tell(author: &mut Author, deed: Deed, group: &str, user: &str) -> Telling {
    let name = match deed {
        Deed::Add => "group.add_member",
        Deed::Remove => "group.remove_member",
    };
    let state = serde_json::json!({"user": user});
    let told = author.tell(name, group);
    match deed {
        Deed::Add => told.after(Some(state)),
        Deed::Remove => told.before(Some(state)),
    }
}

async fn record(writer: &Writer, told: Telling) -> Result<(), Problem> {
    let recorded = writer.record(told).await;
    recorded.map(|_| ()).map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "an event is lost");
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "it cannot be put on record just now: look whether it was done, and try again",
        )
    })
}

fn unknown() -> Problem {
    Problem::not_found(
        "the tenant has no such group, or no account of this person, or the person is not in the group",
    )
}

/// Of groups that cannot be changed Graph says so in two ways.
fn refused(error: &GraphError) -> Problem {
    match error.status() {
        Some(400 | 403) => Problem::new(
            StatusCode::CONFLICT,
            format!(
                "{error}: its members follow from a rule or come from the company's own network, or the sidecar lacks `GroupMember.ReadWrite.All`"
            ),
        ),
        _ => graph_problem(error),
    }
}
