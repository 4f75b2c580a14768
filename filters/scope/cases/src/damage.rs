//! What happens to a token after it was signed.

use sekisho_domain::{KeyMaterial, SigningAlgorithm};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::keys::{published, sign};
use crate::token::encode;

/// What happens to a token after it was signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each name says it")]
pub enum Then {
    #[default]
    None,
    PayloadSwapped,
    HeaderSwapped,
    SignatureFlipped,
    SignatureCut,
    SignatureLonger,
    SignatureZero,
    SignatureModulus,
    /// ECDSA with r and s zero: accepted by verifiers that forget to check (CVE-2022-21449).
    SignatureZeroPair,
    /// ECDSA in DER, as certificates have it.
    SignatureDer,
    SignatureEmpty,
    HeaderEmpty,
    PayloadEmpty,
    /// The payload is left out after it was signed (RFC 7515, appendix F).
    Detached,
    /// Before it is signed, in truth: the signature is good.
    PayloadNotUtf8,
    OnePart,
    TwoParts,
    FourParts,
    FiveParts,
    SixParts,
    Padding,
    HeaderPadding,
    LineBreak,
    TrailingLineBreak,
    Space,
    OtherAlphabet,
    TrailingBits,
    TrailingBytes,
    LeadingDot,
    NotAscii,
    /// JSON serialisation (RFC 7515, section 7.2.2).
    AsJson,
    /// Signed with a header that is then written differently.
    HeaderRespelled,
    InQuotes,
}

pub(crate) fn damage(
    then: Then,
    header: &[u8],
    payload: &[u8],
    signer: &str,
    algorithm: Option<SigningAlgorithm>,
) -> Vec<u8> {
    let mut h = encode(header);
    let mut p = encode(payload);
    let mut signature = sign(signer, algorithm, format!("{h}.{p}").as_bytes());
    match then {
        Then::PayloadSwapped => {
            p = encode(swapped(payload, "scp", json!("all_apis")).as_bytes());
        }
        Then::HeaderSwapped => h = encode(swapped(header, "x", json!("y")).as_bytes()),
        Then::HeaderRespelled => h = encode(&[header, b" "].concat()),
        Then::SignatureFlipped => signature[20] ^= 1,
        Then::SignatureCut => drop(signature.pop()),
        Then::SignatureLonger => signature.insert(0, 0),
        Then::SignatureZero => signature.fill(0),
        Then::SignatureZeroPair => signature = vec![0; 64],
        Then::SignatureDer => signature = der(&signature),
        Then::SignatureModulus => {
            if let KeyMaterial::Rsa { n, .. } = published(signer) {
                signature = n;
            }
        }
        Then::SignatureEmpty => signature.clear(),
        Then::HeaderEmpty => h.clear(),
        Then::PayloadEmpty | Then::Detached => p.clear(),
        _ => {}
    }
    let mut s = encode(&signature);
    match then {
        Then::OnePart => return h.into_bytes(),
        Then::TwoParts => return format!("{h}.{p}").into_bytes(),
        Then::FourParts => s.push_str(".AAAA"),
        Then::FiveParts => s.push_str(".AAAA.AAAA"),
        Then::SixParts => s.push_str(".AAAA.AAAA.AAAA"),
        Then::Padding => s.push_str("=="),
        Then::HeaderPadding => h.push('='),
        Then::LineBreak => p.insert(20, '\n'),
        Then::TrailingLineBreak => s.push_str("%0A"),
        Then::Space => s.insert(20, ' '),
        Then::OtherAlphabet => s.replace_range(..1, "+"),
        // 256 bytes end with two bits of the last character; the other four are zero.
        Then::TrailingBits => {
            let last = s.pop().expect("a signature");
            s.push(char::from(last as u8 + 1));
        }
        Then::TrailingBytes => s.push_str("AAAA"),
        Then::LeadingDot => h.insert(0, '.'),
        Then::NotAscii => p.insert(20, 'é'),
        Then::AsJson => {
            let json = json!({"protected": h, "payload": p, "signature": s});
            return json.to_string().into_bytes();
        }
        Then::InQuotes => return format!("\"{h}.{p}.{s}\"").into_bytes(),
        _ => {}
    }
    format!("{h}.{p}.{s}").into_bytes()
}

fn swapped(text: &[u8], member: &str, value: Value) -> String {
    let mut object: Value = serde_json::from_slice(text).expect("an object");
    object[member] = value;
    object.to_string()
}

/// SEQUENCE of two INTEGERs.
fn der(pair: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let value = [&[0], bytes].concat();
        let skipped = value.windows(2).take_while(|w| w[0] == 0 && w[1] < 0x80);
        let value = &value[skipped.count()..];
        [&[2, value.len() as u8], value].concat()
    };
    let (r, s) = pair.split_at(pair.len() / 2);
    let body = [integer(r), integer(s)].concat();
    [&[0x30, body.len() as u8], body.as_slice()].concat()
}
