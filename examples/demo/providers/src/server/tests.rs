//! Over real connections, because pace and cuts are in how an answer is sent.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::bedrock::signature::AccessKey;

const CHAT: &str = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21";
const STREAMED: &str =
    r#"{"messages":[{"role":"user","content":"hi"}],"max_tokens":4,"stream":true}"#;
const WHOLE: &str = r#"{"messages":[{"role":"user","content":"hi"}],"max_tokens":4}"#;
const AZURE_KEY: &str = "api-key: azure";

struct Server {
    providers: Arc<Providers>,
    address: std::net::SocketAddr,
}

impl Server {
    async fn of(provider: Provider) -> Self {
        let credentials = Credentials {
            azure_openai: "azure".to_owned(),
            openai: "openai".to_owned(),
            anthropic: "anthropic".to_owned(),
            gemini: "gemini".to_owned(),
            vertex: "vertex".to_owned(),
            bedrock: AccessKey {
                id: "AKID".to_owned(),
                secret: "secret".to_owned(),
            },
        };
        let providers = Arc::new(Providers::new(credentials, Duration::ZERO));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, provider, Arc::clone(&providers)));
        Self { providers, address }
    }

    /// The whole answer, head and body, as it came.
    async fn post(&self, path: &str, headers: &[&str], body: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = headers
            .iter()
            .map(|line| format!("{line}\r\n"))
            .collect::<String>();
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: provider\r\nconnection: close\r\n{head}\
             content-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A cut connection may end in an error: what came before it counts.
        let _: Result<usize, _> = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn behave(&self, rule: &str) {
        let answer = self.post("/__demo/behave", &[], rule).await;
        assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    }

    fn served(&self) -> serde_json::Value {
        serde_json::to_value(self.providers.served.report()).unwrap()
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap()
}

#[tokio::test]
async fn a_stream_reports_usage_only_when_asked() {
    let server = Server::of(Provider::AzureOpenai).await;
    let answer = server.post(CHAT, &[AZURE_KEY], STREAMED).await;
    assert!(answer.contains("data: [DONE]"), "{answer}");
    assert!(!answer.contains("usage"), "{answer}");
    let options = r#""stream_options":{"include_usage":true},"stream":true"#;
    let asking = STREAMED.replace(r#""stream":true"#, options);
    let answer = server.post(CHAT, &[AZURE_KEY], &asking).await;
    assert!(answer.contains(r#""completion_tokens":4"#), "{answer}");
}

#[tokio::test]
async fn azure_begins_a_stream_with_a_chunk_without_choices() {
    let server = Server::of(Provider::AzureOpenai).await;
    let answer = server.post(CHAT, &[AZURE_KEY], STREAMED).await;
    let first = answer
        .lines()
        .find(|line| line.starts_with("data: "))
        .unwrap();
    assert!(first.contains(r#""choices":[]"#) && first.contains("prompt_filter_results"));
}

#[tokio::test]
async fn a_callers_token_is_refused_and_noted_without_its_value() {
    let server = Server::of(Provider::AzureOpenai).await;
    let token = "authorization: Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln";
    let answer = server.post(CHAT, &[AZURE_KEY, token], WHOLE).await;
    assert_eq!(status(&answer), "401");
    let report = server.served();
    let what = report["violations"][0]["what"].as_str().unwrap();
    assert_eq!(what, "a caller's credential in header `authorization`");
    assert!(!answer.contains("eyJ"));
}

#[tokio::test]
async fn a_header_of_the_gateway_is_a_violation() {
    let server = Server::of(Provider::AzureOpenai).await;
    server
        .post(CHAT, &[AZURE_KEY, "x-sekisho-cluster: a"], WHOLE)
        .await;
    let report = server.served();
    assert_eq!(
        report["violations"][0]["what"],
        "header `x-sekisho-cluster`"
    );
}

#[tokio::test]
async fn every_provider_refuses_in_its_own_words() {
    let expected = [
        (Provider::AzureOpenai, CHAT, "401", r#""code":"401""#),
        (
            Provider::OpenaiCompatible,
            "/v1/chat/completions",
            "401",
            r#""code":"invalid_api_key""#,
        ),
        (
            Provider::Anthropic,
            "/v1/messages",
            "401",
            r#""type":"authentication_error""#,
        ),
        (
            Provider::Bedrock,
            "/model/anthropic.a/converse",
            "403",
            "x-amzn-errortype: MissingAuthenticationTokenException",
        ),
        (
            Provider::Gemini,
            "/v1beta/models/gemini-2.0-flash:generateContent",
            "403",
            r#""status":"PERMISSION_DENIED""#,
        ),
    ];
    for (provider, path, code, words) in expected {
        let answer = Server::of(provider).await.post(path, &[], "{}").await;
        assert_eq!(status(&answer), code, "{answer}");
        assert!(answer.contains(words), "{answer}");
    }
}

#[tokio::test]
async fn an_error_on_demand_is_answered_once_and_bills_nothing() {
    let server = Server::of(Provider::AzureOpenai).await;
    server
        .behave(r#"{"status": 429, "retry_after_seconds": 7, "times": 1}"#)
        .await;
    let answer = server.post(CHAT, &[AZURE_KEY], WHOLE).await;
    assert_eq!(status(&answer), "429");
    assert!(answer.contains("retry-after: 7"), "{answer}");
    assert_eq!(status(&server.post(CHAT, &[AZURE_KEY], WHOLE).await), "200");
    let total = &server.served()["models"][0];
    assert_eq!((&total["calls"], &total["errors"]), (&1.into(), &1.into()));
    assert_eq!(total["output_tokens"], 4);
}

#[tokio::test]
async fn a_cut_stream_has_no_end_and_is_not_counted() {
    let server = Server::of(Provider::AzureOpenai).await;
    server.behave(r#"{"cut_after_chunks": 3}"#).await;
    let answer = server.post(CHAT, &[AZURE_KEY], STREAMED).await;
    assert_eq!(answer.matches("data: ").count(), 3);
    assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
    let total = &server.served()["models"][0];
    assert_eq!((&total["calls"], &total["aborted"]), (&0.into(), &1.into()));
}

#[tokio::test]
async fn an_unknown_member_is_refused() {
    let server = Server::of(Provider::OpenaiCompatible).await;
    let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"sekisho":1}"#;
    let answer = server
        .post(
            "/v1/chat/completions",
            &["authorization: Bearer openai"],
            body,
        )
        .await;
    assert_eq!(status(&answer), "400");
    assert!(
        answer.contains("Unrecognized request argument supplied: sekisho"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_stream_may_end_in_the_providers_own_error() {
    let asked = STREAMED.replace("hi", "hi [demo fail=2]");
    let server = Server::of(Provider::AzureOpenai).await;
    let answer = server.post(CHAT, &[AZURE_KEY], &asked).await;
    assert!(answer.contains(r#""type":"server_error""#), "{answer}");
    assert!(!answer.contains("[DONE]"), "{answer}");
    assert_eq!(server.served()["models"][0]["aborted"], 1);
}

#[tokio::test]
async fn the_second_attempt_of_a_numbered_request_succeeds() {
    let asked = WHOLE.replace("hi", "hi [demo status=429 retry_after=3 id=7]");
    let server = Server::of(Provider::AzureOpenai).await;
    let first = server.post(CHAT, &[AZURE_KEY], &asked).await;
    assert!(first.contains("retry-after: 3"), "{first}");
    let second = server.post(CHAT, &[AZURE_KEY], &asked).await;
    assert_eq!((status(&first), status(&second)), ("429", "200"));
    assert_eq!(server.served()["calls"][1]["number"], 7);
}

#[tokio::test]
async fn a_batch_answers_the_requests_of_its_file() {
    let server = Server::of(Provider::OpenaiCompatible).await;
    let key = "authorization: Bearer openai";
    let line = r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"max_tokens":4}}"#;
    let form = format!(
        "--x\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--x\r\n\
         content-disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n{line}\r\n--x--\r\n"
    );
    let content_type = "content-type: multipart/form-data; boundary=x";
    let answer = server.post("/v1/files", &[key, content_type], &form).await;
    let file = member(&answer, "id");
    let order = format!(
        r#"{{"input_file_id":"{file}","endpoint":"/v1/chat/completions","completion_window":"24h"}}"#
    );
    let batch = server.post("/v1/batches", &[key], &order).await;
    assert_eq!(member(&batch, "status"), "validating", "{batch}");
    let batches = server
        .providers
        .objects
        .list(Provider::OpenaiCompatible, "batch_");
    assert_eq!(batches[0]["status"], "completed");
    assert_eq!(batches[0]["usage"]["output_tokens"], 4);
}

#[tokio::test]
async fn requests_are_recorded_without_credentials_once_somebody_asks() {
    let server = Server::of(Provider::AzureOpenai).await;
    server.post(CHAT, &[AZURE_KEY], WHOLE).await;
    server.post("/__demo/record", &[], "").await;
    server.post(CHAT, &["api-key: azure-secret"], WHOLE).await;
    let taken = serde_json::to_string(&server.providers.recorder.take()).unwrap();
    assert_eq!(taken.matches("/chat/completions").count(), 1, "{taken}");
    assert!(taken.contains(r#"["api-key","***"]"#), "{taken}");
    assert!(!taken.contains("azure-secret"));
}

/// A member of an answer's JSON body that is a text.
fn member(answer: &str, name: &str) -> String {
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    body[name].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_answer_of_a_conversation_reads_all_that_was_said_before() {
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

    let server = Server::of(Provider::OpenaiCompatible).await;
    let connect = async |key: &str| {
        let mut request = "ws://provider/v1/realtime?model=gpt-realtime"
            .into_client_request()
            .unwrap();
        let key = format!("Bearer {key}").parse().unwrap();
        request.headers_mut().insert("authorization", key);
        let stream = TcpStream::connect(server.address).await.unwrap();
        tokio_tungstenite::client_async(request, stream).await
    };
    assert!(connect("another").await.is_err());
    let (mut socket, _) = connect("openai").await.unwrap();
    let item = r#"{"type":"conversation.item.create","item":{"content":[{"text":"one two"}]}}"#;
    let mut used = Vec::new();
    for _ in 0..2 {
        for event in [item, r#"{"type":"response.create"}"#] {
            socket.send(Message::text(event)).await.unwrap();
        }
        while let Some(Ok(Message::Text(text))) = socket.next().await {
            let event: serde_json::Value = serde_json::from_str(&text).unwrap();
            if event["type"] == "response.done" {
                let usage = &event["response"]["usage"];
                let cached = &usage["input_token_details"]["cached_tokens"];
                used.push((usage["input_tokens"].as_u64(), cached.as_u64()));
                break;
            }
        }
    }
    assert_eq!(used, [(Some(2), Some(0)), (Some(7), Some(2))]);
}
