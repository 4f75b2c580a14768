//! Secrets of callers, planted wherever a call has room for them, are in nothing that is written:
//! no log of the filters, of the sidecar or of Envoy, no record, no file of the sidecar, no answer to a
//! refusal. Neither as they are nor in base64 or hexadecimal digits, whatever is kept of bodies.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot do its work has failed"
)]

#[path = "caller/mod.rs"]
mod caller;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Mutex, Once, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use caller::{Caller, World};
use sekisho_domain::UnixMillis;
use sekisho_test_harness::gateway::{Answer, Gateway, ModuleSet, Place, Request};
use sekisho_test_harness::on_envoy::process::LogLevels;
use sekisho_test_harness::on_envoy::{OnEnvoy, Surroundings};
use sekisho_test_harness::on_host::OnHost;
use sekisho_test_harness::sidecar::LogProbe;
use sekisho_test_harness::tokens::Signer;

/// `SEKISHO_PLANTED=1000` plants more.
const PLANTED: usize = 260;
/// What of a secret is looked for: long enough to be nothing else.
const CORE: usize = 14;
/// 2026-01-15T10:00:05+09:00.
const STANDS_AT: UnixMillis = UnixMillis(1_768_438_805_000);
/// What must never be found makes no sense unless this is.
const WITNESS: &str = "witness-of-the-search";
/// Envoy prints all headers of all requests in these parts of its log at level debug: operators have
/// to leave them at info.
const LEVELS: LogLevels = LogLevels {
    all: "debug",
    components: "http:info,router:info",
};

#[test]
fn planted_secrets_are_in_nothing_that_the_filters_and_the_sidecar_write() {
    for modules in [ModuleSet::Gateway, ModuleSet::Separate] {
        let place = Place {
            envoy: None,
            ..Place::of_this_checkout()
        };
        let world = World::new("planted.yaml", &BTreeMap::new(), Some(STANDS_AT));
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
    let upstreams = ["openai", "anthropic", "gemini", "bedrock"].map(str::to_owned);
    let surroundings = Surroundings::start(&upstreams, probe.clone()).unwrap();
    let surroundings = surroundings.with_log_levels(LEVELS);
    let world = World::new("planted.yaml", surroundings.addresses(), None);
    let (sidecar, caller) = world.start(probe);
    let mut gateway =
        OnEnvoy::start(ModuleSet::Gateway, &place, surroundings, sidecar, None).unwrap();
    // Envoy's own access log has paths as they were asked for.
    plant(&mut gateway, &caller, &[Spot::Path, Spot::Model]);
}

/// What the sidecar, which runs in this process, has logged.
static LOGGED: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Logged;

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
        logged.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// From here on everything that the sidecar has to say is noted.
fn note_logs() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_env_filter("debug")
            .with_ansi(false)
            .with_writer(|| Logged)
            .init();
    });
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
    /// A key in a stream, in pieces.
    Pieces,
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

const SPOTS: [Spot; 13] = [
    Spot::Prompt,
    Spot::Name,
    Spot::Answer,
    Spot::Pieces,
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

/// Which API is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api {
    /// Bodies are kept, redacted.
    OpenAi,
    /// They are kept in full.
    Anthropic,
    /// They are not kept.
    Gemini,
    /// Digests of them are.
    Bedrock,
}

const APIS: [Api; 4] = [Api::OpenAi, Api::Anthropic, Api::Gemini, Api::Bedrock];

impl Api {
    const fn model(self) -> &'static str {
        match self {
            Self::OpenAi => "gpt-4o",
            Self::Anthropic => "claude",
            Self::Gemini => "gemini-2.0-flash",
            Self::Bedrock => "anthropic.claude-3-5-sonnet-20240620-v1:0",
        }
    }

    fn path(self, model: &str, streams: bool) -> String {
        match self {
            Self::OpenAi => "/v1/chat/completions".to_owned(),
            Self::Anthropic => "/v1/messages".to_owned(),
            Self::Gemini if streams => {
                format!("/v1beta/models/{model}:streamGenerateContent?alt=sse")
            }
            Self::Gemini => format!("/v1beta/models/{model}:generateContent"),
            Self::Bedrock => format!("/model/{}/converse", model.replace(':', "%3A")),
        }
    }

    fn body(self, model: &str, prompt: &str, streams: bool) -> String {
        match self {
            Self::OpenAi | Self::Anthropic => format!(
                r#"{{"model":"{model}","max_tokens":9,"stream":{streams},"messages":[{{"role":"user","content":"{prompt}"}}]}}"#
            ),
            Self::Gemini => format!(
                r#"{{"contents":[{{"role":"user","parts":[{{"text":"{prompt}"}}]}}],"generationConfig":{{"maxOutputTokens":9}}}}"#
            ),
            Self::Bedrock => format!(
                r#"{{"messages":[{{"role":"user","content":[{{"text":"{prompt}"}}]}}],"inferenceConfig":{{"maxTokens":9}}}}"#
            ),
        }
    }

    /// An answer, or a piece of one that streams.
    fn says(self, text: &str, streams: bool) -> String {
        match (self, streams) {
            (Self::OpenAi, false) => {
                format!(r#"{{"choices":[{{"message":{{"content":"{text}"}}}}]}}"#)
            }
            (Self::OpenAi, true) => {
                format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}"#)
            }
            (Self::Anthropic, false) => {
                format!(r#"{{"content":[{{"type":"text","text":"{text}"}}]}}"#)
            }
            (Self::Anthropic, true) => format!(
                r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}"#
            ),
            (Self::Gemini, _) => {
                format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}]}}}}]}}"#)
            }
            (Self::Bedrock, _) => {
                format!(r#"{{"output":{{"message":{{"content":[{{"text":"{text}"}}]}}}}}}"#)
            }
        }
    }

    const fn streams(self, spot: Spot) -> bool {
        matches!(spot, Spot::Pieces) && !matches!(self, Self::Bedrock)
    }
}

fn plant(gateway: &mut dyn Gateway, caller: &Caller, not_in_access_log: &[Spot]) {
    note_logs();
    assert!(until_ready(gateway, caller), "nobody is let through");
    let many = std::env::var("SEKISHO_PLANTED").map_or(PLANTED, |many| many.parse().unwrap());
    let mut planted: HashMap<[u8; CORE], (usize, Spot)> = HashMap::new();
    let mut refusals = Vec::new();
    for number in 0..many {
        let spot = SPOTS[number % SPOTS.len()];
        let (secret, core) = secret(number, spot);
        let api = APIS[number / SPOTS.len() % APIS.len()];
        for written in forms(&core) {
            planted.insert(written, (number, spot));
        }
        let (request, answer) = call(caller, api, spot, &secret);
        let exchange = gateway.call(&request, &answer).unwrap();
        let response = exchange.response.unwrap();
        let passes = matches!(
            spot,
            Spot::Prompt | Spot::Name | Spot::Answer | Spot::Pieces | Spot::Header
        );
        assert_eq!(
            response.status == 200,
            passes,
            "{api:?}, {spot:?}: {}",
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
    {
        let logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(!logged.is_empty(), "the sidecar's log is not seen");
        look("the sidecar's log", &logged, &[]);
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
        let (mut request, answer) = call(caller, Api::OpenAi, Spot::Prompt, "hello");
        // On record as it is: it is no secret.
        request.path = format!("/v1/{WITNESS}");
        let refused = gateway.call(&request, &answer).unwrap().response;
        assert_ne!(refused.map(|refused| refused.status), Some(200));
        let (request, answer) = call(caller, Api::OpenAi, Spot::Prompt, "hello");
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
        Spot::Answer | Spot::Pieces | Spot::Path | Spot::Header | Spot::Query | Spot::Garbage => {
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

/// What is looked for: the core of a secret as it is, in base64 wherever it begins there, and in
/// hexadecimal digits.
fn forms(core: &[u8; CORE]) -> Vec<[u8; CORE]> {
    let mut forms = vec![*core];
    for skipped in 0..3 {
        let encoded = STANDARD.encode(&core[skipped..]);
        forms.extend(encoded.as_bytes().first_chunk::<CORE>());
    }
    let digits: String = core[4..].iter().map(|byte| format!("{byte:02x}")).collect();
    forms.extend(digits.as_bytes().first_chunk::<CORE>());
    forms
}

fn call(caller: &Caller, api: Api, spot: Spot, secret: &str) -> (Request, Answer) {
    let streams = api.streams(spot);
    let prompt = match spot {
        Spot::Prompt | Spot::Name => secret,
        _ => "hello",
    };
    let model = match spot {
        Spot::Model => secret,
        _ => api.model(),
    };
    let body = match spot {
        Spot::Garbage => format!("{{\"model\": \"gpt-4o\", {secret}"),
        _ => api.body(model, prompt, streams),
    };
    let path = match spot {
        Spot::Query => format!("{}?user={secret}", api.path(model, streams)),
        Spot::Path => format!("/v1/nothing/{secret}"),
        _ => api.path(model, streams),
    };
    let credential = match spot {
        Spot::Bearer => ("authorization", format!("Bearer {secret}")),
        Spot::Claims => {
            let forged = caller.sign(secret, Signer::Stranger);
            ("authorization", format!("Bearer {forged}"))
        }
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
    let said = match spot {
        Spot::Answer | Spot::Failure | Spot::Pieces => secret,
        _ => "hello",
    };
    let (kind, body) = if streams {
        let pieces = said.as_bytes().chunks(7).map(|piece| {
            let piece = std::str::from_utf8(piece).unwrap();
            format!("data: {}\n\n", api.says(piece, true)).into_bytes()
        });
        ("text/event-stream", pieces.collect())
    } else {
        ("application/json", vec![api.says(said, false).into_bytes()])
    };
    let answer = Answer {
        status: if spot == Spot::Failure { 500 } else { 200 },
        headers: vec![("content-type".to_owned(), kind.into())],
        body,
        chunked: streams,
        ..Answer::default()
    };
    (request, answer)
}
