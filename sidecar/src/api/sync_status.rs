use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::moments::shown;
use super::problem::Problem;
use crate::entra::sync::{Direction, Drift, Report, Said};

/// Most people that are shown of each list; the counts are of all.
const MOST: usize = 1000;

/// How directory and Entra ID stand to each other.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SyncStatus {
    state: SyncState,
    /// Name of the plan, for correcting what it shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    /// In which direction it corrects; absent: it only looks.
    #[serde(skip_serializing_if = "Option::is_none")]
    apply: Option<WhoseWord>,
    /// When it was begun (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    began_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    /// Why it ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// How many people's accounts differ.
    differing: usize,
    /// How many were corrected.
    corrected: usize,
    /// The first thousand whose accounts differ, in the order of ids.
    drift: Vec<Differing>,
    /// The first thousand who were not corrected, and why.
    left: Vec<Left>,
}

/// Where it is.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SyncState {
    /// None was begun since the sidecar started.
    Never,
    /// One is under way.
    Running,
    /// The last one ended.
    Done,
    /// The last one ended early.
    Failed,
}

/// Whose word counts.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum WhoseWord {
    /// Entra ID is made as the directory says.
    ToEntra,
    /// The directory is made as Entra ID says.
    FromEntra,
}

/// A person whose account differs.
#[derive(Debug, Serialize, ToSchema)]
struct Differing {
    /// The company's id of the person.
    user: String,
    /// Object id of the account.
    object_id: String,
    /// As the directory has it today.
    directory: SaidShown,
    /// As Entra ID has it; absent: there is no such account.
    #[serde(skip_serializing_if = "Option::is_none")]
    entra: Option<SaidShown>,
}

/// What an account says.
#[derive(Debug, Serialize, ToSchema)]
struct SaidShown {
    name: String,
    /// Name of the department.
    department: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    job_title: String,
    enabled: bool,
}

/// Somebody who was not corrected.
#[derive(Debug, Serialize, ToSchema)]
struct Left {
    /// The company's id of the person.
    user: String,
    why: String,
}

/// How directory and Entra ID stand to each other
///
/// What the last look has shown: accounts that somebody has changed by hand or deleted, and
/// people whose account is not yet as it should be. Nothing is corrected before it was shown.
#[utoipa::path(
    get, path = "/v1/azuread/sync/status", operation_id = "getSyncStatus", tag = "azuread", security(("token" = [])),
    responses(
        (status = 200, body = SyncStatus),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The embedded directory has the accounts: there is nothing beside it", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(State(api): State<Api>, _: Access) -> Result<Json<SyncStatus>, Problem> {
    let sync = api.0.sync()?;
    Ok(Json(SyncStatus::new(sync.last())))
}

impl SyncStatus {
    pub(super) fn new(report: Option<Report>) -> Self {
        let Some(report) = report else {
            return Self {
                state: SyncState::Never,
                plan: None,
                apply: None,
                began_at: None,
                ended_at: None,
                reason: None,
                differing: 0,
                corrected: 0,
                drift: Vec::new(),
                left: Vec::new(),
            };
        };
        let state = match (&report.ended, &report.failed) {
            (None, _) => SyncState::Running,
            (Some(_), Some(_)) => SyncState::Failed,
            (Some(_), None) => SyncState::Done,
        };
        let left = report.left.into_iter().take(MOST);
        Self {
            state,
            plan: Some(report.id),
            apply: report.apply.map(|direction| match direction {
                Direction::ToEntra => WhoseWord::ToEntra,
                Direction::FromEntra => WhoseWord::FromEntra,
            }),
            began_at: Some(shown(report.began)),
            ended_at: report.ended.map(shown),
            reason: report.failed,
            differing: report.drifts.len(),
            corrected: report.corrected.len(),
            drift: report
                .drifts
                .into_iter()
                .take(MOST)
                .map(Differing::from)
                .collect(),
            left: left.map(|(user, why)| Left { user: user.0, why }).collect(),
        }
    }
}

impl From<Drift> for Differing {
    fn from(drift: Drift) -> Self {
        Self {
            user: drift.person.0,
            object_id: drift.account,
            directory: drift.directory.into(),
            entra: drift.entra.map(SaidShown::from),
        }
    }
}

impl From<Said> for SaidShown {
    fn from(said: Said) -> Self {
        Self {
            name: said.name,
            department: said.department,
            job_title: said.job_title,
            enabled: said.enabled,
        }
    }
}
