//! Limits as they are written. Whatever is not a limit is read as well, so that the check
//! can say what to write instead: nobody gets no limit by a slip.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::raw::RawLimit;
use crate::budget::MOST_LIMIT;
use crate::{Meter, Micros};

impl RawLimit {
    /// The limit in the meter's unit.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub(super) fn read(&self, meter: Meter) -> Result<u64, String> {
        let what = match meter {
            Meter::Cost => "a whole number, or a decimal in quotes such as `\"0.375\"`",
            _ => "a whole number",
        };
        let wrong = |found: &str| {
            format!(
                "must be {what}, not {found}; 0 lets nothing pass, and there is no unlimited: \
                 leave the budget out"
            )
        };
        let limit = match self {
            Self::Missing => return Err(wrong("missing")),
            Self::Wrong(found) => return Err(wrong(found)),
            Self::Whole(whole) if meter == Meter::Cost => {
                Micros::parse(&whole.to_string())
                    .map_err(|_| wrong(&format!("{whole}")))?
                    .0
            }
            Self::Whole(whole) => *whole,
            Self::Decimal(text) if meter == Meter::Cost => {
                Micros::parse(text)
                    .map_err(|_| wrong(&format!("`{text}`")))?
                    .0
            }
            Self::Decimal(text) => return Err(wrong(&format!("the text `{text}`"))),
        };
        if limit > MOST_LIMIT {
            let most = meter.shown(MOST_LIMIT);
            return Err(format!("must be at most {most}, which nobody uses up"));
        }
        Ok(limit)
    }

    /// A limit as people write it.
    #[must_use]
    pub fn of(meter: Meter, limit: u64) -> Self {
        match meter {
            Meter::Cost => Self::Decimal(meter.shown(limit)),
            _ => Self::Whole(limit),
        }
    }
}

impl Serialize for RawLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Missing => serializer.serialize_unit(),
            Self::Whole(whole) => serializer.serialize_u64(*whole),
            Self::Decimal(text) | Self::Wrong(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for RawLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = RawLimit;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a limit")
    }

    fn visit_u64<E>(self, whole: u64) -> Result<RawLimit, E> {
        Ok(RawLimit::Whole(whole))
    }

    fn visit_i64<E>(self, whole: i64) -> Result<RawLimit, E> {
        Ok(u64::try_from(whole).map_or_else(
            |_| RawLimit::Wrong(format!("the negative {whole}")),
            RawLimit::Whole,
        ))
    }

    fn visit_f64<E>(self, number: f64) -> Result<RawLimit, E> {
        Ok(RawLimit::Wrong(format!(
            "the floating-point number {number:?}"
        )))
    }

    fn visit_str<E>(self, text: &str) -> Result<RawLimit, E> {
        Ok(RawLimit::Decimal(text.to_owned()))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<RawLimit, E> {
        Ok(RawLimit::Wrong(format!("{flag}")))
    }

    fn visit_unit<E>(self) -> Result<RawLimit, E> {
        Ok(RawLimit::Wrong("null".to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawLimit, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(RawLimit::Wrong("an object".to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawLimit, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(RawLimit::Wrong("a list".to_owned()))
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for RawLimit {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A whole number; for `cost` also a decimal in quotes. 0: none may pass.",
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": "^[0-9]+(\\.[0-9]{1,6})?$"},
            ],
        })
    }
}
