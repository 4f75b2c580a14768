//! Takes secrets and personal data out of a body as it passes.
//!
//! Whatever the chunks are, the outcome is the same: at each place it depends on the two
//! characters before and on at most [`AHEAD`] characters from there on, and no place is decided
//! while what has not come can make a difference. So a secret on the border of chunks is found,
//! a few kilobytes are held at most, and the time is linear in the length.
//!
//! Bodies are read as what their letters stand for: escapes of JSON, also of JSON within JSON,
//! and the full-width forms of Japanese text are seen as the ASCII they mean.

mod ahead;
mod numbers;
mod secrets;
mod view;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use sekisho_domain::Pattern;

use ahead::Ahead;
pub(crate) use secrets::is_secret_name;
use view::glyph;

/// Most characters that are looked at from one place.
const AHEAD: usize = 400;
/// Bytes of a chunk that are read at a time.
const STRIDE: usize = 4096;
/// The longest block that is taken out whole, characters.
const MOST_BLOCK: usize = 16 * 1024;

/// What stands in the place of a secret.
pub(crate) const SECRET: &[u8] = b"[redacted:secret]";
/// What stands in the place of what might have been the beginning of one.
pub(crate) const OPEN: &[u8] = b"[redacted:open]";
/// What stands before a text of which its name says that it is secret, and before a number.
pub(crate) const SECRET_NAME: &[u8] = b"password\":\"";
pub(crate) const SECRET_NUMBER: &[u8] = b"password\":";

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
            Self::Secret => SECRET,
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
    fn find(&self, [earlier, before]: [u8; 2], ahead: &Ahead<'_>) -> Option<Found> {
        let first = ahead.at(0)?;
        if !self.may_begin(before, first) {
            return None;
        }
        let custom = self.patterns.iter().find_map(|pattern| {
            if !pattern.may_begin(first) {
                return None;
            }
            let (matched, goes_on) = pattern.matches_so_far(ahead.all());
            if goes_on {
                ahead.lacks();
            }
            matched
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

/// Where what is decided goes.
pub(crate) trait Sink {
    /// So many bytes stay as they are.
    fn stays(&mut self, bytes: &[u8]);
    /// Something is taken out from here on, and this stands in its place.
    fn mark(&mut self, mark: &'static [u8]);
    /// So many bytes go.
    fn goes(&mut self, bytes: usize);
}

impl Sink for Vec<u8> {
    fn stays(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn mark(&mut self, mark: &'static [u8]) {
        self.extend_from_slice(mark);
    }

    fn goes(&mut self, _: usize) {}
}

/// Notes whether anything goes.
struct Noting<'s, S> {
    sink: &'s mut S,
    is_changed: bool,
}

impl<S: Sink> Sink for Noting<'_, S> {
    fn stays(&mut self, bytes: &[u8]) {
        self.sink.stays(bytes);
    }

    fn mark(&mut self, mark: &'static [u8]) {
        self.is_changed = true;
        self.sink.mark(mark);
    }

    fn goes(&mut self, bytes: usize) {
        self.sink.goes(bytes);
    }
}

/// Takes secrets out of one text.
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
    /// For one text.
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

    /// What it takes out.
    pub(crate) fn redaction(&self) -> Arc<Redaction> {
        Arc::clone(&self.redaction)
    }

    /// Takes the next chunk in; adds to `out` what is decided by now.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        self.take(chunk, out);
    }

    /// The text has ended: adds the rest to `out`.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.end(out);
    }

    /// Takes the next chunk in.
    pub(crate) fn take(&mut self, chunk: &[u8], out: &mut impl Sink) {
        for piece in chunk.chunks(STRIDE) {
            self.raw.extend_from_slice(piece);
            self.see(false);
            self.decide(false, out);
        }
    }

    /// The text has ended.
    pub(crate) fn end(&mut self, out: &mut impl Sink) {
        self.see(true);
        self.decide(true, out);
    }

    /// Takes in what is read as if it stood here, and does not.
    pub(crate) fn imagine(&mut self, text: &[u8]) {
        self.see(true);
        self.seen.extend_from_slice(text);
        self.lengths.resize(self.seen.len(), 0);
    }

    /// Waits no longer for what follows: what is not decided is decided as if nothing followed,
    /// or goes and leaves this mark. It is still looked at together with what follows.
    pub(crate) fn let_go(&mut self, mark: Option<&'static [u8]>, out: &mut impl Sink) {
        self.see(true);
        let (seen, before) = (self.seen.clone(), self.before);
        let mut out = Noting {
            sink: out,
            is_changed: false,
        };
        match mark {
            None => self.decide(true, &mut out),
            Some(mark) => {
                if !self.raw.is_empty() {
                    out.sink.mark(mark);
                    out.sink.goes(self.raw.len());
                }
                self.begin_anew();
            }
        }
        if !out.is_changed && self.tail == Tail::None {
            self.lengths = vec![0; seen.len()];
            (self.seen, self.before) = (seen, before);
        }
    }

    /// Another text follows.
    pub(crate) fn begin_anew(&mut self) {
        self.raw.clear();
        self.seen.clear();
        self.lengths.clear();
        self.read = 0;
        self.before = [b' '; 2];
        self.tail = Tail::None;
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

    fn decide(&mut self, is_all: bool, out: &mut impl Sink) {
        let redaction = Arc::clone(&self.redaction);
        let end = self.seen.len();
        let (mut at, mut raw_at) = (0, 0);
        while at < end {
            let upto = (at + AHEAD).min(end);
            let ahead = Ahead::new(self.seen.get(at..upto).unwrap_or_default());
            let is_final = is_all || upto - at == AHEAD;
            let next = self.tail.next(&ahead);
            let found = match self.tail {
                Tail::None => redaction.find(self.before, &ahead),
                _ => None,
            };
            if ahead.is_short() && !is_final {
                break;
            }
            let passed = if let Some(tail) = next {
                self.tail = tail;
                out.goes(self.bytes(at, 1));
                1
            } else if self.tail != Tail::None {
                self.tail = Tail::None;
                continue; // looked at anew
            } else if let Some(found) = found {
                self.tail = found.tail;
                let kept = self.bytes(at, found.stays);
                out.stays(self.raw.get(raw_at..raw_at + kept).unwrap_or_default());
                out.mark(found.kind.mark());
                out.goes(self.bytes(at + found.stays, found.length - found.stays));
                found.length.max(1)
            } else {
                let plain = self.plain(at, end);
                let bytes = self.bytes(at, plain);
                out.stays(self.raw.get(raw_at..raw_at + bytes).unwrap_or_default());
                plain
            };
            raw_at += self.bytes(at, passed);
            at += passed;
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
    fn next(self, ahead: &Ahead<'_>) -> Option<Self> {
        let next = ahead.at(0)?;
        let goes = match self {
            Self::None => false,
            Self::Token => secrets::is_of_token(next),
            Self::Value => !secrets::ends_value(next),
            Self::Quoted(quote) => next != quote && next != b'\n',
            Self::Block { dashes, length } => {
                // `-----END ...-----`: five dashes, twice.
                let is_last = dashes > 0 || ahead.has(0, b"-----END");
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
