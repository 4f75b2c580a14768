//! What a prompt asks of its stand-in beyond an answer:
//! `[demo thoughts=5 cached=8 status=503 id=17]`.

/// All are absent unless a text says otherwise; a word that is none of these says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Directions {
    /// Output tokens of reasoning, before the words.
    pub(crate) thoughts: u64,
    /// Input tokens that were read from a cache.
    pub(crate) cached: u64,
    /// Input tokens that were written to a cache.
    pub(crate) stored: u64,
    /// Milliseconds to wait before the answer begins.
    pub(crate) wait: u64,
    /// Answer with this error.
    pub(crate) status: Option<u16>,
    /// Seconds in the error's `retry-after`.
    pub(crate) retry_after: Option<u64>,
    /// Break the connection after so many pieces of a stream.
    pub(crate) cut: Option<u64>,
    /// End a stream with the provider's own error after so many pieces.
    pub(crate) fail: Option<u64>,
    /// The errors above are for the first request with this number only: another attempt succeeds.
    pub(crate) id: Option<u64>,
}

const OPENING: &str = "[demo ";

impl Directions {
    /// The directions that stand last in a text.
    pub(crate) fn of(text: &str) -> Self {
        let mut directions = Self::default();
        let inside = text.rsplit_once(OPENING).map(|(_, rest)| rest);
        let Some((inside, _)) = inside.and_then(|rest| rest.split_once(']')) else {
            return directions;
        };
        for word in inside.split_whitespace() {
            let Some((name, value)) = word.split_once('=') else {
                continue;
            };
            let Ok(value) = value.parse::<u64>() else {
                continue;
            };
            match name {
                "thoughts" => directions.thoughts = value,
                "cached" => directions.cached = value,
                "stored" => directions.stored = value,
                "wait" => directions.wait = value,
                "status" => directions.status = u16::try_from(value).ok(),
                "retry_after" => directions.retry_after = Some(value),
                "cut" => directions.cut = Some(value),
                "fail" => directions.fail = Some(value),
                "id" => directions.id = Some(value),
                _ => {}
            }
        }
        directions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_text_asks_for_nothing() {
        assert_eq!(Directions::of("Write [5] words."), Directions::default());
    }

    #[test]
    fn directions_are_read_wherever_they_stand() {
        let asked = Directions::of(r#"{"content":"Hi [demo status=503 id=9 cut=2] there"}"#);
        let expected = Directions {
            status: Some(503),
            id: Some(9),
            cut: Some(2),
            ..Directions::default()
        };
        assert_eq!(asked, expected);
    }
}
