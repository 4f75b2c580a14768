//! What every key must keep to.

use sekisho_domain::{DepartmentId, Network, NetworkError, Policy, UnixMillis};

/// Longest name of a key in characters.
const LONGEST_NAME: usize = 100;
/// Most networks that a key may be bound to: each call is held against them.
const MOST_NETWORKS: usize = 64;

/// Why a key is not issued, or not changed so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// A key that nobody can tell from others.
    #[error("`name` must be 1 to {LONGEST_NAME} characters, none of them a control character")]
    Name,
    /// Nobody would pay.
    #[error("`department` must be the code or name of a department of the policy")]
    UnknownDepartment,
    /// Nobody of this id is in the directory.
    #[error("`user` must be the company's id of a person of the directory")]
    UnknownUser,
    /// It would grant nothing.
    #[error("`scopes` must name at least one scope")]
    NoScope,
    /// It would grant something that does not exist.
    #[error("`scopes[{0}]` is no scope of the policy")]
    UnknownScope(usize),
    /// Not a network.
    #[error("`networks[{at}]` {why}")]
    Network {
        /// Its place.
        at: usize,
        /// What is wrong with it.
        why: NetworkError,
    },
    /// More than anybody would look through.
    #[error("`networks` may have at most {MOST_NETWORKS} entries")]
    TooManyNetworks,
    /// It would never be valid.
    #[error("`expires_at` must be in the future")]
    Expired,
    /// It is refused for ever.
    #[error("the key is revoked")]
    Revoked,
}

/// The name without blanks around it.
pub(super) fn name(name: &str) -> Result<String, OrderError> {
    let name = name.trim();
    let length = name.chars().count();
    if length == 0 || length > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(OrderError::Name);
    }
    Ok(name.to_owned())
}

/// The code of a department.
pub(super) fn department(department: &str, policy: &Policy) -> Result<DepartmentId, OrderError> {
    let department = policy.department(department);
    department
        .map(|department| department.id.clone())
        .ok_or(OrderError::UnknownDepartment)
}

/// Scopes that there are.
pub(super) fn scopes(scopes: Vec<String>, policy: &Policy) -> Result<Vec<String>, OrderError> {
    if scopes.is_empty() {
        return Err(OrderError::NoScope);
    }
    let unknown = scopes
        .iter()
        .position(|scope| policy.scopes.id(scope).is_none());
    match unknown {
        Some(at) => Err(OrderError::UnknownScope(at)),
        None => Ok(scopes),
    }
}

/// Networks in CIDR notation.
pub(super) fn networks(texts: &[String]) -> Result<Vec<Network>, OrderError> {
    if texts.len() > MOST_NETWORKS {
        return Err(OrderError::TooManyNetworks);
    }
    let networks = texts
        .iter()
        .enumerate()
        .map(|(at, text)| text.parse().map_err(|why| OrderError::Network { at, why }));
    networks.collect()
}

/// A moment in the future, or none.
pub(super) fn expiry(
    expires: Option<UnixMillis>,
    now: UnixMillis,
) -> Result<Option<UnixMillis>, OrderError> {
    match expires {
        Some(moment) if moment <= now => Err(OrderError::Expired),
        expires => Ok(expires),
    }
}
