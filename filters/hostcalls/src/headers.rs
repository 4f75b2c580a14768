//! A message's headers in the piece of memory in which the proxy hands them over.

use crate::Lent;

/// What stands before each name and each value: its length.
const LENGTH: usize = size_of::<u32>();

/// Headers in the form of `proxy_get_header_map_pairs` (proxy-wasm ABI 0.2.1): how many, the
/// lengths of each name and value, then names and values, each with a zero byte behind it;
/// numbers in 32 bits, least byte first.
#[derive(Clone, Debug, Default)]
pub struct Headers(Lent);

impl Headers {
    /// Headers in that form. What is cut short or lies about its lengths has fewer.
    #[must_use]
    pub fn new(serialized: impl Into<Lent>) -> Self {
        Self(serialized.into())
    }

    /// Names, which the proxy has put into lower case, and raw values, in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        let (count, rest) = number(&self.0).unwrap_or_default();
        let (lengths, texts) = count
            .checked_mul(2 * LENGTH)
            .and_then(|lengths| rest.split_at_checked(lengths))
            .unwrap_or_default();
        Iter { lengths, texts }
    }

    /// The first value of a name in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .find(|(given, _)| *given == name.as_bytes())
            .map(|(_, value)| value)
    }
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
    lengths: &'h [u8],
    texts: &'h [u8],
}

impl<'h> Iter<'h> {
    fn text(&mut self) -> Option<&'h [u8]> {
        let (length, lengths) = number(self.lengths)?;
        let (text, rest) = self.texts.split_at_checked(length)?;
        (_, self.texts) = rest.split_first()?;
        self.lengths = lengths;
        Some(text)
    }
}

impl<'h> Iterator for Iter<'h> {
    type Item = (&'h [u8], &'h [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let pair = self.text().and_then(|name| Some((name, self.text()?)));
        if pair.is_none() {
            self.lengths = &[];
        }
        pair
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

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<LENGTH>()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
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
