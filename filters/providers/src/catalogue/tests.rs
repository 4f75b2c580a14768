use proptest::prelude::*;

use super::*;
use crate::path_with_model;

const ALL: [Provider; 5] = [
    Provider::OpenAi,
    Provider::AzureOpenAi,
    Provider::Anthropic,
    Provider::Bedrock,
    Provider::Gemini,
];

fn names(provider: Provider) -> Vec<String> {
    let mut names: Vec<String> = operations(provider).iter().map(|o| o.name.into()).collect();
    names.dedup();
    names
}

/// One API per provider, each with every operation.
fn everything() -> Catalogue {
    let open = ALL.map(names);
    let apis = ALL.iter().zip(&open);
    Catalogue::of(apis.map(|(provider, open)| (provider.as_str(), *provider, open.as_slice())))
        .unwrap()
}

fn find(method: &str, path: &str) -> Result<(usize, &'static str, Option<String>), DenialCode> {
    let found = everything().find(method.as_bytes(), path.as_bytes())?;
    assert_eq!(found.path_streams, found.operation.path_streams);
    Ok((found.api, found.operation.name, found.path_model))
}

#[test]
fn every_endpoint_is_found_by_the_path_its_sdk_sends() {
    for (method, path, api, name, model) in [
        ("POST", "/v1/chat/completions", 0, "chat_completions", None),
        ("GET", "/v1/models", 0, "models", None),
        (
            "POST",
            "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
            1,
            "chat_completions",
            Some("gpt-4o"),
        ),
        (
            "POST",
            "/openai/responses?api-version=2025-03-01-preview",
            1,
            "responses",
            None,
        ),
        (
            "POST",
            "/openai/v1/chat/completions",
            1,
            "chat_completions",
            None,
        ),
        (
            "POST",
            "/openai/deployments/tts/audio/speech",
            1,
            "audio_speech",
            Some("tts"),
        ),
        (
            "POST",
            "/openai/deployments/w/audio/transcriptions",
            1,
            "audio_transcriptions",
            Some("w"),
        ),
        (
            "POST",
            "/openai/v1/video/generations/jobs?api-version=preview",
            1,
            "video_generation_jobs",
            None,
        ),
        ("POST", "/v1/messages", 2, "messages", None),
        ("POST", "/v1/messages?beta=true", 2, "messages", None),
        ("POST", "/v1/messages/count_tokens", 2, "count_tokens", None),
        (
            "POST",
            "/model/anthropic.claude-3-5-sonnet-20240620-v1%3A0/converse",
            3,
            "converse",
            Some("anthropic.claude-3-5-sonnet-20240620-v1:0"),
        ),
        (
            "POST",
            "/model/anthropic.claude-x-v1:0/invoke",
            3,
            "invoke",
            Some("anthropic.claude-x-v1:0"),
        ),
        (
            "POST",
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2fus.x/converse-stream",
            3,
            "converse_stream",
            Some("arn:aws:bedrock:us-east-1:1:inference-profile/us.x"),
        ),
        (
            "POST",
            "/model/x/invoke-with-response-stream",
            3,
            "invoke_stream",
            Some("x"),
        ),
        (
            "POST",
            "/v1beta/models/gemini-2.0-flash:generateContent",
            4,
            "generate_content",
            Some("gemini-2.0-flash"),
        ),
        (
            "POST",
            "/v1/models/gemini-2.0-flash:streamGenerateContent?alt=sse",
            4,
            "stream_generate_content",
            Some("gemini-2.0-flash"),
        ),
        (
            "POST",
            "/v1/models/e:batchEmbedContents",
            4,
            "batch_embed_contents",
            Some("e"),
        ),
    ] {
        assert_eq!(
            find(method, path),
            Ok((api, name, model.map(str::to_owned))),
            "{path}"
        );
    }
}

#[test]
fn whatever_is_not_exactly_an_endpoint_is_unknown() {
    for (method, path) in [
        ("GET", "/v1/chat/completions"),
        ("post", "/v1/chat/completions"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "/v1/Chat/completions"),
        ("POST", "/v1/ch%61t/completions"),
        ("POST", "/v1/chat"),
        ("POST", "/"),
        ("POST", "/v1/models/gemini:generatecontent"),
        ("POST", "/v1/models/gemini%3AgenerateContent"),
        ("POST", "/v1/models/:generateContent"),
        ("POST", "/prefix/v1/chat/completions"),
    ] {
        assert_eq!(
            find(method, path),
            Err(DenialCode::UnknownEndpoint),
            "{path}"
        );
    }
}

#[test]
fn whatever_could_be_read_two_ways_is_refused() {
    for path in [
        "",
        "v1/chat/completions",
        "http://a/v1/chat/completions",
        "*",
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/v1/chat//",
        "//",
        "/v1/./chat/completions",
        "/v1/../v1/chat/completions",
        "/v1/chat/completions/..",
        "/.",
        "/..",
        "/v1/chat%2Fcompletions",
        "/v1%2fchat/completions",
        "/nowhere%2F",
        "/v1/chat\\completions",
        "/v1/chat%5Ccompletions",
        "/v1/chat/completions%00",
        "/v1/chat/completions;a=b",
        "/v1/chat/completions%3Ba",
        "/v1/chat/completions%252F",
        "/v1/chat/completions%25",
        "/v1/chat/completions#a",
        "/v1/chat/completions%",
        "/v1/chat/completions%4",
        "/v1/chat/completions%zz",
        "/v1/chat/completions\u{e9}",
        "/v1/chat/completions%C3%A9",
        "/v1/chat/completions%0a",
        "/v1/chat /completions",
        "/v1/chat/completions\t",
        "/v1/chat/completions\u{7f}",
        "/v1/chat/completions%3Fa=b",
        "/openai/deployments/a%2Fb/chat/completions",
        "/openai/deployments/%2e%2e/chat/completions",
        "/openai/deployments/%2E/chat/completions",
        "/openai/deployments//chat/completions",
        "/model/a%2F..%2Fb/converse",
        "/model/%2Fa/converse",
        "/model/a%2F/converse",
        "/model/a%2F%2Fb/converse",
        "/model/..%2Fa/converse",
        "/model%2Fa/converse",
        "/model/a/converse%2F",
        "/model/a%5Cb/converse",
        "/v1beta/models/a%2Fb:generateContent",
    ] {
        assert_eq!(
            find("POST", path),
            Err(DenialCode::AmbiguousPath),
            "{path:?}"
        );
    }
}

#[test]
fn only_what_the_policy_opens_is_found() {
    let open = ["chat_completions".to_owned()];
    let apis = [("a", Provider::OpenAi, open.as_slice())];
    let catalogue = Catalogue::of(apis.into_iter()).unwrap();
    assert!(catalogue.find(b"POST", b"/v1/chat/completions").is_ok());
    let closed = catalogue.find(b"POST", b"/v1/embeddings");
    assert_eq!(closed.map(|f| f.api), Err(DenialCode::UnknownEndpoint));
    let nothing = Catalogue::default().find(b"POST", b"/v1/chat/completions");
    assert_eq!(nothing.map(|f| f.api), Err(DenialCode::UnknownEndpoint));
}

#[test]
fn every_problem_is_named_with_its_path() {
    let apis = [
        ("a", vec!["chat_completions".to_owned(), "chat".to_owned()]),
        (
            "b",
            vec![
                "embeddings".to_owned(),
                "chat_completions".to_owned(),
                "embeddings".to_owned(),
            ],
        ),
    ];
    let problems = Catalogue::of(
        apis.iter()
            .map(|(name, open)| (*name, Provider::OpenAi, open.as_slice())),
    )
    .unwrap_err();
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "apis[0].operations[1]: `chat` is no operation of `openai`; there are: chat_completions, responses, embeddings, models",
            "apis[1].operations[1]: `POST /v1/chat/completions` is already open in API `a`",
            "apis[1].operations[2]: `POST /v1/embeddings` is already open in API `b`",
        ]
    );
}

#[test]
fn operations_are_sound() {
    for operation in ALL.iter().flat_map(|provider| operations(*provider)) {
        let named = operation.template.contains("{model}");
        assert_eq!(
            named,
            operation.model == crate::ModelPlace::Path,
            "{operation:?}"
        );
        let in_body = operation.members.iter().any(|m| m.key == "model");
        assert!(
            in_body || operation.model != crate::ModelPlace::Body,
            "{operation:?}"
        );
    }
}

fn any_path() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/",
        "/v1",
        "/model",
        "/openai",
        "/deployments",
        "/chat",
        "/completions",
        "a",
        ":",
        "%2F",
        "%3A",
        ".",
        "..",
        "%2e",
        "%",
        "25",
        ";",
        "\\",
        "?",
        "#",
        " ",
        "é",
        "/converse",
        "/v1beta/models/x",
        ":generateContent",
        "/invoke",
    ]);
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_found_path_is_the_template_with_its_model_and_nothing_else(paths in prop::collection::vec(any_path(), 20)) {
        let catalogue = everything();
        for path in paths {
            let Ok(found) = catalogue.find(b"POST", path.as_bytes()) else {
                continue;
            };
            let plain = path.split('?').next().unwrap();
            match found.path_model {
                None => prop_assert_eq!(plain, found.operation.template),
                Some(model) => {
                    prop_assert!(!model.split('/').any(|s| s.is_empty() || s == "." || s == ".."));
                    let decoded = plain.replace("%2F", "/").replace("%3A", ":").replace("%2e", ".");
                    prop_assert_eq!(decoded, found.operation.template.replace("{model}", &model));
                }
            }
        }
    }

    #[test]
    fn a_rewritten_path_names_the_new_model(model in "[A-Za-z0-9._:@/-]{1,20}") {
        let catalogue = everything();
        for operation in ALL.iter().flat_map(|provider| operations(*provider)) {
            let path = format!("{}?q=%2F", operation.template.replace("{model}", "x"));
            if let Some(path) = path_with_model(operation, path.as_bytes(), &model) {
                let found = catalogue.find(operation.method.as_bytes(), &path).unwrap();
                prop_assert_eq!(found.operation.template, operation.template);
                prop_assert_eq!(found.path_model, Some(model.clone()));
            }
        }
    }
}
