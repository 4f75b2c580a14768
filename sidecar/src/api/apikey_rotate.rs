use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::apikey::{self, IssuedKey, secret_answer};
use super::apikey_issue::{random, repeated, secret_of};
use super::etag::IfMatch;
use super::extract::{OptionalJson, Path};
use super::idempotency::{self, IdempotencyKey};
use super::problem::Problem;
use super::recording::recorded;
use crate::apikeys::{self, DEFAULT_OVERLAP_SECONDS, MOST_OVERLAP_SECONDS, RotationError};
use crate::store::keys;
use crate::store::orders::Order as Carried;

/// How to rotate.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    /// How long the former secret is accepted, too, seconds: at most 30 days; 0: not at all.
    /// Default: a day.
    #[schema(example = 3600, minimum = 0, maximum = 2_592_000)]
    overlap_seconds: Option<u64>,
}

/// Give a subscription key a new secret
///
/// The key keeps its id and all that it is bound to. The secret that it had is accepted
/// until the overlap ends; one from an earlier rotation ends at once. The new secret is in
/// the answer and nowhere else; with an `Idempotency-Key` the order can be sent again.
#[utoipa::path(
    post, path = "/v1/apikeys/{apiKey}/rotate", operation_id = "rotateApiKey", tag = "apikeys",
    security(("token" = [])), request_body = Option<Rotation>,
    params(
        ("apiKey" = String, Path, description = "Public id of the key, never its secret"),
        ("Idempotency-Key" = Option<String>, Header, description = "Any text of the caller's that no other order has"),
        ("If-Match" = Option<String>, Header, description = "`ETag` of the key as the caller knows it"),
    ),
    responses(
        (status = 200, body = IssuedKey, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 400, description = "The body is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such key", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The key is revoked or has expired, or was rotated since this order was carried out", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "The key was changed since", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The overlap is too long, or the `Idempotency-Key` of another order", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post(
    State(api): State<Api>,
    access: Access,
    Path(id): Path<String>,
    idempotency_key: IdempotencyKey,
    condition: IfMatch,
    OptionalJson(wanted): OptionalJson<Rotation>,
) -> Result<Response, Problem> {
    let shared = &api.0;
    let (now, pepper) = (shared.clock.now(), shared.pepper.as_slice());
    let overlap = wanted.overlap_seconds.unwrap_or(DEFAULT_OVERLAP_SECONDS);
    if overlap > MOST_OVERLAP_SECONDS {
        let text = format!("`overlap_seconds` may be at most {MOST_OVERLAP_SECONDS}");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text));
    }
    let name = idempotency_key.name(access.identity());
    let content = serde_json::to_vec(&("rotate", &id, &wanted));
    let content = content.map_err(|error| Problem::internal(&error))?;
    let salt = random()?;
    let once = name
        .as_ref()
        .map(|name| name.once(pepper, &content, salt, now));
    let random = secret_of(name.as_ref(), pepper, &salt);
    let mut secret = String::new();
    let _turn = shared.hub.turn().await;
    let (writer, mut author) = (shared.recording()?, access.author(now)?);
    let event = (&mut author, "apikey.rotate");
    let carried = keys::change(&shared.store, &id, once.as_ref(), event, |key| {
        if !apikey::is_within(key, access.reach()) {
            return Err(apikey::unknown());
        }
        condition.check(key.version)?;
        secret = apikeys::rotate(key, pepper, random, overlap, now)?;
        Ok::<_, Problem>(())
    });
    match carried.await?.ok_or_else(apikey::unknown)?? {
        Carried::New(key) => {
            shared.hub.upsert_keys(vec![key.to_link()]);
            recorded(writer).await?;
            Ok(secret_answer(StatusCode::OK, secret, key, now))
        }
        Carried::Repeated { was, salt } => {
            repeated(&api, StatusCode::OK, name.as_ref(), was, &salt, now)
        }
        Carried::Reused => Err(idempotency::reused()),
    }
}

impl From<RotationError> for Problem {
    fn from(error: RotationError) -> Self {
        Self::new(StatusCode::CONFLICT, error.to_string())
    }
}
