//! What departments and titles have in common.

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use sekisho_domain::Problem as Wrong;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::access::Access;
use super::extract::Query;
use super::moments::shown;
use super::problem::Problem;
use super::provisioning::job_id;
use super::recording::recorded;
use super::users::{User, Users};
use super::{Api, etag, page};
use crate::people::Person;
use crate::provisioning::desk::follow_up;
use crate::provisioning::jobs::Deed;
use crate::store::people::{self, Amended};
use crate::store::units::{self, Changed, Kind, Members, Unit, Wanted};

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Most entries of the page, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub(super) limit: Option<u32>,
    /// `next` of the page before.
    pub(super) cursor: Option<String>,
}

/// A page of changes, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UnitHistory {
    changes: Vec<UnitChange>,
    /// Where the next page begins; absent: this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A change of a department or a title.
#[derive(Debug, Serialize, ToSchema)]
struct UnitChange {
    /// When.
    #[schema(example = "2024-10-14T03:12:45Z")]
    at: String,
    /// By whom: tenant and object id of an account, or `sekisho serve` for what the policy file says.
    by: String,
    /// `created`, `changed` or `removed`.
    action: &'static str,
    /// As it was, members as in the policy file; absent: there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    former: Option<Value>,
    /// As it was from then on; absent: it was no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    definition: Option<Value>,
}

/// There is none of this code.
pub(super) fn unknown(kind: Kind) -> Problem {
    Problem::not_found(format!("there is no such {}", kind.as_str()))
}

/// There is one of this code already.
pub(super) fn known(kind: Kind) -> Problem {
    let text = format!("there is a {} of this code already", kind.as_str());
    Problem::new(StatusCode::CONFLICT, text)
}

/// One that is in force.
pub(super) async fn find(api: &Api, kind: Kind, id: &str) -> Result<Unit, Problem> {
    let found = units::find(&api.0.store, kind, id).await?;
    found
        .filter(|unit| !unit.removed)
        .ok_or_else(|| unknown(kind))
}

/// Carries a change out: it is in force at every gateway within a second, and on record when this
/// returns.
pub(super) async fn change(
    api: &Api,
    access: &Access,
    (kind, id): (Kind, &str),
    decide: impl FnOnce(Option<&Unit>, Members) -> Result<Wanted, Problem>,
) -> Result<Changed, Problem> {
    let shared = &api.0;
    let _turn = shared.hub.turn().await;
    let mut author = access.author(shared.clock.now())?;
    let writer = shared.recording()?;
    let check = |units: &units::Units| {
        shared
            .hub
            .check_units(units)
            .map_err(|wrong| unsound(&wrong))
    };
    let changed = units::change(&shared.store, (kind, id), &mut author, decide, check).await??;
    if !changed.is_same {
        // What was sound a moment ago is sound.
        let replaced = shared.hub.replace_units(&changed.units);
        replaced.map_err(|wrong| unsound(&wrong))?;
        recorded(writer).await?;
    }
    Ok(changed)
}

fn unsound(wrong: &[Wrong]) -> Problem {
    let texts = wrong
        .iter()
        .map(|wrong| format!("`{}` {}", wrong.path, wrong.message));
    let text = texts.collect::<Vec<_>>().join("; ");
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text)
}

/// What is removed, if nobody is left without it.
pub(super) fn removable(
    kind: Kind,
    former: Option<&Unit>,
    members: Members,
    condition: &etag::IfMatch,
) -> Result<Wanted, Problem> {
    let former = former.ok_or_else(|| unknown(kind))?;
    condition.check(former.version)?;
    if members == Members::default() {
        return Ok(Wanted::Removed);
    }
    let held = [
        (members.people, "people"),
        (members.keys, "subscription keys that are not revoked"),
        (members.budgets, "budgets"),
    ];
    let held = held.into_iter().filter(|(count, _)| *count > 0);
    let held: Vec<_> = held
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    Err(Problem::new(
        StatusCode::CONFLICT,
        format!("it has {}: move or remove them first", held.join(", ")),
    ))
}

/// An answer under its entity tag, with where it is if it is new.
pub(super) fn answer(status: StatusCode, unit: &Unit, body: impl Serialize) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, etag::of(unit.version));
    let location = format!("/v1/{}s/{}", unit.kind.as_str(), unit.id);
    if let (StatusCode::CREATED, Ok(location)) = (status, location.try_into()) {
        headers.insert(header::LOCATION, location);
    }
    (status, headers, Json(body)).into_response()
}

/// How many people it has.
pub(super) async fn people_of(api: &Api, unit: &Unit) -> Result<u64, Problem> {
    let by = units::people_by(&api.0.store, unit.kind).await?;
    Ok(counted(&by, unit))
}

/// Titles stand in the directory as people write them, by code or by name.
pub(super) fn counted(by: &std::collections::HashMap<String, u64>, unit: &Unit) -> u64 {
    let of = |name: &str| by.get(name).copied().unwrap_or(0);
    match unit.kind {
        Kind::Title if unit.name() != unit.id => of(&unit.id) + of(unit.name()),
        _ => of(&unit.id),
    }
}

/// A page of those in force, after the code `cursor`, in the order of codes.
pub(super) fn page_of(
    mut all: Vec<Unit>,
    page: &Page,
) -> Result<(Vec<Unit>, Option<String>), Problem> {
    let limit = page::limit(page.limit)?;
    let after = page.cursor.as_deref().unwrap_or_default();
    all.retain(|unit| unit.id.as_str() > after);
    all.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(page::cut(all, limit, |unit| unit.id.clone()))
}

/// Who changed it when; also of one that was removed.
pub(super) async fn history(
    api: &Api,
    kind: Kind,
    id: &str,
    Query(page): Query<Page>,
) -> Result<Json<UnitHistory>, Problem> {
    let store = &api.0.store;
    let limit = page::limit(page.limit)?;
    let before = match page.cursor.as_deref() {
        None => i64::MAX,
        Some(cursor) => cursor
            .parse()
            .map_err(|_| Problem::bad_request("`cursor` is not the `next` of a page"))?,
    };
    if units::find(store, kind, id).await?.is_none() {
        return Err(unknown(kind));
    }
    let found = units::history(store, kind, id, before, limit + 1).await?;
    let (found, next) = page::cut(found, limit, |change| change.version.to_string());
    let changes = found.into_iter().map(|change| UnitChange {
        at: shown(change.at),
        by: change.by,
        action: change.action.as_str(),
        former: change.former,
        definition: change.definition,
    });
    let changes = changes.collect();
    Ok(Json(UnitHistory { changes, next }))
}

/// Its people, in the order of ids.
pub(super) async fn members(
    api: &Api,
    kind: Kind,
    id: &str,
    Query(page): Query<Page>,
) -> Result<Json<Users>, Problem> {
    let shared = &api.0;
    let unit = find(api, kind, id).await?;
    let limit = page::limit(page.limit)?;
    let after = page.cursor.as_deref().unwrap_or_default();
    let store = &shared.store;
    let found = match kind {
        Kind::Department => people::list(store, Some(&unit.id), after, limit + 1).await?,
        Kind::Title => people::titled(store, &unit.id, unit.name(), after, limit + 1).await?,
    };
    let today = shared.calendar.day(shared.clock.now());
    Ok(Json(Users::page(found, limit, today)))
}

/// Changes whose a person is; the account follows.
pub(super) async fn assign(
    api: &Api,
    access: &Access,
    user: &str,
    set: impl FnOnce(&mut Person),
) -> Result<Json<User>, Problem> {
    let shared = &api.0;
    let now = shared.clock.now();
    let today = shared.calendar.day(now);
    let unknown = || Problem::not_found("the directory has no such person");
    let _turn = shared.hub.turn().await;
    let (writer, mut author) = (shared.recording()?, access.author(now)?);
    let before = people::find(&shared.store, user).await?;
    let before = before.ok_or_else(unknown)?;
    let mut wanted = before.clone();
    set(&mut wanted);
    if wanted == before {
        return Ok(Json(User::new(before, today)));
    }
    let follow = match shared.desk.get() {
        Some(_) => Some(follow_up(Deed::Update, &before, job_id(now)?, &author)),
        None => None,
    };
    let amended = people::amend(
        &shared.store,
        user,
        &mut author,
        |_| true,
        follow.as_ref(),
        |person| {
            person.department = wanted.department;
            person.job_title = wanted.job_title;
        },
    );
    let Amended::Done(person) = amended.await? else {
        return Err(unknown());
    };
    shared.hub.upsert_users(vec![person.to_link(today)]);
    if let Some(desk) = shared.desk.get() {
        desk.wake().notify_one();
    }
    recorded(writer).await?;
    Ok(Json(User::new(person, today)))
}
