//! Header maps as Envoy keeps them.

use std::fmt;

/// Headers in order. Names are lower case, values are bytes and may be anything.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

/// Headers that Envoy keeps once: a second value is appended after a comma.
const JOINED: [&str; 23] = [
    ":authority",
    ":method",
    ":path",
    ":protocol",
    ":scheme",
    ":status",
    "accept",
    "accept-encoding",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "origin",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-request-id",
];

impl Headers {
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The first value of a header.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// The first value of a header, if it is UTF-8.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Every value of a header, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let name = name.to_ascii_lowercase();
        self.0
            .iter()
            .filter(move |(n, _)| *n == name)
            .map(|(_, value)| value.as_slice())
    }

    /// Adds a value; a header that can be there only once gets it appended after a comma.
    pub fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let name = name.to_ascii_lowercase();
        if JOINED.contains(&name.as_str())
            && let Some((_, present)) = self.0.iter_mut().find(|(n, _)| *n == name)
        {
            present.push(b',');
            present.extend_from_slice(value.as_ref());
            return;
        }
        self.0.push((name, value.as_ref().to_vec()));
    }

    /// Sets a header to one value, whatever was there.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let name = name.to_ascii_lowercase();
        let mut value = Some(value.as_ref().to_vec());
        self.0.retain_mut(|(n, present)| {
            if *n != name {
                return true;
            }
            match value.take() {
                Some(value) => {
                    *present = value;
                    true
                }
                None => false,
            }
        });
        if let Some(value) = value {
            self.0.push((name, value));
        }
    }

    /// Removes every value of a header.
    pub fn remove(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        self.0.retain(|(n, _)| *n != name);
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of headers as callbacks are told it.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// The bytes of all names and values.
    pub(crate) fn byte_size(&self) -> u32 {
        let size = self
            .0
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>();
        u32::try_from(size).unwrap_or(u32::MAX)
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in pairs {
            headers.add(name.as_ref(), value);
        }
        headers
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>, const COUNT: usize> From<[(N, V); COUNT]> for Headers {
    fn from(pairs: [(N, V); COUNT]) -> Self {
        pairs.into_iter().collect()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.0.iter().map(|(n, v)| (n, String::from_utf8_lossy(v))))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_leaves_one_value_and_remove_none() {
        let mut headers = Headers::from([("x-a", "1"), ("x-b", "2"), ("X-A", "3")]);
        assert_eq!(headers.get("x-a"), Some(b"1".as_slice()));
        assert_eq!(headers.all("x-a").count(), 2);
        headers.set("X-a", "4");
        assert_eq!(headers.all("x-a").collect::<Vec<_>>(), [b"4"]);
        headers.remove("x-A");
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn two_authorizations_become_one_with_a_comma() {
        let headers = Headers::from([("authorization", "a"), ("Authorization", "b")]);
        assert_eq!(headers.text("authorization"), Some("a,b"));
        assert_eq!(headers.len(), 1);
    }
}
