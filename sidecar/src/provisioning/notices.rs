//! How people learn of their accounts.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::accounts::UserName;
use super::password::Password;
use crate::people::Person;

/// What a person is told, once: the password is nowhere else.
#[derive(Debug)]
pub struct Notice<'a> {
    /// To whom.
    pub person: &'a Person,
    /// The name to sign in with.
    pub user_name: &'a UserName,
    /// The password, which must be changed at the next sign-in.
    pub password: &'a Password,
    /// Whether the account is new; otherwise the password of an old one was reset.
    pub is_new: bool,
}

/// Why a notice was not handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// It may be another time.
    Now(String),
    /// It never will be.
    Ever(String),
}

/// A way to people.
pub trait Notices: fmt::Debug + Send + Sync + 'static {
    /// Hands a notice over while the caller waits, and keeps nothing of it.
    fn hand_over<'a>(&'a self, notice: &'a Notice<'a>) -> HandingOver<'a>;
}

/// A notice on its way.
pub type HandingOver<'a> = Pin<Box<dyn Future<Output = Result<(), NotTaken>> + Send + 'a>>;
