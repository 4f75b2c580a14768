//! Server-sent events: where one ends. For whoever reads an answer event by event.

/// Length of the first event of a stream, with the empty line that ends it (WHATWG HTML, section
/// 9.2.6); none: it has not come whole. In the first `looked_at` bytes it has no end.
#[must_use]
pub fn event_length(bytes: &[u8], looked_at: usize) -> Option<usize> {
    // The end that began there may take so many bytes.
    let mut at = looked_at.saturating_sub(3);
    let mut begun = (at == 0).then_some(0);
    loop {
        let next = match bytes.get(at)? {
            b'\n' => at + 1,
            b'\r' => match bytes.get(at + 1)? {
                b'\n' => at + 2,
                _ => at + 1,
            },
            _ => {
                at += 1;
                continue;
            }
        };
        if begun == Some(at) {
            return Some(next);
        }
        (begun, at) = (Some(next), next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_line_ends_an_event_whatever_ends_lines() {
        for event in [
            "data: {}\n\n",
            "data: {}\r\r",
            "data: {}\r\n\r\n",
            "data: {}\n\r\n",
            "event: it\ndata: {}\n\n",
            "\n",
            "\r\n",
        ] {
            let stream = format!("{event}data: next");
            assert_eq!(
                event_length(stream.as_bytes(), 0),
                Some(event.len()),
                "{event:?}"
            );
        }
        for unfinished in [
            "",
            "data: {}",
            "data: {}\n",
            "data: {}\r\n",
            "data: {}\r\n\r",
        ] {
            assert_eq!(
                event_length(unfinished.as_bytes(), 0),
                None,
                "{unfinished:?}"
            );
        }
    }

    #[test]
    fn what_was_looked_at_before_changes_nothing() {
        for event in ["data: {}\n\n", "data: {}\r\n\r\n", "d\r\r", ": \n\r\n"] {
            let stream = format!("{event}data: next");
            for looked_at in 0..event.len() {
                let before = &stream.as_bytes()[..looked_at];
                assert_eq!(event_length(before, 0), None, "{event:?}");
                let found = event_length(stream.as_bytes(), looked_at);
                assert_eq!(found, Some(event.len()), "{event:?} {looked_at}");
            }
        }
    }
}
