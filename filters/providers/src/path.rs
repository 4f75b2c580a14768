//! Paths as they stand on the request line: what is refused on sight, how segments are
//! compared and decoded, how a model's name is written into one.

use std::borrow::Cow;

use sekisho_domain::DenialCode;

use crate::query::with_query_value;
use crate::{ModelPlace, Operation};

/// One segment of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// Exactly this.
    Literal(Cow<'static, str>),
    /// A model's name, then exactly this.
    Model(&'static str),
    /// What a provider has named something by: letters, digits, `-`, `_` and `.`.
    Id,
    /// The Google Cloud project of the API.
    Project,
    /// The Google Cloud location of the API.
    Location,
    /// Anything.
    Any,
}

/// Splits a template of the catalogue.
pub(crate) fn segments(template: &'static str) -> impl Iterator<Item = Segment> {
    template.split('/').skip(1).map(|segment| match segment {
        "{id}" => Segment::Id,
        "{project}" => Segment::Project,
        "{location}" => Segment::Location,
        _ => segment
            .strip_prefix("{model}")
            .map_or(Segment::Literal(Cow::Borrowed(segment)), Segment::Model),
    })
}

/// Splits a template of the policy, where whatever stands in braces is anything.
pub(crate) fn policy_segments(template: &str) -> impl Iterator<Item = Segment> {
    template.split('/').skip(1).map(|segment| {
        if segment.starts_with('{') {
            Segment::Any
        } else {
            Segment::Literal(Cow::Owned(segment.to_owned()))
        }
    })
}

/// Whether a segment can be a provider's id of something.
pub(crate) fn is_id(raw: &[u8]) -> bool {
    raw.iter()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// The raw segment's model, if the segment matches.
pub(crate) fn model_of<'p>(raw: &'p [u8], suffix: &str) -> Option<&'p [u8]> {
    raw.strip_suffix(suffix.as_bytes())
        .filter(|model| !model.is_empty())
}

/// Path and query, the question mark with the query.
pub(crate) fn split_query(raw: &[u8]) -> (&[u8], &[u8]) {
    let at = raw.iter().position(|b| *b == b'?').unwrap_or(raw.len());
    raw.split_at_checked(at).unwrap_or((raw, &[]))
}

/// A path that means one thing only, but for encoded slashes.
pub(crate) struct Plain<'p> {
    /// The path after its first slash.
    pub(crate) path: &'p [u8],
    /// Segments.
    pub(crate) segments: usize,
    /// Encoded slashes, which only a model's name may have.
    pub(crate) slashes: usize,
}

/// Refuses whatever two readers could take for two different paths.
pub(crate) fn plain(path: &[u8]) -> Result<Plain<'_>, DenialCode> {
    const REFUSED: Result<Plain<'_>, DenialCode> = Err(DenialCode::AmbiguousPath);
    let Some((b'/', path)) = path.split_first() else {
        return REFUSED;
    };
    let (mut segments, mut slashes) = (1, 0);
    let mut segment: &[u8] = path; // from the current segment's start on
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'/' => {
                let length = segment.len() - after.len() - 1;
                if is_dots_or_empty(segment.get(..length).unwrap_or_default()) {
                    return REFUSED;
                }
                segments += 1;
                segment = after;
            }
            b'%' => {
                let Some(decoded) = decode(after) else {
                    return REFUSED;
                };
                match decoded {
                    b'/' => slashes += 1,
                    b'%' | b'\\' | b';' | b'?' | b'#' => return REFUSED,
                    0x21..=0x7e => {}
                    _ => return REFUSED,
                }
                rest = after.get(2..).unwrap_or_default();
            }
            b'\\' | b';' | b'#' => return REFUSED,
            0x21..=0x7e => {}
            _ => return REFUSED,
        }
    }
    if matches!(segment, b"." | b"..") {
        return REFUSED;
    }
    Ok(Plain {
        path,
        segments,
        slashes,
    })
}

fn is_dots_or_empty(segment: &[u8]) -> bool {
    matches!(segment, b"" | b"." | b"..")
}

fn decode(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits.first_chunk::<2>()?.map(hex);
    Some((high? << 4) | low?)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Decodes a model's name out of a path that is [`plain`].
pub(crate) fn decode_model(raw: &[u8]) -> Result<String, DenialCode> {
    let mut name = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((byte, after)) = rest.split_first() {
        if *byte == b'%' {
            name.push(char::from(decode(after).ok_or(DenialCode::AmbiguousPath)?));
            rest = after.get(2..).unwrap_or_default();
        } else {
            name.push(char::from(*byte));
            rest = after;
        }
    }
    // An upstream that decodes before it splits would see these as path segments.
    if name
        .split('/')
        .any(|part| is_dots_or_empty(part.as_bytes()))
    {
        return Err(DenialCode::AmbiguousPath);
    }
    Ok(name)
}

/// The path with another model in it; what is not unreserved (RFC 3986, section 2.3) is
/// percent-encoded, the rest and the query stay as they are. None if the operation's
/// path names no model, the path is not one of the operation's, or the name cannot
/// stand in it.
#[must_use]
pub fn path_with_model(
    operation: &Operation,
    raw_path_and_query: &[u8],
    model: &str,
) -> Option<Vec<u8>> {
    match operation.model {
        ModelPlace::Path => {}
        ModelPlace::Query(name) => return with_query_value(raw_path_and_query, name, model),
        ModelPlace::Body | ModelPlace::Nowhere => return None,
    }
    let model = encoded_model(model, operation.slash_in_model)?;
    let (path, query) = split_query(raw_path_and_query);
    let mut written = Vec::with_capacity(raw_path_and_query.len() + model.len());
    let mut expected = segments(operation.template);
    for raw in path.strip_prefix(b"/")?.split(|b| *b == b'/') {
        written.push(b'/');
        match expected.next()? {
            Segment::Literal(literal) if literal.as_bytes() == raw => written.extend(raw),
            Segment::Literal(_) => return None,
            Segment::Model(suffix) => {
                model_of(raw, suffix)?;
                written.extend(model.as_bytes());
                written.extend(suffix.as_bytes());
            }
            // Held to the policy when the path was found.
            Segment::Id | Segment::Project | Segment::Location | Segment::Any => {
                written.extend(raw);
            }
        }
    }
    written.extend(query);
    expected.next().is_none().then_some(written)
}

/// A model's name as it stands in a path. None: it cannot.
pub(crate) fn encoded_model(model: &str, slash_allowed: bool) -> Option<String> {
    let sound = model.bytes().all(|b| match b {
        b'/' => slash_allowed,
        b'%' | b'\\' | b';' | b'?' | b'#' => false,
        b => b.is_ascii_graphic(),
    }) && !model
        .split('/')
        .any(|part| is_dots_or_empty(part.as_bytes()));
    let mut encoded = String::with_capacity(model.len());
    model.bytes().for_each(|b| encode(b, &mut encoded));
    sound.then_some(encoded)
}

fn encode(byte: u8, to: &mut String) {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
        to.push(char::from(byte));
        return;
    }
    to.push('%');
    for digit in [byte >> 4, byte & 0x0f] {
        to.extend(HEX.get(usize::from(digit)));
    }
}

#[cfg(test)]
mod tests;
