//! The trace that a call is a part of, as its client says (W3C Trace Context, section 3.2).

/// The trace id of a `traceparent` header; `None` if the header is none, or of a form that
/// the specification calls invalid.
#[must_use]
pub fn trace_id(traceparent: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(traceparent).ok()?;
    let mut parts = text.splitn(5, '-');
    let [version, trace, parent, flags] = [2, 32, 16, 2].map(|length| {
        let part = parts.next();
        part.filter(|part| part.len() == length && part.bytes().all(is_digit))
    });
    let more = parts.next();
    let is_known = version? != "00" || more.is_none();
    let is_something = |id: &&str| id.bytes().any(|digit| digit != b'0');
    (is_known && version? != "ff" && parent.filter(is_something).is_some() && flags.is_some())
        .then_some(trace)?
        .filter(is_something)
}

/// Upper case is invalid.
const fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_trace_is_named_by_its_parent() {
        for good in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more-of-a-later-version",
        ] {
            assert_eq!(trace_id(good.as_bytes()), Some(TRACE));
        }
    }

    #[test]
    fn what_is_no_traceparent_names_no_trace() {
        for bad in [
            "",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-secret\"secretsecretsecretsecretsec-00f067aa0ba902b7-01",
        ] {
            assert_eq!(trace_id(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(trace_id(b"00-\xff"), None);
    }
}
