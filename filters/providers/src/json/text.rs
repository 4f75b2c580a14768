//! Strings: runs of plain bytes, escapes, surrogate pairs, UTF-8 across chunks.

use super::{Fault, Kind, MAX_KEY, Scanner, State, Visit, utf8};
use crate::swar;

/// What is known of the string that is being read.
pub(super) struct Text {
    is_key: bool,
    start: u64,
    key: [u8; MAX_KEY],
    /// Bytes in `key`; over [`MAX_KEY`]: too long, or not to be compared.
    key_length: usize,
    /// Beginning of a character that the last chunk cut.
    cut: [u8; 4],
    cut_length: usize,
    hex: u16,
    hex_digits: u8,
    /// The first half of a surrogate pair; 0: none.
    high: u16,
}

impl Text {
    pub(super) fn new() -> Self {
        Self {
            is_key: false,
            start: 0,
            key: [0; MAX_KEY],
            key_length: 0,
            cut: [0; 4],
            cut_length: 0,
            hex: 0,
            hex_digits: 0,
            high: 0,
        }
    }

    pub(super) fn begin(&mut self, is_key: bool, start: u64) {
        self.is_key = is_key;
        self.start = start;
        self.key_length = 0;
    }

    fn key(&self) -> Option<&[u8]> {
        self.key.get(..self.key_length)
    }

    fn add_to_key(&mut self, part: &[u8]) {
        let end = self.key_length.saturating_add(part.len());
        if let Some(room) = self.key.get_mut(self.key_length..end) {
            room.copy_from_slice(part);
        }
        self.key_length = end;
    }

    /// Checks that `run` continues valid UTF-8; only a chunk's end may cut a character.
    fn check_utf8(&mut self, mut run: &[u8], at_chunk_end: bool) -> Result<(), Fault> {
        while self.cut_length > 0 {
            let Some((byte, rest)) = run.split_first() else {
                return if at_chunk_end {
                    Ok(())
                } else {
                    Err(Fault::Invalid)
                };
            };
            run = rest;
            if let Some(slot) = self.cut.get_mut(self.cut_length) {
                *slot = *byte;
            }
            self.cut_length += 1;
            match std::str::from_utf8(self.cut.get(..self.cut_length).unwrap_or_default()) {
                Ok(_) => self.cut_length = 0,
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(Fault::Invalid),
            }
        }
        let tail = utf8::check(run)?;
        if !tail.is_empty() && !at_chunk_end {
            return Err(Fault::Invalid);
        }
        for (to, from) in self.cut.iter_mut().zip(tail) {
            *to = *from;
        }
        self.cut_length = tail.len();
        Ok(())
    }
}

impl<F: Copy + 'static, const STRICT: bool> Scanner<F, STRICT> {
    pub(super) fn begin_key(&mut self, at: u64) {
        self.text.begin(true, at);
        self.state = State::Text;
    }

    /// Reads plain text and the byte that ends it.
    pub(super) fn text_run<'c, V: Visit<Field = F>>(
        &mut self,
        bytes: &'c [u8],
        at: u64,
        visitor: &mut V,
    ) -> Result<&'c [u8], Fault> {
        let (length, unsure) = if STRICT {
            swar::strict_text(bytes)
        } else {
            (swar::text(bytes), false)
        };
        let run = bytes.get(..length).unwrap_or_default();
        let stop = bytes.get(length);
        if STRICT {
            if unsure || self.text.cut_length > 0 {
                self.text.check_utf8(run, stop.is_none())?;
            }
            if self.text.high != 0 && (length > 0 || stop.is_some_and(|b| *b != b'\\')) {
                return Err(Fault::Invalid);
            }
        }
        if length > 0 {
            self.capture(run, visitor)?;
        }
        match stop {
            None => return Ok(&[]),
            Some(b'"') => self.end_text(at + length as u64 + 1, visitor)?,
            Some(b'\\') => self.state = State::Escape,
            Some(_) => return Err(Fault::Invalid),
        }
        Ok(bytes.get(length + 1..).unwrap_or_default())
    }

    fn capture<V: Visit<Field = F>>(&mut self, part: &[u8], visitor: &mut V) -> Result<(), Fault> {
        if self.text.is_key {
            if self.shows_keys || self.is_watching() {
                self.text.add_to_key(part);
            }
            return Ok(());
        }
        match self.pending {
            Some(member) => visitor.text(member.field, part),
            None => Ok(()),
        }
    }

    pub(super) fn escape<V: Visit<Field = F>>(
        &mut self,
        byte: u8,
        visitor: &mut V,
    ) -> Result<(), Fault> {
        self.state = State::Text;
        if !STRICT {
            if self.text.is_key {
                self.text.key_length = MAX_KEY + 1;
                return Ok(());
            }
            // Nothing watched in answers has escapes, except slashes in base64.
            let plain: &[u8] = if byte == b'/' { b"/" } else { b"\\" };
            return self.capture(plain, visitor);
        }
        if self.text.high != 0 && byte != b'u' {
            return Err(Fault::Invalid);
        }
        let plain: &[u8] = match byte {
            b'"' => b"\"",
            b'\\' => b"\\",
            b'/' => b"/",
            b'b' => b"\x08",
            b'f' => b"\x0c",
            b'n' => b"\n",
            b'r' => b"\r",
            b't' => b"\t",
            b'u' => {
                self.text.hex = 0;
                self.text.hex_digits = 0;
                self.state = State::Hex;
                return Ok(());
            }
            _ => return Err(Fault::Invalid),
        };
        self.capture(plain, visitor)
    }

    pub(super) fn hex<V: Visit<Field = F>>(
        &mut self,
        byte: u8,
        visitor: &mut V,
    ) -> Result<(), Fault> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ => return Err(Fault::Invalid),
        };
        self.text.hex = (self.text.hex << 4) | u16::from(digit);
        self.text.hex_digits += 1;
        if self.text.hex_digits < 4 {
            return Ok(());
        }
        self.state = State::Text;
        let unit = self.text.hex;
        let high = std::mem::take(&mut self.text.high);
        let code = match (high, unit) {
            (0, 0xD800..=0xDBFF) => {
                self.text.high = unit;
                return Ok(());
            }
            (0, _) => u32::from(unit),
            (_, 0xDC00..=0xDFFF) => {
                0x1_0000 + ((u32::from(high) - 0xD800) << 10) + (u32::from(unit) - 0xDC00)
            }
            _ => return Err(Fault::Invalid),
        };
        let Some(character) = char::from_u32(code) else {
            return Err(Fault::Invalid); // the second half of a pair without the first
        };
        self.capture(character.encode_utf8(&mut [0; 4]).as_bytes(), visitor)
    }

    fn end_text<V: Visit<Field = F>>(&mut self, end: u64, visitor: &mut V) -> Result<(), Fault> {
        if self.text.is_key {
            self.state = State::Colon;
            if self.shows_keys {
                visitor.key(self.depth, self.text.key())?;
            }
            return if self.is_watching() {
                self.look_up(visitor)
            } else {
                Ok(())
            };
        }
        if self.skipped > 0 {
            self.state = State::Skip;
            return Ok(());
        }
        if let Some(member) = self.pending
            && matches!(member.kind, Kind::Text)
        {
            visitor.text_end(member.field, self.text.start..end);
        }
        self.end_value();
        Ok(())
    }

    fn look_up<V: Visit<Field = F>>(&mut self, visitor: &mut V) -> Result<(), Fault> {
        let Some(key) = self.text.key() else {
            return Ok(());
        };
        let members = self.watched();
        if let Some(member) = members.iter().find(|m| m.key.as_bytes() == key) {
            self.pending = Some(member);
            return visitor.member(member.field);
        }
        let alike = |key: &[u8]| {
            members
                .iter()
                .any(|m| m.key.as_bytes().eq_ignore_ascii_case(key))
        };
        if STRICT && (alike(key) || (!key.is_ascii() && alike(&fold(key)))) {
            return Err(Fault::Invalid);
        }
        Ok(())
    }
}

/// Replaces the two non-ASCII letters whose simple case folding is ASCII (`ſ`, `K`):
/// readers that ignore case, Go's among them, fold them too.
fn fold(key: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(key)
        .replace('\u{17f}', "s")
        .replace('\u{212a}', "k")
        .into_bytes()
}
