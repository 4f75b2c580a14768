//! An incremental JSON tokenizer that watches a few members and forgets the rest.
//!
//! Strict (requests): RFC 8259 to the letter, UTF-8 and surrogate pairs included, at
//! most [`MAX_DEPTH`] levels; keys are compared after unescaping; a key that differs
//! from a watched one only in case is refused, because some upstreams would take it for
//! the same. Lenient (answers): whatever nobody watches is skipped by its brackets, and
//! keys with escapes match nothing.

mod text;
mod utf8;

use std::ops::Range;

use sekisho_domain::DenialCode;

use crate::swar;

/// Most levels of arrays and objects in a request.
pub(crate) const MAX_DEPTH: u32 = 128;
/// Most bytes of a key that is compared; longer ones match nothing.
const MAX_KEY: usize = 40;
/// Most levels of watched containers.
const MAX_WATCHED: usize = 6;

/// A watched member.
pub(crate) struct Member<F: 'static> {
    /// Its key.
    pub(crate) key: &'static str,
    /// What it is to the visitor.
    pub(crate) field: F,
    /// What its value must be. In strict scans `null` is always possible and means absent.
    pub(crate) kind: Kind<F>,
}

/// What a watched value must be.
#[derive(Clone, Copy)]
pub(crate) enum Kind<F: 'static> {
    /// A string.
    Text,
    /// A non-negative integer below 2^64, written as one.
    Count,
    /// `true` or `false`.
    Flag,
    /// An object with watched members.
    Object(&'static [Member<F>]),
    /// An array whose objects have watched members.
    Each(&'static [Member<F>]),
}

/// Why a scan ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not JSON, not an object, or a watched member of the wrong type.
    Invalid,
    /// The visitor has seen this member before.
    Duplicate,
    /// The visitor does not want it.
    Unwanted(DenialCode),
}

/// Receives what is watched.
pub(crate) trait Visit {
    /// Names watched members.
    type Field: Copy + 'static;

    /// A watched key.
    fn member(&mut self, _field: Self::Field) -> Result<(), Fault> {
        Ok(())
    }
    /// An object of a watched array begins.
    fn element(&mut self) {}
    /// A part of a watched string; unescaped in strict scans.
    fn text(&mut self, _field: Self::Field, _part: &[u8]) -> Result<(), Fault> {
        Ok(())
    }
    /// The end of a watched string, and where it stood, quotes included.
    fn text_end(&mut self, _field: Self::Field, _span: Range<u64>) {}
    /// A watched number, and where it stood.
    fn count(&mut self, _field: Self::Field, _value: u64, _span: Range<u64>) {}
    /// A watched boolean, and where it stood.
    fn flag(&mut self, _field: Self::Field, _value: bool, _span: Range<u64>) {}
    /// A watched member that is `null`, and where that stood.
    fn null(&mut self, _field: Self::Field, _span: Range<u64>) {}
    /// A watched object, or the outermost one, begins: where its first member would stand.
    fn object(&mut self, _field: Option<Self::Field>, _inside: u64) {}
    /// The object that began last has nothing in it.
    fn empty_object(&mut self) {}
    /// Any key, so many levels deep, in scans that show every one; `None`: a long one.
    fn key(&mut self, _depth: u32, _key: Option<&[u8]>) -> Result<(), Fault> {
        Ok(())
    }
    /// Any object, so many levels deep, in scans that show every key.
    fn any_object(&mut self, _depth: u32) -> Result<(), Fault> {
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Value,
    FirstItem,
    FirstKey,
    Key,
    Colon,
    After,
    End,
    Text,
    Escape,
    Hex,
    Literal,
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
    Skip,
    Dead,
}

/// The state of a scan between two chunks.
pub(crate) struct Scanner<F: 'static, const STRICT: bool> {
    root: &'static [Member<F>],
    state: State,
    /// Open containers, skipped ones not counted.
    depth: u32,
    /// One bit per open container, the innermost lowest: 1 is an object.
    objects: u128,
    /// What is watched in the outermost containers, of which `open` are watched.
    levels: [&'static [Member<F>]; MAX_WATCHED],
    open: u32,
    /// Whether the outermost container is an array.
    array: bool,
    /// Depth below a container that is skipped.
    skipped: u32,
    /// The watched member whose value is expected or being read.
    pending: Option<&'static Member<F>>,
    literal: &'static [u8],
    truth: bool,
    number: Option<u64>,
    text: text::Text,
    /// Where the number or literal that is being read began.
    value_at: u64,
    most_depth: u32,
    shows_keys: bool,
    /// Bytes of earlier chunks.
    offset: u64,
}

impl<F: Copy + 'static, const STRICT: bool> Scanner<F, STRICT> {
    pub(crate) fn new(root: &'static [Member<F>]) -> Self {
        Self {
            root,
            state: State::Value,
            depth: 0,
            objects: 0,
            levels: [&[]; MAX_WATCHED],
            open: 0,
            array: false,
            skipped: 0,
            pending: None,
            literal: &[],
            truth: false,
            number: None,
            text: text::Text::new(),
            value_at: 0,
            most_depth: MAX_DEPTH,
            shows_keys: false,
            offset: 0,
        }
    }

    /// Lets fewer levels pass.
    pub(crate) fn limit_depth(&mut self, most: u32) {
        self.most_depth = most.min(MAX_DEPTH);
    }

    /// Shows the visitor every key and object, which takes longer.
    pub(crate) fn show_keys(&mut self) {
        self.shows_keys = true;
    }

    /// Forgets everything but what to watch.
    pub(crate) fn reset(&mut self) {
        self.state = State::Value;
        self.depth = 0;
        self.objects = 0;
        self.open = 0;
        self.array = false;
        self.skipped = 0;
        self.pending = None;
        self.text = text::Text::new();
        self.offset = 0;
    }

    /// Whether one whole value has passed.
    pub(crate) fn is_complete(&self) -> bool {
        self.state == State::End
    }

    /// Whether the outermost value is an array.
    pub(crate) fn is_array(&self) -> bool {
        self.array
    }

    /// Bytes scanned.
    pub(crate) fn bytes(&self) -> u64 {
        self.offset
    }

    /// Reads on. After a fault nothing more is read.
    pub(crate) fn push<V: Visit<Field = F>>(
        &mut self,
        chunk: &[u8],
        visitor: &mut V,
    ) -> Result<(), Fault> {
        let mut rest = chunk;
        while let Some((byte, after)) = rest.split_first() {
            let at = self.offset + (chunk.len() - rest.len()) as u64;
            rest = match self.state {
                State::Text => match self.text_run(rest, at, visitor) {
                    Ok(rest) => rest,
                    Err(fault) => return self.die(fault),
                },
                State::Skip => self.skip(rest),
                State::Dead => break,
                _ => match self.step(*byte, at, visitor) {
                    Ok(true) => after,
                    Ok(false) => rest,
                    Err(fault) => return self.die(fault),
                },
            };
        }
        self.offset += chunk.len() as u64;
        Ok(())
    }

    fn die(&mut self, fault: Fault) -> Result<(), Fault> {
        self.state = State::Dead;
        Err(fault)
    }

    /// Takes one byte outside of text. False: the state changed and the byte is still to be read.
    fn step<V: Visit<Field = F>>(
        &mut self,
        byte: u8,
        at: u64,
        visitor: &mut V,
    ) -> Result<bool, Fault> {
        use State::{
            After, Colon, End, Escape, Exponent, ExponentDigits, ExponentSign, FirstItem, FirstKey,
            Fraction, Hex, Integer, Key, Literal, Minus, Point, Value, Zero,
        };
        let blank = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        match (self.state, byte) {
            (Value | FirstItem | FirstKey | Key | Colon | After | End, _) if blank => {}
            (FirstItem, b']') => self.close(),
            (Value | FirstItem, _) => self.begin(byte, at, visitor)?,
            (FirstKey, b'}') => {
                if self.is_watching() {
                    visitor.empty_object();
                }
                self.close();
            }
            (FirstKey | Key, b'"') => self.begin_key(at),
            (Colon, b':') => self.state = Value,
            (After, b',') => self.state = if self.in_object() { Key } else { Value },
            (After, b'}') if self.in_object() => self.close(),
            (After, b']') if !self.in_object() => self.close(),
            (Escape, _) => self.escape(byte, visitor)?,
            (Hex, _) => self.hex(byte, visitor)?,
            (Literal, _) => self.literal_byte(byte, visitor)?,
            (Minus, b'0') => self.state = Zero,
            (Minus, b'1'..=b'9') => self.state = Integer,
            (Integer, b'0'..=b'9') => {
                self.number = self
                    .number
                    .and_then(|n| n.checked_mul(10)?.checked_add(u64::from(byte - b'0')));
            }
            (Zero | Integer, b'.') => self.state = Point,
            (Zero | Integer | Fraction, b'e' | b'E') => self.state = Exponent,
            (Point | Fraction, b'0'..=b'9') => self.state = Fraction,
            (Exponent, b'+' | b'-') => self.state = ExponentSign,
            (Exponent | ExponentSign | ExponentDigits, b'0'..=b'9') => self.state = ExponentDigits,
            (Zero | Integer | Fraction | ExponentDigits, _) => {
                self.end_number(at, visitor)?;
                return Ok(false);
            }
            _ => return Err(Fault::Invalid),
        }
        Ok(true)
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    /// Whether the innermost container is watched.
    fn is_watching(&self) -> bool {
        self.depth == self.open && self.skipped == 0
    }

    fn watched(&self) -> &'static [Member<F>] {
        let level = (self.open as usize).checked_sub(1);
        level
            .and_then(|level| self.levels.get(level))
            .copied()
            .unwrap_or_default()
    }

    fn begin<V: Visit<Field = F>>(
        &mut self,
        byte: u8,
        at: u64,
        visitor: &mut V,
    ) -> Result<(), Fault> {
        if self.depth == 0 && byte != b'{' && (STRICT || byte != b'[') {
            return Err(Fault::Invalid);
        }
        match byte {
            b'"' => {
                self.expect(|kind| matches!(kind, Kind::Text))?;
                self.text.begin(false, at);
                self.state = State::Text;
            }
            b'{' => self.open_object(at, visitor)?,
            b'[' => self.open_array()?,
            b't' | b'f' => {
                self.expect(|kind| matches!(kind, Kind::Flag))?;
                self.truth = byte == b't';
                self.value_at = at;
                self.begin_literal(if self.truth { b"rue" } else { b"alse" });
            }
            b'n' => {
                if let Some(member) = self.pending.take() {
                    visitor.null(member.field, at..at + 4);
                }
                self.begin_literal(b"ull");
            }
            b'-' | b'0'..=b'9' => {
                self.expect(|kind| matches!(kind, Kind::Count))?;
                let digit = byte.wrapping_sub(b'0');
                self.value_at = at;
                self.number = (digit <= 9).then_some(u64::from(digit));
                self.state = match byte {
                    b'-' => State::Minus,
                    b'0' => State::Zero,
                    _ => State::Integer,
                };
            }
            _ => return Err(Fault::Invalid),
        }
        Ok(())
    }

    /// Holds a watched member to its type: a fault in strict scans, otherwise it is not watched.
    fn expect(&mut self, fits: impl Fn(&Kind<F>) -> bool) -> Result<(), Fault> {
        match self.pending {
            Some(member) if !fits(&member.kind) => {
                self.pending = None;
                if STRICT { Err(Fault::Invalid) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    fn open_object<V: Visit<Field = F>>(&mut self, at: u64, visitor: &mut V) -> Result<(), Fault> {
        self.expect(|kind| matches!(kind, Kind::Object(_)))?;
        let members = match self.pending.take() {
            Some(Member {
                kind: Kind::Object(members),
                field,
                ..
            }) => {
                visitor.object(Some(*field), at + 1);
                Some(*members)
            }
            _ if self.depth == 0 => {
                visitor.object(None, at + 1);
                Some(self.root)
            }
            _ if self.is_watching() && !self.in_object() => {
                visitor.element();
                Some(self.watched())
            }
            _ => None,
        };
        self.open(true, members)?;
        if self.shows_keys {
            visitor.any_object(self.depth)?;
        }
        Ok(())
    }

    fn open_array(&mut self) -> Result<(), Fault> {
        self.expect(|kind| matches!(kind, Kind::Each(_)))?;
        let members = match self.pending.take() {
            Some(Member {
                kind: Kind::Each(members),
                ..
            }) => Some(*members),
            _ if self.depth == 0 => Some(self.root),
            _ => None,
        };
        self.array |= self.depth == 0;
        self.open(false, members)
    }

    fn open(&mut self, object: bool, members: Option<&'static [Member<F>]>) -> Result<(), Fault> {
        match (members, self.levels.get_mut(self.open as usize)) {
            (Some(members), Some(level)) => {
                *level = members;
                self.open += 1;
            }
            _ if STRICT => {}
            _ => {
                self.skipped = 1;
                self.state = State::Skip;
                return Ok(());
            }
        }
        if self.depth == self.most_depth {
            return Err(Fault::Invalid);
        }
        self.depth += 1;
        self.objects = (self.objects << 1) | u128::from(object);
        self.state = if object {
            State::FirstKey
        } else {
            State::FirstItem
        };
        Ok(())
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.objects >>= 1;
        self.open = self.open.min(self.depth);
        self.end_value();
    }

    fn end_value(&mut self) {
        self.pending = None;
        self.state = if self.depth == 0 {
            State::End
        } else {
            State::After
        };
    }

    fn begin_literal(&mut self, rest: &'static [u8]) {
        self.literal = rest;
        self.state = State::Literal;
    }

    fn literal_byte<V: Visit<Field = F>>(
        &mut self,
        byte: u8,
        visitor: &mut V,
    ) -> Result<(), Fault> {
        match self.literal.split_first() {
            Some((expected, rest)) if *expected == byte => self.literal = rest,
            _ => return Err(Fault::Invalid),
        }
        if self.literal.is_empty() {
            if let Some(member) = self.pending {
                let length = if self.truth { 4 } else { 5 };
                let span = self.value_at..self.value_at + length;
                visitor.flag(member.field, self.truth, span);
            }
            self.end_value();
        }
        Ok(())
    }

    fn end_number<V: Visit<Field = F>>(&mut self, at: u64, visitor: &mut V) -> Result<(), Fault> {
        if let Some(member) = self.pending {
            let whole = matches!(self.state, State::Zero | State::Integer);
            match self.number {
                Some(number) if whole => visitor.count(member.field, number, self.value_at..at),
                _ if STRICT => return Err(Fault::Invalid),
                _ => {}
            }
        }
        self.end_value();
        Ok(())
    }

    /// Passes over what nobody watches, by its brackets.
    fn skip<'c>(&mut self, bytes: &'c [u8]) -> &'c [u8] {
        let rest = bytes.get(swar::nested(bytes)..).unwrap_or_default();
        let Some((byte, after)) = rest.split_first() else {
            return rest;
        };
        match byte {
            b'"' => {
                self.text.begin(false, 0);
                self.state = State::Text;
            }
            b'{' | b'[' => self.skipped = self.skipped.saturating_add(1),
            _ => {
                self.skipped -= 1;
                if self.skipped == 0 {
                    self.end_value();
                }
            }
        }
        after
    }
}

#[cfg(test)]
pub(crate) mod tests;
