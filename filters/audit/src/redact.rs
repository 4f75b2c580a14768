//! Takes secrets and personal data out of a body as it passes.
//!
//! Whatever the chunks are, the outcome is the same: at each place it depends on the two
//! characters before and on at most [`AHEAD`] characters from there on, and no place is decided
//! before these have come. So a secret on the border of chunks is found, a few kilobytes are
//! held at most, and the time is linear in the length.
//!
//! Bodies are read as what their letters stand for: escapes of JSON, also of JSON within JSON,
//! and the full-width forms of Japanese text are seen as the ASCII they mean.

mod numbers;
mod secrets;
mod view;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use sekisho_domain::Pattern;

use view::glyph;

/// Most characters that are looked at from one place.
const AHEAD: usize = 400;
/// Bytes of a chunk that are read at a time.
const STRIDE: usize = 4096;
/// The longest block that is taken out whole, characters.
const MOST_BLOCK: usize = 16 * 1024;

/// What is taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A token, a password, a private key.
    Secret,
    /// A mail address.
    Email,
    /// A telephone number.
    Phone,
    /// A payment card's number.
    Card,
    /// A Japanese individual number (My Number).
    MyNumber,
    /// What a pattern of the policy describes.
    Custom,
}

impl Kind {
    /// What stands in its place.
    const fn mark(self) -> &'static [u8] {
        match self {
            Self::Secret => b"[redacted:secret]",
            Self::Email => b"[redacted:email]",
            Self::Phone => b"[redacted:phone]",
            Self::Card => b"[redacted:card]",
            Self::MyNumber => b"[redacted:my_number]",
            Self::Custom => b"[redacted:custom]",
        }
    }
}

/// Something to be taken out, that begins where one looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    kind: Kind,
    /// Characters that stay: the name of what is secret.
    stays: usize,
    /// Characters, those that stay included.
    length: usize,
    /// What else goes with it, however long.
    tail: Tail,
}

impl Found {
    const fn new(kind: Kind, length: usize) -> Self {
        Self {
            kind,
            stays: 0,
            length,
            tail: Tail::None,
        }
    }
}

/// What is taken out behind something that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// Nothing more.
    None,
    /// The letters of which tokens are made.
    Token,
    /// Everything up to a quote, a white space or another mark that ends a value.
    Value,
    /// Everything up to this quote, or the line's end.
    Quoted(u8),
    /// Everything up to the end of a block in the form of RFC 7468: so many dashes of its last
    /// line, and characters, have been.
    Block { dashes: u8, length: usize },
}

/// When a character can begin something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    Nothing,
    /// At the beginning of a word.
    Word,
    Always,
}

/// What is taken out, made ready once for many bodies.
#[derive(Debug)]
pub struct Redaction {
    patterns: Vec<Pattern>,
    begins: [Begins; 256],
}

impl Redaction {
    /// `patterns`: what the policy wants taken out besides secrets, mail addresses, telephone
    /// numbers, cards and My Numbers.
    #[must_use]
    pub fn new(patterns: Vec<Pattern>) -> Self {
        let mut begins = [Begins::Nothing; 256];
        for (byte, begins) in (0..=u8::MAX).zip(&mut begins) {
            *begins = match byte {
                _ if patterns.iter().any(|pattern| pattern.may_begin(byte)) => Begins::Always,
                b'0'..=b'9' | b'+' | b'(' | b'-' => Begins::Always,
                _ if byte.is_ascii_alphabetic() || byte == b'_' => Begins::Word,
                _ => Begins::Nothing,
            };
        }
        Self { patterns, begins }
    }

    /// Whether something can begin with this character behind that one.
    fn may_begin(&self, before: u8, character: u8) -> bool {
        match self.begins.get(usize::from(character)) {
            Some(Begins::Always) => true,
            Some(Begins::Word) => !is_word(before),
            Some(Begins::Nothing) | None => false,
        }
    }

    /// What is to be taken out here.
    fn find(&self, [earlier, before]: [u8; 2], ahead: &[u8]) -> Option<Found> {
        let first = *ahead.first()?;
        if !self.may_begin(before, first) {
            return None;
        }
        let custom = self.patterns.iter().find_map(|pattern| {
            let may = pattern.may_begin(first);
            may.then(|| pattern.matches(ahead)).flatten()
        });
        if let Some(length) = custom {
            return Some(Found::new(Kind::Custom, length));
        }
        if !is_word(before) {
            let found = secrets::find(first, ahead).or_else(|| secrets::email(ahead));
            if found.is_some() {
                return found;
            }
        }
        numbers::find([earlier, before], first, ahead)
    }
}

/// Whether a word goes on behind this character.
const fn is_word(character: u8) -> bool {
    character.is_ascii_alphanumeric()
}

/// Takes secrets out of one body.
#[derive(Debug)]
pub struct Redactor {
    redaction: Arc<Redaction>,
    /// What has come and is not decided.
    raw: Vec<u8>,
    /// The same as characters, and how many bytes each takes in `raw`.
    seen: Vec<u8>,
    lengths: Vec<u8>,
    /// How much of `raw` is in `seen`.
    read: usize,
    /// The two characters before.
    before: [u8; 2],
    tail: Tail,
}

impl Redactor {
    /// For one body.
    #[must_use]
    pub const fn new(redaction: Arc<Redaction>) -> Self {
        Self {
            redaction,
            raw: Vec::new(),
            seen: Vec::new(),
            lengths: Vec::new(),
            read: 0,
            before: [b' '; 2],
            tail: Tail::None,
        }
    }

    /// Takes the next chunk in; adds to `out` what is decided by now.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        for piece in chunk.chunks(STRIDE) {
            self.raw.extend_from_slice(piece);
            self.see(false);
            self.decide(false, out);
        }
    }

    /// The body has ended: adds the rest to `out`.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.see(true);
        self.decide(true, out);
    }

    /// Reads characters as far as there are whole ones.
    fn see(&mut self, is_all: bool) {
        while let Some(rest) = self.raw.get(self.read..).filter(|rest| !rest.is_empty()) {
            let Some(glyph) = glyph(rest, is_all) else {
                return;
            };
            // Of a character of several bytes, the first takes all the space.
            let mut length = glyph.length;
            for byte in glyph.means() {
                self.seen.push(*byte);
                self.lengths.push(std::mem::take(&mut length));
            }
            self.read += usize::from(glyph.length);
        }
    }

    fn decide(&mut self, is_all: bool, out: &mut Vec<u8>) {
        let redaction = Arc::clone(&self.redaction);
        let margin = if is_all { 0 } else { AHEAD };
        let end = self.seen.len().saturating_sub(margin);
        let (mut at, mut raw_at) = (0, 0);
        while at < end {
            let upto = (at + AHEAD).min(self.seen.len());
            let ahead = self.seen.get(at..upto).unwrap_or_default();
            let (kept, gone) = if let Some(tail) = self.tail.next(ahead) {
                self.tail = tail;
                (0, 1)
            } else if self.tail != Tail::None {
                self.tail = Tail::None;
                (0, 0) // looked at anew
            } else if let Some(found) = redaction.find(self.before, ahead) {
                self.tail = found.tail;
                let kept = self.bytes(at, found.stays);
                out.extend_from_slice(self.raw.get(raw_at..raw_at + kept).unwrap_or_default());
                out.extend_from_slice(found.kind.mark());
                (0, found.length.max(1))
            } else {
                (self.plain(at, end), 0)
            };
            let bytes = self.bytes(at, kept + gone);
            if kept > 0 {
                out.extend_from_slice(self.raw.get(raw_at..raw_at + bytes).unwrap_or_default());
            }
            (at, raw_at) = (at + kept + gone, raw_at + bytes);
            self.before = match self.seen.get(..at) {
                Some([.., earlier, before]) => [*earlier, *before],
                Some([only]) => [self.before[1], *only],
                _ => self.before,
            };
        }
        let at = at.min(self.seen.len());
        self.seen.drain(..at);
        self.lengths.drain(..at);
        self.raw.drain(..raw_at.min(self.raw.len()));
        self.read = self.read.saturating_sub(raw_at);
    }

    /// How many characters from here on stay, the first at any rate: up to one that may begin
    /// something.
    fn plain(&self, at: usize, end: usize) -> usize {
        let run = self.seen.get(at..end).unwrap_or_default();
        let begins = |pair: &[u8]| matches!(pair, [before, next] if self.redaction.may_begin(*before, *next));
        let next = run.windows(2).position(begins);
        next.map_or(run.len(), |next| next + 1)
    }

    /// How many bytes so many characters take.
    fn bytes(&self, at: usize, characters: usize) -> usize {
        let upto = (at + characters).min(self.lengths.len());
        let lengths = self.lengths.get(at..upto).unwrap_or_default();
        lengths.iter().copied().map(usize::from).sum()
    }
}

/// A short text without what looks like a secret, by no pattern of the policy.
#[must_use]
pub fn without_secrets(text: &str) -> Cow<'_, str> {
    static USUAL: LazyLock<Arc<Redaction>> = LazyLock::new(|| Arc::new(Redaction::new(Vec::new())));
    let mut clean = Vec::with_capacity(text.len());
    let mut redactor = Redactor::new(Arc::clone(&USUAL));
    redactor.push(text.as_bytes(), &mut clean);
    redactor.finish(&mut clean);
    if clean == text.as_bytes() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(String::from_utf8_lossy(&clean).into_owned())
}

impl Tail {
    /// What is still to be taken out behind the next character, if that is to be.
    fn next(self, ahead: &[u8]) -> Option<Self> {
        let next = *ahead.first()?;
        let goes = match self {
            Self::None => false,
            Self::Token => secrets::is_of_token(next),
            Self::Value => !secrets::ends_value(next),
            Self::Quoted(quote) => next != quote && next != b'\n',
            Self::Block { dashes, length } => {
                // `-----END ...-----`: five dashes, twice.
                let is_last = dashes > 0 || ahead.starts_with(b"-----END");
                let dashes = dashes + u8::from(is_last && next == b'-');
                let length = length + 1;
                return (dashes <= 10 && length <= MOST_BLOCK && !(dashes == 10 && next != b'-'))
                    .then_some(Self::Block { dashes, length });
            }
        };
        goes.then_some(self)
    }
}

#[cfg(test)]
mod tests;
