//! What an identity provider is asked to do, and what can come of it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use sekisho_domain::{UnixMillis, UserId};

use super::Password;

/// A directory that has accounts: the embedded one, or Entra ID.
///
/// Implementations keep no queue and try nothing twice of themselves: whoever orders has a durable
/// job for that. They tell only what the other side said.
pub trait Accounts: fmt::Debug + Send + Sync + 'static {
    /// What it is called in logs, results and the API: `embedded`, `entra`.
    fn name(&self) -> &'static str;

    /// How many orders it likes to have at a time, at least 1; Graph's batches take 20.
    fn most_at_once(&self) -> usize;

    /// Carries the orders out, each by itself: one that fails stops no other. They are about
    /// different people, so they may be carried out in any order.
    ///
    /// Answers with exactly one outcome for each, in their order. It must be safe to drop the
    /// future: what was sent then is as if it had been answered with [`Outcome::Unknown`].
    fn carry_out<'a>(&'a self, orders: &'a [Order]) -> Carrying<'a>;
}

/// Orders that are being carried out.
pub type Carrying<'a> = Pin<Box<dyn Future<Output = Vec<Outcome>> + Send + 'a>>;

/// The id that the directory gave an account; it stays as long as the account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(pub String);

/// The name with which a person signs in: `userPrincipalName`, lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserName(pub String);

/// By what an account is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountKey {
    /// The directory's own id.
    Object(ObjectId),
    /// The company's id of the person (`employeeId`). It is given when an account is created and
    /// never changes; by it a creation is found again whose answer was lost.
    Employee(UserId),
    /// The name with which the person signs in.
    UserName(UserName),
}

/// What an account is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSpec {
    /// The company's id of the person (`employeeId`); up to 16 characters.
    pub employee: UserId,
    /// The name with which the person signs in (`userPrincipalName`).
    pub user_name: UserName,
    /// `mailNickname`: ASCII, up to 64 characters. Follows from the user name.
    pub mail_nickname: String,
    /// `displayName`, to the letter; up to 256 characters.
    pub display_name: String,
    /// `mail`, or where the directory does not let that be written, `otherMails`.
    pub mail: String,
    /// Name of the department, as people read it; up to 64 characters.
    pub department: String,
    /// `jobTitle`; empty: none. Up to 128 characters.
    pub job_title: String,
    /// `businessPhones`; empty: none. Up to 64 characters.
    pub phone: String,
    /// `accountEnabled`.
    pub enabled: bool,
}

/// An account as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The directory's own id.
    pub id: ObjectId,
    /// What it says. A directory that cannot tell a member leaves it empty.
    pub spec: AccountSpec,
}

/// To which groups and app roles an account belongs. Others than `managed` ones are never touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Groups that it is to be in, by object id.
    pub groups: Vec<String>,
    /// Every group that is managed: of these it is in `groups` alone.
    pub managed_groups: Vec<String>,
    /// App roles of the gateway's application that it is to have, by value, such as `text_apis`.
    pub app_roles: Vec<String>,
    /// Every app role that is managed.
    pub managed_app_roles: Vec<String>,
}

/// Something that is to be done with one account.
#[derive(Debug)]
pub enum Order {
    /// Answers [`Answer::Found`]. Given again it does no harm.
    Find(AccountKey),
    /// Answers [`Answer::Created`]. The password must be changed at the first sign-in
    /// (`forceChangePasswordNextSignIn`). Never given again before a [`Order::Find`] by
    /// [`AccountKey::Employee`] has found nothing.
    Create {
        /// What it is to say.
        spec: AccountSpec,
        /// The initial password.
        password: Password,
    },
    /// Makes everything but `enabled` as in `spec`.
    Update {
        /// Which account.
        id: ObjectId,
        /// What it is to say.
        spec: AccountSpec,
    },
    /// Lets the account sign in.
    Enable(ObjectId),
    /// Lets the account not sign in, and revokes its sessions (`revokeSignInSessions`). Done only
    /// when both are.
    Disable(ObjectId),
    /// Revokes the account's sessions and leaves it enabled.
    RevokeSessions(ObjectId),
    /// Sets a password that must be changed at the next sign-in.
    SetPassword {
        /// Which account.
        id: ObjectId,
        /// The new password.
        password: Password,
    },
    /// Lets somebody try again who has mistyped too often.
    Unlock(ObjectId),
    /// Puts the account into its groups and gives it its app roles.
    Place {
        /// Which account.
        id: ObjectId,
        /// Where it is to be.
        place: Place,
    },
    /// Deletes the account. One that is gone already is [`Refusal::Gone`].
    Delete(ObjectId),
}

/// What an order that was carried out answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing but that it was done.
    Nothing,
    /// The account, or that there is none.
    Found(Option<Account>),
    /// The new account's id.
    Created(ObjectId),
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out, perhaps had been before.
    Done(Answer),
    /// It was not carried out, nor will any other be before that moment.
    Throttled {
        /// When to ask again.
        until: UnixMillis,
    },
    /// It was not carried out; it may be another time.
    Again {
        /// Why, without anything secret or personal.
        why: String,
    },
    /// It was not carried out and never will be as it is.
    Refused(Refusal),
    /// Nobody knows whether it was carried out: the answer did not come, or was cut short.
    Unknown {
        /// Why, without anything secret or personal.
        why: String,
    },
}

impl Outcome {
    /// It was done, and there is nothing to answer.
    pub const DONE: Self = Self::Done(Answer::Nothing);
}

/// Why an order is never carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such account any more.
    #[error("there is no such account in the directory")]
    Gone,
    /// Its user name, mail or nickname belongs to another account.
    #[error("another account of the directory has this {what} already")]
    Taken {
        /// Which of them: `user name`, `mail address`, ...
        what: &'static str,
    },
    /// The directory's policy does not take the password.
    #[error("the directory does not accept the password by its policy")]
    Password,
    /// The sidecar may not do that there.
    #[error("the sidecar lacks a permission in the directory: {what}")]
    Forbidden {
        /// What it would need, such as `User.ReadWrite.All`.
        what: String,
    },
    /// This directory cannot do that.
    #[error("the directory cannot do this: {why}")]
    Impossible {
        /// Why, and what to do instead.
        why: &'static str,
    },
    /// Anything else that it says about the values.
    #[error("the directory refuses it: {why}")]
    Invalid {
        /// The directory's own words, masked: nothing secret or personal.
        why: String,
    },
}
