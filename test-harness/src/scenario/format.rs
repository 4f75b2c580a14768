//! What several parts of a scenario are written with.

use std::fmt;
use std::time::Duration;

use sekisho_domain::UnixMillis;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_yaml_ng::Value;

/// A time span: `250ms`, `61s`, `5m`, `2h`, `1d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl Span {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits)?;
        let number: u64 = number.parse().ok()?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        Some(Self(Duration::from_millis(number.checked_mul(millis)?)))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is no time span such as `250ms`, `61s`, `2h`"
            ))
        })
    }
}

/// A moment as RFC 3339 writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub UnixMillis);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let moment = text.parse::<jiff::Timestamp>().ok();
        let millis = moment.and_then(|moment| u64::try_from(moment.as_millisecond()).ok());
        millis.map(UnixMillis).map(Self).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is no moment such as `2026-01-15T10:00:05+09:00`"
            ))
        })
    }
}

/// Bytes: text, a number as text, or `{hex: 61ff}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Bytes {
    fn from_yaml(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(Self(text.as_bytes().to_vec())),
            Value::Number(number) => Ok(Self(number.to_string().into_bytes())),
            Value::Mapping(members) if members.len() == 1 => {
                let hex = members.get("hex").and_then(Value::as_str);
                let bytes = hex.and_then(unhex);
                bytes
                    .map(Self)
                    .ok_or_else(|| "must be `hex` with pairs of hex digits".to_owned())
            }
            _ => Err("must be text or `{hex: ...}`".to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_yaml(&value).map_err(D::Error::custom)
    }
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    let digit = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    pairs
        .iter()
        .map(|[high, low]| Some((digit(*high)? << 4) | digit(*low)?))
        .collect()
}

/// Headers in the order in which they stand in the file; a list of values is the header
/// several times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HeaderList(pub(super) Vec<(String, Vec<u8>)>);

impl HeaderList {
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }
}

impl<'de> Deserialize<'de> for HeaderList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = HeaderList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("headers: names with values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderList, A::Error> {
        let mut list = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            let values = match value {
                Value::Sequence(values) => values,
                one => vec![one],
            };
            for value in values {
                let bytes = Bytes::from_yaml(&value)
                    .map_err(|why| A::Error::custom(format!("header `{name}` {why}")))?;
                list.push((name.clone(), bytes.0));
            }
        }
        Ok(HeaderList(list))
    }
}

/// Where a body is cut: a number of bytes for every piece, or the sizes of the pieces, of
/// which the last repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunks(Vec<usize>);

impl Chunks {
    pub(super) fn of(size: usize) -> Self {
        Self(vec![size])
    }

    pub(super) fn cut(&self, body: &[u8]) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        let mut sizes = self.0.iter().copied();
        let mut size = usize::MAX;
        let mut rest = body;
        while !rest.is_empty() {
            size = sizes.next().unwrap_or(size);
            let (piece, after) = rest.split_at(size.clamp(1, rest.len()));
            pieces.push(piece.to_vec());
            rest = after;
        }
        pieces
    }
}

impl<'de> Deserialize<'de> for Chunks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ChunksVisitor)
    }
}

struct ChunksVisitor;

impl<'de> Visitor<'de> for ChunksVisitor {
    type Value = Chunks;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size of pieces, or a list of sizes, from 1")
    }

    fn visit_u64<E: serde::de::Error>(self, size: u64) -> Result<Chunks, E> {
        match usize::try_from(size) {
            Ok(size @ 1..) => Ok(Chunks(vec![size])),
            _ => Err(E::custom("pieces have at least one byte")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Chunks, A::Error> {
        let mut sizes = Vec::new();
        while let Some(size) = seq.next_element::<usize>()? {
            if size == 0 {
                return Err(A::Error::custom("pieces have at least one byte"));
            }
            sizes.push(size);
        }
        Ok(Chunks(sizes))
    }
}

/// How a body's length is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Framing {
    /// `content-length`.
    Length,
    /// `transfer-encoding: chunked`.
    Chunked,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_size_repeats() {
        let pieces = |sizes: &[usize]| Chunks(sizes.to_vec()).cut(b"abcdefg");
        assert_eq!(
            pieces(&[3]),
            [b"abc".to_vec(), b"def".to_vec(), b"g".to_vec()]
        );
        assert_eq!(
            pieces(&[1, 5]),
            [b"a".to_vec(), b"bcdef".to_vec(), b"g".to_vec()]
        );
        assert!(Chunks::of(4).cut(b"").is_empty());
    }

    #[test]
    fn spans_have_a_unit() {
        assert_eq!(Span::parse("61s"), Some(Span(Duration::from_secs(61))));
        assert_eq!(Span::parse("250ms"), Some(Span(Duration::from_millis(250))));
        for wrong in ["", "61", "s", "-1s", "1 s"] {
            assert_eq!(Span::parse(wrong), None, "{wrong}");
        }
    }
}
