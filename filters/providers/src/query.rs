//! Queries: what a provider may read from one, it executes, so an operation takes the
//! parameters that it lists and no others.

use sekisho_domain::DenialCode;

use crate::Operation;
use crate::path::split_query;

/// A parameter: its name as it stands in the query, and what it may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter(pub(crate) &'static str, pub(crate) Values);

/// What a parameter may be, as it stands in the query.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Values {
    /// Letters, digits, `-`, `.`, `_` and `~`.
    Word,
    /// Exactly one of these.
    OneOf(&'static [&'static str]),
    /// Whatever there is, under any name.
    Anything,
}

impl Values {
    fn allow(self, value: &[u8]) -> bool {
        match self {
            Self::Word => value
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')),
            Self::Anything => true,
            Self::OneOf(values) => values.iter().any(|allowed| allowed.as_bytes() == value),
        }
    }
}

/// Holds a request's query to what its operation takes: each parameter at most once, spelt as
/// the provider's documentation spells it.
///
/// # Errors
/// [`DenialCode::UnexpectedQuery`].
pub fn check_query(operation: &Operation, path_and_query: &[u8]) -> Result<(), DenialCode> {
    let (_, query) = split_query(path_and_query);
    let query = query.strip_prefix(b"?").unwrap_or_default();
    let takes_anything = matches!(operation.query, [Parameter(_, Values::Anything)]);
    if query.is_empty() || takes_anything {
        return Ok(());
    }
    let mut seen = 0u32;
    for part in query.split(|b| *b == b'&') {
        let taken = taken(operation.query, part).ok_or(DenialCode::UnexpectedQuery)?;
        if seen & taken != 0 {
            return Err(DenialCode::UnexpectedQuery);
        }
        seen |= taken;
    }
    Ok(())
}

/// What a parameter is in the query, as it stands there; the first, should it be there twice,
/// which [`check_query`] refuses. A value that would have to be decoded is none.
pub(crate) fn query_value(path_and_query: &[u8], name: &str) -> Option<String> {
    let (_, query) = split_query(path_and_query);
    let query = query.strip_prefix(b"?")?;
    let value = query
        .split(|b| *b == b'&')
        .find_map(|part| part.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    let plain = !value.is_empty() && Values::Word.allow(value);
    let text = plain.then(|| std::str::from_utf8(value).ok())??;
    Some(text.to_owned())
}

/// The query with another value of a parameter that it has. None: it has none, or the value
/// could not stand there as it is.
pub(crate) fn with_query_value(path_and_query: &[u8], name: &str, value: &str) -> Option<Vec<u8>> {
    if value.is_empty() || !Values::Word.allow(value.as_bytes()) {
        return None;
    }
    let (path, query) = split_query(path_and_query);
    let query = query.strip_prefix(b"?")?;
    let mut written = path.to_vec();
    let mut is_there = false;
    for (at, part) in query.split(|b| *b == b'&').enumerate() {
        written.push(if at == 0 { b'?' } else { b'&' });
        let rest = part.strip_prefix(name.as_bytes());
        if rest.is_some_and(|rest| rest.starts_with(b"=")) {
            is_there = true;
            written.extend(name.bytes());
            written.push(b'=');
            written.extend(value.bytes());
        } else {
            written.extend(part);
        }
    }
    is_there.then_some(written)
}

/// The bit of the parameter that this part is.
fn taken(parameters: &[Parameter], part: &[u8]) -> Option<u32> {
    let equals = part.iter().position(|b| *b == b'=')?;
    let (name, value) = part.split_at_checked(equals)?;
    let value = value.get(1..)?;
    let known = |parameter: &Parameter| parameter.0.as_bytes() == name;
    let place = parameters.iter().position(known)?;
    let parameter = parameters.get(place)?;
    let bit = 1u32.checked_shl(u32::try_from(place).ok()?)?;
    parameter.1.allow(value).then_some(bit)
}

#[cfg(test)]
mod tests;
