//! Reading requests; what cannot be read is a problem like any other.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::Api;
use super::problem::Problem;

/// The query string.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Api> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let query = axum::extract::Query::from_request_parts(parts, api).await;
        query
            .map(|query| Self(query.0))
            .map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))
    }
}

/// A part of the path.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Api> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let path = axum::extract::Path::from_request_parts(parts, api).await;
        path.map(|path| Self(path.0))
            .map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))
    }
}

/// A JSON body.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Api> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let body = axum::Json::from_request(request, api).await;
        body.map(|body| Self(body.0))
            .map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))
    }
}

/// A JSON body that may be left out; then it is the default.
pub(super) struct OptionalJson<T>(pub(super) T);

impl<T: DeserializeOwned + Default> FromRequest<Api> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let body = Option::<axum::Json<T>>::from_request(request, api).await;
        body.map(|body| Self(body.map(|body| body.0).unwrap_or_default()))
            .map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))
    }
}
