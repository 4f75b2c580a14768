use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};

use super::Api;
use super::access::Access;
use super::etag::{self, IfMatch};
use super::extract::{Json as Body, Path};
use super::problem::Problem;
use super::provisioning::job_id;
use super::recording::recorded;
use super::user::{PersonValues, Profile};
use crate::provisioning::desk::follow_up;
use crate::provisioning::jobs::Deed;
use crate::store::people::{self, Amended};

/// Change a person
///
/// Gateways know it within a second; the account follows until it is done.
#[utoipa::path(
    put, path = "/v1/users/{userId}", operation_id = "updateUser", tag = "users",
    security(("token" = [])), request_body = PersonValues,
    params(("userId" = String, Path, description = "The company's id of the person"),
           ("If-Match" = Option<String>, Header, description = "The `ETag` of what is to be changed")),
    responses(
        (status = 200, body = Profile, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 400, description = "The body is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such person", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another person has the e-mail address", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "It was changed since", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Values are wrong: `errors` lists them", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put(
    State(api): State<Api>,
    administrator: Access,
    Path(id): Path<String>,
    condition: IfMatch,
    Body(values): Body<PersonValues>,
) -> Result<(HeaderMap, Json<Profile>), Problem> {
    let shared = &api.0;
    let now = shared.clock.now();
    let today = shared.calendar.day(now);
    let (desk, writer) = (shared.desk()?, shared.recording()?);
    let unknown = || Problem::not_found("the directory has no such person");
    let before = people::find(&shared.store, &id)
        .await?
        .ok_or_else(unknown)?;
    let row = desk.row(&values.values(id.clone()))?;
    let mut author = administrator.author(now)?;
    let follow = follow_up(Deed::Update, &before, job_id(now)?, &author);
    let _turn = shared.hub.turn().await;
    let holds = |version| condition.check(version).is_ok();
    let amended = people::amend(
        &shared.store,
        &id,
        &mut author,
        holds,
        Some(&follow),
        |person| {
            person.name = row.name;
            person.email = row.email;
            person.department = row.department;
            person.job_title = row.job_title;
            person.phone = row.phone;
            person.start = row.start;
            person.end = row.end;
            person.enabled = row.enabled;
        },
    );
    let person = match amended.await? {
        Amended::Done(person) => person,
        Amended::Unknown => return Err(unknown()),
        Amended::Condition => {
            return Err(Problem::new(
                StatusCode::PRECONDITION_FAILED,
                "the person was changed since: get it again, and its new `ETag`",
            ));
        }
        Amended::Taken => {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "another person has this e-mail address",
            ));
        }
    };
    shared.hub.upsert_users(vec![person.to_link(today)]);
    desk.wake().notify_one();
    recorded(writer).await?;
    let found = people::find_versioned(&shared.store, &id).await?;
    let (person, version) = found.ok_or_else(unknown)?;
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, etag::of(version));
    Ok((headers, Json(Profile::new(&api, person).await?)))
}
