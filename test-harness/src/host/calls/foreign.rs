//! The foreign functions that Envoy 1.40 has and filters here use.

use prost::Message;
use rsa::RsaPublicKey;
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::pkcs8::DecodePublicKey;
use rsa::sha2::{Sha224, Sha256, Sha384, Sha512};
use rsa::signature::Verifier;
use wasmtime::Linker;

use super::super::abi::{Guest, HostResult, Status, answer, hand_over, read, read_text};
use super::super::vm::VmData;

pub(super) fn define(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_call_foreign_function",
        |mut guest: Guest<'_>,
         name: u32,
         name_size: u32,
         arguments: u32,
         arguments_size: u32,
         result_at: u32,
         result_size_at: u32| {
            answer(call(
                &mut guest,
                (name, name_size),
                (arguments, arguments_size),
                (result_at, result_size_at),
            ))
        },
    )?;
    Ok(())
}

fn call(
    guest: &mut Guest<'_>,
    name: (u32, u32),
    arguments: (u32, u32),
    at: (u32, u32),
) -> HostResult<()> {
    let name = read_text(guest, name.0, name.1)?;
    let arguments = read(guest, arguments.0, arguments.1)?;
    let data = guest.data_mut();
    if data
        .world
        .settings
        .missing_foreign_functions
        .contains(&name)
    {
        return Err(Status::NotFound.into());
    }
    let result = match name.as_str() {
        "verify_signature" => verify_signature(&arguments)?,
        "clear_route_cache" => clear_route_cache(data),
        "set_envoy_filter_state" => set_filter_state(data, &arguments)?,
        "declare_property" => declare_property(data, &arguments)?,
        _ => return Err(Status::NotFound.into()),
    };
    hand_over(guest, &result, at.0, at.1)
}

#[derive(Clone, PartialEq, Message)]
struct VerifySignatureArguments {
    #[prost(string, tag = "1")]
    hash_function: String,
    /// SubjectPublicKeyInfo, DER.
    #[prost(bytes = "vec", tag = "2")]
    public_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    signature: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    text: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    public_key_pem: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct VerifySignatureResult {
    #[prost(bool, tag = "1")]
    result: bool,
    #[prost(string, tag = "2")]
    error: String,
}

/// RSA PKCS#1 v1.5. Envoy's takes EC keys too; this one refuses them as it would a broken key.
fn verify_signature(arguments: &[u8]) -> Result<Vec<u8>, Status> {
    let arguments = VerifySignatureArguments::decode(arguments).map_err(|_| Status::BadArgument)?;
    let key = match (
        arguments.public_key.is_empty(),
        arguments.public_key_pem.is_empty(),
    ) {
        (false, true) => RsaPublicKey::from_public_key_der(&arguments.public_key).ok(),
        (true, false) => std::str::from_utf8(&arguments.public_key_pem)
            .ok()
            .and_then(|pem| RsaPublicKey::from_public_key_pem(pem).ok()),
        _ => None,
    };
    let key = key.ok_or(Status::BadArgument)?;
    let answer = match verify(key, &arguments) {
        Ok(()) => VerifySignatureResult {
            result: true,
            error: String::new(),
        },
        Err(error) => VerifySignatureResult {
            result: false,
            error,
        },
    };
    Ok(answer.encode_to_vec())
}

fn verify(key: RsaPublicKey, arguments: &VerifySignatureArguments) -> Result<(), String> {
    let failed = |_| "Failed to verify digest.".to_owned();
    let signature = Signature::try_from(arguments.signature.as_slice()).map_err(failed)?;
    let text = &arguments.text;
    let verified = match arguments.hash_function.to_ascii_lowercase().as_str() {
        "sha224" => VerifyingKey::<Sha224>::new(key).verify(text, &signature),
        "sha256" => VerifyingKey::<Sha256>::new(key).verify(text, &signature),
        "sha384" => VerifyingKey::<Sha384>::new(key).verify(text, &signature),
        "sha512" => VerifyingKey::<Sha512>::new(key).verify(text, &signature),
        other => return Err(format!("{other} is not supported.")),
    };
    verified.map_err(failed)
}

fn clear_route_cache(data: &mut VmData) -> Vec<u8> {
    if let Some((stream, _)) = data.filter()
        && let Some(stream) = data.world.streams.get_mut(&stream)
    {
        stream.route_cache_clears += 1;
    }
    Vec::new()
}

#[derive(Clone, PartialEq, Message)]
struct SetFilterStateArguments {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(string, tag = "2")]
    value: String,
    #[prost(int32, tag = "3")]
    span: i32,
}

/// Keys for which Envoy has an object factory that takes any text.
const TEXT_OBJECTS: [&str; 5] = [
    "envoy.string",
    "envoy.hashable_string",
    "envoy.tcp_proxy.cluster",
    "envoy.upstream.dynamic_host",
    "envoy.ai.model.request",
];

fn set_filter_state(data: &mut VmData, arguments: &[u8]) -> Result<Vec<u8>, Status> {
    let arguments = SetFilterStateArguments::decode(arguments).map_err(|_| Status::BadArgument)?;
    if !TEXT_OBJECTS.contains(&arguments.path.as_str()) {
        return Err(Status::NotFound);
    }
    let (stream, _) = data.filter().ok_or(Status::NotFound)?;
    let stream = data
        .world
        .streams
        .get_mut(&stream)
        .ok_or(Status::NotFound)?;
    stream
        .filter_state
        .insert(arguments.path, arguments.value.into_bytes());
    Ok(Vec::new())
}

#[derive(Clone, PartialEq, Message)]
struct DeclarePropertyArguments {
    #[prost(string, tag = "1")]
    name: String,
}

/// Declares a property for the root context, once. Types and life spans change nothing here.
fn declare_property(data: &mut VmData, arguments: &[u8]) -> Result<Vec<u8>, Status> {
    let arguments = DeclarePropertyArguments::decode(arguments).map_err(|_| Status::BadArgument)?;
    let root = data.root().ok_or(Status::BadArgument)?;
    if root.declared.contains(&arguments.name) {
        return Err(Status::BadArgument);
    }
    root.declared.push(arguments.name);
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rsa::pkcs8::EncodePublicKey;

    const KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAq1IqIKy/hKwIFDGrgbF1
aYEEfhwTnQ0Jvqd048OhJBjribvvuuwxmHUXrbxDmxP9DGMl5oeG8eGqnYaYBRE6
CggHuunHfz7htBdj+4pMyLi4oWCJBKcMkBqClz7S7y+1BOyCDg+dZh9sHkqwZzVu
HKD2eOMYNL0wJq58c7Z1MZOciMgj3HRxw6xjAYB3oZVLo3twOl6QHFknyRZrhTww
A6Z0o3QF0OwPegGRHdcanSijnnYzZakItq2x702JV6P2fI5g7iNRj7vj7LuB5vIT
6jtByGo/Lys5zp0MVtxvb1vwGlswgbF11SqWneUb/kbeAEyrRS9Zh/2nLI3MiiMW
CQIDAQAB
-----END PUBLIC KEY-----
";
    const TEXT: &[u8] = b"header.payload";
    /// By `openssl dgst -sha256 -sign` over [`TEXT`].
    const SIGNATURE: &str = "\
        6e37f740ee448f7c0c833b3b6f6cf3475eccaa7c949326131597a8235e2a1c4f\
        829642e129c746ffe5d4ce045e1525da294f8f458d26b71ca40b4190bcdc6b7d\
        c8dfe814b8c5619a24deb9acda782ef189b1a664b0db6e99fe24846159911cb4\
        d6883d294c5d47f95707cc86dc5ace8c47a8f4192c8015df1c1ff87091ac63e8\
        e382421f8e5399fcf0b75883e247c95e4bd640419f3c6a5b867177d4bdf649f2\
        e86239ca4ffaabf0715ddd6907b01be430edd4a60fb19d0b616f1d70dca60d87\
        3d8aa8b7cb48dfd088e26a1be3a5ed549c9b6e770d78a04435fa875a6ddf0849\
        2f2a30203bb83b83cb063d02f203f343638ad9f4fc8fb33b249b1a6a276c3a42";

    fn signature() -> Vec<u8> {
        let pairs = SIGNATURE
            .as_bytes()
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).unwrap());
        pairs
            .map(|pair| u8::from_str_radix(pair, 16).unwrap())
            .collect()
    }

    fn good() -> VerifySignatureArguments {
        let key = RsaPublicKey::from_public_key_pem(KEY).unwrap();
        VerifySignatureArguments {
            hash_function: "sha256".to_owned(),
            public_key: key.to_public_key_der().unwrap().into_vec(),
            signature: signature(),
            text: TEXT.to_vec(),
            public_key_pem: Vec::new(),
        }
    }

    fn verified(arguments: &VerifySignatureArguments) -> bool {
        let answer = verify_signature(&arguments.encode_to_vec()).unwrap();
        VerifySignatureResult::decode(answer.as_slice())
            .unwrap()
            .result
    }

    #[test]
    fn a_signature_of_openssl_verifies_and_a_changed_text_does_not() {
        assert!(verified(&good()));
        // What a filter reads without a protobuf decoder: field 1, varint, true.
        let bytes = verify_signature(&good().encode_to_vec()).unwrap();
        assert_eq!(bytes, [0x08, 0x01]);
        assert!(!verified(&VerifySignatureArguments {
            text: b"header.payloae".to_vec(),
            ..good()
        }));
        assert!(!verified(&VerifySignatureArguments {
            signature: vec![0; 256],
            ..good()
        }));
        assert!(!verified(&VerifySignatureArguments {
            signature: vec![],
            ..good()
        }));
        assert!(!verified(&VerifySignatureArguments {
            hash_function: "md5".into(),
            ..good()
        }));
    }

    #[test]
    fn a_pem_key_will_do_and_two_keys_or_none_will_not() {
        let pem = VerifySignatureArguments {
            public_key: Vec::new(),
            public_key_pem: KEY.as_bytes().to_vec(),
            ..good()
        };
        assert!(verified(&pem));
        let both = VerifySignatureArguments {
            public_key: good().public_key,
            ..pem.clone()
        };
        let none = VerifySignatureArguments {
            public_key_pem: Vec::new(),
            ..pem
        };
        for arguments in [both, none] {
            assert_eq!(
                verify_signature(&arguments.encode_to_vec()),
                Err(Status::BadArgument)
            );
        }
    }
}
