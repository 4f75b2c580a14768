//! Characters as they are meant.

/// Most backslashes before an escaped character: one for each JSON within JSON, twice as many
/// each time.
const MOST_BACKSLASHES: usize = 8;

/// One character in UTF-8, and how many bytes it takes as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Glyph {
    means: [u8; 3],
    count: u8,
    pub(super) length: u8,
}

impl Glyph {
    const fn of(byte: u8, length: u8) -> Self {
        Self {
            means: [byte, 0, 0],
            count: 1,
            length,
        }
    }

    /// The character of this code point, or what it is another form of.
    fn meaning(point: u32, length: u8) -> Self {
        if let Some(ascii) = ascii(point) {
            return Self::of(ascii, length);
        }
        let mut bytes = [0; 4];
        let text = char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER);
        let text = text.encode_utf8(&mut bytes).as_bytes();
        let mut means = [0; 3];
        for (to, from) in means.iter_mut().zip(text) {
            *to = *from;
        }
        Self {
            means,
            // Four hexadecimal digits need no fourth byte.
            count: if point < 0x800 { 2 } else { 3 },
            length,
        }
    }

    pub(super) fn means(&self) -> &[u8] {
        self.means
            .get(..usize::from(self.count))
            .unwrap_or_default()
    }
}

/// The first character of what is not empty; of one of several bytes that stands for itself, the
/// first byte. `None`: more bytes are needed, and they may come unless `is_all`.
pub(super) fn glyph(raw: &[u8], is_all: bool) -> Option<Glyph> {
    match raw {
        [b'\\', ..] => escape(raw, is_all),
        [byte, ..] if byte.is_ascii() => Some(Glyph::of(*byte, 1)),
        // A space that does not break.
        [0xc2, 0xa0, ..] => Some(Glyph::of(b' ', 2)),
        [first @ (0xe2 | 0xe3 | 0xef), second, third, ..] => {
            let is_one = second & 0xc0 == 0x80 && third & 0xc0 == 0x80;
            let point = u32::from(first & 0xf) << 12
                | u32::from(second & 0x3f) << 6
                | u32::from(third & 0x3f);
            let ascii = ascii(point).filter(|_| is_one);
            Some(ascii.map_or(Glyph::of(*first, 1), |ascii| Glyph::of(ascii, 3)))
        }
        [0xc2] | [0xe2 | 0xe3 | 0xef] | [0xe2 | 0xe3 | 0xef, 0x80..=0xbf] if !is_all => None,
        [byte, ..] => Some(Glyph::of(*byte, 1)),
        [] => None,
    }
}

/// An escape of JSON (RFC 8259, section 7), or of JSON within JSON.
fn escape(raw: &[u8], is_all: bool) -> Option<Glyph> {
    let backslash = Glyph::of(b'\\', 1);
    let first = raw.iter().take(MOST_BACKSLASHES + 1);
    let backslashes = first.take_while(|byte| **byte == b'\\').count();
    if backslashes > MOST_BACKSLASHES {
        return Some(backslash);
    }
    let Some((escaped, rest)) = raw.get(backslashes..).and_then(<[u8]>::split_first) else {
        return is_all.then_some(backslash);
    };
    let length = u8::try_from(backslashes + 1).ok()?;
    Some(match escaped {
        b'n' | b'r' | b't' | b'b' | b'f' => Glyph::of(b'\n', length),
        b'"' | b'/' => Glyph::of(*escaped, length),
        b'u' => {
            let digits = rest.get(..4).unwrap_or(rest);
            if !digits.iter().all(u8::is_ascii_hexdigit) {
                return Some(backslash);
            }
            if digits.len() < 4 {
                return is_all.then_some(backslash);
            }
            let digit = |digit: &u8| char::from(*digit).to_digit(16).unwrap_or(0);
            let point = digits
                .iter()
                .map(digit)
                .fold(0, |point, digit| point << 4 | digit);
            Glyph::meaning(point, length + 4)
        }
        _ => backslash,
    })
}

/// The ASCII character that a character is, or another form of.
fn ascii(point: u32) -> Option<u8> {
    let ascii = match point {
        0..0x20 => 0x0a,
        0x20..0x7f => point,
        // Full-width forms.
        0xff01..=0xff5e => point - 0xfee0,
        // Spaces.
        0xa0 | 0x2002..=0x200a | 0x202f | 0x3000 => 0x20,
        // Hyphens, dashes, the minus sign, and what Japanese keyboards make of them.
        0x2010..=0x2015 | 0x2212 | 0x30fc => 0x2d,
        _ => return None,
    };
    u8::try_from(ascii).ok()
}
