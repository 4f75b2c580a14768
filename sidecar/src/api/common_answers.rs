//! Answers that every operation of a kind may give, described in one place.

use utoipa::openapi::path::Operation;
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};

const JSON: &str = "application/problem+json";

/// Adds them where an operation does not describe them itself.
pub(super) fn describe(document: &mut OpenApi) {
    for path in document.paths.paths.values_mut() {
        let reading = path.get.as_mut();
        let changing = [
            &mut path.post,
            &mut path.put,
            &mut path.patch,
            &mut path.delete,
        ];
        for operation in changing.into_iter().flatten() {
            answer(
                operation,
                "503",
                "This sidecar stands by, or has just ended",
            );
            taken(operation);
        }
        if let Some(operation) = reading {
            taken(operation);
        }
    }
}

/// What is said of bodies and of paths before an operation begins.
fn taken(operation: &mut Operation) {
    if let Some(RefOr::T(body)) = &operation.request_body {
        let is_json = body.content.keys().any(|kind| kind.ends_with("json"));
        answer(operation, "413", "The body is too large");
        if is_json {
            answer(operation, "400", "The body is not JSON");
            answer(operation, "415", "The body is not said to be JSON");
            answer(operation, "422", "The body is not what it should be");
        }
    }
    if operation.parameters.iter().flatten().next().is_some() {
        answer(operation, "400", "A parameter is not what it should be");
    }
}

fn answer(operation: &mut Operation, status: &str, description: &str) {
    let known = &mut operation.responses.responses;
    known
        .entry(status.to_owned())
        .or_insert_with(|| problem(description).into());
}

fn problem(description: &str) -> Response {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    ResponseBuilder::new()
        .description(description)
        .content(JSON, content)
        .build()
}
