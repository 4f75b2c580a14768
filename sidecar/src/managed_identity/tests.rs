use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};

use super::*;

/// What an endpoint was asked: path, query, headers, body.
type Asked = Arc<Mutex<Vec<(String, String, HeaderMap, String)>>>;

/// An endpoint whose tokens are good for two seconds, and that fails at first.
async fn endpoint() -> (SocketAddr, Asked) {
    async fn answer(
        State(asked): State<Asked>,
        uri: Uri,
        RawQuery(query): RawQuery,
        headers: HeaderMap,
        body: String,
    ) -> (StatusCode, axum::Json<Value>) {
        let mut asked = asked.lock().unwrap();
        asked.push((
            uri.path().to_owned(),
            query.unwrap_or_default(),
            headers,
            body,
        ));
        if asked.len() == 1 {
            let error = json!({"error": "unavailable", "error_description": "later"});
            return (StatusCode::SERVICE_UNAVAILABLE, axum::Json(error));
        }
        let token = json!({"access_token": format!("token-{}", asked.len()),
                           "token_type": "Bearer", "expires_in": "2"});
        (StatusCode::OK, axum::Json(token))
    }
    let asked = Asked::default();
    let app = Router::new()
        .fallback(answer)
        .with_state(Arc::clone(&asked));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, asked)
}

fn policy(client_id: Option<&str>) -> Policy {
    let mut identity = json!({"resource": "https://cognitiveservices.azure.com"});
    if let Some(client_id) = client_id {
        identity["client_id"] = client_id.into();
    }
    Policy::parse(json!({
        "version": 1, "organisation": "x", "time_zone": "UTC", "currency": "JPY",
        "scopes": {"all": null},
        "issuers": [{"issuer": "https://i.example", "tenant": "t", "audiences": ["a"],
                     "jwks_uri": "https://i.example/keys"}],
        "upstreams": [{"name": "azure", "provider": "azure_openai", "url": "https://a.example",
                       "credential": {"managed_identity": identity}}],
        "apis": [],
    }))
    .unwrap()
}

/// Keeps tokens until one that is not the first is there; what the endpoint was asked.
async fn kept(
    client_id: Option<&str>,
    variables: &[(&str, String)],
    asked: &Asked,
) -> Vec<(String, String, HeaderMap, String)> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path()).unwrap();
    let variables: HashMap<&str, String> = variables.iter().cloned().collect();
    let environment = |name: &str| variables.get(name).cloned();
    let policy = policy(client_id);
    let tasks = keep(&policy, dir.path(), environment, &Clock::system()).unwrap();
    let file = secrets::path(dir.path(), "azure");
    let mut shown = String::new();
    for _ in 0..200 {
        shown = std::fs::read_to_string(&file).unwrap_or_default();
        if shown.contains("\"token-3\"") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(shown.contains("\"token-3\""), "{shown}");
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    asked.lock().unwrap().clone()
}

#[tokio::test]
async fn a_virtual_machine_asks_its_metadata_service_and_renews() {
    let (address, asked) = endpoint().await;
    let host = [(
        "AZURE_POD_IDENTITY_AUTHORITY_HOST",
        format!("http://{address}"),
    )];
    for (path, query, headers, _) in kept(Some("c-1"), &host, &asked).await {
        assert_eq!(path, "/metadata/identity/oauth2/token");
        assert_eq!(
            query,
            "api-version=2018-02-01&resource=https%3A%2F%2Fcognitiveservices.azure.com&client_id=c-1"
        );
        assert_eq!(headers["metadata"], "true");
    }
}

#[tokio::test]
async fn an_app_service_shows_its_header() {
    let (address, asked) = endpoint().await;
    let given = [
        ("IDENTITY_ENDPOINT", format!("http://{address}/msi/token/")),
        ("IDENTITY_HEADER", "shown".to_owned()),
    ];
    for (path, query, headers, _) in kept(None, &given, &asked).await {
        assert_eq!(path, "/msi/token/");
        assert_eq!(
            query,
            "api-version=2019-08-01&resource=https%3A%2F%2Fcognitiveservices.azure.com"
        );
        assert_eq!(headers["x-identity-header"], "shown");
    }
}

#[tokio::test]
async fn a_pod_exchanges_the_token_that_kubernetes_signed() {
    let (address, asked) = endpoint().await;
    let dir = tempfile::tempdir().unwrap();
    let federated = dir.path().join("token");
    std::fs::write(&federated, "signed.by.kubernetes\n").unwrap();
    let given = [
        (
            "AZURE_FEDERATED_TOKEN_FILE",
            federated.display().to_string(),
        ),
        ("AZURE_TENANT_ID", "t-1".to_owned()),
        ("AZURE_CLIENT_ID", "c-1".to_owned()),
        ("AZURE_AUTHORITY_HOST", format!("http://{address}/")),
    ];
    for (path, _, headers, body) in kept(None, &given, &asked).await {
        assert_eq!(path, "/t-1/oauth2/v2.0/token");
        assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
        assert_eq!(
            body,
            "grant_type=client_credentials&client_id=c-1\
             &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
             &client_assertion=signed.by.kubernetes\
             &scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default"
        );
    }
}

#[test]
fn an_environment_that_says_half_of_it_is_an_error_that_names_the_rest() {
    let of = |variables: &[(&str, &str)]| {
        let variables: HashMap<&str, &str> = variables.iter().copied().collect();
        let environment = |name: &str| variables.get(name).map(|value| (*value).to_owned());
        Source::of(&environment, None).map_err(|error| error.to_string())
    };
    assert!(of(&[]).is_ok());
    for (variables, wrong) in [
        (
            &[("AZURE_FEDERATED_TOKEN_FILE", "f")][..],
            "AZURE_TENANT_ID",
        ),
        (
            &[
                ("AZURE_FEDERATED_TOKEN_FILE", "f"),
                ("AZURE_TENANT_ID", "t"),
            ],
            "AZURE_CLIENT_ID",
        ),
        (
            &[("IDENTITY_ENDPOINT", "nowhere"), ("IDENTITY_HEADER", "h")],
            "IDENTITY_ENDPOINT",
        ),
    ] {
        let error = of(variables).unwrap_err();
        assert!(error.contains(&format!("`{wrong}`")), "{error}");
    }
}
