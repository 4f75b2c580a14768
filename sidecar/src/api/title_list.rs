use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::extract::Query;
use super::problem::Problem;
use super::title::TitleView;
use super::units::{Page, counted, page_of};
use crate::store::units::{self, Kind};

/// A page of titles, in the order of codes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Titles {
    titles: Vec<TitleView>,
    /// Where the next page begins; absent: this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Titles, and how many people each has
#[utoipa::path(
    get, path = "/v1/titles", operation_id = "listTitles", tag = "titles",
    security(("token" = [])), params(Page),
    responses(
        (status = 200, body = Titles),
        (status = 400, description = "The page is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Access,
    Query(page): Query<Page>,
) -> Result<Json<Titles>, Problem> {
    let store = &api.0.store;
    let all = units::in_force(store).await?.titles;
    let (found, next) = page_of(all, &page)?;
    let people = units::people_by(store, Kind::Title).await?;
    let shown = found.iter();
    let shown = shown.map(|unit| TitleView::new(unit, counted(&people, unit)));
    Ok(Json(Titles {
        titles: shown.collect(),
        next,
    }))
}
