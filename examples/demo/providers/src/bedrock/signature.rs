//! Verifies AWS Signature Version 4, so that a request which AWS would refuse
//! is refused here too.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::answer::Request;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum SignatureError {
    #[error("Missing Authentication Token")]
    Missing,
    #[error("Authorization header is malformed")]
    Malformed,
    #[error("Credential should be scoped to correct service: 'bedrock'.")]
    WrongService,
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    #[error("`host` and `x-amz-date` must be signed headers of the request")]
    UnsignedHeader,
    #[error(
        "The request signature we calculated does not match the signature you provided. Check \
         your AWS Secret Access Key and signing method."
    )]
    Mismatch,
}

/// A pair of access key and secret.
#[derive(Clone)]
pub(crate) struct AccessKey {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// The `Authorization` header's parts.
struct Authorization<'a> {
    key_id: &'a str,
    date: &'a str,
    region: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

pub(crate) fn verify(request: &Request, key: &AccessKey) -> Result<(), SignatureError> {
    let header = request
        .header("authorization")
        .ok_or(SignatureError::Missing)?;
    let authorization = parse(header)?;
    if authorization.key_id != key.id {
        return Err(SignatureError::UnknownKey);
    }
    let date = request
        .header("x-amz-date")
        .ok_or(SignatureError::UnsignedHeader)?;
    let canonical = canonical_request(request, authorization.signed_headers)?;
    let scope = format!(
        "{}/{}/bedrock/aws4_request",
        authorization.date, authorization.region
    );
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        hex(&Sha256::digest(canonical))
    );
    let mut signing = mac(
        format!("AWS4{}", key.secret).as_bytes(),
        authorization.date.as_bytes(),
    );
    for part in [authorization.region, "bedrock", "aws4_request", &to_sign] {
        signing = mac(&signing, part.as_bytes());
    }
    match hex(&signing) == authorization.signature {
        true => Ok(()),
        false => Err(SignatureError::Mismatch),
    }
}

fn parse(header: &str) -> Result<Authorization<'_>, SignatureError> {
    let malformed = SignatureError::Malformed;
    let Some(parameters) = header.strip_prefix("AWS4-HMAC-SHA256 ") else {
        return Err(malformed);
    };
    let parameter = |name: &str| {
        parameters
            .split(',')
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(key, value)| (key == name).then_some(value))
            .ok_or(SignatureError::Malformed)
    };
    let credential: Vec<&str> = parameter("Credential")?.split('/').collect();
    let [key_id, date, region, service, "aws4_request"] = credential.as_slice() else {
        return Err(malformed);
    };
    if *service != "bedrock" {
        return Err(SignatureError::WrongService);
    }
    let signed_headers = parameter("SignedHeaders")?;
    let signature = parameter("Signature")?;
    Ok(Authorization {
        key_id,
        date,
        region,
        signed_headers,
        signature,
    })
}

fn canonical_request(request: &Request, signed_headers: &str) -> Result<String, SignatureError> {
    let names: Vec<&str> = signed_headers.split(';').collect();
    if !names.contains(&"host") || !names.contains(&"x-amz-date") {
        return Err(SignatureError::UnsignedHeader);
    }
    let mut headers = String::new();
    for name in names {
        let value = match name {
            "host" => request.authority.clone(),
            name => joined_values(request, name).ok_or(SignatureError::Mismatch)?,
        };
        headers.push_str(&format!("{name}:{value}\n"));
    }
    let digest = hex(&Sha256::digest(&request.body));
    let payload = match request.header("x-amz-content-sha256") {
        Some("UNSIGNED-PAYLOAD") => "UNSIGNED-PAYLOAD".to_owned(),
        Some(claimed) if claimed != digest => return Err(SignatureError::Mismatch),
        _ => digest,
    };
    let (method, path, query) = (
        &request.method,
        encoded(&request.path),
        canonical_query(&request.query),
    );
    Ok(format!(
        "{method}\n{path}\n{query}\n{headers}\n{signed_headers}\n{payload}"
    ))
}

/// The values of a repeated header are joined; runs of spaces become one.
fn joined_values(request: &Request, name: &str) -> Option<String> {
    let values: Option<Vec<String>> = request
        .headers
        .get_all(name)
        .iter()
        .map(|value| {
            Some(
                value
                    .to_str()
                    .ok()?
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" "),
            )
        })
        .collect();
    values
        .filter(|values| !values.is_empty())
        .map(|values| values.join(","))
}

/// Every service but S3 signs the path encoded once more than it is sent.
fn encoded(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<String> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            if pair.contains('=') {
                pair.to_owned()
            } else {
                format!("{pair}=")
            }
        })
        .collect();
    pairs.sort();
    pairs.join("&")
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hyper::Method;
    use hyper::header::HeaderMap;

    use super::*;

    /// Signed by botocore 1.44.5.
    fn signed_by_botocore() -> Request {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json".parse().unwrap());
        headers.insert("x-amz-date", "20261123T160000Z".parse().unwrap());
        let authorization = "AWS4-HMAC-SHA256 \
            Credential=AKIDDEMO/20261123/us-east-1/bedrock/aws4_request, \
            SignedHeaders=content-type;host;x-amz-date, Signature=1ae2d40b9bc11f30db61ea65639be8fc8813f070bc40a4739eee92c77712e02f";
        headers.insert("authorization", authorization.parse().unwrap());
        Request {
            method: Method::POST,
            path: "/model/anthropic.claude-3-5-sonnet-20240620-v1%3A0/converse".to_owned(),
            query: String::new(),
            headers,
            authority: "127.0.0.1:8094".to_owned(),
            body: Bytes::from_static(b"{\"messages\":[]}"),
            form: None,
            objects: std::sync::Arc::default(),
            serial: 1,
            unix_seconds: 0,
        }
    }

    fn key(id: &str, secret: &str) -> AccessKey {
        AccessKey {
            id: id.to_owned(),
            secret: secret.to_owned(),
        }
    }

    #[test]
    fn a_signature_by_botocore_is_accepted() {
        assert_eq!(
            verify(&signed_by_botocore(), &key("AKIDDEMO", "demo-secret")),
            Ok(())
        );
    }

    #[test]
    fn another_secret_is_refused() {
        let verdict = verify(&signed_by_botocore(), &key("AKIDDEMO", "other"));
        assert_eq!(verdict, Err(SignatureError::Mismatch));
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let verdict = verify(&signed_by_botocore(), &key("AKIDOTHER", "demo-secret"));
        assert_eq!(verdict, Err(SignatureError::UnknownKey));
    }

    #[test]
    fn a_changed_body_is_refused() {
        let mut request = signed_by_botocore();
        request.body = Bytes::from_static(b"{}");
        let verdict = verify(&request, &key("AKIDDEMO", "demo-secret"));
        assert_eq!(verdict, Err(SignatureError::Mismatch));
    }

    #[test]
    fn a_changed_path_is_refused() {
        let mut request = signed_by_botocore();
        request.path = request.path.replace("%3A", ":");
        let verdict = verify(&request, &key("AKIDDEMO", "demo-secret"));
        assert_eq!(verdict, Err(SignatureError::Mismatch));
    }
}
