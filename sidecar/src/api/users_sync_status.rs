use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::moments::shown;
use super::problem::Problem;
use super::provisioning::Job;
use crate::provisioning::jobs;

/// How people and their accounts stand to each other.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UsersSyncStatus {
    /// Who makes accounts: `embedded` or `entra`; absent: this sidecar does not just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "embedded")]
    directory: Option<&'static str>,
    /// `ok`: accounts are as they should be; `working`: something is being done; `retrying`:
    /// the directory does not answer as it should, and is asked again; `failed`: something was
    /// refused for good.
    #[schema(example = "ok")]
    state: &'static str,
    /// People whose accounts are made and kept from here.
    accounts: u64,
    /// Tasks that wait.
    waiting: u64,
    /// Of these, tasks that were tried in vain.
    retrying: u64,
    /// Tasks that were refused for good.
    failed: u64,
    /// When the oldest job that is running was confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_started_at: Option<String>,
    /// The last file.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_upload: Option<Job>,
}

/// Whether accounts are as the directory says
#[utoipa::path(
    get, path = "/v1/users/sync/status", operation_id = "usersUsersSyncStatus", tag = "users",
    security(("token" = [])),
    responses(
        (status = 200, body = UsersSyncStatus),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Access,
) -> Result<Json<UsersSyncStatus>, Problem> {
    let shared = &api.0;
    let standing = jobs::standing(&shared.store).await?;
    let last_upload = match jobs::latest(&shared.store, "csv").await? {
        Some(job) => Some(Job::read(&shared.store, job).await?),
        None => None,
    };
    let state = match (standing.retrying, standing.waiting, standing.failed) {
        (1.., ..) => "retrying",
        (_, 1.., _) => "working",
        (.., 1..) => "failed",
        _ => "ok",
    };
    Ok(Json(UsersSyncStatus {
        directory: shared.desk.get().map(crate::provisioning::Desk::accounts),
        state,
        accounts: standing.accounts,
        waiting: standing.waiting,
        retrying: standing.retrying,
        failed: standing.failed,
        oldest_started_at: standing.oldest.map(shown),
        last_upload,
    }))
}
