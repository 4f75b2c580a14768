//! Where one event of a stream ends and the next begins.

use super::frame;
use crate::keeper::essence;
use sekisho_domain::{Cut, sse};

/// How the events of a stream are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events: an empty line ends each.
    Lines,
    /// JSON, one value after another: in lines, or as elements of one array.
    Values,
    /// Frames of an AWS event stream.
    Frames,
}

/// What has been looked at of an event that has not come whole.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Looked {
    at: usize,
    depth: u32,
    is_within: bool,
    is_quoted: bool,
    is_escaped: bool,
}

impl Framing {
    /// By the `content-type` of an answer; none: it has no events.
    #[must_use]
    pub fn of_type(content_type: &[u8]) -> Option<Self> {
        match essence(content_type).as_slice() {
            b"text/event-stream" => Some(Self::Lines),
            b"application/vnd.amazon.eventstream" => Some(Self::Frames),
            b"application/x-ndjson" | b"application/jsonl" => Some(Self::Values),
            _ => None,
        }
    }

    /// Of a text of which events are expected although its type says nothing of them.
    #[must_use]
    pub fn of_text(content_type: &[u8]) -> Self {
        if essence(content_type).ends_with(b"json") {
            Self::Values
        } else {
            Self::Lines
        }
    }

    /// Length of the first event, if it has come whole; `looked` is for the same bytes and more.
    pub(super) fn length(self, bytes: &[u8], looked: &mut Looked) -> Result<Option<usize>, Cut> {
        let length = match self {
            Self::Lines => {
                let before = std::mem::replace(&mut looked.at, bytes.len());
                sse::event_length(bytes, before)
            }
            Self::Values => value(bytes, looked),
            Self::Frames => {
                let length = frame::length(bytes).map_err(|_| Cut::Form)?;
                length.filter(|length| bytes.len() >= *length)
            }
        };
        if length.is_some() {
            *looked = Looked::default();
        }
        Ok(length)
    }
}

/// With what stands before it. Of a scalar, the end is what follows.
fn value(bytes: &[u8], looked: &mut Looked) -> Option<usize> {
    while let Some(byte) = bytes.get(looked.at) {
        if looked.is_quoted {
            let ends = *byte == b'"' && !looked.is_escaped;
            looked.is_escaped = *byte == b'\\' && !looked.is_escaped;
            looked.is_quoted = !ends;
            if ends && looked.depth == 0 {
                return Some(looked.at + 1);
            }
        } else {
            match byte {
                b'"' => looked.is_quoted = true,
                b'{' => looked.depth += 1,
                b'[' if looked.depth > 0 => looked.depth += 1,
                b'}' | b']' if looked.depth > 0 => {
                    looked.depth -= 1;
                    if looked.depth == 0 {
                        return Some(looked.at + 1);
                    }
                }
                _ if looked.depth == 0 && is_between(*byte) => {
                    if looked.is_within {
                        return Some(looked.at);
                    }
                }
                _ => looked.is_within = true,
            }
        }
        looked.at += 1;
    }
    None
}

/// Whether this stands between values, and is of none.
pub(super) const fn is_between(byte: u8) -> bool {
    matches!(byte, b'[' | b']' | b',' | b' ' | b'\t' | b'\n' | b'\r')
}

/// The values of the fields of a server-sent event, where they stand.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) data: Vec<std::ops::Range<usize>>,
    /// Of others, and comments.
    pub(super) others: Vec<std::ops::Range<usize>>,
}

impl Fields {
    pub(super) fn of(event: &[u8]) -> Self {
        let mut fields = Self::default();
        let mut at = 0;
        for line in event.split(|byte| matches!(byte, b'\n' | b'\r')) {
            let end = at + line.len();
            let bom = usize::from(line.starts_with(b"\xef\xbb\xbf")) * 3;
            let line = line.get(bom..).unwrap_or_default();
            at += bom;
            let colon = line.iter().position(|byte| *byte == b':');
            let value = colon.map_or(0, |colon| colon + 1);
            let is_spaced = line.get(value) == Some(&b' ');
            let begin = at + value + usize::from(is_spaced && value > 0);
            let is_data = line.get(..value) == Some(b"data:");
            if is_data {
                fields.data.push(begin..end);
            } else if begin < end {
                fields.others.push(begin..end);
            }
            at = end + 1;
        }
        fields
    }
}
