//! Frames of an AWS event stream, whole: read, and written.

use serde_json::Value;

use crate::usage::Unwrapped;

const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;
/// Longest frame that is believed, bytes. AWS documents 16 MiB of payload.
const MOST: usize = 24 * 1024 * 1024;

/// Length of the first frame, if it is there whole.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let total = word(bytes, 0)?;
    let sound = (PRELUDE + CHECKSUM..=MOST).contains(&total);
    (sound && bytes.len() >= total).then_some(total)
}

/// What a frame says; of one that wraps an event of the model's family, that event.
pub(super) fn event(frame: &[u8]) -> Option<Value> {
    let headers = word(frame, 4)?;
    let end = frame.len().checked_sub(CHECKSUM)?;
    let payload = frame.get(PRELUDE.checked_add(headers)?..end)?;
    let value: Value = serde_json::from_slice(payload).ok()?;
    match value.get("bytes") {
        Some(Value::String(_)) => serde_json::from_slice(&Unwrapped::of(payload)).ok(),
        _ => Some(value),
    }
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_be_bytes(*word)).ok()
}

/// A frame with these headers, all of them text, and this payload.
pub(super) fn write(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for (name, value) in headers {
        // Names and values of ours are short.
        encoded.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        encoded.extend_from_slice(name.as_bytes());
        encoded.push(7);
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        encoded.extend_from_slice(&length.to_be_bytes());
        encoded.extend_from_slice(value.as_bytes());
    }
    let total = PRELUDE + encoded.len() + payload.len() + CHECKSUM;
    let mut frame = Vec::with_capacity(total);
    for length in [total, encoded.len()] {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        frame.extend_from_slice(&length.to_be_bytes());
    }
    let checksum = crc32fast::hash(&frame);
    frame.extend_from_slice(&checksum.to_be_bytes());
    frame.extend_from_slice(&encoded);
    frame.extend_from_slice(payload);
    let checksum = crc32fast::hash(&frame);
    frame.extend_from_slice(&checksum.to_be_bytes());
    frame
}
