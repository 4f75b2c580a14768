//! Who is calling, and what they may.

use sekisho_domain::policy::Policy;
use sekisho_domain::scope::ScopeId;
use sekisho_domain::{Denial, DenialCode, DepartmentId, KeyId, ScopeSet, UserId};

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
    /// The application that got the token (`azp` or `appid`).
    pub application: Option<String>,
    /// The subscription key, if it was one.
    pub key: Option<KeyId>,
    /// What token or key grant, before the department's entitlements narrow it.
    pub granted: ScopeSet,
    /// The token's `roles`.
    pub roles: Vec<String>,
}

/// Whether the caller may use what needs the scope `required`, a scope of `policy`.
///
/// # Errors
/// `NoDepartment`, `MissingScope` or `NotEntitled`, in this order; the latter two name the
/// scope.
pub fn authorise(principal: &Principal, policy: &Policy, required: ScopeId) -> Result<(), Denial> {
    let department = principal
        .department
        .as_ref()
        .and_then(|id| policy.departments.get(id))
        .ok_or(DenialCode::NoDepartment)?;
    let scope = policy.scopes.name(required);
    if !principal.granted.grants(required) {
        let message =
            format!("This call needs the scope `{scope}`, which the caller does not hold.");
        return Err(Denial::with(DenialCode::MissingScope, message));
    }
    if !department.entitlements.grants(required) {
        let message = format!(
            "This call needs the scope `{scope}`, to which the caller's department is not entitled."
        );
        return Err(Denial::with(DenialCode::NotEntitled, message));
    }
    Ok(())
}
