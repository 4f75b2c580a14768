//! Project Wycheproof's tokens over a whole gateway: nobody's payloads are claims, so all are
//! refused, and as the decision alone refuses them.

use sekisho_scope::{Credential, PureRust};
use sekisho_scope_cases::{Case, World, wycheproof};

use crate::call;
use crate::start::Running;

/// What came out other than it should.
pub(crate) fn run(world: &World, directory: &str, running: &mut Running) -> Vec<String> {
    let now = running.gateway().now();
    let mut authenticator = world.authenticator(&world.policy(directory), now);
    let mut wrong = Vec::new();
    let tokens = wycheproof::tokens();
    assert!(tokens.len() > 450, "{} tokens", tokens.len());
    for (at, token) in tokens.into_iter().enumerate() {
        let shown = Credential::Bearer(token.as_bytes());
        let decided = authenticator.authenticate(&shown, &PureRust, now);
        let Err(denial) = decided else {
            wrong.push(format!("vector {at} is accepted"));
            continue;
        };
        let case = Case {
            raw: Some(token),
            ..Case::default()
        };
        let Some(exchange) = call::call(world, &case, running) else {
            continue;
        };
        let response = exchange.response.unwrap_or_default();
        let code = response
            .headers
            .iter()
            .find(|(name, _)| name == "x-sekisho-denial");
        let code = code.map(|(_, code)| String::from_utf8_lossy(code).into_owned());
        if response.status != 401 || code.as_deref() != Some(denial.code.as_str()) {
            let decided = denial.code.as_str();
            wrong.push(format!(
                "vector {at}: {} {code:?}, not {decided}",
                response.status
            ));
        }
    }
    wrong
}
