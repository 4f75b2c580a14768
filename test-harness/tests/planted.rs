//! Secrets of callers, planted wherever a call has room for them, are in nothing that is written:
//! no log of the filters or of Envoy, no record, no file of the sidecar, no answer to a refusal.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot do its work has failed"
)]

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use sekisho_domain::{IssuerKey, KeyMaterial, UnixMillis};
use sekisho_link::directory::key_set;
use sekisho_test_harness::gateway::{Answer, Gateway, ModuleSet, Place, Request};
use sekisho_test_harness::on_envoy::{OnEnvoy, Surroundings};
use sekisho_test_harness::on_host::OnHost;
use sekisho_test_harness::scenario::ScenarioPolicy;
use sekisho_test_harness::sidecar::{IssuedKey, LogProbe, Registered, Setup, Sidecar};
use sekisho_test_harness::tokens::{self, Algorithm, KEY_ID, Signer, Subject};

/// `SEKISHO_PLANTED=1000` plants more.
const PLANTED: usize = 220;
/// What of a secret is looked for: long enough to be nothing else.
const CORE: usize = 14;
/// 2026-01-15T10:00:05+09:00.
const STANDS_AT: UnixMillis = UnixMillis(1_768_438_805_000);
const OBJECT_ID: &str = "00000000-0000-4000-8000-000000000001";
/// What must never be found makes no sense unless this is.
const WITNESS: &str = "witness-of-the-search";

#[test]
fn planted_secrets_are_in_nothing_that_the_filters_and_the_sidecar_write() {
    for modules in [ModuleSet::Gateway, ModuleSet::Separate] {
        let place = Place {
            envoy: None,
            ..Place::of_this_checkout()
        };
        let world = World::new(&BTreeMap::new(), Some(STANDS_AT));
        let (sidecar, caller) = world.start(LogProbe::default());
        let mut gateway = OnHost::start(modules, &place, sidecar).unwrap();
        plant(&mut gateway, &caller, &[]);
    }
}

#[test]
fn planted_secrets_are_not_in_the_logs_of_envoy_either() {
    let place = Place::of_this_checkout();
    if place.envoy.is_none() {
        eprintln!("skipped: SEKISHO_ENVOY is not set to an Envoy binary");
        return;
    }
    let probe = LogProbe::default();
    let upstreams = ["openai".to_owned()];
    let surroundings = Surroundings::start(&upstreams, probe.clone()).unwrap();
    let world = World::new(surroundings.addresses(), None);
    let (sidecar, caller) = world.start(probe);
    let mut gateway =
        OnEnvoy::start(ModuleSet::Gateway, &place, surroundings, sidecar, None).unwrap();
    // Envoy's own access log has paths as they were asked for.
    plant(&mut gateway, &caller, &[Spot::Path]);
}

/// Where a secret stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spot {
    /// A card's number in a prompt.
    Prompt,
    /// A name in a prompt.
    Name,
    /// A key in an answer.
    Answer,
    /// A card's number in an answer of which the provider says that it failed.
    Failure,
    /// A token that is none.
    Bearer,
    /// A token whose claims say it, with a wrong signature.
    Claims,
    /// A subscription key that nobody has issued.
    Key,
    /// A parameter of the query.
    Query,
    /// A part of a path that is not there.
    Path,
    /// The name of a model.
    Model,
    /// A header that passes.
    Header,
    /// A body that is not JSON.
    Garbage,
}

const SPOTS: [Spot; 12] = [
    Spot::Prompt,
    Spot::Name,
    Spot::Answer,
    Spot::Failure,
    Spot::Bearer,
    Spot::Claims,
    Spot::Key,
    Spot::Query,
    Spot::Path,
    Spot::Model,
    Spot::Header,
    Spot::Garbage,
];

fn plant(gateway: &mut dyn Gateway, caller: &Caller, not_in_access_log: &[Spot]) {
    assert!(until_ready(gateway, caller), "nobody is let through");
    let many = std::env::var("SEKISHO_PLANTED").map_or(PLANTED, |many| many.parse().unwrap());
    let mut planted: HashMap<[u8; CORE], (usize, Spot)> = HashMap::new();
    let mut refusals = Vec::new();
    for number in 0..many {
        let spot = SPOTS[number % SPOTS.len()];
        let (secret, core) = secret(number, spot);
        planted.insert(core, (number, spot));
        let (request, answer) = call(caller, spot, &secret);
        let exchange = gateway.call(&request, &answer).unwrap();
        let response = exchange.response.unwrap();
        let passes = matches!(
            spot,
            Spot::Prompt | Spot::Name | Spot::Answer | Spot::Header
        );
        assert_eq!(
            response.status == 200,
            passes,
            "{spot:?}: {}",
            response.status
        );
        if spot != Spot::Failure && !passes {
            refusals.extend(response.body);
            let headers = response.headers.into_iter();
            refusals.extend(headers.flat_map(|(_, value)| value));
        }
    }
    gateway.wait();
    let mut found = Vec::new();
    let mut look = |place: &str, bytes: &[u8], but: &[Spot]| {
        for window in bytes.windows(CORE) {
            if let Some((number, spot)) = planted.get(window).filter(|(_, s)| !but.contains(s)) {
                found.push(format!("{place} has secret {number}, planted as {spot:?}"));
            }
        }
    };
    look("an answer to a refusal", &refusals, &[]);
    for (place, text) in gateway.exposed() {
        let is_access_log = place == "Envoy's access log";
        let but = if is_access_log {
            not_in_access_log
        } else {
            &[]
        };
        look(place, text.as_bytes(), but);
    }
    let mut has_witness = false;
    for (name, bytes) in gateway.sidecar().files().unwrap() {
        has_witness |= bytes
            .windows(WITNESS.len())
            .any(|part| part == WITNESS.as_bytes());
        look(&name, &bytes, &[]);
    }
    assert!(has_witness, "the search does not see what is written");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn until_ready(gateway: &mut dyn Gateway, caller: &Caller) -> bool {
    for _ in 0..200 {
        let (mut request, answer) = call(caller, Spot::Prompt, "hello");
        // On record as it is: it is no secret.
        request.path = format!("/v1/{WITNESS}");
        let refused = gateway.call(&request, &answer).unwrap().response;
        assert_ne!(refused.map(|refused| refused.status), Some(200));
        let (request, answer) = call(caller, Spot::Prompt, "hello");
        let response = gateway.call(&request, &answer).unwrap().response;
        if response.is_some_and(|response| response.status == 200) {
            return true;
        }
        gateway.wait();
    }
    false
}

/// A secret, and what of it is looked for.
fn secret(number: usize, spot: Spot) -> (String, [u8; CORE]) {
    let digits = format!("{:011}", (number as u64 + 1) * 7_919_317 % 100_000_000_000);
    let core = match spot {
        // The first 14 of a card's digits.
        Spot::Prompt | Spot::Failure | Spot::Model => format!("4{digits}00"),
        _ => format!("q{digits}zz"),
    };
    let secret = match spot {
        Spot::Prompt | Spot::Failure | Spot::Model => {
            let body = format!("{core}0");
            let check = (0..10).find(|check| is_card(&format!("{body}{check}")));
            format!("{body}{}", check.unwrap())
        }
        Spot::Answer | Spot::Path | Spot::Header | Spot::Query | Spot::Garbage => {
            format!("sk-proj-{core}-abcdef")
        }
        Spot::Name => format!("Taro {core}"),
        Spot::Bearer | Spot::Claims => core.clone(),
        Spot::Key => {
            let mut random = [0; 32];
            random[..8].copy_from_slice(&(number as u64).to_be_bytes());
            random[8..].fill(0x5a);
            sekisho_scope::new_key(random)
        }
    };
    let core = match spot {
        // In the middle of the key: its prefix and ends are alike.
        Spot::Key => secret.get(11..11 + CORE).unwrap().to_owned(),
        _ => core,
    };
    (secret, core.into_bytes().try_into().unwrap())
}

fn is_card(digits: &str) -> bool {
    let digits = digits.bytes().rev().map(|digit| u32::from(digit - b'0'));
    let sum = digits.zip([1, 2].into_iter().cycle()).map(|(digit, by)| {
        let weighted = digit * by;
        weighted / 10 + weighted % 10
    });
    sum.sum::<u32>().is_multiple_of(10)
}

fn call(caller: &Caller, spot: Spot, secret: &str) -> (Request, Answer) {
    let prompt = if matches!(spot, Spot::Prompt | Spot::Name) {
        secret
    } else {
        "hello"
    };
    let model = if spot == Spot::Model {
        secret
    } else {
        "gpt-4o"
    };
    let body = match spot {
        Spot::Garbage => format!("{{\"model\": \"gpt-4o\", {secret}"),
        _ => format!(
            r#"{{"model":"{model}","max_tokens":9,"messages":[{{"role":"user","content":"{prompt}"}}]}}"#
        ),
    };
    let path = match spot {
        Spot::Query => format!("/v1/chat/completions?user={secret}"),
        Spot::Path => format!("/v1/nothing/{secret}"),
        _ => "/v1/chat/completions".to_owned(),
    };
    let credential = match spot {
        Spot::Bearer => ("authorization", format!("Bearer {secret}")),
        Spot::Claims => ("authorization", format!("Bearer {}", caller.forged(secret))),
        Spot::Key => ("api-key", secret.to_owned()),
        _ => ("authorization", format!("Bearer {}", caller.token)),
    };
    let mut headers = vec![
        (credential.0.to_owned(), credential.1.into_bytes()),
        ("content-type".to_owned(), b"application/json".to_vec()),
    ];
    if spot == Spot::Header {
        headers.push(("x-custom".to_owned(), secret.into()));
    }
    let request = Request {
        method: "POST".to_owned(),
        path,
        headers,
        body: vec![body.into_bytes()],
        ..Request::default()
    };
    let said = if matches!(spot, Spot::Answer | Spot::Failure) {
        secret
    } else {
        "hello"
    };
    let answer = Answer {
        status: if spot == Spot::Failure { 500 } else { 200 },
        headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
        body: vec![
            format!(r#"{{"choices":[{{"message":{{"content":"{said}"}}}}],"usage":{{"prompt_tokens":1,"completion_tokens":1}}}}"#).into_bytes(),
        ],
        ..Answer::default()
    };
    (request, answer)
}

/// Somebody who may call, and what is known of the issuer.
struct Caller {
    token: String,
    issuer: String,
    tenant: String,
    audience: String,
    now: UnixMillis,
}

impl Caller {
    /// A token that somebody else has signed, for an account of this name.
    fn forged(&self, object_id: &str) -> String {
        self.sign(object_id, Signer::Stranger)
    }

    fn sign(&self, object_id: &str, signer: Signer) -> String {
        let scopes = ["all_apis".to_owned()];
        let subject = Subject {
            issuer: &self.issuer,
            tenant: &self.tenant,
            audience: &self.audience,
            object_id,
            scopes: &scopes,
        };
        let claims = tokens::claims(&subject, self.now);
        tokens::sign(&claims, signer, Algorithm::RS256, KEY_ID).unwrap()
    }
}

/// What a sidecar begins with.
struct World {
    setup: Setup,
    caller: Caller,
}

impl World {
    fn new(at: &BTreeMap<String, std::net::SocketAddr>, stands_at: Option<UnixMillis>) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/policies/company.yaml");
        let policy = ScenarioPolicy::load(&file).unwrap().complete(at).unwrap();
        let trusted = policy.policy.issuers.first().unwrap().clone();
        let (n, e) = tokens::published().unwrap();
        let published = IssuerKey {
            issuer: trusted.issuer.clone(),
            kid: KEY_ID.to_owned(),
            material: KeyMaterial::Rsa { n, e },
            algorithm: None,
        };
        let person = Registered {
            id: "001".to_owned(),
            tenant: trusted.tenant.clone(),
            object_id: OBJECT_ID.to_owned(),
            department: "systems".to_owned(),
            active: true,
        };
        let caller = Caller {
            token: String::new(),
            issuer: trusted.issuer.clone(),
            tenant: trusted.tenant.clone(),
            audience: trusted.audiences.first().unwrap().clone(),
            now: stands_at.unwrap_or_default(),
        };
        let setup = Setup {
            policy,
            people: vec![person],
            keys: Vec::<IssuedKey>::new(),
            issuer_keys: key_set(&trusted.issuer, &[published]),
            stands_at,
        };
        Self { setup, caller }
    }

    fn start(self, probe: LogProbe) -> (Sidecar, Caller) {
        let sidecar = Sidecar::start_with(self.setup, probe).unwrap();
        let mut caller = self.caller;
        caller.now = sidecar.now();
        caller.token = caller.sign(OBJECT_ID, Signer::Issuer);
        (sidecar, caller)
    }
}
