//! What the endpoints of people and their accounts have in common.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use sekisho_domain::{RecordId, UnixMillis};
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::access::Access;
use super::apikey_issue::random;
use super::moments::shown;
use super::problem::{Problem, RowError};
use super::recording::recorded;
use crate::people::csv::RowProblem;
use crate::provisioning::Desk;
use crate::provisioning::desk::{NotConfirmed, Refused};
use crate::provisioning::jobs::{self, Counts, Deed, Job as Stored, State};
use crate::provisioning::pickup::{self, Source};
use crate::store::{Store, StoreError, people};

/// How long an answer about one person waits for the account.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Most wrong values that an answer names.
const MOST_ERRORS: usize = 1000;

impl Shared {
    /// Where accounts are ordered. Without it nothing is changed.
    pub(super) fn desk(&self) -> Result<&Desk, Problem> {
        self.desk.get().ok_or_else(|| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "this sidecar makes no accounts just now: try again",
            )
        })
    }
}

/// A new job's id: sorts by time.
pub(super) fn job_id(now: UnixMillis) -> Result<String, Problem> {
    Ok(RecordId::v7(now, random()?).to_string())
}

/// Orders something for one person and waits a while for the account: 204 if it is done, 202 with
/// the job if it takes longer.
pub(super) async fn order(
    shared: &Shared,
    administrator: &Access,
    id: &str,
    deed: Deed,
) -> Result<Response, Problem> {
    let now = shared.clock.now();
    let (desk, writer) = (shared.desk()?, shared.recording()?);
    let person = people::find(&shared.store, id).await?;
    let person = person.ok_or_else(|| Problem::not_found("the directory has no such person"))?;
    let mut author = administrator.author(now)?;
    let job = job_id(now)?;
    desk.order(deed, &person, job.clone(), &mut author).await?;
    let ended = desk.ended(&job, PATIENCE).await?;
    recorded(writer).await?;
    match ended {
        Some(task) if task.state == State::Failed => {
            Err(Problem::new(StatusCode::CONFLICT, task.note))
        }
        Some(_) => Ok(StatusCode::NO_CONTENT.into_response()),
        None => {
            let job = Job::find(shared, &job).await?;
            Ok((StatusCode::ACCEPTED, Json(job)).into_response())
        }
    }
}

/// A job and how far it is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Job {
    /// Its id.
    #[schema(example = "0192f0c4-5a00-7000-8000-000000000000")]
    id: String,
    /// Where it comes from: `csv` (a file), `user` (one person), `dates` (first and last days)
    /// or `disuse`.
    kind: String,
    /// `planned`: it waits to be confirmed; `running`, `done` or `cancelled`.
    #[schema(example = "running")]
    state: String,
    /// What is to be done, by kind.
    plan: Planned,
    /// How far it is.
    progress: Progress,
    /// The file that it was picked up from; absent: it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PickedUp>,
    /// When it was made.
    created_at: String,
    /// When it was confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
    /// When its last task ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
}

/// A file that was picked up.
#[derive(Debug, Serialize, ToSchema)]
struct PickedUp {
    /// The place where it was.
    #[schema(example = "az://people/inbox")]
    place: String,
    /// Its name there.
    #[schema(example = "newcomers.csv.age")]
    name: String,
    /// SHA-256 of what was in it, in hexadecimal digits.
    sha256: String,
}

impl PickedUp {
    fn new(source: Source) -> Self {
        let Source {
            place,
            name,
            sha256,
        } = source;
        Self {
            place,
            name,
            sha256,
        }
    }
}

/// People by what is to be done about them.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Planned {
    create: u64,
    update: u64,
    disable: u64,
    enable: u64,
    delete: u64,
    unchanged: u64,
    reset_password: u64,
    unlock: u64,
    revoke_sessions: u64,
}

/// People by how far it is.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Progress {
    total: u64,
    /// To be done, or being done.
    waiting: u64,
    done: u64,
    /// Refused for good: the tasks say why.
    failed: u64,
    cancelled: u64,
}

impl Job {
    fn new(job: Stored, counts: &Counts, source: Option<Source>) -> Self {
        let mut plan = Planned::default();
        let mut progress = Progress::default();
        for (deed, state, tasks) in counts {
            let by_deed = match deed {
                Deed::Create => &mut plan.create,
                Deed::Update => &mut plan.update,
                Deed::Disable => &mut plan.disable,
                Deed::Enable => &mut plan.enable,
                Deed::Delete => &mut plan.delete,
                Deed::Unchanged => &mut plan.unchanged,
                Deed::ResetPassword => &mut plan.reset_password,
                Deed::Unlock => &mut plan.unlock,
                Deed::RevokeSessions => &mut plan.revoke_sessions,
            };
            *by_deed += tasks;
            let by_state = match state {
                State::Planned | State::Waiting => &mut progress.waiting,
                State::Done => &mut progress.done,
                State::Failed => &mut progress.failed,
                State::Cancelled => &mut progress.cancelled,
            };
            *by_state += tasks;
            progress.total += tasks;
        }
        Self {
            id: job.id,
            kind: job.kind,
            state: job.state,
            plan,
            progress,
            file: source.map(PickedUp::new),
            created_at: shown(job.created_at),
            started_at: job.started_at.map(shown),
            ended_at: job.ended_at.map(shown),
        }
    }

    /// The job of this id as it stands.
    pub(super) async fn find(shared: &Shared, id: &str) -> Result<Self, Problem> {
        let job = jobs::job(&shared.store, id).await?;
        let job = job.ok_or_else(|| Problem::not_found("there is no such job"))?;
        Ok(Self::read(&shared.store, job).await?)
    }

    /// This job with how far it is.
    pub(super) async fn read(store: &Store, job: Stored) -> Result<Self, StoreError> {
        let counts = jobs::counts(store, &job.id).await?;
        let source = pickup::source(store, &job.id).await?;
        Ok(Self::new(job, &counts, source))
    }
}

pub(super) fn row_errors(problems: Vec<RowProblem>) -> Vec<RowError> {
    let problems = problems.into_iter().take(MOST_ERRORS);
    problems
        .map(|problem| RowError {
            row: problem.line,
            column: problem.column,
            value: problem.value,
            reason: problem.reason,
        })
        .collect()
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = refused.to_string();
        match refused {
            Refused::Store(error) => error.into(),
            Refused::Problems { problems, total } => {
                let count = problems.len();
                let detail =
                    format!("{count} of the values in {total} rows are wrong; nothing was changed");
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
                    .with_errors(row_errors(problems))
            }
            Refused::Known | Refused::Taken => Self::new(StatusCode::CONFLICT, detail),
            Refused::Plain => Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail),
            Refused::NoKey | Refused::Units(_) | Refused::Sealed(_) | Refused::NoTenant => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
            }
        }
    }
}

impl From<NotConfirmed> for Problem {
    fn from(error: NotConfirmed) -> Self {
        match error {
            NotConfirmed::Store(error) => error.into(),
            refused => Self::new(StatusCode::CONFLICT, refused.to_string()),
        }
    }
}
