//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): an order that is sent
//! again because its answer was lost is not carried out twice.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;

use super::Api;
use super::problem::Problem;
use crate::apikeys::OrderName;

const HEADER: &str = "idempotency-key";
/// Longest value, bytes.
const LONGEST: usize = 255;

/// The header's value; absent: an order like no other.
#[derive(Clone, Debug, Default)]
pub(super) struct IdempotencyKey(Option<String>);

impl IdempotencyKey {
    /// The order's name: other callers than `identity` may use the same value.
    pub(super) fn name(self, identity: String) -> Option<OrderName> {
        let key = self.0?;
        Some(OrderName::new(identity, key))
    }
}

impl FromRequestParts<Api> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(HEADER).iter();
        let (first, second) = (values.next(), values.next());
        let Some(value) = first else {
            return Ok(Self(None));
        };
        let value = value.to_str().ok();
        let sound = value.filter(|value| (1..=LONGEST).contains(&value.len()));
        match (sound, second) {
            (Some(value), None) => Ok(Self(Some(value.to_owned()))),
            _ => Err(Problem::bad_request(format!(
                "`Idempotency-Key` must be one value of 1 to {LONGEST} visible characters"
            ))),
        }
    }
}

/// The value belongs to an order of something else.
pub(super) fn reused() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "this `Idempotency-Key` was used for another order within the last day",
    )
}

/// The value belongs to another event.
pub(super) fn reused_for_good() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "this `Idempotency-Key` was used for another event",
    )
}

/// The secret of that order is not the key's any longer.
pub(super) fn outdated() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "this order was carried out before, and the key has been rotated since",
    )
}
