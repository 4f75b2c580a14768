//! A call that passes every stage of a gateway once it is ready: what is not ready refuses it.

use sekisho_domain::policy::{Api, AuditMode};
use sekisho_domain::{Policy, UnixMillis};
use sekisho_providers::{ModelPlace, Operation, RequestBody, operations};
use serde_json::json;

use crate::gateway::Request;
use crate::tokens::{self, Algorithm, KEY_ID, NoKey, Signer, Subject};

/// The call, of a department of its own. None: the policy has no API that could be called so.
pub(super) fn request(
    policy: &Policy,
    scopes: &[String],
    object_id: &str,
    now: UnixMillis,
) -> Result<Option<Request>, NoKey> {
    let Some(issuer) = policy.issuers.first() else {
        return Ok(None);
    };
    let mut apis: Vec<&Api> = policy.apis.iter().collect();
    // A strict one waits for every stage.
    apis.sort_by_key(|api| api.audit == AuditMode::Relaxed);
    let Some((operation, model)) = apis.into_iter().find_map(callable) else {
        return Ok(None);
    };
    let subject = Subject {
        issuer: &issuer.issuer,
        tenant: &issuer.tenant,
        audience: issuer.audiences.first().map_or("", String::as_str),
        object_id,
        scopes,
    };
    let claims = tokens::claims(&subject, now);
    let token = tokens::sign(&claims, Signer::Issuer, Algorithm::RS256, KEY_ID)?;
    let body = match operation.model {
        ModelPlace::Body => json!({"model": model, "max_tokens": 1}),
        _ => json!({"max_tokens": 1}),
    };
    Ok(Some(Request {
        method: operation.method.to_owned(),
        path: operation.template.replace("{model}", model),
        headers: vec![
            (
                "authorization".to_owned(),
                format!("Bearer {token}").into_bytes(),
            ),
            ("content-type".to_owned(), b"application/json".to_vec()),
        ],
        body: vec![body.to_string().into_bytes()],
        ..Request::default()
    }))
}

fn callable(api: &Api) -> Option<(&'static Operation, &str)> {
    let model = api.models.keys().min()?;
    let operation = operations(api.provider).iter().find(|operation| {
        operation.request == RequestBody::Json
            && api.operations.iter().any(|open| open == operation.name)
    })?;
    Some((operation, model))
}
