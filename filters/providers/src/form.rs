//! The few parts of a form (`multipart/form-data`, RFC 7578) that decisions need, read as the
//! form streams by. Strict: where two readers could see two forms, it is none.

use std::ops::Range;

use crate::json::{Fault, Kind, Member, Visit};
use crate::request::Field;

/// Longest boundary (RFC 2046, section 5.1.1).
const MAX_BOUNDARY: usize = 70;
/// Most bytes of a part's headers.
const MAX_HEADERS: usize = 4096;
/// Most bytes of a part that is read as a number or a flag.
const MAX_WORD: usize = 20;

/// The boundary of a form, if its `content-type` names one and nothing else. Of the
/// characters that a boundary may have only those that need no quoting.
pub(crate) fn boundary(content_type: &[u8]) -> Option<&[u8]> {
    let at = content_type.iter().position(|b| *b == b';')?;
    let (media_type, rest) = content_type.split_at_checked(at)?;
    if !media_type
        .trim_ascii()
        .eq_ignore_ascii_case(b"multipart/form-data")
    {
        return None;
    }
    let parameter = rest.get(1..)?.trim_ascii();
    let (name, value) = parameter.split_at_checked(b"boundary=".len())?;
    let value = match value {
        [b'"', inner @ .., b'"'] => inner,
        bare => bare,
    };
    let is_plain = value
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'\'' | b'.' | b'+'));
    let fits = (1..=MAX_BOUNDARY).contains(&value.len());
    (name.eq_ignore_ascii_case(b"boundary=") && is_plain && fits).then_some(value)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The first line: dashes and the boundary.
    Opening,
    /// After a boundary: a line's end, or two dashes.
    AfterBoundary,
    Headers,
    /// The part's content, up to a line's end, dashes and the boundary.
    Content,
    /// After the last boundary: at most one line's end.
    End,
    Dead,
}

/// The state of a scan between two chunks.
pub(crate) struct FormScan {
    watched: &'static [Member<Field>],
    /// A line's end, two dashes, the boundary.
    delimiter: Vec<u8>,
    place: Place,
    /// How many bytes of what is expected have come.
    matched: usize,
    headers: Vec<u8>,
    /// The watched member that the part is.
    part: Option<&'static Member<Field>>,
    /// What has come of it, if it is no text.
    word: Vec<u8>,
    begun: u64,
    offset: u64,
}

impl FormScan {
    /// Without a boundary nothing is a form.
    pub(crate) fn new(watched: &'static [Member<Field>], boundary: Option<&[u8]>) -> Self {
        Self {
            watched,
            delimiter: [b"\r\n--", boundary.unwrap_or_default()].concat(),
            place: if boundary.is_some() {
                Place::Opening
            } else {
                Place::Dead
            },
            // The first boundary stands at the very beginning.
            matched: 2,
            headers: Vec::new(),
            part: None,
            word: Vec::new(),
            begun: 0,
            offset: 0,
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.place == Place::End && (self.matched == 0 || self.matched == 2)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.offset
    }

    /// Reads on. After a fault nothing more is read.
    pub(crate) fn push<V: Visit<Field = Field>>(
        &mut self,
        chunk: &[u8],
        visitor: &mut V,
    ) -> Result<(), Fault> {
        let read = self.read(chunk, visitor);
        self.offset += chunk.len() as u64;
        if read.is_err() {
            self.place = Place::Dead;
        }
        read
    }

    fn read<V: Visit<Field = Field>>(
        &mut self,
        chunk: &[u8],
        visitor: &mut V,
    ) -> Result<(), Fault> {
        let mut rest = chunk;
        while let Some((byte, after)) = rest.split_first() {
            let at = self.offset + (chunk.len() - rest.len()) as u64;
            match self.place {
                Place::Opening => {
                    if self.delimiter.get(self.matched) != Some(byte) {
                        return Err(Fault::Invalid);
                    }
                    self.matched += 1;
                    if self.matched == self.delimiter.len() {
                        self.turn(Place::AfterBoundary);
                    }
                }
                Place::AfterBoundary => self.after_boundary(*byte)?,
                Place::Headers => self.header_byte(*byte, at, visitor)?,
                Place::Content => {
                    rest = self.content(rest, at, visitor)?;
                    continue;
                }
                Place::End => {
                    if b"\r\n".get(self.matched) != Some(byte) {
                        return Err(Fault::Invalid);
                    }
                    self.matched += 1;
                }
                Place::Dead => return Err(Fault::Invalid),
            }
            rest = after;
        }
        Ok(())
    }

    fn turn(&mut self, place: Place) {
        self.place = place;
        self.matched = 0;
    }

    fn after_boundary(&mut self, byte: u8) -> Result<(), Fault> {
        match (self.matched, byte) {
            (0, b'\r') => self.matched = 1,
            (0, b'-') => self.matched = 2,
            (1, b'\n') => {
                self.headers.clear();
                self.turn(Place::Headers);
            }
            (2, b'-') => self.turn(Place::End),
            _ => return Err(Fault::Invalid),
        }
        Ok(())
    }

    fn header_byte<V: Visit<Field = Field>>(
        &mut self,
        byte: u8,
        at: u64,
        visitor: &mut V,
    ) -> Result<(), Fault> {
        if self.headers.len() == MAX_HEADERS {
            return Err(Fault::Invalid);
        }
        self.headers.push(byte);
        if !self.headers.ends_with(b"\r\n\r\n") {
            return Ok(());
        }
        let part = named(&self.headers)?;
        let is_watched = |member: &&Member<Field>| member.key.as_bytes() == part.name;
        let is_close = |member: &Member<Field>| {
            let key = member.key.as_bytes();
            key != part.name && key.eq_ignore_ascii_case(part.name)
        };
        self.part = self.watched.iter().find(is_watched);
        if self.watched.iter().any(is_close) || (self.part.is_some() && part.is_file) {
            return Err(Fault::Invalid);
        }
        visitor.key(1, Some(part.name))?;
        if let Some(part) = self.part {
            visitor.member(part.field)?;
        }
        self.word.clear();
        self.begun = at + 1;
        self.turn(Place::Content);
        Ok(())
    }

    /// Takes content up to the delimiter, which is held back until it is one.
    fn content<'c, V: Visit<Field = Field>>(
        &mut self,
        rest: &'c [u8],
        at: u64,
        visitor: &mut V,
    ) -> Result<&'c [u8], Fault> {
        if self.matched == 0 {
            let plain = rest.iter().position(|b| *b == b'\r').unwrap_or(rest.len());
            let (run, next) = rest.split_at_checked(plain).unwrap_or((rest, &[]));
            self.say(run, visitor)?;
            if let Some((_, after)) = next.split_first() {
                self.matched = 1;
                return Ok(after);
            }
            return Ok(next);
        }
        let Some((byte, after)) = rest.split_first() else {
            return Ok(rest);
        };
        if self.delimiter.get(self.matched) != Some(byte) {
            // The delimiter has one carriage return, at its beginning: nothing of it can
            // begin within what was taken for it.
            let held = self
                .delimiter
                .get(..self.matched)
                .unwrap_or_default()
                .to_vec();
            self.matched = 0;
            self.say(&held, visitor)?;
            return Ok(rest);
        }
        self.matched += 1;
        if self.matched == self.delimiter.len() {
            let end = (at + 1).saturating_sub(self.delimiter.len() as u64);
            self.end_part(self.begun..end, visitor)?;
            self.turn(Place::AfterBoundary);
        }
        Ok(after)
    }

    fn say<V: Visit<Field = Field>>(&mut self, run: &[u8], visitor: &mut V) -> Result<(), Fault> {
        let Some(part) = self.part else { return Ok(()) };
        if matches!(part.kind, Kind::Text) {
            return visitor.text(part.field, run);
        }
        if self.word.len() + run.len() > MAX_WORD {
            return Err(Fault::Invalid);
        }
        self.word.extend_from_slice(run);
        Ok(())
    }

    fn end_part<V: Visit<Field = Field>>(
        &mut self,
        span: Range<u64>,
        visitor: &mut V,
    ) -> Result<(), Fault> {
        let Some(part) = self.part.take() else {
            return Ok(());
        };
        let word = std::str::from_utf8(&self.word).unwrap_or_default();
        match part.kind {
            Kind::Text => visitor.text_end(part.field, span),
            Kind::Count => {
                let is_number = word.bytes().all(|b| b.is_ascii_digit());
                let count = word.parse().ok().filter(|_| is_number);
                visitor.count(part.field, count.ok_or(Fault::Invalid)?, span);
            }
            Kind::Flag => match word.to_ascii_lowercase().as_str() {
                "true" | "1" => visitor.flag(part.field, true, span),
                "false" | "0" => visitor.flag(part.field, false, span),
                _ => return Err(Fault::Invalid),
            },
            Kind::Object(_) | Kind::Each(_) => return Err(Fault::Invalid),
        }
        Ok(())
    }
}

/// What a part's headers say.
struct Named<'h> {
    name: &'h [u8],
    is_file: bool,
}

/// Reads a part's headers: `Content-Disposition: form-data; name="..."`, once, with at most a
/// `filename`, and whatever else does not change what the part is.
fn named(headers: &[u8]) -> Result<Named<'_>, Fault> {
    let mut found = None;
    if headers.starts_with(b"\r\n") {
        // A part without headers; what was taken for them is its content.
        return Err(Fault::Invalid);
    }
    for line in headers.split(|b| *b == b'\n') {
        let Some(line) = line.strip_suffix(b"\r") else {
            // Only the last has nothing in it.
            if line.is_empty() {
                continue;
            }
            return Err(Fault::Invalid);
        };
        if line.is_empty() {
            continue;
        }
        let colon = line.iter().position(|b| *b == b':');
        let (name, value) = colon
            .and_then(|at| line.split_at_checked(at))
            .ok_or(Fault::Invalid)?;
        let is_token = name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
        let sound = line.iter().all(|b| !b.is_ascii_control());
        if name.is_empty() || !is_token || !sound {
            return Err(Fault::Invalid);
        }
        if name.eq_ignore_ascii_case(b"content-disposition") {
            if found.is_some() {
                return Err(Fault::Invalid);
            }
            found = Some(disposition(value.get(1..).unwrap_or_default())?);
        } else if !(name.eq_ignore_ascii_case(b"content-type")
            || name.eq_ignore_ascii_case(b"content-length"))
        {
            // A transfer encoding, or what nobody should need.
            return Err(Fault::Invalid);
        }
    }
    found.ok_or(Fault::Invalid)
}

fn disposition(value: &[u8]) -> Result<Named<'_>, Fault> {
    let mut rest = value
        .trim_ascii_start()
        .strip_prefix(b"form-data")
        .ok_or(Fault::Invalid)?;
    let (mut name, mut is_file) = (None, false);
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            break;
        }
        rest = rest
            .strip_prefix(b";")
            .ok_or(Fault::Invalid)?
            .trim_ascii_start();
        let equals = rest.iter().position(|b| *b == b'=').ok_or(Fault::Invalid)?;
        let (parameter, after) = rest.split_at_checked(equals).ok_or(Fault::Invalid)?;
        let value = after.get(1..).unwrap_or_default();
        let (text, after) = match value.strip_prefix(b"\"") {
            Some(quoted) => {
                let end = quoted.iter().position(|b| *b == b'"');
                let (text, after) = quoted
                    .split_at_checked(end.ok_or(Fault::Invalid)?)
                    .ok_or(Fault::Invalid)?;
                (text, after.get(1..).unwrap_or_default())
            }
            // A token, as .NET writes it.
            None => {
                let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
                let (text, after) = value.split_at_checked(end).ok_or(Fault::Invalid)?;
                let is_token = text
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.'%".contains(b));
                if text.is_empty() || !is_token {
                    return Err(Fault::Invalid);
                }
                (text, after)
            }
        };
        rest = after;
        match parameter {
            // What another reader might unescape has no place in a name.
            b"name" if name.is_none() && !text.iter().any(|b| matches!(b, b'\\' | b'%')) => {
                name = Some(text);
            }
            b"filename" | b"filename*" if !text.contains(&b'\\') => is_file = true,
            _ => return Err(Fault::Invalid),
        }
    }
    let name = name.ok_or(Fault::Invalid)?;
    Ok(Named { name, is_file })
}

#[cfg(test)]
mod tests;
