use super::*;
use crate::operations;
use sekisho_domain::Provider;

fn operation(provider: Provider, template: &str) -> &'static Operation {
    let mut all = operations(provider).iter();
    all.find(|o| o.template == template).unwrap()
}

fn rename(operation: &Operation, path: &str, model: &str) -> Option<String> {
    path_with_model(operation, path.as_bytes(), model).map(|path| String::from_utf8(path).unwrap())
}

#[test]
fn a_model_is_renamed_and_nothing_else_changes() {
    let azure = operation(
        Provider::AzureOpenAi,
        "/openai/deployments/{model}/chat/completions",
    );
    assert_eq!(
        rename(
            azure,
            "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21&x=%2F",
            "prod.4o"
        )
        .as_deref(),
        Some("/openai/deployments/prod.4o/chat/completions?api-version=2024-10-21&x=%2F")
    );
    let gemini = operation(
        Provider::Gemini,
        "/v1beta/models/{model}:streamGenerateContent",
    );
    assert_eq!(
        rename(
            gemini,
            "/v1beta/models/flash:streamGenerateContent?alt=sse",
            "gemini-2.0-flash"
        )
        .as_deref(),
        Some("/v1beta/models/gemini-2.0-flash:streamGenerateContent?alt=sse")
    );
    let bedrock = operation(Provider::Bedrock, "/model/{model}/converse");
    assert_eq!(
        rename(
            bedrock,
            "/model/claude/converse",
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.x-v1:0"
        )
        .as_deref(),
        Some(
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.x-v1%3A0/converse"
        )
    );
}

#[test]
fn a_model_that_cannot_stand_in_the_path_is_not_written() {
    let azure = operation(
        Provider::AzureOpenAi,
        "/openai/deployments/{model}/chat/completions",
    );
    let path = "/openai/deployments/gpt-4o/chat/completions";
    for model in [
        "", "a/b", ".", "..", "a%2Fb", "a?b", "a b", "a\r\nb", "é", "a;b",
    ] {
        assert_eq!(rename(azure, path, model), None, "{model:?}");
    }
    let bedrock = operation(Provider::Bedrock, "/model/{model}/converse");
    for model in ["a/../b", "/a", "a/", "a//b"] {
        assert_eq!(
            rename(bedrock, "/model/x/converse", model),
            None,
            "{model:?}"
        );
    }
}

#[test]
fn a_path_of_another_operation_is_not_rewritten() {
    let bedrock = operation(Provider::Bedrock, "/model/{model}/converse");
    for path in [
        "/model/x/invoke",
        "/model/x",
        "/model/x/converse/y",
        "model/x/converse",
        "/model//converse",
    ] {
        assert_eq!(rename(bedrock, path, "y"), None, "{path}");
    }
    let chat = operation(Provider::OpenAi, "/v1/chat/completions");
    assert_eq!(rename(chat, "/v1/chat/completions", "y"), None);
}
