//! The API over a world with three people, and tokens for them.

use std::sync::OnceLock;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs1v15::SigningKey;
use rsa::rand_core::OsRng;
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding as _, Signer as _};
use rsa::traits::PublicKeyParts as _;
use rsa::{RsaPrivateKey, RsaPublicKey};
use sekisho::api::{Api, router};
use sekisho::events::Author;
use sekisho::ledger::Calendar;
use sekisho::people::csv;
use sekisho::people::import::import;
use sekisho::people::watch::push_all;
use sekisho::settings::{Ground, LiveSettings};
use sekisho::snapshot::Subscription;
use sekisho_domain::{IssuerKey, KeyMaterial};
use sekisho_link::directory::key_set;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::world::{World, contents_key};

const ISSUER: &str = "https://login.example/t/v2.0";
const ADMINISTRATOR: &str = "00000000-0000-4000-8000-000000000001";
const AUDITOR: &str = "00000000-0000-4000-8000-000000000002";
const NOBODY_SPECIAL: &str = "00000000-0000-4000-8000-000000000003";

const APPLICATION: &str = "00000000-0000-4000-8000-0000000000ff";

const PEOPLE: &str = "\
user_id,name,email,department,job_title,phone,start_date,end_date,status,object_id
001,Ichiro,ichiro@example.com,sales,,,2023/04/01,,active,00000000-0000-4000-8000-000000000001
002,Hanako,hanako@example.com,hr,,,2023/04/01,,active,00000000-0000-4000-8000-000000000002
003,Taro,taro@example.com,sales,,,2023/04/01,,active,00000000-0000-4000-8000-000000000003
004,Yuko,yuko@example.com,hr,,,2023/04/01,2023/06/30,inactive,00000000-0000-4000-8000-000000000004
";

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum As {
    Administrator,
    Auditor,
    NobodySpecial,
    Recorder,
    /// Hanako (002), of the department `hr`.
    Manager,
    /// Recorder, and nobody of the directory.
    RecordingApplication,
    /// An application without a role.
    Stranger,
    Nobody,
}

pub(crate) struct Service {
    pub(crate) world: World,
    pub(crate) api: Api,
    pub(crate) settings: LiveSettings,
    router: Router,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Service {
    pub(crate) async fn new() -> Self {
        let world = World::new().await;
        let rows = csv::read(PEOPLE.as_bytes(), &world.policy, &csv::Rules::default())
            .whole()
            .unwrap();
        let mut author = Author::program("sekisho users import", world.clock.now(), [1; 32]);
        let imported = import(&world.store, "t", rows, &mut author).await;
        imported.unwrap().unwrap();
        world.writer.take_pending().await.unwrap();
        let calendar = Calendar::new(&world.policy.time_zone).unwrap();
        push_all(&world.store, &world.hub, &calendar, &world.clock)
            .await
            .unwrap();
        let public = key().0.clone();
        let published = IssuerKey {
            issuer: ISSUER.into(),
            kid: "k".into(),
            material: KeyMaterial::Rsa {
                n: public.n().to_bytes_be(),
                e: public.e().to_bytes_be(),
            },
            algorithm: None,
        };
        world.hub.set_issuer_keys(key_set(ISSUER, &[published]));
        let file = json!({
            "people": {"exceptions": ["004"]},
            "settings": {"locked": ["alerts.rules.changes"]},
        });
        let settings = LiveSettings::new(Ground::new(&file)).unwrap();
        let api = Api::new(
            world.store.clone(),
            world.hub.clone(),
            world.clock.clone(),
            calendar,
            None,
            b"pepper".to_vec(),
            settings.clone(),
        );
        api.write_with(world.writer.clone());
        api.with_contents_key(contents_key());
        Self {
            world,
            router: router(api.clone()),
            api,
            settings,
        }
    }

    /// What is pushed from now on.
    pub(crate) fn changes(&self) -> Subscription {
        let mut changes = self.world.hub.subscribe();
        while changes.poll_next().is_some() {}
        changes
    }

    pub(crate) async fn get(&self, caller: As, path: &str) -> Answer {
        self.call(caller, "GET", path, None).await
    }

    pub(crate) async fn put(&self, caller: As, path: &str) -> Answer {
        self.call(caller, "PUT", path, None).await
    }

    pub(crate) async fn call(
        &self,
        caller: As,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let token = self.token_of(caller);
        self.call_with(token.as_deref(), method, path, body).await
    }

    pub(crate) async fn call_with(
        &self,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        self.request(token, method, path, &[], body).await
    }

    pub(crate) async fn call_headed(
        &self,
        caller: As,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let token = self.token_of(caller);
        self.request(token.as_deref(), method, path, headers, body)
            .await
    }

    async fn request(
        &self,
        token: Option<&str>,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = match body {
            None => Body::empty(),
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
        };
        self.answer(request.body(body).unwrap()).await
    }

    async fn answer(&self, request: Request<Body>) -> Answer {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            text: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// Sends bytes as they are.
    pub(crate) async fn send_file(&self, caller: As, path: &str, file: Vec<u8>) -> Answer {
        let token = self.token_of(caller).unwrap_or_default();
        let request = Request::builder()
            .method("POST")
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::from(file))
            .unwrap();
        self.answer(request).await
    }

    fn token_of(&self, caller: As) -> Option<String> {
        match caller {
            As::Administrator => Some(self.token(ADMINISTRATOR, &["Sekisho.Administrator"])),
            As::Auditor => Some(self.token(AUDITOR, &["Sekisho.Auditor"])),
            As::NobodySpecial => Some(self.token(NOBODY_SPECIAL, &["Sekisho.Reader"])),
            As::Recorder => Some(self.token(NOBODY_SPECIAL, &["Sekisho.Recorder"])),
            As::Manager => Some(self.token(AUDITOR, &["Sekisho.DepartmentManager"])),
            As::RecordingApplication => Some(self.token(APPLICATION, &["Sekisho.Recorder"])),
            As::Stranger => Some(self.token(APPLICATION, &["Sekisho.Reader"])),
            As::Nobody => None,
        }
    }

    fn token(&self, object_id: &str, roles: &[&str]) -> String {
        let now = self.world.clock.now().seconds();
        let mut claims = json!({
            "iss": ISSUER, "tid": "t", "aud": "api://x", "oid": object_id, "roles": roles,
            "iat": now, "nbf": now, "exp": now + 3600,
        });
        match object_id {
            APPLICATION => claims["idtyp"] = "app".into(),
            _ => claims["scp"] = "all_apis".into(),
        }
        signed(&claims)
    }
}

pub(crate) fn signed(claims: &Value) -> String {
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": "k"});
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", encode(&header), encode(claims));
    let signature = key().1.sign(text.as_bytes()).to_vec();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn key() -> &'static (RsaPublicKey, SigningKey<Sha256>) {
    static KEY: OnceLock<(RsaPublicKey, SigningKey<Sha256>)> = OnceLock::new();
    KEY.get_or_init(|| {
        let private = RsaPrivateKey::new(&mut OsRng, 2048).unwrap();
        (private.to_public_key(), SigningKey::new(private))
    })
}
