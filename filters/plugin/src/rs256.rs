//! Signatures by the proxy's own crypto where it can, else in the VM.
//!
//! Envoy offers `verify_signature` (BoringSSL) as a foreign function, for RSASSA-PKCS1-v1_5:
//! a fiftieth of the time that a VM needs. Other hosts may lack it; the answers are the same.

use prost::Message;
use sekisho_domain::SigningAlgorithm;
use sekisho_scope::{PureRust, SignatureVerifier, VerifyingKey};

/// `envoy.source.extensions.common.wasm.VerifySignatureArguments`.
#[derive(Clone, PartialEq, Message)]
struct Arguments {
    #[prost(string, tag = "1")]
    hash_function: String,
    #[prost(bytes = "vec", tag = "2")]
    public_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    signature: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    text: Vec<u8>,
}

/// `envoy.source.extensions.common.wasm.VerifySignatureResult`.
#[derive(Clone, PartialEq, Message)]
struct Verdict {
    #[prost(bool, tag = "1")]
    result: bool,
    #[prost(string, tag = "2")]
    error: String,
}

/// The host's crypto, or the VM's.
pub(crate) struct HostVerifier;

impl SignatureVerifier for HostVerifier {
    fn verify(
        &self,
        key: &VerifyingKey,
        algorithm: SigningAlgorithm,
        signed: &[u8],
        signature: &[u8],
    ) -> bool {
        let in_vm = || PureRust.verify(key, algorithm, signed, signature);
        let (SigningAlgorithm::Rs256, Some(public_key)) = (algorithm, key.spki_der()) else {
            return in_vm();
        };
        let arguments = Arguments {
            hash_function: "sha256".to_owned(),
            public_key: public_key.to_vec(),
            signature: signature.to_vec(),
            text: signed.to_vec(),
        };
        match sekisho_hostcalls::foreign("verify_signature", &arguments.encode_to_vec()) {
            // An empty answer is the encoding of `result: false`.
            Ok(bytes) => Verdict::decode(&*bytes).is_ok_and(|verdict| verdict.result),
            Err(_) => in_vm(),
        }
    }
}
