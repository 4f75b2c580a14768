use axum::Json;
use axum::extract::State;
use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::authentication::Auditor;
use super::problem::Problem;
use crate::people::Person;
use crate::store::people;

/// Everybody in the directory.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Users {
    users: Vec<User>,
}

/// A person of the directory.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct User {
    /// The company's own id.
    #[schema(example = "001")]
    id: String,
    /// Full name.
    name: String,
    /// Code of the department.
    department: String,
    /// Whether the gateways let the person in today.
    active: bool,
    /// Whether an administrator has disabled the person for the time being.
    disabled: bool,
    /// First day of use.
    #[schema(example = "2023-04-01")]
    start_date: String,
    /// Last day of use.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_date: Option<String>,
}

/// Everybody in the directory
#[utoipa::path(
    get, path = "/v1/users", operation_id = "listUsers", tag = "users", security(("token" = [])),
    responses(
        (status = 200, body = Users),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(State(api): State<Api>, _: Auditor) -> Result<Json<Users>, Problem> {
    let shared = &api.0;
    let today = shared.calendar.day(shared.clock.now());
    let everybody = people::changed_after(&shared.store, -1).await?;
    let users = everybody.into_iter().map(|person| User::new(person, today));
    Ok(Json(Users {
        users: users.collect(),
    }))
}

impl User {
    pub(super) fn new(person: Person, today: Date) -> Self {
        Self {
            active: person.active_on(today),
            id: person.id.0,
            name: person.name,
            department: person.department.0,
            disabled: person.suspended,
            start_date: person.start.to_string(),
            end_date: person.end.map(|day| day.to_string()),
        }
    }
}
