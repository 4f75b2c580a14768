//! Server-sent events (WHATWG HTML, section 9.2.6): the data of each event, unbuffered.

use crate::swar;

/// A piece of the stream.
pub(super) enum Part<'a> {
    /// More of the data of the current event.
    Data(&'a [u8]),
    /// The event is over.
    End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// So many bytes of the byte order mark that may open the stream.
    Mark(u8),
    /// So many bytes of the field name `data`.
    Name(u8),
    /// After `data:`, where one space is no part of the value.
    Space,
    Value,
    /// A comment or another field.
    Other,
}

/// The state between two chunks.
pub(super) struct Sse {
    line: Line,
    /// The last byte was a carriage return: a line feed now belongs to it.
    after_return: bool,
    /// The current event has data.
    has_data: bool,
}

impl Sse {
    pub(super) fn new() -> Self {
        Self {
            line: Line::Mark(0),
            after_return: false,
            has_data: false,
        }
    }

    /// Reads on. With `only_usage`, events that lie in the chunk as one line without
    /// `"usage` are passed over: whoever looks only for that finds nothing there.
    pub(super) fn push(&mut self, chunk: &[u8], only_usage: bool, mut sink: impl FnMut(Part<'_>)) {
        let mut rest = chunk;
        while let Some((byte, after)) = rest.split_first() {
            if std::mem::take(&mut self.after_return) && *byte == b'\n' {
                rest = after;
                continue;
            }
            if self.line == Line::Name(0)
                && only_usage
                && !self.has_data
                && let Some(next) = uninteresting(rest)
            {
                rest = next;
                continue;
            }
            rest = match self.line {
                Line::Value => {
                    let (run, next) = split(rest, swar::line(rest));
                    if !run.is_empty() {
                        sink(Part::Data(run));
                    }
                    self.end_line(next, &mut sink)
                }
                Line::Other => {
                    let (_, next) = split(rest, swar::line(rest));
                    self.end_line(next, &mut sink)
                }
                _ if matches!(byte, b'\n' | b'\r') => self.end_line(rest, &mut sink),
                Line::Mark(seen) => match (seen, byte) {
                    (0, 0xEF) | (1, 0xBB) => {
                        self.line = Line::Mark(seen + 1);
                        after
                    }
                    (2, 0xBF) => {
                        self.line = Line::Name(0);
                        after
                    }
                    (0, _) => {
                        self.line = Line::Name(0);
                        rest
                    }
                    _ => {
                        self.line = Line::Other;
                        rest
                    }
                },
                Line::Name(seen) => {
                    self.line = match (seen, byte) {
                        (0, b'd') | (1 | 3, b'a') | (2, b't') => Line::Name(seen + 1),
                        (4, b':') => {
                            self.begin_data(&mut sink);
                            Line::Space
                        }
                        _ => Line::Other,
                    };
                    after
                }
                Line::Space => {
                    self.line = Line::Value;
                    if *byte == b' ' { after } else { rest }
                }
            };
        }
    }

    /// The value of a further data line follows a line feed.
    fn begin_data(&mut self, sink: &mut impl FnMut(Part<'_>)) {
        if self.has_data {
            sink(Part::Data(b"\n"));
        }
        self.has_data = true;
    }

    /// Takes the line's end, if `rest` begins with one.
    fn end_line<'c>(&mut self, rest: &'c [u8], sink: &mut impl FnMut(Part<'_>)) -> &'c [u8] {
        let Some((byte, after)) = rest.split_first() else {
            return rest;
        };
        self.after_return = *byte == b'\r';
        match self.line {
            Line::Name(0) | Line::Mark(0) if self.has_data => {
                self.has_data = false;
                sink(Part::End);
            }
            Line::Name(4) => self.begin_data(sink),
            _ => {}
        }
        self.line = Line::Name(0);
        after
    }
}

fn split(bytes: &[u8], at: usize) -> (&[u8], &[u8]) {
    bytes.split_at_checked(at).unwrap_or((bytes, &[]))
}

/// If `rest` begins with a data line that is a whole event and does not mention usage:
/// what follows the line.
fn uninteresting(rest: &[u8]) -> Option<&[u8]> {
    let value = rest.strip_prefix(b"data:")?;
    let (line, end) = split(value, swar::line(value));
    let next = match end {
        [b'\r', b'\n', next @ ..] | [b'\n', next @ ..] => next,
        _ => return None,
    };
    let whole = matches!(next, [b'\n' | b'\r', ..]);
    (whole && !swar::mentions_usage(line)).then_some(next)
}
