use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::extract::Query;
use super::problem::{Problem, RowError};
use super::provisioning::{Job, job_id, row_errors};
use super::recording::recorded;
use crate::provisioning::desk::{self, Wishes};
use crate::store::units::NewUnit;

/// What is to become of the file.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Upload {
    /// `true`: it is carried out at once; default: it waits until `apply` confirms it.
    #[serde(default)]
    apply: bool,
    /// `true`: rows with nothing wrong are taken though others are wrong.
    #[serde(default)]
    partial: bool,
    /// What becomes of people who are not in the file: `keep` (default), `disable` or `delete`. With
    /// `partial` they are kept, if any row is wrong.
    missing: Option<Missing>,
}

/// What becomes of people who are not in the file.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Missing {
    /// They stay as they are.
    Keep,
    /// They become inactive.
    Disable,
    /// They and their accounts are deleted.
    Delete,
}

/// What the file would change, or is changing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Uploaded {
    #[serde(flatten)]
    job: Job,
    /// Rows of the file.
    rows: usize,
    /// In which encoding it was.
    #[schema(example = "CP932")]
    encoding: &'static str,
    /// What was wrong with rows that were left out (`partial`).
    errors: Vec<RowError>,
    /// Departments and titles that are created with the job, where the policy says so.
    creates: Vec<Created>,
}

/// A department or a title that is created.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Created {
    /// `department` or `title`.
    #[schema(example = "department")]
    kind: &'static str,
    /// Its code.
    #[schema(example = "department-3f2a9c01d4e5")]
    id: String,
    /// Its name.
    #[schema(example = "法務部")]
    name: String,
}

impl Created {
    pub(super) fn new(unit: NewUnit) -> Self {
        Self {
            kind: unit.kind.as_str(),
            id: unit.id,
            name: unit.name,
        }
    }
}

/// Upload people as a CSV file
///
/// The body is the file: encrypted with age for this installation (binary or armoured), or plain where
/// the policy allows that; UTF-8 or CP932. Every value of every row is checked, and nothing is done
/// while any is wrong, unless `partial`. The answer is a plan; `apply` carries it out.
#[utoipa::path(
    post, path = "/v1/users/csv/upload", operation_id = "uploadUsers", tag = "users",
    security(("token" = [])), params(Upload),
    request_body(content = String, content_type = "application/octet-stream", description = "The file, at most 16 MiB"),
    responses(
        (status = 201, body = Uploaded, headers(("Location" = String, description = "The job"))),
        (status = 400, description = "The query is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The file is too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The file is not encrypted, and the policy does not take such", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It cannot be opened, or values are wrong: `errors` lists them", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post(
    State(api): State<Api>,
    administrator: Access,
    Query(upload): Query<Upload>,
    file: Bytes,
) -> Result<Response, Problem> {
    let shared = &api.0;
    let now = shared.clock.now();
    let (desk, writer) = (shared.desk()?, shared.recording()?);
    let mut author = administrator.author(now)?;
    let wishes = Wishes {
        apply: upload.apply,
        partial: upload.partial,
        missing: match upload.missing {
            None | Some(Missing::Keep) => desk::Missing::Keep,
            Some(Missing::Disable) => desk::Missing::Disable,
            Some(Missing::Delete) => desk::Missing::Delete,
        },
    };
    let uploaded = desk
        .upload(&file, wishes, job_id(now)?, &mut author)
        .await?;
    recorded(writer).await?;
    let location = format!("/v1/provisioning/jobs/{}", uploaded.job);
    let body = Uploaded {
        job: Job::find(shared, &uploaded.job).await?,
        rows: uploaded.total,
        encoding: uploaded.encoding.map_or("", |encoding| encoding.as_str()),
        errors: row_errors(uploaded.problems),
        creates: uploaded.creates.into_iter().map(Created::new).collect(),
    };
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}
