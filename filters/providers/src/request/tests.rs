use proptest::prelude::*;
use sekisho_domain::Provider;
use serde_json::{Value, json};

use super::*;
use crate::operations;
use crate::{Edit, Edits};

fn operation(provider: Provider, name: &str) -> &'static Operation {
    let mut all = operations(provider).iter();
    all.find(|o| o.name == name).unwrap()
}

fn scan_in(
    operation: &'static Operation,
    body: &[u8],
    size: usize,
) -> Result<RequestFacts, DenialCode> {
    let mut scan = RequestScan::new(operation, None, None);
    for chunk in body.chunks(size) {
        scan.push(chunk)?;
    }
    scan.finish()
}

/// The same but for where everything stands.
fn said(facts: &RequestFacts) -> RequestFacts {
    RequestFacts {
        places: Places::default(),
        ..facts.clone()
    }
}

/// Scans the body in chunks of several sizes, which must not matter.
fn scan(provider: Provider, name: &str, body: &str) -> Result<RequestFacts, DenialCode> {
    let operation = operation(provider, name);
    let whole = scan_in(operation, body.as_bytes(), usize::MAX);
    for size in 1..9 {
        assert_eq!(scan_in(operation, body.as_bytes(), size), whole, "{body}");
    }
    whole
}

fn chat(body: &str) -> Result<RequestFacts, DenialCode> {
    scan(Provider::OpenAi, "chat_completions", body)
}

#[test]
fn a_chat_request_yields_what_decisions_need() {
    let body = r#"{"messages":[{"role":"user","content":"model \"x\" {関所}","model":"no"}], "model" : "gpt-4o",
        "max_tokens":16,"max_completion_tokens":32,"n":2,"stream":true,"stream_options":{"include_usage":true}}"#;
    let facts = chat(body).unwrap();
    let span = facts.model_span.clone().unwrap();
    assert_eq!(
        &body.as_bytes()[span.start as usize..span.end as usize],
        b"\"gpt-4o\""
    );
    assert_eq!(
        said(&facts),
        RequestFacts {
            model: Some("gpt-4o".into()),
            model_span: facts.model_span.clone(),
            max_output_tokens: Some(32),
            stream: true,
            include_usage: true,
            choices: 2,
            bytes: body.len() as u64,
            ..RequestFacts::default()
        }
    );
}

#[test]
fn what_a_request_leaves_out_is_absent() {
    let facts = chat("{}").unwrap();
    assert_eq!(
        said(&facts),
        RequestFacts {
            choices: 1,
            bytes: 2,
            ..RequestFacts::default()
        }
    );
    let nulls = r#"{"model":null,"max_tokens":null,"n":null,"stream":null,"stream_options":null}"#;
    assert_eq!(
        said(&chat(nulls).unwrap()),
        RequestFacts {
            bytes: nulls.len() as u64,
            ..said(&facts)
        }
    );
}

#[test]
fn keys_and_models_are_compared_unescaped() {
    let facts = chat(r#"{"mod\u0065l":"gpt\u002d4o\/\ud83d\ude00"}"#).unwrap();
    assert_eq!(facts.model.as_deref(), Some("gpt-4o/😀"));
    assert_eq!(facts.model_span, Some(14..41));
}

#[test]
fn a_decided_member_given_twice_is_refused() {
    for body in [
        r#"{"model":"a","model":"a"}"#,
        r#"{"model":"a","mod\u0065l":"b"}"#,
        r#"{"model":null,"model":"b"}"#,
        r#"{"max_tokens":1,"max_tokens":1}"#,
        r#"{"n":1,"stream":true,"n":2}"#,
        r#"{"stream":true,"stream":false}"#,
        r#"{"stream_options":{},"stream_options":{}}"#,
        r#"{"stream_options":{"include_usage":true,"include_usage":true}}"#,
    ] {
        assert_eq!(chat(body), Err(DenialCode::DuplicateMember), "{body}");
    }
    assert!(chat(r#"{"user":"a","user":"b","messages":[{"model":1,"model":2}]}"#).is_ok());
}

#[test]
fn a_decided_member_of_the_wrong_type_is_refused() {
    for body in [
        r#"{"model":1}"#,
        r#"{"model":["a"]}"#,
        r#"{"model":{"a":1}}"#,
        r#"{"model":true}"#,
        r#"{"max_tokens":-1}"#,
        r#"{"max_tokens":-0}"#,
        r#"{"max_tokens":1.0}"#,
        r#"{"max_tokens":1e3}"#,
        r#"{"max_tokens":"1"}"#,
        r#"{"max_tokens":18446744073709551616}"#,
        r#"{"max_tokens":{}}"#,
        r#"{"n":"2"}"#,
        r#"{"n":true}"#,
        r#"{"stream":"true"}"#,
        r#"{"stream":1}"#,
        r#"{"stream_options":[]}"#,
        r#"{"stream_options":true}"#,
        r#"{"stream_options":{"include_usage":0}}"#,
    ] {
        assert_eq!(chat(body), Err(DenialCode::InvalidBody), "{body}");
    }
    let most = chat(r#"{"max_tokens":18446744073709551615}"#).unwrap();
    assert_eq!(most.max_output_tokens, Some(u64::MAX));
}

#[test]
fn a_key_that_differs_only_in_case_is_refused() {
    for key in [
        "Model",
        "MAX_TOKENS",
        "Stream",
        "ſtream",
        "max_to\u{212a}ens",
        "N",
    ] {
        assert_eq!(
            chat(&format!(r#"{{"{key}":1}}"#)),
            Err(DenialCode::InvalidBody),
            "{key}"
        );
    }
    assert!(chat(r#"{"models":1,"モデル":1,"metadata":{"Model":1}}"#).is_ok());
}

#[test]
fn names_over_256_bytes_are_refused_and_long_keys_are_not() {
    let body = |n: usize| format!(r#"{{"model":"{}"}}"#, "a".repeat(n));
    assert!(chat(&body(256)).is_ok());
    assert_eq!(chat(&body(257)), Err(DenialCode::InvalidBody));
    assert!(chat(&format!(r#"{{"{}":1}}"#, "k".repeat(5000))).is_ok());
}

#[test]
fn a_body_that_is_not_one_object_is_refused() {
    for body in ["", "[]", "{", "model=a", "{} {}", r#"{"model":"a"#, "null"] {
        assert_eq!(chat(body), Err(DenialCode::InvalidBody), "{body}");
    }
}

#[test]
fn an_error_stays() {
    let mut scan = RequestScan::new(operation(Provider::OpenAi, "chat_completions"), None, None);
    assert_eq!(scan.push(b"["), Err(DenialCode::InvalidBody));
    assert_eq!(scan.push(b"{}"), Err(DenialCode::InvalidBody));
    assert_eq!(scan.finish(), Err(DenialCode::InvalidBody));
}

#[test]
fn each_provider_names_its_limits_its_own_way() {
    use Provider::{Anthropic, AzureOpenAi, Bedrock, Gemini, OpenAi};
    for (provider, name, body, limit, choices) in [
        (
            OpenAi,
            "responses",
            r#"{"max_output_tokens":7,"max_tokens":9}"#,
            Some(7),
            1,
        ),
        (
            OpenAi,
            "chat_completions",
            r#"{"max_output_tokens":7}"#,
            None,
            1,
        ),
        (
            AzureOpenAi,
            "chat_completions",
            r#"{"max_completion_tokens":7,"n":3}"#,
            Some(7),
            3,
        ),
        (
            Anthropic,
            "messages",
            r#"{"max_tokens":7,"n":3}"#,
            Some(7),
            1,
        ),
        (
            Gemini,
            "generate_content",
            r#"{"generationConfig":{"maxOutputTokens":7,"candidateCount":2}}"#,
            Some(7),
            2,
        ),
        (
            Gemini,
            "generate_content",
            r#"{"generation_config":{"max_output_tokens":7,"candidate_count":2}}"#,
            Some(7),
            2,
        ),
        (
            Bedrock,
            "converse",
            r#"{"inferenceConfig":{"maxTokens":7}}"#,
            Some(7),
            1,
        ),
        (
            Bedrock,
            "converse",
            r#"{"additionalModelRequestFields":{"max_tokens":9},"inferenceConfig":{"maxTokens":7}}"#,
            Some(9),
            1,
        ),
        (
            Bedrock,
            "converse",
            r#"{"additionalModelRequestFields":{"max_tokens":1}}"#,
            None,
            1,
        ),
        (
            Bedrock,
            "invoke",
            r#"{"max_tokens":7,"max_gen_len":9}"#,
            Some(9),
            1,
        ),
        (
            Bedrock,
            "invoke",
            r#"{"textGenerationConfig":{"maxTokenCount":7}}"#,
            Some(7),
            1,
        ),
    ] {
        let facts = scan(provider, name, body).unwrap();
        assert_eq!(
            (facts.max_output_tokens, facts.choices),
            (limit, choices),
            "{body}"
        );
    }
}

#[test]
fn two_spellings_of_one_member_are_two_of_it() {
    for body in [
        r#"{"generationConfig":{},"generation_config":{}}"#,
        r#"{"generationConfig":{"maxOutputTokens":1,"max_output_tokens":100000}}"#,
    ] {
        assert_eq!(
            scan(Provider::Gemini, "generate_content", body),
            Err(DenialCode::DuplicateMember)
        );
    }
}

#[test]
fn an_opaque_body_is_only_measured() {
    let facts = scan(
        Provider::AzureOpenAi,
        "audio_transcriptions",
        "--boundary\r\n",
    )
    .unwrap();
    assert_eq!((facts.bytes, facts.choices, facts.model), (12, 1, None));
}

/// What the scan must find in a valid body without duplicates, by way of serde_json.
fn expected(body: &Value) -> Result<RequestFacts, DenialCode> {
    let invalid = DenialCode::InvalidBody;
    let count = |key: &str| match &body[key] {
        Value::Null => Ok(None),
        value => value.as_u64().map(Some).ok_or(invalid),
    };
    let flag = |value: &Value| match value {
        Value::Null => Ok(false),
        value => value.as_bool().ok_or(invalid),
    };
    let options = &body["stream_options"];
    if !options.is_null() && !options.is_object() {
        return Err(invalid);
    }
    let model = &body["model"];
    if !model.is_null() && !model.is_string() {
        return Err(invalid);
    }
    Ok(RequestFacts {
        model: model.as_str().map(str::to_owned),
        model_span: None,
        max_output_tokens: count("max_tokens")?.max(count("max_completion_tokens")?),
        stream: flag(&body["stream"])?,
        include_usage: flag(&options["include_usage"])?,
        choices: count("n")?.unwrap_or(1).max(1),
        ..RequestFacts::default()
    })
}

fn any_request() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(vec![
        "model",
        "max_tokens",
        "max_completion_tokens",
        "n",
        "stream",
        "stream_options",
        "messages",
        "関所",
    ]);
    let value = prop_oneof![
        4 => crate::json::tests::any_json(),
        2 => "[a-z\\-\"\\\\é]{0,12}".prop_map(Value::from),
        2 => any::<u64>().prop_map(Value::from),
        2 => any::<bool>().prop_map(Value::from),
        2 => any::<Option<bool>>().prop_map(|usage| json!({"include_usage": usage})),
    ];
    prop::collection::vec((key, value), 0..6).prop_map(|members| {
        let members = members.into_iter().map(|(k, v)| (k.to_owned(), v));
        Value::Object(members.collect())
    })
}

/// The body once these changes are made.
fn edited(body: &[u8], edits: impl IntoIterator<Item = Edit>) -> Value {
    let mut all = Edits::default();
    edits.into_iter().for_each(|edit| all.push(edit));
    let mut out = Vec::new();
    all.copy(0, body, &mut out);
    serde_json::from_slice(&out)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out)))
}

#[test]
fn a_stream_is_asked_for_its_usage_where_the_client_did_not_ask() {
    let chat_operation = operation(Provider::OpenAi, "chat_completions");
    for (body, asked) in [
        (r#" { "stream":true}"#, Some(json!({"include_usage": true}))),
        (
            r#"{"stream":true,"stream_options":{}}"#,
            Some(json!({"include_usage": true})),
        ),
        (
            r#"{"stream":true,"stream_options": {"x":{}} }"#,
            Some(json!({"include_usage": true, "x": {}})),
        ),
        (
            r#"{"stream_options":null,"stream":true}"#,
            Some(json!({"include_usage": true})),
        ),
        (
            r#"{"stream_options":{"include_usage": false },"stream":true}"#,
            Some(json!({"include_usage": true})),
        ),
        (
            r#"{"stream_options":{"include_usage":null},"stream":true}"#,
            Some(json!({"include_usage": true})),
        ),
        (
            r#"{"stream_options":{"include_usage":true},"stream":true}"#,
            None,
        ),
        (r#"{"stream":false}"#, None),
        ("{}", None),
    ] {
        let edit = chat(body).unwrap().ask_for_usage(chat_operation);
        assert_eq!(edit.is_some(), asked.is_some(), "{body}");
        if let Some(asked) = asked {
            let new = edited(body.as_bytes(), edit);
            assert_eq!(new["stream_options"], asked, "{body}");
            assert_eq!(new["stream"], true);
        }
    }
    let responses = operation(Provider::OpenAi, "responses");
    let facts = scan(Provider::OpenAi, "responses", r#"{"stream":true}"#).unwrap();
    assert_eq!(facts.ask_for_usage(responses), None);
}

#[test]
fn output_is_limited_where_each_provider_reads_its_limit() {
    for (provider, name, body, limited) in [
        (
            Provider::OpenAi,
            "chat_completions",
            json!({"max_tokens": 5, "max_completion_tokens": 900}),
            Some(json!({"max_tokens": 5, "max_completion_tokens": 100})),
        ),
        (
            Provider::OpenAi,
            "chat_completions",
            json!({"model": "m"}),
            Some(json!({"model": "m", "max_completion_tokens": 100})),
        ),
        (
            Provider::OpenAi,
            "chat_completions",
            json!({"max_completion_tokens": null}),
            Some(json!({"max_completion_tokens": 100})),
        ),
        (
            Provider::OpenAi,
            "responses",
            json!({"model": "m"}),
            Some(json!({"model": "m", "max_output_tokens": 100})),
        ),
        (
            Provider::Anthropic,
            "messages",
            json!({"max_tokens": 101}),
            Some(json!({"max_tokens": 100})),
        ),
        (
            Provider::Gemini,
            "generate_content",
            json!({}),
            Some(json!({"generationConfig": {"maxOutputTokens": 100}})),
        ),
        (
            Provider::Gemini,
            "generate_content",
            json!({"generation_config": {"candidateCount": 1}}),
            Some(json!({"generation_config": {"candidateCount": 1, "maxOutputTokens": 100}})),
        ),
        (
            Provider::Bedrock,
            "converse",
            json!({"inferenceConfig": {"maxTokens": 7}, "additionalModelRequestFields": {"max_tokens": 700}}),
            Some(
                json!({"inferenceConfig": {"maxTokens": 7}, "additionalModelRequestFields": {"max_tokens": 100}}),
            ),
        ),
        (
            Provider::Bedrock,
            "invoke",
            json!({"textGenerationConfig": {"maxTokenCount": 700}}),
            Some(json!({"textGenerationConfig": {"maxTokenCount": 100}})),
        ),
        (Provider::Bedrock, "invoke", json!({"prompt": "x"}), None),
    ] {
        let text = body.to_string();
        let mut facts = scan(provider, name, &text).unwrap();
        let edits = facts.limit_output(operation(provider, name), 100);
        let new = edits.map(|edits| edited(text.as_bytes(), edits));
        assert_eq!(new, limited, "{body}");
        assert!(limited.is_none() || facts.max_output_tokens <= Some(100));
    }
}

fn ruled(body: &str, rules: Value) -> Result<RequestFacts, DenialCode> {
    let number = |name: &str| {
        rules[name]
            .as_u64()
            .map(|most| u32::try_from(most).unwrap())
    };
    let forbidden = rules["forbidden"].as_array().into_iter().flatten();
    let rules = Arc::new(Rules {
        max_output_tokens: None,
        over_limit: sekisho_domain::policy::OverLimit::Refuse,
        forbidden: forbidden
            .map(|name| name.as_str().unwrap().into())
            .collect(),
        max_messages: number("max_messages"),
        max_images: number("max_images"),
        max_depth: number("max_depth"),
        request_body_bytes: None,
        response_body_bytes: None,
        session_seconds: None,
        session_bytes: None,
        ask_usage: true,
    });
    let chat = operation(Provider::OpenAi, "chat_completions");
    let read = |size: usize| {
        let mut scan = RequestScan::new(chat, None, Some(&rules));
        for chunk in body.as_bytes().chunks(size) {
            scan.push(chunk)?;
        }
        scan.finish()
    };
    let whole = read(usize::MAX);
    for size in 1..9 {
        assert_eq!(read(size), whole, "{body}");
    }
    whole
}

#[test]
fn the_rules_bound_what_a_request_may_hold() {
    let two = r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"a"}},{"input":[{}]}]},{"x":{"messages":[]}}],"logit_bias":{}}"#;
    for (rules, refused) in [
        (json!({}), None),
        (json!({"max_messages": 2}), None),
        (
            json!({"max_messages": 1}),
            Some(DenialCode::RequestOverLimit),
        ),
        (json!({"max_images": 1}), None),
        (json!({"max_images": 0}), Some(DenialCode::RequestOverLimit)),
        (json!({"forbidden": ["tools", "content"]}), None),
        (
            json!({"forbidden": ["logit_bias"]}),
            Some(DenialCode::ForbiddenParameter),
        ),
        (json!({"max_depth": 7}), None),
        (json!({"max_depth": 6}), Some(DenialCode::InvalidBody)),
    ] {
        assert_eq!(ruled(two, rules.clone()).err(), refused, "{rules}");
    }
    let escaped = r#"{"logit\u005fbias":{}}"#;
    assert_eq!(
        ruled(escaped, json!({"forbidden": ["logit_bias"]})).err(),
        Some(DenialCode::ForbiddenParameter)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_change_changes_nothing_else(request in any_request(), most in 0u64..50, pretty in any::<bool>()) {
        let body = if pretty { serde_json::to_vec_pretty(&request) } else { serde_json::to_vec(&request) }.unwrap();
        let operation = operation(Provider::OpenAi, "chat_completions");
        let Ok(mut facts) = scan_in(operation, &body, usize::MAX) else { return Ok(()) };
        let mut edits = facts.limit_output(operation, most).unwrap();
        let ask = facts.ask_for_usage(operation);
        let asked = ask.is_some();
        edits.extend(ask);
        let mut new = edited(&body, edits);
        let mut old: Value = serde_json::from_slice(&body).unwrap();
        for body in [&mut new, &mut old] {
            let members = body.as_object_mut().unwrap();
            for key in ["max_tokens", "max_completion_tokens"] {
                members.remove(key);
            }
            if asked {
                if let Some(Value::Object(options)) = members.get_mut("stream_options") {
                    options.remove("include_usage");
                }
                if members.get("stream_options").is_none_or(|options| options.is_null() || options == &json!({})) {
                    members.remove("stream_options");
                }
            }
        }
        prop_assert_eq!(new, old);
    }

    #[test]
    fn every_cut_finds_what_a_whole_parse_finds(request in any_request(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let body = serde_json::to_vec(&request).unwrap();
        let operation = operation(Provider::OpenAi, "chat_completions");
        let whole = scan_in(operation, &body, usize::MAX);
        let plain = whole.clone().map(|facts| RequestFacts { model_span: None, bytes: 0, ..said(&facts) });
        prop_assert_eq!(plain, expected(&request));
        if let Ok(RequestFacts { model: Some(model), model_span: Some(span), .. }) = &whole {
            let literal = &body[span.start as usize..span.end as usize];
            prop_assert_eq!(&serde_json::from_slice::<String>(literal).unwrap(), model);
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.sort_unstable();
        let mut scan = RequestScan::new(operation, None, None);
        let mut from = 0;
        let mut pushed = Ok(());
        for cut in cuts.into_iter().chain([body.len()]) {
            pushed = pushed.and(scan.push(&body[from..cut]));
            from = cut;
        }
        prop_assert_eq!(pushed.and_then(|()| scan.finish()), whole.clone());
        prop_assert_eq!(scan_in(operation, &body, 1), whole);
    }
}
