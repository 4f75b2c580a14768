//! Makes the token of a case.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sekisho_domain::{KeyMaterial, SigningAlgorithm, UnixMillis};
use serde_json::{Map, Value, json};

use crate::case::Case;
use crate::damage::{Then, damage};
use crate::keys;
use crate::world::World;

/// `now`, `now+60`, `now-1` in seconds since 1970.
#[must_use]
pub fn relative(text: &str, now: UnixMillis) -> Option<u64> {
    let offset = text.strip_prefix("now")?;
    let offset: i64 = if offset.is_empty() {
        0
    } else {
        offset.parse().ok()?
    };
    now.seconds().checked_add_signed(offset)
}

/// The token of a case.
#[must_use]
pub fn token(world: &World, case: &Case, now: UnixMillis) -> Vec<u8> {
    let signer = case.sign.as_deref().unwrap_or("tenant-a");
    let (header, payload) = match case.grow_to {
        Some(size) => grown(world, case, size, now),
        None => parts(world, case, 0, 0, now),
    };
    let named = serde_json::from_str::<Value>(&header).unwrap_or_default();
    let named = named["alg"].as_str().and_then(SigningAlgorithm::parse);
    let algorithm = case.with.or(named);
    damage(case.then, header.as_bytes(), &payload, signer, algorithm)
}

/// Header and payload of a token that has `size` bytes.
fn grown(world: &World, case: &Case, size: usize, now: UnixMillis) -> (String, Vec<u8>) {
    // The signature is 256 bytes; base64 makes four characters of three bytes.
    let length = |bytes: usize| (bytes * 4).div_ceil(3);
    let rest = 2 + length(256);
    let (header, payload) = parts(world, case, 1, 1, now);
    // Base64 skips one length in four: a header that is a little longer reaches it.
    let growth = (0..4).flat_map(|h| (0..size).map(move |p| (h, p)));
    let (h, p) = growth
        .into_iter()
        .find(|(h, p)| length(header.len() + h) + length(payload.len() + p) + rest == size)
        .expect("a size that can be reached");
    parts(world, case, 1 + h, 1 + p, now)
}

/// Header and payload; what is to grow does so by a member of that many letters.
fn parts(
    world: &World,
    case: &Case,
    header_growth: usize,
    payload_growth: usize,
    now: UnixMillis,
) -> (String, Vec<u8>) {
    let mut header = Map::new();
    let signer = case.sign.as_deref().unwrap_or("tenant-a");
    header.insert("alg".into(), json!(usual_algorithm(case, signer).as_str()));
    header.insert("typ".into(), json!("JWT"));
    header.insert("kid".into(), json!("kid-1"));
    change(&mut header, &case.header, &case.drop_header);
    let base = case.claims.as_deref().unwrap_or("v2");
    let mut claims = world.claims[base].as_object().expect("claims").clone();
    change(&mut claims, &case.set, &case.drop);
    if case.groups > 0 {
        let groups: Vec<String> = (0..case.groups)
            .map(|number| format!("99999999-0000-4000-8000-{number:012}"))
            .collect();
        claims.insert("groups".into(), json!(groups));
    }
    for (members, growth) in [(&mut header, header_growth), (&mut claims, payload_growth)] {
        if growth > 0 {
            members.insert("grown".into(), json!("x".repeat(growth)));
        }
    }
    for value in claims.values_mut() {
        if let Some(seconds) = value.as_str().and_then(|text| relative(text, now)) {
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
        let mut windows = payload.windows(8);
        let at = windows.position(|w| w == b"pairwise").expect("a subject");
        payload[at] = 0xff;
    }
    (header, payload)
}

fn usual_algorithm(case: &Case, signer: &str) -> SigningAlgorithm {
    let by_key = || match keys::published(signer) {
        KeyMaterial::P256 { .. } => SigningAlgorithm::Es256,
        KeyMaterial::Rsa { .. } => SigningAlgorithm::Rs256,
    };
    match signer {
        "public-key-as-secret" => SigningAlgorithm::Rs256,
        _ => case.with.unwrap_or_else(by_key),
    }
}

fn change(members: &mut Map<String, Value>, set: &Map<String, Value>, drop: &[String]) {
    for (name, value) in set {
        members.insert(name.clone(), value.clone());
    }
    for name in drop {
        assert!(members.remove(name).is_some(), "{name} is not there");
    }
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
