use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs8::{EncodePrivateKey as _, LineEnding};
use rsa::pss;
use rsa::signature::Verifier as _;
use sekisho_domain::policy::SecretSource;
use serde_json::{Value, json};

use super::*;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const RESOURCE: &str = "https://graph.microsoft.com";

type Asked = Arc<Mutex<Vec<Vec<(String, String)>>>>;

/// A token endpoint that gives each asker another token.
async fn endpoint() -> (Url, Asked) {
    async fn answer(State(asked): State<Asked>, body: String) -> axum::Json<Value> {
        let form = url::form_urlencoded::parse(body.as_bytes());
        let mut asked = asked.lock().unwrap();
        asked.push(form.into_owned().collect());
        let token = format!("token-{}", asked.len());
        axum::Json(json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600}))
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
    let url = format!("http://{address}/t/oauth2/v2.0/token");
    (Url::parse(&url).unwrap(), asked)
}

fn tokens(how: &AzureCredential) -> (Tokens, crate::clock::Hand) {
    let (clock, hand) = Clock::moved(NOW);
    let client = crate::forward::http::client(None).unwrap();
    (Tokens::new(how, RESOURCE, client, clock).unwrap(), hand)
}

fn member(form: &[(String, String)], name: &str) -> String {
    let found = form.iter().find(|(key, _)| key == name);
    found.unwrap_or_else(|| panic!("no {name}")).1.clone()
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    std::fs::File::create(&path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    (dir, path)
}

#[tokio::test]
async fn a_token_is_kept_until_it_is_refused_or_nears_its_end() {
    let (token_url, asked) = endpoint().await;
    let (_dir, path) = file("hush\n");
    let (tokens, hand) = tokens(&AzureCredential::ClientSecret {
        token_url,
        client_id: "app".into(),
        secret: SecretSource::File(path.display().to_string()),
    });
    let many = tokio::join!(tokens.bearer(), tokens.bearer());
    let first = many.0.unwrap();
    assert_eq!(first, "Bearer token-1");
    assert_eq!(first, many.1.unwrap());
    let form = asked.lock().unwrap()[0].clone();
    assert_eq!(member(&form, "client_secret"), "hush");
    assert_eq!(member(&form, "scope"), format!("{RESOURCE}/.default"));
    tokens.forget(&first).await;
    assert_eq!(tokens.bearer().await.unwrap(), "Bearer token-2");
    // Late news of the first one do not cost the second.
    tokens.forget(&first).await;
    assert_eq!(tokens.bearer().await.unwrap(), "Bearer token-2");
    hand.advance(56 * 60 * 1_000);
    assert_eq!(tokens.bearer().await.unwrap(), "Bearer token-3");
    assert!(first.is_sensitive());
    assert!(!format!("{tokens:?}").contains("token-"));
}

#[tokio::test]
async fn a_certificate_signs_an_assertion_that_its_public_key_verifies() {
    let (token_url, asked) = endpoint().await;
    let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
    // What stands in the certificate matters to Entra ID alone; the thumbprint is of its bytes.
    let certificate = include_str!("../../tests/tls/server.pem");
    let pem = key.to_pkcs8_pem(LineEnding::LF).unwrap();
    let (_dir, path) = file(&format!("{}{certificate}", *pem));
    let (tokens, _hand) = tokens(&AzureCredential::Certificate {
        token_url: token_url.clone(),
        client_id: "app".into(),
        file: path,
    });
    tokens.bearer().await.unwrap();
    let form = asked.lock().unwrap()[0].clone();
    assert_eq!(member(&form, "client_assertion_type"), ASSERTION);
    let assertion = member(&form, "client_assertion");
    let parts: Vec<&str> = assertion.split('.').collect();
    let read = |part: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    // openssl x509 -in tests/tls/server.pem -outform DER | openssl dgst -sha256 -binary | basenc --base64url
    let thumbprint = "4Vql26cynXNT8eqzrlLh8ipMqdBNLzq4U82PZs338ts";
    assert_eq!(
        read(parts[0]),
        json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint})
    );
    let claims = read(parts[1]);
    assert_eq!(claims["aud"], token_url.as_str());
    assert_eq!(
        (&claims["iss"], &claims["sub"]),
        (&json!("app"), &json!("app"))
    );
    assert_eq!(
        (&claims["nbf"], &claims["exp"]),
        (&json!(1_700_000_000), &json!(1_700_000_300))
    );
    let signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
    let signature = pss::Signature::try_from(signature.as_slice()).unwrap();
    let verifying = pss::VerifyingKey::<rsa::sha2::Sha256>::new(key.to_public_key());
    let signed = format!("{}.{}", parts[0], parts[1]);
    verifying.verify(signed.as_bytes(), &signature).unwrap();
}

#[tokio::test]
async fn a_workload_shows_the_token_of_its_file_as_it_is_now() {
    let (token_url, asked) = endpoint().await;
    let (_dir, path) = file("pod-1\n");
    let (tokens, hand) = tokens(&AzureCredential::Workload {
        token_url,
        client_id: Some("app".into()),
        token_file: Some(path.clone()),
    });
    tokens.bearer().await.unwrap();
    std::fs::write(&path, "pod-2").unwrap();
    hand.advance(56 * 60 * 1_000);
    tokens.bearer().await.unwrap();
    let asked = asked.lock().unwrap();
    let shown: Vec<_> = asked
        .iter()
        .map(|form| member(form, "client_assertion"))
        .collect();
    assert_eq!(shown, ["pod-1", "pod-2"]);
    assert_eq!(member(&asked[0], "client_id"), "app");
}

#[test]
fn a_file_that_is_no_certificate_with_its_key_is_refused_by_name() {
    let certificate = include_str!("../../tests/tls/server.pem");
    let curve = include_str!("../../tests/tls/server.key");
    for (text, told) in [
        (String::new(), "holds no certificate in PEM"),
        (certificate.to_owned(), "holds no private key in PEM"),
        (format!("{certificate}{curve}"), "is no RSA key"),
    ] {
        let (_dir, path) = file(&text);
        let refused = Certificate::read(&path).err().unwrap();
        assert!(refused.to_string().contains(told), "{refused}");
    }
}
