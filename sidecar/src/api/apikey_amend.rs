use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::Api;
use super::access::{Access, Reach};
use super::apikey::{self, Key};
use super::apikey_issue::person;
use super::etag::IfMatch;
use super::extract::{Json as Body, Path};
use super::moments::moment;
use super::problem::Problem;
use super::recording::recorded;
use crate::apikeys::Amendment;
use crate::store::keys;
use crate::store::orders::Order as Carried;

/// What is to change (RFC 7396): what is absent stays, `null` takes away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Changes {
    /// What people call it, 1 to 100 characters.
    name: Option<String>,
    /// The person it is for, by the company's id; `null`: nobody in particular.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, example = "001")]
    user: Option<Option<String>>,
    /// What it grants.
    #[schema(example = json!(["text_apis"]))]
    scopes: Option<Vec<String>>,
    /// Where it may be used from, in CIDR notation; empty or `null`: everywhere.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>, example = json!(["192.0.2.0/24"]))]
    networks: Option<Option<Vec<String>>>,
    /// From this moment (RFC 3339) or day on it is refused; `null`: never.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, example = "2030-01-01T00:00:00Z")]
    expires_at: Option<Option<String>>,
}

/// Tells `null` from what is absent.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// Change what a subscription key is for
///
/// Every gateway keeps to it within a second. Who pays cannot change: that is another key.
#[utoipa::path(
    patch, path = "/v1/apikeys/{apiKey}", operation_id = "changeApiKey", tag = "apikeys",
    security(("token" = [])), request_body(content = Changes, content_type = "application/merge-patch+json"),
    params(
        ("apiKey" = String, Path, description = "Public id of the key, never its secret"),
        ("If-Match" = Option<String>, Header, description = "`ETag` of the key as the caller knows it"),
    ),
    responses(
        (status = 200, body = Key, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 400, description = "The body is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such key", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The key is revoked", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "The key was changed since", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No such person or scope, no name, no network, or already expired", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn patch(
    State(api): State<Api>,
    access: Access,
    Path(id): Path<String>,
    condition: IfMatch,
    Body(changes): Body<Changes>,
) -> Result<Response, Problem> {
    let shared = &api.0;
    let (now, policy) = (shared.clock.now(), shared.hub.policy());
    let amendment = amendment(&api, changes, access.reach()).await?;
    let _turn = shared.hub.turn().await;
    let (writer, mut author) = (shared.recording()?, access.author(now)?);
    let event = (&mut author, "apikey.change");
    let changed = keys::change(&shared.store, &id, None, event, |key| {
        if !apikey::is_within(key, access.reach()) {
            return Err(apikey::unknown());
        }
        condition.check(key.version)?;
        amendment.apply(key, &policy, now).map_err(Problem::from)
    });
    match changed.await?.ok_or_else(apikey::unknown)?? {
        Carried::New(key) | Carried::Repeated { was: key, .. } => {
            shared.hub.upsert_keys(vec![key.to_link()]);
            recorded(writer).await?;
            Ok(apikey::answer(key, now))
        }
        Carried::Reused => Err(apikey::unknown()),
    }
}

async fn amendment(api: &Api, changes: Changes, reach: &Reach) -> Result<Amendment, Problem> {
    let user = match changes.user {
        Some(Some(id)) => Some(Some(person(api, &id, reach).await?)),
        Some(None) => Some(None),
        None => None,
    };
    let calendar = &api.0.calendar;
    let expires = changes
        .expires_at
        .map(|at| moment("expires_at", at.as_deref(), false, calendar));
    Ok(Amendment {
        name: changes.name,
        user,
        scopes: changes.scopes,
        networks: changes.networks.map(Option::unwrap_or_default),
        expires: expires.transpose()?,
    })
}
