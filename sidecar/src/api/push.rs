//! How pushed messages are shown.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::moments::shown;
use super::problem::Problem;
use crate::push::outbox::{Entry, State, Way};

/// A message, without what it says besides its title.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct PushMessage {
    /// Its id.
    #[schema(example = "0192f0c4-5a00-7000-8000-000000000000")]
    id: String,
    /// Whose browser it is for; absent: it is for a webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "001")]
    user: Option<String>,
    /// Which browser, by the id of its subscription.
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription: Option<String>,
    /// Which webhook, by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "teams")]
    webhook: Option<String>,
    /// Its title.
    title: String,
    /// What became of it.
    state: PushState,
    /// Why it was not taken the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The last HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 503)]
    status: Option<u16>,
    /// How often it was tried.
    tries: u64,
    /// When it was written.
    created_at: String,
    /// From when on nobody wants it any more.
    expires_at: String,
    /// When it is tried next.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<String>,
    /// When it was taken, refused or given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum PushState {
    /// It has not been taken yet.
    Waiting,
    /// The push service or the webhook has taken it.
    Sent,
    /// It is taken never.
    Refused,
    /// It was out of date before it was taken.
    GivenUp,
    /// There is no such browser any longer.
    Gone,
}

impl PushState {
    const fn of(state: State) -> Self {
        match state {
            State::Waiting => Self::Waiting,
            State::Sent => Self::Sent,
            State::Refused => Self::Refused,
            State::GivenUp => Self::GivenUp,
            State::Gone => Self::Gone,
        }
    }

    pub(super) const fn stored(self) -> State {
        match self {
            Self::Waiting => State::Waiting,
            Self::Sent => State::Sent,
            Self::Refused => State::Refused,
            Self::GivenUp => State::GivenUp,
            Self::Gone => State::Gone,
        }
    }
}

impl PushMessage {
    pub(super) fn new(entry: Entry) -> Self {
        let (user, subscription, webhook) = match entry.way {
            Way::Browser {
                person,
                subscription,
            } => (Some(person), Some(subscription), None),
            Way::Webhook(name) => (None, None, Some(name)),
        };
        let life = entry.life;
        Self {
            id: entry.id,
            user,
            subscription,
            webhook,
            title: entry.title,
            state: PushState::of(life.state),
            reason: life.trouble,
            status: life.code,
            tries: life.tries,
            created_at: shown(life.created_at),
            expires_at: shown(entry.expires_at),
            next_at: life.next_at.map(shown),
            ended_at: life.ended_at.map(shown),
        }
    }
}

/// The policy says nothing of push.
pub(super) fn no_push() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "the policy has no section `push`, so that nothing can be pushed",
    )
}
