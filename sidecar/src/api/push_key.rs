use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::problem::Problem;
use super::push::no_push;

/// By what browsers know the sidecar.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PushKey {
    /// `applicationServerKey` of `pushManager.subscribe`: a point of P-256, uncompressed, in Base64url.
    #[schema(
        example = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
    )]
    public_key: String,
}

/// The key with which a browser subscribes
#[utoipa::path(
    get, path = "/v1/notifications/push/key", operation_id = "getPushKey", tag = "notifications",
    security(("token" = [])),
    responses(
        (status = 200, body = PushKey),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller is nobody of the directory", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The policy has no section `push`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(State(api): State<Api>, _: Access) -> Result<Json<PushKey>, Problem> {
    let push = api.0.push().ok_or_else(no_push)?;
    let public_key = push.public_key();
    Ok(Json(PushKey { public_key }))
}
