//! The binary framing `application/vnd.amazon.eventstream`.
//!
//! A message is: total length, headers' length, CRC-32 of those two, headers,
//! payload, CRC-32 of everything before. All numbers are big-endian.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::Value;

/// Prelude (12 bytes) and final checksum (4 bytes).
const FRAMING: usize = 16;
/// A header's value is a string of up to 65,535 bytes.
const STRING: u8 = 7;

/// A message of type `event` with a JSON payload.
pub(super) fn event(name: &str, payload: &Value) -> Bytes {
    let headers = [
        (":event-type", name),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    message(&headers, payload.to_string().as_bytes())
}

/// A message of type `exception`, which ends a stream.
pub(super) fn exception(name: &str, payload: &Value) -> Bytes {
    let headers = [
        (":exception-type", name),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    message(&headers, payload.to_string().as_bytes())
}

fn message(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let mut block = BytesMut::new();
    for (name, value) in headers {
        block.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
        block.put_slice(name.as_bytes());
        block.put_u8(STRING);
        block.put_u16(u16::try_from(value.len()).unwrap_or(u16::MAX));
        block.put_slice(value.as_bytes());
    }
    let total = FRAMING
        .saturating_add(block.len())
        .saturating_add(payload.len());
    let mut message = BytesMut::with_capacity(total);
    message.put_u32(u32::try_from(total).unwrap_or(u32::MAX));
    message.put_u32(u32::try_from(block.len()).unwrap_or(u32::MAX));
    message.put_u32(crc32fast::hash(&message));
    message.put_slice(&block);
    message.put_slice(payload);
    message.put_u32(crc32fast::hash(&message));
    message.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that AWS publishes for an empty message.
    #[test]
    fn an_empty_message_has_the_published_bytes() {
        let expected: [u8; 16] = [
            0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98,
            0xc8, 0xff,
        ];
        assert_eq!(message(&[], &[]).as_ref(), expected);
    }
}
