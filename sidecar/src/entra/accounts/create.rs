//! An account for somebody who has none: once, whatever is lost on the way.
//!
//! Entra ID sees to it that a user name belongs to one account. So a creation whose answer was
//! lost, and that a search by `employeeId` does not find yet, ends in a conflict when it is given
//! again: then the account of that name is looked at, and if it is the same person's, it is made
//! what the order says, its password included.

use super::{EntraAccounts, SET_PASSWORDS, WRITE_USERS, is_of};
use crate::entra::desk::Desk;
use crate::entra::fault::GraphError;
use crate::entra::operations::{user_create, user_enable, user_password, user_update};
use crate::provisioning::{AccountKey, AccountSpec, Answer, Outcome, Password, Refusal};

impl EntraAccounts {
    pub(super) async fn create(
        &self,
        desk: &Desk,
        spec: &AccountSpec,
        password: &Password,
    ) -> Result<Answer, Outcome> {
        let call = user_create::call(spec, password);
        let created = desk.send(call).await.and_then(user_create::read);
        let error = match created {
            Ok(id) => {
                self.young.born(&id, self.graph.now());
                return Ok(Answer::Created(id));
            }
            Err(error) => error,
        };
        if error.conflict().is_some() {
            return self.resume(desk, spec, password, error).await;
        }
        Err(match error {
            // It may have been carried out before the service was short of breath.
            GraphError::Unavailable { .. } => Outcome::Unknown {
                why: error.to_string(),
            },
            error => self.failed(error, WRITE_USERS),
        })
    }

    /// The account that is in the way, if it is this person's own.
    async fn resume(
        &self,
        desk: &Desk,
        spec: &AccountSpec,
        password: &Password,
        conflict: GraphError,
    ) -> Result<Answer, Outcome> {
        let key = AccountKey::UserName(spec.user_name.clone());
        let Some(account) = self.look(desk, &key).await? else {
            if conflict.conflict() == Some("userPrincipalName") {
                return Err(Outcome::Again {
                    why: "there is an account of this name, which is not known everywhere yet"
                        .to_owned(),
                });
            }
            return Err(self.failed(conflict, WRITE_USERS));
        };
        if !is_of(&account, &spec.employee) {
            return Err(Outcome::Refused(Refusal::Taken { what: "user name" }));
        }
        let id = account.id;
        self.young.born(&id, self.graph.now());
        let call = user_update::call(&id, spec);
        self.change(desk, &id, call, WRITE_USERS).await?;
        let call = user_password::call(&id, password);
        self.change(desk, &id, call, SET_PASSWORDS).await?;
        let call = user_enable::call(&id, spec.enabled);
        self.change(desk, &id, call, WRITE_USERS).await?;
        Ok(Answer::Created(id))
    }
}
