//! Names of things. Each is its own type, so that a department never stands where a
//! user belongs.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(pub String);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $type {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// A department, by its code (`sales`), not its display name (`営業部`).
    DepartmentId
);
name!(
    /// A person's title, by its code (`manager`), not its display name (`部長`).
    TitleId
);
name!(
    /// A person in the directory, by the company's own id (employee number).
    UserId
);
name!(
    /// A subscription key, by its public id; never the secret.
    KeyId
);
name!(
    /// One API entry of the policy.
    ApiId
);
name!(
    /// One budget of the policy.
    BudgetId
);

/// The id of one call's audit record: a UUID version 7 (RFC 9562, section 5.7), so
/// that ids sort by time of arrival.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub [u8; 16]);

impl RecordId {
    /// Builds the id from the time of arrival and ten random bytes (74 bits are used).
    #[must_use]
    pub fn v7(now: crate::UnixMillis, random: [u8; 10]) -> Self {
        let [_, _, t0, t1, t2, t3, t4, t5] = now.0.to_be_bytes();
        let [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9] = random;
        Self([
            t0,
            t1,
            t2,
            t3,
            t4,
            t5,
            0x70 | (r0 & 0x0f),
            r1,
            0x80 | (r2 & 0x3f),
            r3,
            r4,
            r5,
            r6,
            r7,
            r8,
            r9,
        ])
    }

    /// Reads the hyphenated form that [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 36 {
            return None;
        }
        let mut out = [0u8; 16];
        let mut digits = 0usize;
        for (at, byte) in bytes.iter().enumerate() {
            if matches!(at, 8 | 13 | 18 | 23) {
                if *byte != b'-' {
                    return None;
                }
                continue;
            }
            let value = (*byte as char).to_digit(16)?;
            let slot = out.get_mut(digits / 2)?;
            *slot = (*slot << 4) | u8::try_from(value).ok()?;
            digits += 1;
        }
        Some(Self(out))
    }

    /// Reads 16 raw bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl RecordId {
    /// The hyphenated form, in ASCII.
    #[must_use]
    pub fn hyphenated(&self) -> [u8; 36] {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 36];
        let mut places = text.iter_mut();
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                places.next();
            }
            for nibble in [byte >> 4, byte & 0x0f] {
                if let (Some(place), Some(digit)) = (places.next(), HEX.get(usize::from(nibble))) {
                    *place = *digit;
                }
            }
        }
        text
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.hyphenated()).unwrap_or_default())
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for RecordId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.hyphenated();
        serializer.serialize_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for RecordId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("a record id is a hyphenated UUID"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UnixMillis;

    #[test]
    fn a_record_id_is_a_version_7_uuid_that_sorts_by_time() {
        // The example of RFC 9562, appendix A.6.
        let id = RecordId::v7(
            UnixMillis(0x017F_22E2_79B0),
            [0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f],
        );
        assert_eq!(id.to_string(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
        assert_eq!(RecordId::parse(&id.to_string()), Some(id));
        assert!(id < RecordId::v7(UnixMillis(0x017F_22E2_79B1), [0; 10]));
    }

    #[test]
    fn anything_but_a_uuid_is_no_record_id() {
        for text in [
            "",
            "017f22e279b07cc398c4dc0c0c07398f",
            "017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
        ] {
            assert_eq!(RecordId::parse(text), None, "{text}");
        }
    }
}
