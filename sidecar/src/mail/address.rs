//! Addresses of people.

use std::fmt;
use std::str::FromStr;

use crate::forward::config::Checking;

/// Longest address (RFC 5321, section 4.5.3.1.3).
const MOST_BYTES: usize = 254;

/// An e-mail address that is safe in an envelope and a header: ASCII, one, without a name.
/// What is printed of it, also for debugging, is masked; [`Self::plain`] is not.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address(lettre::Address);

/// The text is not one e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one e-mail address in ASCII, such as `taro@example.com`")]
pub struct NotAnAddress;

impl Address {
    /// The address itself.
    #[must_use]
    pub fn plain(&self) -> &str {
        self.0.as_ref()
    }

    /// What follows the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.domain()
    }

    pub(super) const fn inner(&self) -> &lettre::Address {
        &self.0
    }
}

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let is_plain = text.len() <= MOST_BYTES && text.bytes().all(|b| b.is_ascii_graphic());
        let parsed = text.parse::<lettre::Address>().ok();
        parsed.filter(|_| is_plain).map(Self).ok_or(NotAnAddress)
    }
}

/// Most addresses of one list.
const MOST: usize = 50;

/// Reads a list of addresses in a section of the policy file, of which there must be one at least.
pub(crate) fn read_all(checking: &mut Checking<'_>, path: &str, texts: &[String]) -> Vec<Address> {
    if texts.is_empty() || texts.len() > MOST {
        checking.problem(path, format!("must be 1 to {MOST} addresses"));
    }
    let mut read = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        match text.parse::<Address>() {
            Ok(address) if read.contains(&address) => {
                checking.problem(format!("{path}[{at}]"), "is named twice");
            }
            Ok(address) => read.push(address),
            Err(error) => checking.problem(format!("{path}[{at}]"), error.to_string()),
        }
    }
    read
}

/// For logs: `t***@example.com`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.0.user().chars().next().unwrap_or('*');
        write!(f, "{first}***@{}", self.0.domain())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_plain_address_is_one_and_nothing_else_is() {
        for text in [
            "taro@example.com",
            "a.b+c@x-y.example.co.jp",
            "root@localhost",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().plain(), text);
        }
        for text in [
            "",
            "taro",
            "@example.com",
            "taro@",
            "taro@example.com, hanako@example.com",
            "Taro <taro@example.com>",
            "taro@example.com\r\nBcc: all@example.com",
            "taro@example.com\n",
            " taro@example.com",
            "ta ro@example.com",
            "太郎@example.com",
            "taro@例え.jp",
        ] {
            assert_eq!(text.parse::<Address>(), Err(NotAnAddress), "{text:?}");
        }
        let long = format!("{}@example.com", "a".repeat(300));
        assert_eq!(long.parse::<Address>(), Err(NotAnAddress));
    }

    #[test]
    fn what_is_printed_does_not_tell_whose_it_is() {
        let address: Address = "taro.yamada@example.com".parse().unwrap();
        assert_eq!(
            format!("{address} {address:?}"),
            "t***@example.com t***@example.com"
        );
    }
}
