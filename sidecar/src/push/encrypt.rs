//! A message for one browser, encrypted (RFC 8291 over RFC 8188, `aes128gcm`).

use aes_gcm::aead::{Aead as _, KeyInit as _};
use aes_gcm::{Aes128Gcm, Key, Nonce};
use hkdf::Hkdf;
use p256::{PublicKey, SecretKey};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The longest message that every push service takes, bytes (RFC 8030, section 7.2: 4096 with all
/// that encryption adds).
pub const MOST_PAYLOAD: usize = 3993;

/// One record holds it all; its size as the header says it (RFC 8188, section 2.1).
const RECORD: u32 = 4096;
/// After the last record's content (RFC 8188, section 2).
const LAST: u8 = 2;
/// Bytes of an uncompressed point.
const POINT: usize = 65;

/// What a browser has told of itself.
#[derive(Clone)]
pub struct SubscriberKeys {
    public: PublicKey,
    auth: Zeroizing<[u8; 16]>,
}

impl std::fmt::Debug for SubscriberKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SubscriberKeys")
    }
}

/// What is wrong with the keys of a subscription, or with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyTrouble {
    /// `p256dh`.
    #[error("`p256dh` is no uncompressed point of P-256")]
    Point,
    /// `auth`.
    #[error("`auth` does not have 16 bytes")]
    Auth,
    /// The message.
    #[error("the message has more than {MOST_PAYLOAD} bytes")]
    Long,
    /// Random bytes that are no key, or a secret that cannot be derived: practically never.
    #[error("no key can be made")]
    Key,
}

impl SubscriberKeys {
    /// The keys of a subscription: an uncompressed point, and 16 bytes.
    ///
    /// # Errors
    /// [`KeyTrouble`].
    pub fn read(p256dh: &[u8], auth: &[u8]) -> Result<Self, KeyTrouble> {
        let is_uncompressed = p256dh.len() == POINT && p256dh.first() == Some(&4);
        let public = PublicKey::from_sec1_bytes(p256dh).ok();
        let public = public.filter(|_| is_uncompressed);
        Ok(Self {
            public: public.ok_or(KeyTrouble::Point)?,
            auth: Zeroizing::new(auth.try_into().map_err(|_| KeyTrouble::Auth)?),
        })
    }
}

/// Random bytes of one message; no other message has the same.
pub(super) struct Random {
    /// The private key of this message.
    pub(super) key: Zeroizing<[u8; 32]>,
    pub(super) salt: [u8; 16],
}

/// The body of a request to a push service.
pub(super) fn encrypt(
    message: &[u8],
    to: &SubscriberKeys,
    random: &Random,
) -> Result<Vec<u8>, KeyTrouble> {
    if message.len() > MOST_PAYLOAD {
        return Err(KeyTrouble::Long);
    }
    let own = SecretKey::from_slice(random.key.as_slice()).map_err(|_| KeyTrouble::Key)?;
    let own_public = point(&own.public_key());
    let shared = own.diffie_hellman(&to.public);
    // RFC 8291, section 3.3 and 3.4.
    let info = [
        b"WebPush: info\0".as_slice(),
        &point(&to.public),
        &own_public,
    ]
    .concat();
    let secret = derived::<32>(to.auth.as_slice(), shared.raw_secret_bytes(), &info)?;
    // RFC 8188, section 2.2 and 2.3.
    let salt = random.salt.as_slice();
    let key = derived::<16>(salt, secret.as_slice(), b"Content-Encoding: aes128gcm\0")?;
    let nonce = derived::<12>(salt, secret.as_slice(), b"Content-Encoding: nonce\0")?;
    let cipher = Aes128Gcm::new(Key::<Aes128Gcm>::from_slice(key.as_slice()));
    let padded = Zeroizing::new([message, &[LAST]].concat());
    let sealed = cipher
        .encrypt(Nonce::from_slice(nonce.as_slice()), padded.as_slice())
        .map_err(|_| KeyTrouble::Key)?;
    let length = u8::try_from(POINT).unwrap_or(u8::MAX);
    let header = [salt, &RECORD.to_be_bytes(), &[length], &own_public].concat();
    Ok([header, sealed].concat())
}

fn derived<const N: usize>(
    salt: &[u8],
    secret: &[u8],
    info: &[u8],
) -> Result<Zeroizing<[u8; N]>, KeyTrouble> {
    let mut key = Zeroizing::new([0; N]);
    let derived = Hkdf::<Sha256>::new(Some(salt), secret).expand(info, key.as_mut_slice());
    derived.map_err(|_| KeyTrouble::Key)?;
    Ok(key)
}

/// Uncompressed.
pub(super) fn point(key: &PublicKey) -> Vec<u8> {
    use p256::elliptic_curve::sec1::ToSec1Point as _;
    key.to_sec1_point(false).as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    /// RFC 8291, appendix A.
    #[test]
    fn the_example_of_the_specification_is_made_byte_by_byte() {
        let to = SubscriberKeys::read(
            &bytes(
                "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            ),
            &bytes("BTBZMqHH6r4Tts7J_aSIgg"),
        );
        let random = Random {
            key: Zeroizing::new(
                bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")
                    .try_into()
                    .unwrap(),
            ),
            salt: bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap(),
        };
        let text = b"When I grow up, I want to be a watermelon";
        let made = encrypt(text, &to.unwrap(), &random).unwrap();
        let wanted = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
        assert_eq!(URL_SAFE_NO_PAD.encode(made), wanted);
    }

    #[test]
    fn the_longest_message_fits_into_what_services_take_and_a_longer_one_is_refused() {
        let point = bytes(
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        );
        let to = SubscriberKeys::read(&point, &[7; 16]).unwrap();
        let random = Random {
            key: Zeroizing::new([1; 32]),
            salt: [2; 16],
        };
        let made = encrypt(&[b'x'; MOST_PAYLOAD], &to, &random).unwrap();
        assert_eq!(made.len(), 4096);
        let long = encrypt(&[b'x'; MOST_PAYLOAD + 1], &to, &random);
        assert_eq!(long, Err(KeyTrouble::Long));
        for (point, auth, trouble) in [
            (vec![4; 65], vec![7; 16], KeyTrouble::Point),
            (point[1..].to_vec(), vec![7; 16], KeyTrouble::Point),
            (vec![0], vec![7; 16], KeyTrouble::Point),
            (point, vec![7; 15], KeyTrouble::Auth),
        ] {
            assert_eq!(SubscriberKeys::read(&point, &auth).err(), Some(trouble));
        }
    }
}
