use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::email::Email;
use super::extract::{Path, Query};
use super::format::accepted;
use super::moments::shown;
use super::page;
use super::problem::Problem;
use super::provisioning::Job;
use super::users_csv_upload::Created;
use crate::provisioning::jobs::{self, State as TaskState, Task as Stored};
use crate::provisioning::sheet;

/// Which page, and in which form.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Most tasks of the page, 1 to 1000. A CSV file has all.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<i64>,
}

/// A page of a job's tasks, in the order of the file.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tasks {
    tasks: Vec<Task>,
    /// Where the next page begins; absent: this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
}

/// What is done about one person.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Task {
    /// The company's id of the person.
    #[schema(example = "006")]
    user: String,
    /// What: `create`, `update`, `disable`, `enable`, `delete`, `unchanged`, ...
    #[schema(example = "create")]
    action: &'static str,
    /// Line of the file; absent: the person is not in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<u64>,
    /// Columns whose values change.
    changes: Vec<String>,
    /// Departments and titles that are created for it, until it is done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    creates: Vec<Created>,
    /// `planned`, `waiting`, `done`, `failed` or `cancelled`.
    #[schema(example = "done")]
    state: &'static str,
    /// The account, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    object_id: Option<String>,
    /// Why it is not done, or what was odd about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// Tries in a row that led nowhere.
    attempts: u32,
    /// When it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<String>,
    /// Mails to the person about the account, and what became of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mails: Vec<Email>,
}

impl Task {
    fn new(task: Stored, mails: Vec<Email>) -> Self {
        let given = |text: String| (!text.is_empty()).then_some(text);
        let waits = task.state == TaskState::Waiting && task.next_at.0 > 0;
        let creates = task.wanted.map(|wanted| wanted.creates().to_vec());
        Self {
            creates: creates
                .unwrap_or_default()
                .into_iter()
                .map(Created::new)
                .collect(),
            user: task.person.0,
            action: task.deed.as_str(),
            row: (task.line > 0).then_some(task.line),
            changes: task.changes.split_whitespace().map(str::to_owned).collect(),
            state: task.state.as_str(),
            object_id: given(task.object_id),
            note: given(task.note),
            attempts: task.attempts,
            next_at: waits.then(|| shown(task.next_at)),
            mails,
        }
    }
}

#[derive(Clone, Copy)]
enum Form {
    Json,
    Csv,
}

/// What a job does about each person, and how that ended
///
/// As pages of JSON, or whole as a CSV file (`Accept: text/csv`): the result of an upload.
#[utoipa::path(
    get, path = "/v1/provisioning/jobs/{jobId}/tasks", operation_id = "listProvisioningTasks", tag = "provisioning",
    security(("token" = [])), params(("jobId" = String, Path, description = "The job's id"), Which),
    responses(
        (status = 200, content((Tasks = "application/json"), (String = "text/csv"))),
        (status = 400, description = "The page is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such job", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Access,
    Path(id): Path<String>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let store = &api.0.store;
    Job::find(&api.0, &id).await?;
    let offered = [("application/json", Form::Json), ("text/csv", Form::Csv)];
    if let Some(Form::Csv) = accepted(&headers, &offered) {
        let headers = [
            (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
            (
                header::CONTENT_DISPOSITION,
                "attachment; filename=\"result.csv\"",
            ),
        ];
        return Ok((headers, sheet::results(store, &id).await?).into_response());
    }
    let limit = page::limit(which.limit)?;
    let after = which.cursor.unwrap_or(0);
    let mut found = jobs::tasks(store, &id, after, limit + 1).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_last = found.len() <= limit;
    found.truncate(limit);
    let next = found.last().filter(|_| !is_last).map(|task| task.number);
    let mut mails = sheet::mails(store, &id).await?;
    let tasks = found.into_iter().map(|task| {
        let mails = mails.remove(&task.number).unwrap_or_default();
        Task::new(task, mails.into_iter().map(Email::new).collect())
    });
    let tasks = tasks.collect();
    Ok(Json(Tasks { tasks, next }).into_response())
}
