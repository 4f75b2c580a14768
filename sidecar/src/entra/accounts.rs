//! Accounts in Entra ID: what an order of the provisioning is in calls of Graph.

mod create;
mod place;
mod principal;
mod young;

use sekisho_domain::UserId;

use super::call::{Call, Reply};
use super::config::EntraConfig;
use super::desk::{Desk, Errand};
use super::fault::GraphError;
use super::graph::Graph;
use super::operations::{
    user_delete, user_enable, user_find, user_password, user_revoke_sessions, user_update,
};
use crate::clock::Clock;
use crate::forward::Trouble;
use crate::provisioning::accounts::Carrying;
use crate::provisioning::{
    Account, AccountKey, Accounts, Answer, ObjectId, Order, Outcome, Refusal,
};
use principal::Principal;
use young::Young;

/// When Graph does not say how long it wants to be left alone, milliseconds.
const THROTTLED_MILLIS: u64 = 10_000;

/// What the sidecar needs to be allowed, by what it wants to do.
const WRITE_USERS: &str = "User.ReadWrite.All";
const SET_PASSWORDS: &str = "User-PasswordProfile.ReadWrite.All";
const REVOKE_SESSIONS: &str = "User.RevokeSessions.All";
const WRITE_MEMBERS: &str = "GroupMember.ReadWrite.All";
const WRITE_ROLES: &str = "AppRoleAssignment.ReadWrite.All and Application.Read.All";

/// The accounts of a tenant.
#[derive(Debug)]
pub struct EntraAccounts {
    graph: Graph,
    /// Client id of the application that has the app roles.
    application: Option<String>,
    principal: Principal,
    young: Young,
}

impl EntraAccounts {
    /// The accounts of the tenant; nothing is asked yet.
    ///
    /// # Errors
    /// [`Trouble`] if Graph can never be asked.
    pub fn new(config: &EntraConfig, clock: &Clock) -> Result<Self, Trouble> {
        Ok(Self {
            graph: Graph::new(config, clock)?,
            application: config.application.clone(),
            principal: Principal::default(),
            young: Young::new(clock.now()),
        })
    }

    /// The tenant itself.
    #[must_use]
    pub const fn graph(&self) -> &Graph {
        &self.graph
    }

    async fn carry(&self, desk: &Desk, order: &Order) -> Outcome {
        let outcome = match order {
            Order::Find(key) => self.find(desk, key).await,
            Order::Create { spec, password } => self.create(desk, spec, password).await,
            Order::Update { id, spec } => {
                let call = user_update::call(id, spec);
                self.change(desk, id, call, WRITE_USERS).await
            }
            Order::Enable(id) => {
                let call = user_enable::call(id, true);
                self.change(desk, id, call, WRITE_USERS).await
            }
            Order::Disable(id) => self.disable(desk, id).await,
            Order::RevokeSessions(id) => {
                let call = user_revoke_sessions::call(id);
                self.change(desk, id, call, REVOKE_SESSIONS).await
            }
            Order::SetPassword { id, password } => {
                let call = user_password::call(id, password);
                self.change(desk, id, call, SET_PASSWORDS).await
            }
            Order::Unlock(_) => Err(Outcome::Refused(Refusal::Impossible {
                why: "Entra ID itself ends a lock after its lockout duration; a new password lets \
                      the person in before",
            })),
            Order::Place { id, place } => self.place(desk, id, place).await,
            Order::Delete(id) => {
                let call = user_delete::call(id);
                self.change(desk, id, call, WRITE_USERS).await
            }
        };
        match outcome {
            Ok(answer) => Outcome::Done(answer),
            Err(outcome) => outcome,
        }
    }

    /// A call that changes one account, and does no harm a second time.
    async fn change(
        &self,
        desk: &Desk,
        id: &ObjectId,
        call: Call,
        permission: &'static str,
    ) -> Result<Answer, Outcome> {
        let done = desk.send(call).await.and_then(Reply::done);
        done.map_err(|error| self.missing(id, error, permission))?;
        Ok(Answer::Nothing)
    }

    async fn disable(&self, desk: &Desk, id: &ObjectId) -> Result<Answer, Outcome> {
        let call = user_enable::call(id, false);
        self.change(desk, id, call, WRITE_USERS).await?;
        let call = user_revoke_sessions::call(id);
        self.change(desk, id, call, REVOKE_SESSIONS).await
    }

    async fn find(&self, desk: &Desk, key: &AccountKey) -> Result<Answer, Outcome> {
        self.look(desk, key).await.map(Answer::Found)
    }

    async fn look(&self, desk: &Desk, key: &AccountKey) -> Result<Option<Account>, Outcome> {
        let reply = desk.send(user_find::call(key)).await;
        let found = reply.and_then(|reply| user_find::read(key, reply));
        let mut found = found.map_err(|error| self.failed(error, "User.Read.All"))?;
        match found.len() {
            0 | 1 => Ok(found.pop()),
            _ => Err(Outcome::Refused(Refusal::Invalid {
                why: "several accounts have this `employeeId`".to_owned(),
            })),
        }
    }

    /// What a failure means for an account that was there: a 404 of a young one is news that has
    /// not reached everybody yet.
    fn missing(&self, id: &ObjectId, error: GraphError, permission: &'static str) -> Outcome {
        if error.status() != Some(404) {
            return self.failed(error, permission);
        }
        if self.young.is_young(id, self.graph.now()) {
            return Outcome::Again {
                why: "the new account is not known everywhere yet".to_owned(),
            };
        }
        Outcome::Refused(Refusal::Gone)
    }

    /// What a failure means for an order that does no harm a second time.
    fn failed(&self, error: GraphError, permission: &'static str) -> Outcome {
        let why = error.to_string();
        match error {
            GraphError::Throttled { after }
            | GraphError::Unavailable {
                after: after @ Some(_),
                ..
            } => {
                let millis =
                    after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
                Outcome::Throttled {
                    until: self
                        .graph
                        .now()
                        .plus_millis(millis.unwrap_or(THROTTLED_MILLIS)),
                }
            }
            GraphError::NotSent(_) => Outcome::Again { why },
            GraphError::Lost(_)
            | GraphError::Unavailable { .. }
            | GraphError::Unreadable
            | GraphError::ForeignLink => Outcome::Unknown { why },
            // Somebody else changed the same at the same time.
            GraphError::Refused {
                status: 401 | 409 | 412 | 423,
                ..
            } if error.conflict().is_none() => Outcome::Again { why },
            GraphError::Refused { status: 403, .. } => Outcome::Refused(Refusal::Forbidden {
                what: permission.to_owned(),
            }),
            GraphError::Refused { status: 404, .. } => Outcome::Refused(Refusal::Gone),
            GraphError::Refused { words, .. } => Outcome::Refused(match words.conflict() {
                Some(target) => Refusal::Taken {
                    what: unique(target),
                },
                None if words.is_about_password() => Refusal::Password,
                None => Refusal::Invalid { why },
            }),
        }
    }
}

/// A member whose value only one account can have.
fn unique(target: &str) -> &'static str {
    match target {
        "userPrincipalName" => "user name",
        "mailNickname" => "mail nickname",
        "proxyAddresses" | "mail" | "otherMails" => "mail address",
        _ => "user name or address",
    }
}

/// Whose account it is, if anybody's of the company.
fn is_of(account: &Account, employee: &UserId) -> bool {
    account.spec.employee == *employee
}

impl Accounts for EntraAccounts {
    fn name(&self) -> &'static str {
        "entra"
    }

    fn most_at_once(&self) -> usize {
        super::batch::MOST
    }

    fn carry_out<'a>(&'a self, orders: &'a [Order]) -> Carrying<'a> {
        Box::pin(async move {
            let desk = Desk::default();
            let errands = orders.iter().map(|order| {
                let errand: Errand<'_, Outcome> = Box::pin(self.carry(&desk, order));
                errand
            });
            desk.run(&self.graph, errands.collect()).await
        })
    }
}
