//! How mails are shown.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::moments::shown;
use crate::mail::outbox::{Entry, State};

/// A mail, without what it says.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Email {
    /// Its id.
    #[schema(example = "0192f0c4-5a00-7000-8000-000000000000")]
    pub(super) id: String,
    /// What kind of mail: the name of its template.
    #[schema(example = "account")]
    purpose: String,
    /// To whom.
    #[schema(example = "misaki.ito@example.com")]
    to: String,
    /// Its subject.
    subject: String,
    /// What became of it.
    state: EmailState,
    /// Why it was not taken the last time. The server's own words are not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The server's last SMTP code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 550)]
    code: Option<u16>,
    /// How often it was tried.
    tries: u64,
    /// When it was written.
    created_at: String,
    /// When it is tried next.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<String>,
    /// When it was taken, refused or given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
}

/// What became of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum EmailState {
    /// The mail server has not taken it yet.
    Waiting,
    /// The mail server has taken it.
    Sent,
    /// The mail server takes it never.
    Refused,
    /// It was tried for as many days as the policy says.
    GivenUp,
}

impl EmailState {
    const fn of(state: State) -> Self {
        match state {
            State::Waiting => Self::Waiting,
            State::Sent => Self::Sent,
            State::Refused => Self::Refused,
            // No letter is gone.
            State::GivenUp | State::Gone => Self::GivenUp,
        }
    }

    pub(super) const fn stored(self) -> State {
        match self {
            Self::Waiting => State::Waiting,
            Self::Sent => State::Sent,
            Self::Refused => State::Refused,
            Self::GivenUp => State::GivenUp,
        }
    }
}

impl Email {
    pub(super) fn new(entry: Entry) -> Self {
        let life = entry.life;
        Self {
            id: entry.id,
            purpose: entry.purpose,
            to: entry.to.plain().to_owned(),
            subject: entry.subject,
            state: EmailState::of(life.state),
            reason: life.trouble,
            code: life.code,
            tries: life.tries,
            created_at: shown(life.created_at),
            next_at: life.next_at.map(shown),
            ended_at: life.ended_at.map(shown),
        }
    }
}
