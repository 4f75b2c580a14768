use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use sekisho_domain::{UnixMillis, UserId};
use sekisho_scope::{hash_key, new_key};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::access::{Access, Reach, outside};
use super::apikey::{IssuedKey, secret_answer};
use super::extract::Json as Body;
use super::idempotency::{self, IdempotencyKey};
use super::moments::moment;
use super::problem::Problem;
use super::recording::recorded;
use super::user_get::is_within;
use crate::apikeys::{self, Order, OrderError, OrderName};
use crate::store::keys::{self, StoredKey};
use crate::store::orders::Order as Carried;
use crate::store::people;

/// What the key is for.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKey {
    /// What people call it, 1 to 100 characters.
    #[schema(example = "nightly batch")]
    name: String,
    /// Who pays: code or name of a department.
    #[schema(example = "sales")]
    department: String,
    /// The person it is for, by the company's id: the key is refused while that person is
    /// inactive. Default: nobody in particular.
    #[schema(example = "001")]
    user: Option<String>,
    /// What it grants; the department's entitlements narrow it.
    #[schema(example = json!(["text_apis"]))]
    scopes: Vec<String>,
    /// Where it may be used from, in CIDR notation; default: everywhere.
    #[serde(default)]
    #[schema(example = json!(["192.0.2.0/24", "2001:db8::/32"]))]
    networks: Vec<String>,
    /// From this moment (RFC 3339) or day on it is refused; default: never.
    #[schema(example = "2030-01-01T00:00:00Z")]
    expires_at: Option<String>,
}

/// Issue a subscription key
///
/// The secret is in the answer and nowhere else. Whoever may have to send the order again
/// sends it with an `Idempotency-Key`: within a day the answer is the same, secret included.
#[utoipa::path(
    post, path = "/v1/apikeys", operation_id = "issueApiKey", tag = "apikeys",
    security(("token" = [])), request_body = NewKey,
    params(("Idempotency-Key" = Option<String>, Header, description = "Any text of the caller's that no other order has")),
    responses(
        (status = 201, body = IssuedKey, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 400, description = "The body is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing, or another department than the caller's own would pay", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The order was carried out before, and the key rotated since", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No such department, person or scope, no name, no network, already expired, or the `Idempotency-Key` of another order", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post(
    State(api): State<Api>,
    access: Access,
    idempotency_key: IdempotencyKey,
    Body(wanted): Body<NewKey>,
) -> Result<Response, Problem> {
    let shared = &api.0;
    let (now, pepper) = (shared.clock.now(), shared.pepper.as_slice());
    let name = idempotency_key.name(access.identity());
    let content = serde_json::to_vec(&("issue", &wanted)).map_err(|e| Problem::internal(&e))?;
    let salt = random()?;
    let once = name
        .as_ref()
        .map(|name| name.once(pepper, &content, salt, now));
    let secret = secret_of(name.as_ref(), pepper, &salt);
    let order = order(&api, wanted, access.reach()).await?;
    let policy = shared.hub.policy();
    let (secret, key) = apikeys::issue(order, &policy, pepper, secret, random()?, now)?;
    if !access.reach().covers(Some(key.department.as_str()), None) {
        return Err(outside());
    }
    let writer = shared.recording()?;
    let mut author = access.author(now)?;
    match keys::add_once(&shared.store, &key, once.as_ref(), &mut author).await? {
        Carried::New(key) => {
            shared.hub.upsert_keys(vec![key.to_link()]);
            recorded(writer).await?;
            Ok(secret_answer(StatusCode::CREATED, secret, key, now))
        }
        Carried::Repeated { was, salt } => {
            repeated(&api, StatusCode::CREATED, name.as_ref(), was, &salt, now)
        }
        Carried::Reused => Err(idempotency::reused()),
    }
}

async fn order(api: &Api, wanted: NewKey, reach: &Reach) -> Result<Order, Problem> {
    let calendar = &api.0.calendar;
    let expires = moment("expires_at", wanted.expires_at.as_deref(), false, calendar)?;
    Ok(Order {
        user: match wanted.user {
            Some(id) => Some(person(api, &id, reach).await?),
            None => None,
        },
        name: wanted.name,
        department: wanted.department,
        scopes: wanted.scopes,
        networks: wanted.networks,
        expires,
    })
}

/// A person of the directory who is in the caller's reach.
pub(super) async fn person(api: &Api, id: &str, reach: &Reach) -> Result<UserId, Problem> {
    let person = people::find(&api.0.store, id).await?;
    let person = person.filter(|person| is_within(person, reach));
    let person = person.ok_or(OrderError::UnknownUser)?;
    Ok(person.id)
}

/// Random bytes for a secret; of an order that may come again, those that belong to it.
pub(super) fn secret_of(name: Option<&OrderName>, pepper: &[u8], salt: &[u8; 32]) -> [u8; 32] {
    name.map_or(*salt, |name| name.secret(pepper, salt))
}

/// The answer to an order that was carried out before.
pub(super) fn repeated(
    api: &Api,
    status: StatusCode,
    name: Option<&OrderName>,
    key: StoredKey,
    salt: &[u8],
    now: UnixMillis,
) -> Result<Response, Problem> {
    let pepper = &api.0.pepper;
    let secret = name.map(|name| new_key(name.secret(pepper, salt)));
    let secret = secret.filter(|secret| key.hash == hash_key(pepper, secret.as_bytes()));
    let secret = secret.ok_or_else(idempotency::outdated)?;
    Ok(secret_answer(status, secret, key, now))
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Problem::internal(&error))?;
    Ok(bytes)
}
