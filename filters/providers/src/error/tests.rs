use super::*;

const RECORD: RecordId = RecordId([0x01; 16]);
const ID: &str = "01010101-0101-0101-0101-010101010101";

fn refuse(provider: Option<Provider>, denial: Denial) -> (ErrorBody, Value) {
    let error = error_body(provider, &denial, &RECORD);
    let body = serde_json::from_slice(&error.body).unwrap();
    (error, body)
}

#[test]
fn openai_and_azure_get_error_with_our_code() {
    for provider in [Provider::OpenAi, Provider::AzureOpenAi] {
        let (error, body) = refuse(Some(provider), Denial::new(DenialCode::ExpiredToken));
        assert_eq!(
            body,
            json!({"error": {"message": "The token's time is over, or it has no end.",
                "type": "authentication_error", "param": null, "code": "expired_token"}})
        );
        assert_eq!(error.content_type, "application/json");
        assert_eq!(error.headers, [("x-request-id", ID.to_owned())]);
    }
}

#[test]
fn anthropic_gets_a_typed_error() {
    let (error, body) = refuse(
        Some(Provider::Anthropic),
        Denial::with(DenialCode::MissingScope, "needs `claude_api`"),
    );
    assert_eq!(
        body,
        json!({"type": "error", "request_id": ID, "error": {"type": "permission_error",
            "message": "needs `claude_api` (missing_scope)", "code": "missing_scope"}})
    );
    assert_eq!(error.headers, [("request-id", ID.to_owned())]);
}

#[test]
fn google_gets_a_status_with_details() {
    let denial = Denial::with(DenialCode::BudgetExhausted, "used up").retry_after(1500);
    let (_, body) = refuse(Some(Provider::Gemini), denial);
    assert_eq!(
        body,
        json!({"error": {"code": 429, "message": "used up", "status": "RESOURCE_EXHAUSTED", "details": [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "BUDGET_EXHAUSTED", "domain": "sekisho",
                "metadata": {"code": "budget_exhausted", "record_id": ID}},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"},
        ]}})
    );
}

#[test]
fn aws_gets_the_exception_in_a_header() {
    for (code, exception) in [
        (DenialCode::ExpiredToken, "ExpiredTokenException"),
        (DenialCode::BadSignature, "UnrecognizedClientException"),
        (DenialCode::MissingScope, "AccessDeniedException"),
        (DenialCode::BudgetExhausted, "ThrottlingException"),
        (DenialCode::UnknownModel, "ResourceNotFoundException"),
        (DenialCode::InvalidBody, "ValidationException"),
        (DenialCode::BodyTooLarge, "ValidationException"),
        (DenialCode::RecordUnavailable, "ServiceUnavailableException"),
    ] {
        let (error, body) = refuse(Some(Provider::Bedrock), Denial::with(code, "no"));
        assert_eq!(body, json!({"message": format!("no ({})", code.as_str())}));
        assert!(
            error
                .headers
                .contains(&("x-amzn-errortype", exception.to_owned()))
        );
        assert!(error.headers.contains(&("x-amzn-requestid", ID.to_owned())));
    }
}

#[test]
fn an_unknown_endpoint_gets_a_problem_document() {
    let (error, body) = refuse(None, Denial::new(DenialCode::UnknownEndpoint));
    assert_eq!(error.content_type, "application/problem+json");
    assert_eq!(
        body,
        json!({"type": "urn:sekisho:denial:unknown_endpoint", "title": DenialCode::UnknownEndpoint.meaning(),
            "status": 404, "detail": DenialCode::UnknownEndpoint.meaning(), "instance": format!("urn:uuid:{ID}"),
            "code": "unknown_endpoint"})
    );
}

#[test]
fn sdks_are_told_not_to_retry_against_an_empty_budget() {
    let told = |denial: Denial| {
        let (error, _) = refuse(Some(Provider::OpenAi), denial);
        error
            .headers
            .contains(&("x-should-retry", "false".to_owned()))
    };
    let exhausted = Denial::new(DenialCode::BudgetExhausted);
    assert!(told(exhausted.clone()));
    assert!(told(exhausted.clone().retry_after(60_001)));
    assert!(!told(exhausted.retry_after(60_000)));
    assert!(!told(Denial::new(DenialCode::RecordUnavailable)));
}

#[test]
fn every_code_is_in_every_shape() {
    for code in DenialCode::EVERY {
        for provider in [
            None,
            Some(Provider::OpenAi),
            Some(Provider::AzureOpenAi),
            Some(Provider::Anthropic),
            Some(Provider::Bedrock),
            Some(Provider::Gemini),
        ] {
            let (error, _) = refuse(provider, Denial::with(*code, "a \"quoted\"\nmessage"));
            let text = String::from_utf8(error.body).unwrap();
            assert!(text.contains(code.as_str()), "{text}");
        }
    }
}
