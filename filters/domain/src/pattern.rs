//! Patterns of the policy for what is taken out of contents: a part of regular expressions whose
//! longest match is known beforehand, so that a stream can be read with it at bounded cost.

use std::fmt;

/// Longest match, characters.
pub const MOST_LENGTH: usize = 64;

/// Why something is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It has nothing.
    #[error("is empty")]
    Empty,
    /// It matches nothing at all, too.
    #[error("must not match an empty text: something in it has to be there at least once")]
    MatchesNothing,
    /// Its longest match.
    #[error("can match more than {MOST_LENGTH} characters: say shorter `{{m,n}}`")]
    TooLong,
    /// A character that means something in regular expressions and nothing here.
    #[error(
        "`{0}` is not known here: there are letters, `[a-z0-9]`, `\\d`, `\\w`, `?`, `{{n}}` and \
         `{{m,n}}`; `\\` makes any other character plain"
    )]
    Unknown(char),
    /// Not in ASCII.
    #[error("`{0}` within `[]` is not ASCII")]
    NotAscii(char),
    /// A class without end, or with nothing in it.
    #[error("a `[` has no `]`, nothing in it, or a range that goes backwards")]
    Class,
    /// Not `{n}` or `{m,n}`.
    #[error("a `{{` is not followed by `n}}` or `m,n}}`, or has nothing to repeat")]
    Repeat,
}

/// One place of a match.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    /// Bit by bit, which bytes may stand there.
    set: [u64; 4],
    /// It may be left out.
    may_miss: bool,
}

/// A pattern.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    places: Vec<Place>,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let mut places: Vec<Place> = Vec::new();
        // Where what a repetition repeats begins.
        let mut last = None;
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            let begins = places.len();
            match next {
                '?' => {
                    repeat(&mut places, last.take(), 0, 1)?;
                    continue;
                }
                '{' => {
                    let (least, most) = bounds(&mut rest)?;
                    repeat(&mut places, last.take(), least, most)?;
                    continue;
                }
                '[' => places.push(Place::of(class(&mut rest)?)),
                '\\' => places.push(Place::of(escaped(rest.next())?)),
                '.' | '*' | '+' | '(' | ')' | '|' | '^' | '$' | ']' | '}' => {
                    return Err(PatternError::Unknown(next));
                }
                next => {
                    let mut bytes = [0; 4];
                    let bytes = next.encode_utf8(&mut bytes).bytes();
                    places.extend(bytes.map(|byte| Place::of(one(byte))));
                }
            }
            if places.len() > MOST_LENGTH {
                return Err(PatternError::TooLong);
            }
            last = Some(begins);
        }
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if places.iter().all(|place| place.may_miss) {
            return Err(PatternError::MatchesNothing);
        }
        let text = text.to_owned();
        Ok(Self { text, places })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a match can begin with this byte.
    #[must_use]
    pub fn may_begin(&self, first: u8) -> bool {
        for place in &self.places {
            if place.has(first) {
                return true;
            }
            if !place.may_miss {
                return false;
            }
        }
        false
    }

    /// Length of the longest match at the beginning of `text`, bytes.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> Option<usize> {
        self.matches_so_far(text).0
    }

    /// The same of a text that goes on, and whether what follows can make a difference.
    #[must_use]
    pub fn matches_so_far(&self, text: &[u8]) -> (Option<usize>, bool) {
        let mut matched = None;
        // Bit by bit, the places that may come next; the last bit is the end.
        let mut next = self.onward(1);
        for (at, byte) in text.iter().enumerate() {
            let here = self.places.iter().enumerate();
            let met = here.filter(|(place, is)| next >> place & 1 == 1 && is.has(*byte));
            next = self.onward(met.fold(0, |met, (place, _)| met | 1 << (place + 1)));
            if next == 0 {
                return (matched, false);
            }
            if next >> self.places.len() & 1 == 1 {
                matched = Some(at + 1);
            }
        }
        let end = 1 << self.places.len();
        (matched, next & !end != 0)
    }

    /// With what follows places that may be left out.
    fn onward(&self, mut places: u128) -> u128 {
        for (at, place) in self.places.iter().enumerate() {
            if place.may_miss && places >> at & 1 == 1 {
                places |= 1 << (at + 1);
            }
        }
        places
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text).finish()
    }
}

impl Place {
    const fn of(set: [u64; 4]) -> Self {
        Self {
            set,
            may_miss: false,
        }
    }

    fn has(&self, byte: u8) -> bool {
        let word = self.set.get(usize::from(byte >> 6)).copied().unwrap_or(0);
        word >> (byte & 63) & 1 == 1
    }
}

fn one(byte: u8) -> [u64; 4] {
    between(byte, byte)
}

fn between(first: u8, last: u8) -> [u64; 4] {
    let mut set = [0; 4];
    for byte in first..=last {
        if let Some(word) = set.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }
    set
}

fn either(one: [u64; 4], other: [u64; 4]) -> [u64; 4] {
    let mut both = one;
    for (word, more) in both.iter_mut().zip(other) {
        *word |= more;
    }
    both
}

fn escaped(character: Option<char>) -> Result<[u64; 4], PatternError> {
    let digits = between(b'0', b'9');
    match character {
        Some('d') => Ok(digits),
        Some('w') => {
            let letters = either(between(b'a', b'z'), between(b'A', b'Z'));
            Ok(either(either(letters, digits), one(b'_')))
        }
        Some(plain) if plain.is_ascii_punctuation() => u8::try_from(plain)
            .map(one)
            .map_err(|_| PatternError::NotAscii(plain)),
        Some(other) => Err(PatternError::Unknown(other)),
        None => Err(PatternError::Unknown('\\')),
    }
}

/// What is in brackets, without the first.
fn class(rest: &mut std::str::Chars<'_>) -> Result<[u64; 4], PatternError> {
    let mut set = [0; 4];
    let mut is_empty = true;
    loop {
        let first = match rest.next().ok_or(PatternError::Class)? {
            ']' if is_empty => return Err(PatternError::Class),
            ']' => return Ok(set),
            '^' if is_empty => return Err(PatternError::Unknown('^')),
            '\\' => {
                set = either(set, escaped(rest.next())?);
                is_empty = false;
                continue;
            }
            plain => ascii(plain)?,
        };
        let mut after = rest.clone();
        let last = match (after.next(), after.next()) {
            (Some('-'), Some(last)) if last != ']' => {
                *rest = after;
                ascii(last)?
            }
            _ => first,
        };
        if last < first {
            return Err(PatternError::Class);
        }
        set = either(set, between(first, last));
        is_empty = false;
    }
}

fn ascii(character: char) -> Result<u8, PatternError> {
    let is_ascii = character.is_ascii();
    let byte = u8::try_from(character).ok().filter(|_| is_ascii);
    byte.ok_or(PatternError::NotAscii(character))
}

/// What is in braces, without the first.
fn bounds(rest: &mut std::str::Chars<'_>) -> Result<(usize, usize), PatternError> {
    let (inside, after) = rest.as_str().split_once('}').ok_or(PatternError::Repeat)?;
    let number = |text: &str| text.parse::<usize>().map_err(|_| PatternError::Repeat);
    let (least, most) = match inside.split_once(',') {
        Some((least, most)) => (number(least)?, number(most)?),
        None => (number(inside)?, number(inside)?),
    };
    if least > most || most == 0 {
        return Err(PatternError::Repeat);
    }
    if most > MOST_LENGTH {
        return Err(PatternError::TooLong);
    }
    *rest = after.chars();
    Ok((least, most))
}

/// What begins at `from`, so many times.
fn repeat(
    places: &mut Vec<Place>,
    from: Option<usize>,
    least: usize,
    most: usize,
) -> Result<(), PatternError> {
    let from = from.ok_or(PatternError::Repeat)?;
    let unit = places.split_off(from);
    if unit.len() > 1 {
        // A letter of several bytes: left out in part it would be none.
        return Err(PatternError::Repeat);
    }
    for time in 0..most {
        let may_miss = time >= least;
        places.extend(unit.iter().map(|place| Place { may_miss, ..*place }));
    }
    if places.len() > MOST_LENGTH {
        return Err(PatternError::TooLong);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(pattern: &str, text: &str) -> Option<usize> {
        Pattern::parse(pattern).unwrap().matches(text.as_bytes())
    }

    #[test]
    fn the_longest_match_counts() {
        for (pattern, text, expected) in [
            ("EMP-[0-9]{6}", "EMP-123456", Some(10)),
            ("EMP-[0-9]{6}", "EMP-1234567", Some(10)),
            ("EMP-[0-9]{6}", "EMP-12345", None),
            (r"\d{2,4}", "12345", Some(4)),
            (r"\d{2,4}", "1x", None),
            (r"A?B?C", "BC", Some(2)),
            (r"A?B?C", "C!", Some(1)),
            (r"a\.b", "a.b", Some(3)),
            (r"a\.b", "axb", None),
            (r"[a-c\-]{1,5}x", "a-bx", Some(4)),
            ("社員[0-9]{2}", "社員07", Some(8)),
            (r"\w{3}", "a_9", Some(3)),
        ] {
            assert_eq!(length(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn whatever_cannot_be_kept_is_refused() {
        for (pattern, error) in [
            ("", PatternError::Empty),
            ("a?", PatternError::MatchesNothing),
            ("a*", PatternError::Unknown('*')),
            ("a.b", PatternError::Unknown('.')),
            ("[^a]", PatternError::Unknown('^')),
            ("[]", PatternError::Class),
            ("[z-a]", PatternError::Class),
            ("[abc", PatternError::Class),
            ("[あ]", PatternError::NotAscii('あ')),
            ("{3}", PatternError::Repeat),
            ("a{3", PatternError::Repeat),
            ("a{0}", PatternError::Repeat),
            ("あ{2}", PatternError::Repeat),
            ("a{65}", PatternError::TooLong),
            ("[0-9]{40}[0-9]{40}", PatternError::TooLong),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap_err(), error, "{pattern}");
        }
    }

    #[test]
    fn whatever_matches_may_begin() {
        let pattern = Pattern::parse("x?[0-9]y").unwrap();
        assert!(pattern.may_begin(b'x') && pattern.may_begin(b'4'));
        assert!(!pattern.may_begin(b'y'));
    }
}
