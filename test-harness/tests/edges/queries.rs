//! Queries: what a provider reads from one, it executes. Parameters that an operation does not
//! take, credentials above all, do not pass.

use crate::case::{Case, Expect, Wire};
use crate::http1::Message;
use crate::world::World;

const AZURE: &str = "/openai/deployments/gpt-4o/chat/completions";
const AZURE_V1: &str = "/openai/v1/chat/completions";
const GEMINI: &str = "/v1beta/models/gemini-2.0-flash:streamGenerateContent";
const OPENAI: &str = "/v1/chat/completions";
const ANTHROPIC: &str = "/v1/messages";
const BEDROCK: &str = "/model/anthropic.claude-3-5-sonnet-20240620-v1:0/converse";

pub(crate) fn cases(world: &World) -> Vec<Case> {
    let mut cases = Vec::new();
    for (path, query) in [
        (AZURE, ""),
        (AZURE, "api-version=2024-10-21"),
        (AZURE, "api-version=2024-12-01-preview"),
        (AZURE_V1, "api-version=preview"),
        (GEMINI, "alt=sse"),
        (GEMINI, "alt=json"),
        (GEMINI, "%24alt=json%3Benum-encoding%3Dint"),
        (OPENAI, ""),
        (ANTHROPIC, "beta=true"),
        (BEDROCK, ""),
    ] {
        let path_and_query = format!("{path}?{query}");
        let expect = Expect::Passes(path_and_query.clone());
        cases.push(case(world, path, &path_and_query, expect));
    }
    let key = &world.key;
    for (path, query) in [
        (AZURE, "api-version=2024-10-21&api-version=2023-05-15"),
        (AZURE, "api%2Dversion=x%26y"),
        (AZURE, "API-Version=2024-10-21"),
        (AZURE, "api-version=1;model=x"),
        (AZURE, "api-version=1%26deployment=tts"),
        (AZURE, "api-version=1?x=1"),
        (AZURE, "model=tts"),
        (AZURE, "deployment=tts"),
        (AZURE, &format!("api-key={key}")),
        (AZURE, &format!("subscription-key={key}")),
        (GEMINI, "alt=sse&alt=json"),
        (GEMINI, &format!("key={key}")),
        (GEMINI, "key=AIzaSyA-of-somebody-else"),
        (GEMINI, "alt=sse&%6bey=AIza"),
        (GEMINI, "alt=sse&k%65y=AIza"),
        (GEMINI, "access_token=ya29.of-somebody-else"),
        (GEMINI, "$httpMethod=GET"),
        (GEMINI, "$httpHeaders=x-goog-api-key:AIza"),
        (GEMINI, "$req=%7B%7D"),
        (GEMINI, "fields=candidates"),
        (GEMINI, "callback=x"),
        (GEMINI, "&"),
        (GEMINI, "alt"),
        (OPENAI, "model=claude-sonnet"),
        (OPENAI, &format!("api_key={key}")),
        (ANTHROPIC, "beta=true&beta=false"),
        (BEDROCK, "X-Amz-Credential=AKIDEXAMPLE&X-Amz-Signature=00"),
    ] {
        let path_and_query = format!("{path}?{query}");
        let expect = Expect::Refused(Some("unexpected_query"));
        cases.push(case(world, path, &path_and_query, expect));
    }
    cases.extend(no_credential(world));
    cases
}

fn case(world: &World, path: &str, path_and_query: &str, expect: Expect) -> Case {
    let (model, body) = match path {
        OPENAI | AZURE_V1 => ("gpt-4o", r#"{"model":"gpt-4o"}"#),
        ANTHROPIC => (
            "claude-sonnet",
            r#"{"model":"claude-sonnet","max_tokens":8}"#,
        ),
        GEMINI => ("gemini-2.0-flash", "{}"),
        BEDROCK => ("anthropic.claude-3-5-sonnet-20240620-v1:0", "{}"),
        _ => ("gpt-4o", "{}"),
    };
    let message = Message::post(path_and_query, &world.key, body.as_bytes());
    Case::new(path_and_query, Wire::One(message), expect).model(model)
}

/// A key or token in a URL is none.
fn no_credential(world: &World) -> Vec<Case> {
    let mut cases = Vec::new();
    for name in [
        "key",
        "api-key",
        "access_token",
        "subscription-key",
        "authorization",
    ] {
        for secret in [&world.key, &world.token] {
            let path = format!("{GEMINI}?{name}={secret}");
            let message = Message::post(&path, "", b"{}").without("Api-Key");
            cases.push(Case::new(
                format!("nothing but ?{name}="),
                Wire::One(message),
                Expect::Refused(Some("missing_credential")),
            ));
        }
    }
    cases
}
