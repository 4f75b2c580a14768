//! A message's headers in the piece of memory in which the proxy hands them over.

use crate::Lent;

/// What stands before each name and each value: its length.
const LENGTH: usize = size_of::<u32>();

/// Headers in the form of `proxy_get_header_map_pairs` (proxy-wasm ABI 0.2.1): how many, the
/// lengths of each name and value, then names and values, each with a zero byte behind it;
/// numbers in 32 bits, least byte first.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    serialized: Lent,
    /// Where they are: they are gone over several times, and found once.
    places: Vec<Place>,
}

/// Where a header stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    name: u32,
    name_length: u32,
    value: u32,
    value_length: u32,
}

impl Headers {
    /// Headers in that form. What is cut short or lies about its lengths has fewer.
    #[must_use]
    pub fn new(serialized: impl Into<Lent>) -> Self {
        let serialized = serialized.into();
        let places = places(&serialized);
        Self { serialized, places }
    }

    /// Names, which the proxy has put into lower case, and raw values, in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            bytes: &self.serialized,
            places: self.places.iter(),
        }
    }

    /// The first value of a name in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let same_length = |place: &&Place| place.name_length as usize == name.len();
        self.places
            .iter()
            .filter(same_length)
            .map(|place| place.read(&self.serialized))
            .find(|(given, _)| *given == name.as_bytes())
            .map(|(_, value)| value)
    }
}

impl Place {
    /// Name and value.
    fn read(self, bytes: &[u8]) -> (&[u8], &[u8]) {
        let text = |start: u32, length: u32| {
            let (start, length) = (start as usize, length as usize);
            bytes.get(start..start + length).unwrap_or_default()
        };
        (
            text(self.name, self.name_length),
            text(self.value, self.value_length),
        )
    }
}

/// Where the headers stand, up to the first that does not stand there whole.
fn places(bytes: &[u8]) -> Vec<Place> {
    let Some((count, rest)) = number(bytes) else {
        return Vec::new();
    };
    let lengths = (count as usize).checked_mul(2 * LENGTH);
    let Some(lengths) = lengths.and_then(|size| rest.get(..size)) else {
        return Vec::new();
    };
    // What a module can address has no more bytes than 32 bits can count.
    let whole = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut at = u32::try_from(LENGTH + lengths.len()).unwrap_or(u32::MAX);
    let mut next = |length: u32| {
        let start = at;
        // With the zero behind it.
        at = start.checked_add(length)?.checked_add(1)?;
        (at <= whole).then_some(start)
    };
    let (pairs, _) = lengths.as_chunks::<{ 2 * LENGTH }>();
    let place = |[a, b, c, d, e, f, g, h]: &[u8; 2 * LENGTH]| {
        let name_length = u32::from_le_bytes([*a, *b, *c, *d]);
        let value_length = u32::from_le_bytes([*e, *f, *g, *h]);
        Some(Place {
            name: next(name_length)?,
            name_length,
            value: next(value_length)?,
            value_length,
        })
    };
    let mut places = Vec::with_capacity(pairs.len());
    places.extend(pairs.iter().map_while(place));
    places
}

impl<'h> IntoIterator for &'h Headers {
    type Item = (&'h [u8], &'h [u8]);
    type IntoIter = Iter<'h>;

    fn into_iter(self) -> Iter<'h> {
        self.iter()
    }
}

/// Goes over [`Headers`].
#[derive(Clone, Debug)]
pub struct Iter<'h> {
    bytes: &'h [u8],
    places: std::slice::Iter<'h, Place>,
}

impl<'h> Iterator for Iter<'h> {
    type Item = (&'h [u8], &'h [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.places.next()?.read(self.bytes))
    }
}

/// Headers in the same form, for the proxy to read.
pub(crate) fn serialize(headers: &[(&str, &str)]) -> Vec<u8> {
    // None that this gateway writes is near 4 GiB; a length that lies would be the proxy's to refuse.
    let length = |of: usize| u32::try_from(of).unwrap_or(u32::MAX).to_le_bytes();
    let mut out = length(headers.len()).to_vec();
    for (name, value) in headers {
        out.extend_from_slice(&length(name.len()));
        out.extend_from_slice(&length(value.len()));
    }
    for text in headers.iter().flat_map(|(name, value)| [name, value]) {
        out.extend_from_slice(text.as_bytes());
        out.push(0);
    }
    out
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<LENGTH>()?;
    Some((u32::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serialized(pairs: &[(&str, &[u8])]) -> Vec<u8> {
        let length = |text: &[u8]| u32::try_from(text.len()).unwrap().to_le_bytes();
        let mut out = u32::try_from(pairs.len()).unwrap().to_le_bytes().to_vec();
        for (name, value) in pairs {
            out.extend(length(name.as_bytes()));
            out.extend(length(value));
        }
        for (name, value) in pairs {
            out.extend([name.as_bytes(), b"\0", value, b"\0"].concat());
        }
        out
    }

    const PAIRS: &[(&str, &[u8])] = &[
        (":path", b"/v1"),
        ("empty", b""),
        ("odd", b"a\xffb\0c"),
        (":path", b"/v2"),
    ];

    #[test]
    fn names_and_values_come_as_they_were_sent() {
        let headers = Headers::new(serialized(PAIRS));
        let read: Vec<_> = headers.iter().collect();
        let sent: Vec<_> = PAIRS.iter().map(|(n, v)| (n.as_bytes(), *v)).collect();
        assert_eq!(read, sent);
        assert_eq!(headers.get(":path"), Some(&b"/v1"[..]));
        assert_eq!(headers.get("none"), None);
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let pairs = [("content-type", "text/plain"), ("empty", "")];
        let headers = Headers::new(serialize(&pairs));
        let read: Vec<_> = headers.iter().collect();
        let written = pairs.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        assert_eq!(read, written);
    }

    #[test]
    fn no_header_is_made_up_from_what_is_cut_short() {
        let whole = serialized(PAIRS);
        for length in 0..whole.len() {
            let cut = Headers::new(whole[..length].to_vec());
            let mut all = PAIRS.iter();
            for (name, value) in &cut {
                let sent = all.next().unwrap();
                assert_eq!((name, value), (sent.0.as_bytes(), sent.1), "{length}");
            }
            assert!(all.next().is_some(), "{length}");
        }
    }

    #[test]
    fn lengths_that_lie_end_the_headers() {
        for at in (4..20).step_by(4) {
            let mut odd = serialized(PAIRS);
            odd[at..at + 4].copy_from_slice(&[0xff; 4]);
            assert!(Headers::new(odd).iter().count() < PAIRS.len(), "{at}");
        }
        assert_eq!(Headers::new(vec![0xff; 16]).iter().count(), 0);
        assert_eq!(Headers::default().iter().count(), 0);
    }
}
