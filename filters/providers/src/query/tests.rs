use sekisho_domain::{DenialCode, Provider};

use super::*;
use crate::operations;

fn check(provider: Provider, query: &str) -> Result<(), DenialCode> {
    let operation = operations(provider).first().unwrap();
    check_query(operation, format!("/a/b{query}").as_bytes())
}

#[test]
fn an_operation_takes_what_its_sdk_sends() {
    for (provider, query) in [
        (Provider::OpenAi, ""),
        (Provider::OpenAi, "?"),
        (Provider::AzureOpenAi, "?api-version=2024-10-21"),
        (Provider::AzureOpenAi, "?api-version=2024-12-01-preview"),
        (Provider::Anthropic, "?beta=true"),
        (Provider::Gemini, "?alt=sse"),
        (Provider::Gemini, "?%24alt=json%3Benum-encoding%3Dint"),
        (Provider::Gemini, "?alt=json&prettyPrint=false"),
        (Provider::Bedrock, ""),
    ] {
        assert_eq!(check(provider, query), Ok(()), "{query}");
    }
}

#[test]
fn it_takes_nothing_else_and_nothing_twice() {
    for (provider, query) in [
        (Provider::OpenAi, "?model=x"),
        (Provider::OpenAi, "?="),
        (Provider::OpenAi, "??"),
        (Provider::AzureOpenAi, "?api-version"),
        (Provider::AzureOpenAi, "?api-version=a&api-version=b"),
        (Provider::AzureOpenAi, "?api-version=a&"),
        (Provider::AzureOpenAi, "?&api-version=a"),
        (Provider::AzureOpenAi, "?api-version=a;x=1"),
        (Provider::AzureOpenAi, "?api-version=a%26x"),
        (Provider::AzureOpenAi, "?api-version=a=b"),
        (Provider::AzureOpenAi, "?Api-Version=a"),
        (Provider::AzureOpenAi, "?api%2dversion=a"),
        (Provider::AzureOpenAi, "?subscription-key=x"),
        (Provider::Anthropic, "?beta=1"),
        (Provider::Gemini, "?key=x"),
        (Provider::Gemini, "?alt=media"),
        (Provider::Gemini, "?alt=json;x"),
        (Provider::Gemini, "?$httpMethod=GET"),
        (Provider::Gemini, "?$req=%7B%7D"),
        (Provider::Bedrock, "?X-Amz-Signature=0"),
    ] {
        let refused = Err(DenialCode::UnexpectedQuery);
        assert_eq!(check(provider, query), refused, "{query}");
    }
}
