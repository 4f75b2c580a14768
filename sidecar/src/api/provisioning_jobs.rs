use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::extract::Query;
use super::page;
use super::problem::Problem;
use super::provisioning::Job;
use crate::provisioning::jobs;

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Most jobs of the page, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A page of jobs, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Jobs {
    jobs: Vec<Job>,
    /// Where the next page begins; absent: this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Jobs about people and their accounts, newest first
#[utoipa::path(
    get, path = "/v1/provisioning/jobs", operation_id = "listProvisioningJobs", tag = "provisioning",
    security(("token" = [])), params(Which),
    responses(
        (status = 200, body = Jobs),
        (status = 400, description = "The page is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Access,
    Query(which): Query<Which>,
) -> Result<Json<Jobs>, Problem> {
    let store = &api.0.store;
    let limit = page::limit(which.limit)?;
    let before = which.cursor.as_deref().unwrap_or_default();
    let found = jobs::list(store, before, limit + 1).await?;
    let (found, next) = page::cut(found, limit, |job| job.id.clone());
    let mut jobs = Vec::new();
    for job in found {
        jobs.push(Job::read(store, job).await?);
    }
    Ok(Json(Jobs { jobs, next }))
}
