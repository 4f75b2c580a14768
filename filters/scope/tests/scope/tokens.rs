//! Makes tokens and damages them.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::{EncodePublicKey as _, LineEnding};
use rsa::rand_core::OsRng;
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding as _, Signer as _};
use rsa::traits::PublicKeyParts as _;
use rsa::{RsaPrivateKey, RsaPublicKey};
use sekisho_scope::hash_key;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::table::Case;
use crate::world::{NOW, World};

/// What happens to a token after it was signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Then {
    #[default]
    None,
    PayloadSwapped,
    HeaderSwapped,
    SignatureFlipped,
    SignatureCut,
    SignatureLonger,
    SignatureZero,
    SignatureModulus,
    SignatureEmpty,
    HeaderEmpty,
    PayloadEmpty,
    /// Before it is signed, in truth: the signature is good.
    PayloadNotUtf8,
    TwoParts,
    FourParts,
    FiveParts,
    Padding,
    LineBreak,
    Space,
    OtherAlphabet,
    TrailingBits,
    NotAscii,
}

const NAMES: [&str; 4] = ["tenant-a", "tenant-a-next", "tenant-b", "stranger"];

pub(crate) fn private(name: &str) -> &'static RsaPrivateKey {
    static KEYS: OnceLock<HashMap<&'static str, RsaPrivateKey>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let making = NAMES.map(|name| {
            thread::spawn(move || (name, RsaPrivateKey::new(&mut OsRng, 2048).unwrap()))
        });
        making.into_iter().map(|key| key.join().unwrap()).collect()
    });
    &keys[name]
}

pub(crate) fn public(name: &str) -> RsaPublicKey {
    private(name).to_public_key()
}

/// `now`, `now+60`, `now-1` in seconds since 1970.
pub(crate) fn relative(text: &str) -> Option<u64> {
    let offset = text.strip_prefix("now")?;
    let offset: i64 = if offset.is_empty() {
        0
    } else {
        offset.parse().ok()?
    };
    NOW.seconds().checked_add_signed(offset)
}

/// The token of a case.
pub(crate) fn token(world: &World, case: &Case) -> Vec<u8> {
    let signer = case.sign.as_deref().unwrap_or("tenant-a");
    let (header, payload) = match case.grow_to {
        Some(size) => grown(world, case, size),
        None => parts(world, case, 0, 0),
    };
    damage(case.then, header.as_bytes(), &payload, signer)
}

/// Header and payload of a token that has `size` bytes.
fn grown(world: &World, case: &Case, size: usize) -> (String, Vec<u8>) {
    // The signature is 256 bytes; base64 makes four characters of three bytes.
    let length = |bytes: usize| (bytes * 4).div_ceil(3);
    let rest = 2 + length(256);
    let (header, payload) = parts(world, case, 1, 1);
    // Base64 skips one length in four: a header that is a little longer reaches it.
    let growth = (0..4).flat_map(|h| (0..size).map(move |p| (h, p)));
    let (h, p) = growth
        .into_iter()
        .find(|(h, p)| length(header.len() + h) + length(payload.len() + p) + rest == size)
        .unwrap();
    parts(world, case, 1 + h, 1 + p)
}

/// Header and payload; what is to grow does so by a member of that many letters.
fn parts(
    world: &World,
    case: &Case,
    header_growth: usize,
    payload_growth: usize,
) -> (String, Vec<u8>) {
    let mut header = Map::new();
    header.insert("alg".into(), json!("RS256"));
    header.insert("typ".into(), json!("JWT"));
    header.insert("kid".into(), json!("kid-1"));
    change(&mut header, &case.header, &case.drop_header);
    let base = case.claims.as_deref().unwrap_or("v2");
    let mut claims = world.claims[base].as_object().unwrap().clone();
    change(&mut claims, &case.set, &case.drop);
    for (members, growth) in [(&mut header, header_growth), (&mut claims, payload_growth)] {
        if growth > 0 {
            members.insert("grown".into(), json!("x".repeat(growth)));
        }
    }
    for value in claims.values_mut() {
        if let Some(seconds) = value.as_str().and_then(relative) {
            *value = json!(seconds);
        }
    }
    let text = |given: &Option<String>, made: Map<String, Value>| {
        let made = || Value::from(made).to_string();
        given.clone().unwrap_or_else(made)
    };
    let header = text(&case.header_text, header);
    let mut payload = text(&case.payload_text, claims).into_bytes();
    if case.then == Then::PayloadNotUtf8 {
        let at = payload.windows(8).position(|w| w == b"pairwise").unwrap();
        payload[at] = 0xff;
    }
    (header, payload)
}

fn change(members: &mut Map<String, Value>, set: &Map<String, Value>, drop: &[String]) {
    for (name, value) in set {
        members.insert(name.clone(), value.clone());
    }
    for name in drop {
        assert!(members.remove(name).is_some(), "{name} is not there");
    }
}

fn sign(signer: &str, text: &str) -> Vec<u8> {
    if signer == "public-key-as-secret" {
        let pem = public("tenant-a")
            .to_public_key_pem(LineEnding::LF)
            .unwrap();
        return hash_key(pem.as_bytes(), text.as_bytes()).to_vec();
    }
    SigningKey::<Sha256>::new(private(signer).clone())
        .sign(text.as_bytes())
        .to_vec()
}

fn damage(then: Then, header: &[u8], payload: &[u8], signer: &str) -> Vec<u8> {
    let mut h = URL_SAFE_NO_PAD.encode(header);
    let mut p = URL_SAFE_NO_PAD.encode(payload);
    let mut signature = sign(signer, &format!("{h}.{p}"));
    match then {
        Then::PayloadSwapped => {
            p = URL_SAFE_NO_PAD.encode(swapped(payload, "scp", json!("all_apis")))
        }
        Then::HeaderSwapped => h = URL_SAFE_NO_PAD.encode(swapped(header, "x", json!("y"))),
        Then::SignatureFlipped => signature[100] ^= 1,
        Then::SignatureCut => drop(signature.pop()),
        Then::SignatureLonger => signature.insert(0, 0),
        Then::SignatureZero => signature = vec![0; 256],
        Then::SignatureModulus => signature = public(signer).n().to_bytes_be(),
        Then::SignatureEmpty => signature.clear(),
        Then::HeaderEmpty => h.clear(),
        Then::PayloadEmpty => p.clear(),
        _ => {}
    }
    let mut s = URL_SAFE_NO_PAD.encode(signature);
    match then {
        Then::TwoParts => return format!("{h}.{p}").into_bytes(),
        Then::FourParts => s.push_str(".AAAA"),
        Then::FiveParts => s.push_str(".AAAA.AAAA"),
        Then::Padding => s.push_str("=="),
        Then::LineBreak => p.insert(20, '\n'),
        Then::Space => s.insert(20, ' '),
        Then::OtherAlphabet => s.replace_range(..1, "+"),
        // 256 bytes end with two bits of the last character; the other four are zero.
        Then::TrailingBits => {
            let last = s.pop().unwrap();
            s.push(char::from(last as u8 + 1));
        }
        Then::NotAscii => p.insert(20, 'é'),
        _ => {}
    }
    format!("{h}.{p}.{s}").into_bytes()
}

fn swapped(text: &[u8], member: &str, value: Value) -> String {
    let mut object: Value = serde_json::from_slice(text).unwrap();
    object[member] = value;
    object.to_string()
}
