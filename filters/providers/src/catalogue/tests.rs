use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::path_with_model;

const ALL: [Provider; 6] = [
    Provider::OpenAi,
    Provider::AzureOpenAi,
    Provider::Anthropic,
    Provider::Bedrock,
    Provider::Gemini,
    Provider::Vertex,
];

/// The operations of a provider that can be open beside those of all others: several have
/// their lists of models in one place.
fn names(provider: Provider) -> Vec<String> {
    let mut names: Vec<String> = operations(provider).iter().map(|o| o.name.into()).collect();
    names.sort();
    names.dedup();
    let lists = [Provider::OpenAi, Provider::Anthropic];
    names.retain(|name| name != "models" || lists.contains(&provider));
    names
}

/// An API of a policy that opens some operations.
fn api(name: &str, provider: Provider, operations: &[String]) -> Value {
    let mut api = json!({"name": name, "provider": provider.as_str(), "operations": operations,
        "scope": "all", "upstream": "u", "models": [{"name": "m", "upstream": "u", "max_input_tokens": 1000}]});
    if provider == Provider::Vertex {
        api["project"] = "p-1".into();
        api["location"] = "asia-northeast1".into();
    }
    api
}

fn policy(apis: &[Value]) -> Policy {
    let policy = Policy::parse(json!({
        "version": 1, "organisation": "x", "time_zone": "Asia/Tokyo", "currency": "JPY",
        "scopes": {"all": null},
        "issuers": [{"issuer": "https://i", "tenant": "t", "audiences": ["a"], "jwks_uri": "https://i/k"}],
        "upstreams": [{"name": "u", "provider": "openai", "url": "http://127.0.0.1:1"}],
        "apis": apis,
        "prices": [{"model": "m", "from": "2025-01-01", "input_per_million": 0, "output_per_million": 0}],
    }));
    policy.unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A policy with one API per provider, each with every operation.
pub(crate) fn open_policy() -> Policy {
    let apis = ALL.map(|provider| api(provider.as_str(), provider, &names(provider)));
    policy(&apis)
}

fn everything() -> Catalogue {
    Catalogue::new(&open_policy()).unwrap()
}

fn problems(apis: &[Value]) -> Vec<String> {
    let problems = Catalogue::new(&policy(apis)).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

fn find(method: &str, path: &str) -> Result<(usize, &'static str, Option<String>), DenialCode> {
    let found = everything().find(method.as_bytes(), path.as_bytes(), |_| false)?;
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
    let catalogue = Catalogue::new(&policy(&[api("a", Provider::OpenAi, &open)])).unwrap();
    assert!(
        catalogue
            .find(b"POST", b"/v1/chat/completions", |_| false)
            .is_ok()
    );
    let closed = catalogue.find(b"POST", b"/v1/embeddings", |_| false);
    assert_eq!(closed.map(|f| f.api), Err(DenialCode::UnknownEndpoint));
    let nothing = Catalogue::default().find(b"POST", b"/v1/chat/completions", |_| false);
    assert_eq!(nothing.map(|f| f.api), Err(DenialCode::UnknownEndpoint));
}

#[test]
fn every_problem_is_named_with_its_path() {
    let open = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    let one = open(&["chat_completions", "chat"]);
    let other = open(&["embeddings", "chat_completions", "embeddings"]);
    let provider = Provider::OpenAi;
    assert_eq!(
        problems(&[api("a", provider, &one), api("b", provider, &other)]),
        [
            "apis[0].operations[1]: `chat` is no operation of `openai`; there are: audio_speech, audio_transcriptions, audio_translations, batches, chat_completions, embeddings, files, image_edits, image_generations, models, realtime, responses, stored_responses",
            "apis[1].operations[1]: `POST /v1/chat/completions` is already open in API `a`",
            "apis[1].operations[2]: `POST /v1/embeddings` is already open in API `b`",
        ]
    );
}

#[test]
fn a_session_names_its_model_in_the_query_and_needs_a_bound_for_its_input() {
    let open = ["realtime".to_owned()];
    for (provider, path, named) in [
        (Provider::OpenAi, "/v1/realtime?model=m", Some("m")),
        (Provider::OpenAi, "/v1/realtime", None),
        (Provider::OpenAi, "/v1/realtime?model=", None),
        (Provider::OpenAi, "/v1/realtime?model=%6D", None),
        (
            Provider::AzureOpenAi,
            "/openai/v1/realtime?model=m",
            Some("m"),
        ),
        (
            Provider::AzureOpenAi,
            "/openai/realtime?api-version=2025-04-01-preview&deployment=m",
            Some("m"),
        ),
        (Provider::AzureOpenAi, "/openai/realtime?model=m", None),
    ] {
        let catalogue = Catalogue::new(&policy(&[api("a", provider, &open)])).unwrap();
        let found = catalogue.find(b"GET", path.as_bytes(), |_| false).unwrap();
        assert!(found.operation.is_socket, "{path}");
        assert_eq!(found.path_model.as_deref(), named, "{path}");
        if named.is_some() {
            let renamed = path_with_model(found.operation, path.as_bytes(), "other-1");
            let renamed = String::from_utf8(renamed.unwrap()).unwrap();
            assert_eq!(renamed, path.replace("=m", "=other-1"));
        }
    }
    let mut boundless = api("a", Provider::OpenAi, &open);
    boundless["models"] = json!([{"name": "m", "upstream": "u"}]);
    assert_eq!(
        problems(&[boundless]),
        [
            "apis[0].models[m].max_input_tokens: is needed where `realtime` is open: every answer of a \
          session is charged for all that was said before"
        ]
    );
}

#[test]
fn providers_with_the_same_path_are_told_apart_by_their_headers() {
    let open = ["models".to_owned()];
    let openai = || api("openai", Provider::OpenAi, &open);
    let anthropic = || api("anthropic", Provider::Anthropic, &open);
    let provider = |apis: &[Value], path: &str, header: &str| {
        let catalogue = Catalogue::new(&policy(apis)).unwrap();
        let found = catalogue.find(b"GET", path.as_bytes(), |name| name == header);
        found.map(|found| found.operation.provider)
    };
    for apis in [[openai(), anthropic()], [anthropic(), openai()]] {
        for path in ["/v1/models", "/v1/models/m"] {
            let of = |header| provider(&apis, path, header);
            assert_eq!(of("anthropic-version"), Ok(Provider::Anthropic));
            assert_eq!(of("accept"), Ok(Provider::OpenAi));
        }
    }
    // Where there is but one, it says itself what is missing.
    let alone = provider(&[anthropic()], "/v1/models", "accept");
    assert_eq!(alone, Ok(Provider::Anthropic));
}

#[test]
fn what_concerns_no_model_needs_an_upstream_and_what_concerns_one_a_model() {
    let open = ["files".to_owned(), "embeddings".to_owned()];
    let mut bare = api("a", Provider::OpenAi, &open);
    bare["models"] = json!([]);
    bare.as_object_mut().unwrap().remove("upstream");
    assert_eq!(
        problems(&[bare]),
        [
            "apis[0].models: must name at least one model for `embeddings`",
            "apis[0].upstream: is needed: `files` concerns no model, whose upstream it could go to",
        ]
    );
}

#[test]
fn ids_are_ids() {
    for (method, path, name) in [
        (
            "GET",
            "/v1/responses/resp_1?stream=true",
            "stored_responses",
        ),
        ("DELETE", "/v1/responses/resp_1", "stored_responses"),
        ("POST", "/v1/responses/resp_1/cancel", "stored_responses"),
        (
            "GET",
            "/v1/responses/resp_1/input_items",
            "stored_responses",
        ),
        ("POST", "/v1/files", "files"),
        ("GET", "/openai/v1/files/file-1/content", "files"),
        (
            "DELETE",
            "/openai/files/assistant-1.a?api-version=2024-10-21",
            "files",
        ),
        ("POST", "/v1/batches/batch_1/cancel", "batches"),
        (
            "GET",
            "/v1/messages/batches/msgbatch_1/results",
            "message_batches",
        ),
        ("GET", "/v1/models/gpt-4o", "models"),
    ] {
        assert_eq!(find(method, path).map(|found| found.1), Ok(name), "{path}");
    }
    for path in [
        "/v1/files/a@b",
        "/v1/files/a:b",
        "/v1/files/%61",
        "/v1/responses/x/y",
    ] {
        assert_eq!(
            find("GET", path),
            Err(DenialCode::UnknownEndpoint),
            "{path}"
        );
    }
    assert_eq!(
        find("GET", "/v1/files/a%2Fb"),
        Err(DenialCode::AmbiguousPath)
    );
}

#[test]
fn vertex_paths_name_the_project_and_location_of_the_policy() {
    let path = |project: &str, location: &str| {
        format!(
            "/v1beta1/projects/{project}/locations/{location}/publishers/google/models/gemini-2.0-flash:generateContent"
        )
    };
    let model = Some("gemini-2.0-flash".to_owned());
    assert_eq!(
        find("POST", &path("p-1", "asia-northeast1")),
        Ok((5, "generate_content", model))
    );
    for (project, location) in [
        ("p-2", "asia-northeast1"),
        ("p-1", "us-central1"),
        ("p-1", "asia-northeast1%20"),
    ] {
        let code = find("POST", &path(project, location)).unwrap_err();
        assert!(matches!(
            code,
            DenialCode::UnknownEndpoint | DenialCode::AmbiguousPath
        ));
    }
}

fn weather(paths: &Value) -> Value {
    json!({"name": "weather", "provider": "http", "scope": "all", "upstream": "u", "paths": paths})
}

#[test]
fn an_api_of_the_companys_own_has_the_paths_of_the_policy() {
    let paths = json!([
        {"method": "GET", "template": "/weather/{city}/now"},
        {"method": "PUT", "template": "/maps/{id}", "meter": "bytes"},
    ]);
    let catalogue = Catalogue::new(&policy(&[weather(&paths)])).unwrap();
    let find = |method: &str, path: &str| {
        let found = catalogue.find(method.as_bytes(), path.as_bytes(), |_| false);
        found.map(|found| (found.operation.name, found.operation.counts_bytes))
    };
    assert_eq!(
        find("GET", "/weather/%E6%9D%B1/now?days=3&q=%2F"),
        Err(DenialCode::AmbiguousPath)
    );
    assert_eq!(
        find("GET", "/weather/tokyo@x/now?days=3&q=%2F"),
        Ok(("requests", false))
    );
    assert_eq!(find("PUT", "/maps/1"), Ok(("bytes", true)));
    for (method, path) in [
        ("POST", "/weather/tokyo/now"),
        ("GET", "/weather/tokyo"),
        ("PUT", "/maps/"),
    ] {
        assert_eq!(
            find(method, path),
            Err(DenialCode::UnknownEndpoint),
            "{path}"
        );
    }
}

#[test]
fn a_path_that_is_open_already_is_a_problem() {
    let open = ["chat_completions".to_owned()];
    let twice = json!([
        {"method": "POST", "template": "/v1/{any}/completions"},
        {"method": "GET", "template": "/a/{b}"},
        {"method": "GET", "template": "/{a}/b"},
    ]);
    assert_eq!(
        problems(&[api("a", Provider::OpenAi, &open), weather(&twice)]),
        [
            "apis[1].paths[0]: `POST /v1/{}/completions` is already open in API `a`",
            "apis[1].paths[2]: `GET /{}/b` is already open in API `weather`",
        ]
    );
}

#[test]
fn operations_are_sound() {
    for operation in ALL.iter().flat_map(|provider| operations(*provider)) {
        let named = operation.template.contains("{model}");
        assert_eq!(named, operation.model == ModelPlace::Path, "{operation:?}");
        assert!(
            !operation.free || !operation.counts_tokens(|| true),
            "{operation:?}"
        );
        let in_body = operation.members.iter().any(|m| m.key == "model");
        assert!(
            in_body || operation.model != ModelPlace::Body,
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
            let Ok(found) = catalogue.find(b"POST", path.as_bytes(), |_| false) else {
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
            if operation.name == "models" {
                continue;
            }
            let path = operation.template.replace("{model}", "x");
            let path = path.replace("{project}", "p-1").replace("{location}", "asia-northeast1");
            let path = format!("{path}?q=%2F");
            if let Some(path) = path_with_model(operation, path.as_bytes(), &model) {
                let found = catalogue.find(operation.method.as_bytes(), &path, |_| false).unwrap();
                prop_assert_eq!(found.operation.template, operation.template);
                prop_assert_eq!(found.path_model, Some(model.clone()));
            }
        }
    }
}
