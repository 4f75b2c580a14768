//! `{"bytes": "<base64>"}`: how Bedrock wraps the events of a model's family.

use std::ops::Range;

use crate::json::{Fault, Kind, Member, Scanner, Visit};

/// The one watched member.
#[derive(Clone, Copy)]
pub(super) struct Bytes;

const MEMBERS: &[Member<Bytes>] = &[Member {
    key: "bytes",
    field: Bytes,
    kind: Kind::Text,
}];

/// The state between two chunks.
pub(super) struct Wrapped {
    scanner: Scanner<Bytes, false>,
    base64: Base64,
}

impl Wrapped {
    pub(super) fn new() -> Self {
        Self {
            scanner: Scanner::new(MEMBERS),
            base64: Base64::default(),
        }
    }

    pub(super) fn reset(&mut self) {
        self.scanner.reset();
        self.base64 = Base64::default();
    }

    /// Reads on and hands out what was wrapped.
    pub(super) fn push(&mut self, chunk: &[u8], sink: impl FnMut(&[u8])) {
        let mut unwrap = Unwrap {
            base64: &mut self.base64,
            sink,
        };
        // What breaks its format is read no further.
        let (Ok(()) | Err(_)) = self.scanner.push(chunk, &mut unwrap);
    }
}

/// What a whole payload wraps.
pub(crate) struct Unwrapped;

impl Unwrapped {
    /// Nothing of one that wraps nothing.
    pub(crate) fn of(payload: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        Wrapped::new().push(payload, |part| plain.extend_from_slice(part));
        plain
    }
}

struct Unwrap<'a, S> {
    base64: &'a mut Base64,
    sink: S,
}

impl<S: FnMut(&[u8])> Visit for Unwrap<'_, S> {
    type Field = Bytes;

    fn text(&mut self, _field: Bytes, part: &[u8]) -> Result<(), Fault> {
        self.base64.decode(part, &mut self.sink)
    }

    fn text_end(&mut self, _field: Bytes, _span: Range<u64>) {
        *self.base64 = Base64::default();
    }
}

/// Base64 (RFC 4648, section 4) in parts; the bits that a part leaves over wait here.
#[derive(Default)]
struct Base64 {
    bits: u32,
    count: u8,
}

impl Base64 {
    fn decode(&mut self, part: &[u8], sink: &mut impl FnMut(&[u8])) -> Result<(), Fault> {
        let mut plain = [0; 192];
        for block in part.chunks(256) {
            let mut length = 0;
            let mut sound = true;
            for byte in block {
                let value = match byte {
                    b'A'..=b'Z' => byte - b'A',
                    b'a'..=b'z' => byte - b'a' + 26,
                    b'0'..=b'9' => byte - b'0' + 52,
                    b'+' => 62,
                    b'/' => 63,
                    b'=' => continue,
                    _ => {
                        sound = false;
                        break;
                    }
                };
                self.bits = (self.bits << 6) | u32::from(value);
                self.count += 6;
                if self.count >= 8 {
                    self.count -= 8;
                    let [.., octet] = (self.bits >> self.count).to_be_bytes();
                    if let Some(slot) = plain.get_mut(length) {
                        *slot = octet;
                    }
                    length += 1;
                }
            }
            sink(plain.get(..length).unwrap_or_default());
            if !sound {
                return Err(Fault::Invalid);
            }
        }
        Ok(())
    }
}
