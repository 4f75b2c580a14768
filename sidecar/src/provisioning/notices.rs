//! How people learn of their accounts.

pub mod by_mail;
pub mod config;
pub mod links;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

pub use by_mail::NoticesByMail;
pub use config::{Delivery, NoticeSettings};

use super::accounts::UserName;
use super::password::Password;
use crate::people::Person;

/// What a person is told: the password is nowhere else.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The task that it is about: the same at each try.
    pub name: String,
    /// To whom.
    pub person: Person,
    /// The name to sign in with.
    pub user_name: UserName,
    /// The password, which must be changed at the next sign-in.
    pub password: Password,
    /// Whether the account is new; otherwise the password of an old one was reset.
    pub is_new: bool,
}

/// Why a notice was not handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// It may be another time.
    Now {
        /// Why.
        why: String,
        /// How long to wait at least; none: as after any other failure.
        wait: Option<Duration>,
    },
    /// It never will be.
    Ever(String),
}

/// A way to people.
pub trait Notices: fmt::Debug + Send + Sync + 'static {
    /// Hands notices over while the caller waits, and keeps no password of them.
    ///
    /// Answers with exactly one outcome for each, in their order. It is safe to drop the future:
    /// what was under way then may have been handed over.
    fn hand_over<'a>(&'a self, notices: &'a [Notice]) -> HandingOver<'a>;
}

/// Notices on their way.
pub type HandingOver<'a> = Pin<Box<dyn Future<Output = Vec<Result<(), NotTaken>>> + Send + 'a>>;
