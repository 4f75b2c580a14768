//! Lets in whom the table of roles lets in, and says how far they reach.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sekisho_domain::{DepartmentId, UnixMillis, UserId};
use sekisho_scope::Principal;

use super::Api;
use super::authentication::{author, principal, shows_credential};
use super::problem::Problem;
use super::roles::{Admitted, Bound, Role, admitted};
use crate::events::Author;

/// Somebody who has been let in.
#[derive(Clone, Debug)]
pub(super) struct Access {
    principal: Arc<Principal>,
    /// Where the caller is, or the proxy before the API.
    address: Option<IpAddr>,
    reach: Reach,
}

impl Access {
    /// Whose doing is put on record.
    pub(super) fn author(&self, now: UnixMillis) -> Result<Author, Problem> {
        author(&self.principal, self.address, now)
    }

    /// Who it is, as one text.
    pub(super) fn identity(&self) -> String {
        format!("{}/{}", self.principal.tenant, self.principal.object_id)
    }

    /// The person, if the directory has the caller.
    pub(super) fn person(&self) -> Option<&UserId> {
        let user = self.principal.user.as_ref();
        user.filter(|_| self.principal.key.is_none())
    }

    /// How far the caller reaches.
    pub(super) const fn reach(&self) -> &Reach {
        &self.reach
    }
}

/// How far a caller reaches in an operation: over what is of the department, or of the person,
/// or over everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    everything: bool,
    department: Option<DepartmentId>,
    person: Option<UserId>,
}

/// What of a list is shown: that of this department and of this person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) department: Option<String>,
    pub(super) person: Option<String>,
}

impl Reach {
    fn new(principal: &Principal, bounds: &[Bound]) -> Self {
        let within = |bound| bounds.contains(&bound);
        let department = principal.department.clone();
        let person = principal.user.clone();
        Self {
            everything: within(Bound::Everything),
            department: department.filter(|_| within(Bound::OwnDepartment)),
            person: person.filter(|_| within(Bound::Own)),
        }
    }

    /// Whether it is over everything.
    pub(super) const fn is_everything(&self) -> bool {
        self.everything
    }

    /// Whether it covers what is of this department and of this person.
    pub(super) fn covers(&self, department: Option<&str>, person: Option<&str>) -> bool {
        let own_department = self.department.as_ref().map(DepartmentId::as_str);
        let own = self.person.as_ref().map(UserId::as_str);
        self.everything
            || (own_department.is_some() && own_department == department)
            || (own.is_some() && own == person)
    }

    /// Of what a person used, whose part is shown: what this department paid; `None`: everything.
    pub(super) fn payer_of(&self, person: &str) -> Option<&str> {
        let is_own = self
            .person
            .as_ref()
            .is_some_and(|own| own.as_str() == person);
        let department = self.department.as_ref().map(DepartmentId::as_str);
        department.filter(|_| !self.everything && !is_own)
    }

    /// The part of a list that is shown to whoever asks for `wanted`.
    ///
    /// # Errors
    /// 403: nothing of what is asked for is the caller's to see.
    pub(super) fn confine(&self, wanted: Part) -> Result<Part, Problem> {
        let asks_for = (wanted.department.as_deref(), wanted.person.as_deref());
        if self.covers(asks_for.0, asks_for.1) {
            return Ok(wanted);
        }
        // Whoever does not say which is shown as much as there may be.
        let Part { department, person } = wanted;
        match (&self.department, &self.person) {
            (Some(own), _) if department.is_none() => Ok(Part {
                department: Some(own.0.clone()),
                person,
            }),
            (None, Some(own)) if person.is_none() => Ok(Part {
                department,
                person: Some(own.0.clone()),
            }),
            _ => Err(outside()),
        }
    }
}

/// What is asked for by name is somebody else's.
pub(super) fn outside() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "this is about another department or person than the caller's own",
    )
}

/// Lets through whom the table lets through.
pub(super) async fn authorise(State(api): State<Api>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match admit(&parts, &api).await {
        Ok(access) => {
            if let Some(access) = access {
                parts.extensions.insert(access);
            }
            next.run(Request::from_parts(parts, body)).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// The caller; nobody where none is needed and none shows a credential.
async fn admit(parts: &Parts, api: &Api) -> Result<Option<Access>, Problem> {
    let path = parts.extensions.get::<MatchedPath>();
    let path = path.map(MatchedPath::as_str).unwrap_or_default();
    let Some(admitted) = admitted(parts.method.as_str(), path) else {
        return Err(Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "this path does not answer to this method",
        ));
    };
    let is_open = admitted.iter().any(|(role, _)| *role == Role::Anybody);
    let tells_apart = admitted.iter().any(|(role, _)| *role != Role::Anybody);
    if is_open && (!tells_apart || !shows_credential(parts)) {
        return Ok(None);
    }
    let principal = principal(parts, api).await?;
    let held = admitted.iter().filter(|(role, _)| role.is_of(&principal));
    let bounds: Vec<Bound> = held.map(|(_, bound)| *bound).collect();
    if bounds.is_empty() {
        return Err(missing(admitted));
    }
    Ok(Some(Access {
        reach: Reach::new(&principal, &bounds),
        address: address(parts),
        principal,
    }))
}

/// What the caller lacks.
fn missing(admitted: Admitted) -> Problem {
    let claims = admitted.iter().filter_map(|(role, _)| role.claim());
    let claims: Vec<_> = claims.collect();
    let people = admitted.iter().any(|(role, _)| *role == Role::User);
    let text = match (claims.as_slice(), people) {
        ([], _) => "this is for people of the directory, by a token of their own".to_owned(),
        (claims, false) => format!("this needs the role `{}`", claims.join("` or `")),
        (claims, true) => format!(
            "this needs the role `{}`, or a person of the directory about whom it is",
            claims.join("` or `")
        ),
    };
    Problem::new(StatusCode::FORBIDDEN, text)
}

/// The peer of the connection. A header could say anything.
fn address(parts: &Parts) -> Option<IpAddr> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map(|ConnectInfo(peer)| peer.ip().to_canonical())
}

impl FromRequestParts<Api> for Access {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let admitted = parts.extensions.get::<Self>().cloned();
        // An endpoint that needs a caller and lets everybody in would be a fault of the table.
        admitted.ok_or_else(|| sekisho_domain::DenialCode::MissingCredential.into())
    }
}

impl axum::extract::OptionalFromRequestParts<Api> for Access {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Option<Self>, Problem> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(department: Option<&str>, person: Option<&str>) -> Reach {
        Reach {
            everything: false,
            department: department.map(DepartmentId::from),
            person: person.map(UserId::from),
        }
    }

    fn part(department: Option<&str>, person: Option<&str>) -> Part {
        Part {
            department: department.map(str::to_owned),
            person: person.map(str::to_owned),
        }
    }

    #[test]
    fn a_reach_of_nothing_covers_nothing_not_even_what_is_of_nobody() {
        assert!(!reach(None, None).covers(None, None));
        assert!(!reach(Some("hr"), None).covers(None, None));
        assert!(!reach(None, Some("001")).covers(Some("hr"), None));
        assert!(reach(None, None).confine(part(None, None)).is_err());
    }

    #[test]
    fn a_list_is_confined_to_what_is_the_callers_own() {
        let (hr, me) = (Some("hr"), Some("001"));
        for (reach, wanted, shown) in [
            (reach(hr, me), part(None, None), Some(part(hr, None))),
            (reach(hr, me), part(hr, None), Some(part(hr, None))),
            (reach(hr, me), part(None, me), Some(part(None, me))),
            (
                reach(hr, me),
                part(None, Some("2")),
                Some(part(hr, Some("2"))),
            ),
            (reach(hr, me), part(Some("it"), None), None),
            (
                reach(hr, me),
                part(Some("it"), me),
                Some(part(Some("it"), me)),
            ),
            (reach(None, me), part(None, None), Some(part(None, me))),
            (reach(None, me), part(hr, None), Some(part(hr, me))),
            (reach(None, me), part(None, Some("2")), None),
        ] {
            let confined = reach.confine(wanted.clone()).ok();
            assert_eq!(confined, shown, "{reach:?} {wanted:?}");
        }
    }
}
