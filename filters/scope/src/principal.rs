//! Who is calling, and what they may.

use std::net::IpAddr;

use sekisho_domain::policy::{Api, Mfa, Policy};
use sekisho_domain::scope::ScopeId;
use sekisho_domain::{Denial, DenialCode, DepartmentId, KeyId, Network, ScopeSet, TitleId, UserId};

use crate::assurance::Assurance;

/// An authenticated caller. The identity of a token is (`tenant`, `object_id`), both in
/// lower case and both empty for a subscription key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The tenant of the account.
    pub tenant: String,
    /// The account in that tenant.
    pub object_id: String,
    /// The company's own id, if the directory has the person.
    pub user: Option<UserId>,
    /// Who pays; `None` is refused by [`authorise`].
    pub department: Option<DepartmentId>,
    /// The person's title, if the policy lists it.
    pub title: Option<TitleId>,
    /// The application that got the token (`azp` or `appid`), lower case.
    pub application: Option<String>,
    /// The subscription key, if it was one.
    pub key: Option<KeyId>,
    /// Where the subscription key may be used from; empty: everywhere.
    pub networks: Vec<Network>,
    /// What token or key grant, before entitlements narrow it.
    pub granted: ScopeSet,
    /// The token's `roles`.
    pub roles: Vec<String>,
    /// How the person signed in.
    pub assurance: Assurance,
}

/// Whose a credential is, whether or not its bearer is let in: names for the record, which
/// permit nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// As in [`Principal`].
    pub tenant: String,
    /// As in [`Principal`].
    pub object_id: String,
    /// As in [`Principal`].
    pub user: Option<UserId>,
    /// As in [`Principal`].
    pub department: Option<DepartmentId>,
    /// As in [`Principal`].
    pub application: Option<String>,
    /// As in [`Principal`].
    pub key: Option<KeyId>,
}

impl Principal {
    /// Who it is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            tenant: self.tenant.clone(),
            object_id: self.object_id.clone(),
            user: self.user.clone(),
            department: self.department.clone(),
            application: self.application.clone(),
            key: self.key.clone(),
        }
    }
}

/// What a caller wants.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The API, one of the policy.
    pub api: &'a Api,
    /// The scope that the call needs, one of the policy.
    pub scope: ScopeId,
    /// Where the call comes from; `None`: unknown, which no network contains.
    pub address: Option<IpAddr>,
}

/// Whether the caller may do what is asked.
///
/// # Errors
/// `NoDepartment`, `MissingScope`, `NotEntitled`, `ApplicationNotAllowed`,
/// `NetworkNotAllowed` or `MfaRequired`, in this order: nobody is sent for a second factor
/// who would be refused with it, too. What is missing is named; never what the token says.
pub fn authorise(principal: &Principal, policy: &Policy, asked: &Asked<'_>) -> Result<(), Denial> {
    let department = principal
        .department
        .as_ref()
        .and_then(|id| policy.departments.get(id))
        .ok_or(DenialCode::NoDepartment)?;
    let (api, scope) = (asked.api, policy.scopes.name(asked.scope));
    if !principal.granted.grants(asked.scope) {
        let text = format!("This call needs the scope `{scope}`, which the caller does not hold.");
        return Err(Denial::with(DenialCode::MissingScope, text));
    }
    let title = principal
        .title
        .as_ref()
        .and_then(|id| policy.titles.get(id));
    let narrowing = [
        ("department", Some(department.entitlements)),
        ("title", title.map(|title| title.entitlements)),
    ];
    for (whose, entitlements) in narrowing {
        if entitlements.is_some_and(|entitlements| !entitlements.grants(asked.scope)) {
            let text = format!(
                "This call needs the scope `{scope}`, to which the caller's {whose} is not entitled."
            );
            return Err(Denial::with(DenialCode::NotEntitled, text));
        }
    }
    if let (Some(allowed), None) = (&api.applications, &principal.key) {
        let application = principal.application.as_ref();
        if !application.is_some_and(|application| allowed.contains(application)) {
            return Err(DenialCode::ApplicationNotAllowed.into());
        }
    }
    let places = [
        ("API", &api.networks),
        ("department", &department.networks),
        ("subscription key", &principal.networks),
    ];
    for (whose, networks) in places {
        let inside = |address| networks.iter().any(|network| network.contains(address));
        if !networks.is_empty() && !asked.address.is_some_and(inside) {
            let text = format!("The call comes from outside the networks of the {whose}.");
            return Err(Denial::with(DenialCode::NetworkNotAllowed, text));
        }
    }
    api.mfa.iter().try_for_each(|mfa| show(principal, mfa))?;
    policy
        .mfa
        .iter()
        .filter(|rule| rule.scopes.grants(asked.scope))
        .try_for_each(|rule| show(principal, &rule.mfa))
}

fn show(principal: &Principal, mfa: &Mfa) -> Result<(), Denial> {
    let context = mfa.context.as_deref();
    if principal.assurance.shows(context) {
        return Ok(());
    }
    let claims = principal.assurance.claims_to_ask_for(context);
    Err(Denial::new(DenialCode::MfaRequired).asking_for(claims))
}
