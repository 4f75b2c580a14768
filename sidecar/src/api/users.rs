use axum::Json;
use axum::extract::State;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::access::{Access, Part};
use super::extract::Query;
use super::page;
use super::problem::Problem;
use crate::people::Person;
use crate::store::people;

/// Who, and which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Of one department, by code; default: everybody whom the caller may see.
    #[param(example = "sales")]
    department: Option<String>,
    /// Most people of the page, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A page of the directory, in the order of ids.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Users {
    users: Vec<User>,
    /// Where the next page begins; absent: this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
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

/// Everybody in the directory, page by page
#[utoipa::path(
    get, path = "/v1/users", operation_id = "listUsers", tag = "users", security(("token" = [])),
    params(Which),
    responses(
        (status = 200, body = Users),
        (status = 400, description = "The page is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing, or it is about another department or person than the caller's own", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    access: Access,
    Query(which): Query<Which>,
) -> Result<Json<Users>, Problem> {
    let shared = &api.0;
    let today = shared.calendar.day(shared.clock.now());
    let limit = page::limit(which.limit)?;
    let part = access.reach().confine(Part {
        department: which.department,
        person: None,
    })?;
    let after = which.cursor.as_deref().unwrap_or_default();
    let department = part.department.as_deref();
    let found = people::list(&shared.store, department, after, limit + 1).await?;
    Ok(Json(Users::page(found, limit, today)))
}

impl Users {
    /// A page of people, of whom there may be one more than it takes.
    pub(super) fn page(found: Vec<Person>, limit: u32, today: Date) -> Self {
        let (found, next) = page::cut(found, limit, |person| person.id.0.clone());
        let users = found.into_iter().map(|person| User::new(person, today));
        Self {
            users: users.collect(),
            next,
        }
    }
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
