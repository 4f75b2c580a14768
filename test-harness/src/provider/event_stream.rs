//! The framing `application/vnd.amazon.eventstream`: total length, headers' length, CRC-32 of
//! those two, headers, payload, CRC-32 of everything before; big endian.
//! Source: AWS, "Event stream encoding".

/// The type of a header's value that is text.
const TEXT: u8 = 7;
/// Two lengths and two checksums.
const FRAMING: usize = 16;

/// One message of type `event` with a JSON payload.
#[must_use]
pub fn event(name: &str, payload: &[u8]) -> Vec<u8> {
    message(":event-type", name, "event", payload)
}

/// One message that tells what went wrong.
#[must_use]
pub fn exception(name: &str, payload: &[u8]) -> Vec<u8> {
    message(":exception-type", name, "exception", payload)
}

fn message(kind: &str, name: &str, message_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut headers = Vec::new();
    for (header, value) in [
        (kind, name),
        (":content-type", "application/json"),
        (":message-type", message_type),
    ] {
        headers.push(u8::try_from(header.len()).unwrap_or(u8::MAX));
        headers.extend_from_slice(header.as_bytes());
        headers.push(TEXT);
        headers.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    frame(&headers, payload)
}

fn frame(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    let mut frame = Vec::with_capacity(FRAMING + headers.len() + payload.len());
    frame.extend_from_slice(&length(FRAMING + headers.len() + payload.len()));
    frame.extend_from_slice(&length(headers.len()));
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(headers);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector `empty_message` of the AWS SDKs.
    #[test]
    fn an_empty_frame_has_the_published_bytes() {
        let published = [
            0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff,
        ];
        assert_eq!(frame(&[], &[]), published);
    }
}
