//! What a body is said to be. A JSON body is read here as UTF-8 and nothing else; a provider that
//! were told of another charset, form or compression would read something else from it.

use sekisho_domain::DenialCode;

use crate::{Operation, RequestBody};

/// Holds what is said of a request's body to what its operation takes. `content_type` and
/// `content_encoding` are the values of these headers, where there are any.
///
/// # Errors
/// [`DenialCode::UnsupportedContent`]: not `application/json` (RFC 8259, section 11), if
/// with a charset in UTF-8, or for a form not `multipart/form-data` with one plain boundary;
/// or any coding but `identity` (RFC 9110, section 8.4.1).
pub fn check_content(
    operation: &Operation,
    content_type: Option<&[u8]>,
    content_encoding: Option<&[u8]>,
) -> Result<(), DenialCode> {
    let is_right = match operation.request {
        RequestBody::Opaque => return Ok(()),
        RequestBody::Json => content_type.is_none_or(is_json),
        RequestBody::Form => content_type.and_then(crate::form::boundary).is_some(),
    };
    let plain = content_encoding.is_none_or(|coding| coding.eq_ignore_ascii_case(b"identity"));
    if plain && is_right {
        Ok(())
    } else {
        Err(DenialCode::UnsupportedContent)
    }
}

fn is_json(content_type: &[u8]) -> bool {
    // What almost everybody sends.
    if content_type == b"application/json" {
        return true;
    }
    let mut parts = content_type.split(|b| *b == b';').map(<[u8]>::trim_ascii);
    let json = parts
        .next()
        .is_some_and(|media_type| media_type.eq_ignore_ascii_case(b"application/json"));
    json && parts.next().is_none_or(is_utf8) && parts.next().is_none()
}

fn is_utf8(parameter: &[u8]) -> bool {
    [b"charset=utf-8".as_slice(), b"charset=\"utf-8\""]
        .iter()
        .any(|charset| parameter.eq_ignore_ascii_case(charset))
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Provider;

    use super::*;
    use crate::operations;

    fn operation(request: RequestBody) -> &'static Operation {
        let mut all = operations(Provider::AzureOpenAi).iter();
        all.find(|operation| operation.request == request).unwrap()
    }

    #[test]
    fn json_is_json_in_utf8() {
        let json = operation(RequestBody::Json);
        for said in [
            "application/json",
            "Application/JSON",
            "application/json;charset=utf-8",
            "application/json ; Charset=\"UTF-8\"",
        ] {
            assert_eq!(
                check_content(json, Some(said.as_bytes()), None),
                Ok(()),
                "{said}"
            );
        }
        assert_eq!(check_content(json, None, None), Ok(()));
    }

    #[test]
    fn everything_else_may_be_read_differently() {
        let json = operation(RequestBody::Json);
        for said in [
            "",
            "text/plain",
            "application/json, text/plain",
            "application/x-www-form-urlencoded",
            "application/json;charset=utf-16",
            "application/json;charset=utf-8;charset=utf-7",
            "application/json;",
            "application/json;boundary=x",
            "application/jsonx",
        ] {
            let refused = Err(DenialCode::UnsupportedContent);
            assert_eq!(
                check_content(json, Some(said.as_bytes()), None),
                refused,
                "{said}"
            );
        }
    }

    #[test]
    fn compressed_bodies_are_not_read() {
        let json = operation(RequestBody::Json);
        assert_eq!(check_content(json, None, Some(b"identity")), Ok(()));
        for coding in ["gzip", "identity, gzip", "x", ""] {
            let refused = Err(DenialCode::UnsupportedContent);
            assert_eq!(
                check_content(json, None, Some(coding.as_bytes())),
                refused,
                "{coding}"
            );
        }
    }

    #[test]
    fn of_other_bodies_nothing_is_read() {
        let opaque = operation(RequestBody::Opaque);
        let form = b"multipart/form-data; boundary=x".as_slice();
        assert_eq!(check_content(opaque, Some(form), Some(b"gzip")), Ok(()));
    }
}
