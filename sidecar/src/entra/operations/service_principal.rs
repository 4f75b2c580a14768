//! `GET /servicePrincipals` by `appId`: what an application is in this tenant, and its roles.
//!
//! Source: `learn.microsoft.com/graph/api/serviceprincipal-list`. Least permission:
//! `Application.Read.All`.

use serde::Deserialize;

use crate::entra::call::{Call, Reply};
use crate::entra::fault::GraphError;
use crate::entra::graph::Page;
use crate::entra::path::literal;

/// An application in the tenant.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::entra) struct ServicePrincipal {
    pub(in crate::entra) id: String,
    app_roles: Vec<AppRole>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AppRole {
    id: String,
    value: Option<String>,
    is_enabled: bool,
    allowed_member_types: Vec<String>,
}

impl ServicePrincipal {
    /// The id of the role of this value that people can have.
    pub(in crate::entra) fn role(&self, value: &str) -> Option<&str> {
        let mut roles = self.app_roles.iter();
        let found = roles.find(|role| {
            role.value.as_deref() == Some(value)
                && role.is_enabled
                && role.allowed_member_types.iter().any(|kind| kind == "User")
        });
        found.map(|role| role.id.as_str())
    }
}

pub(in crate::entra) fn call(application: &str) -> Call {
    let application = literal(application);
    Call::get(format!(
        "/servicePrincipals?$filter=appId%20eq%20{application}&$select=id,appRoles"
    ))
}

/// The application, or that it is not in the tenant.
pub(in crate::entra) fn read(reply: Reply) -> Result<Option<ServicePrincipal>, GraphError> {
    let page: Page<ServicePrincipal> = reply.read()?;
    Ok(page.value.into_iter().next())
}
