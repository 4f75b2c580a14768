//! A browser of the caller's, as the API shows it.

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::access::Access;
use super::moments::shown;
use super::problem::Problem;
use crate::push::subscriptions::Subscription;

/// A browser that is sent messages.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PushSubscription {
    /// Its id.
    #[schema(example = "0192f0c4-5a00-7000-8000-000000000000")]
    id: String,
    /// What its owner calls it.
    #[schema(example = "Laptop")]
    label: String,
    /// The host of its push service.
    #[schema(example = "fcm.googleapis.com")]
    push_service: String,
    /// When it was registered.
    created_at: String,
    /// When a message was taken for it last; absent: none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    used_at: Option<String>,
}

impl PushSubscription {
    pub(super) fn new(subscription: &Subscription) -> Self {
        Self {
            id: subscription.id.clone(),
            label: subscription.label.clone(),
            push_service: subscription.host(),
            created_at: shown(subscription.created_at),
            used_at: subscription.used_at.map(shown),
        }
    }
}

/// The person who calls.
pub(super) fn owner(access: &Access) -> Result<&str, Problem> {
    let person = access.person().map(|person| person.as_str());
    person.ok_or_else(|| {
        let text = "the directory has no such person";
        Problem::new(StatusCode::FORBIDDEN, text)
    })
}
