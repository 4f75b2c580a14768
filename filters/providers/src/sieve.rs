//! Leaves the report of usage out of a stream whose client has not asked for it.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// Most bytes of an event that is held back; a longer one is no report of usage.
const MAX_HELD: usize = 16 * 1024;

/// Reads server-sent events (WHATWG HTML, section 9.2.6) of OpenAI's chat completions and
/// leaves out the one that tells usage and nothing else: `choices` empty, `usage` an object.
/// What others say of `usage` (`null`, in every other event) stays: SDKs read it like nothing.
///
/// Only an event that is not over is held back, which no client can read before its end, so
/// that nothing comes later than without the sieve. The outcome does not depend on where the
/// chunks were cut.
pub struct UsageSieve {
    place: Place,
    /// The event that is not over.
    held: Vec<u8>,
    /// The line that is being read has something in it.
    in_line: bool,
    /// The last byte was a carriage return, which ended an event that was kept, or was not.
    after_return: Option<Kept>,
    was_return: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing has come yet.
    Beginning,
    /// Events.
    Events,
    /// An event that is too long to be looked at, or something else than events.
    Passing,
    /// Something else than events, to the end.
    NoEvents,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Kept(bool);

/// What a report of usage is known by.
#[derive(Deserialize)]
struct Report {
    #[serde(rename = "choices")]
    _choices: [IgnoredAny; 0],
    #[serde(rename = "usage")]
    _usage: std::collections::BTreeMap<String, IgnoredAny>,
}

impl Default for UsageSieve {
    fn default() -> Self {
        Self::new()
    }
}

impl UsageSieve {
    /// A sieve for one answer.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            place: Place::Beginning,
            held: Vec::new(),
            in_line: false,
            after_return: None,
            was_return: false,
        }
    }

    /// What is to be passed on now that `chunk` has come; `None`: the chunk as it is. `end`: it
    /// was the last.
    pub fn push(&mut self, chunk: &[u8], end: bool) -> Option<Vec<u8>> {
        if self.place == Place::Beginning {
            match chunk.trim_ascii_start().first() {
                None => return None,
                Some(b'{' | b'[') => self.place = Place::NoEvents,
                Some(_) => self.place = Place::Events,
            }
        }
        if self.place == Place::NoEvents {
            return None;
        }
        let had_held = !self.held.is_empty();
        let mut out = Vec::new();
        let mut is_changed = had_held;
        // All before this place of the chunk is in `out`, left out, or held.
        let mut done = 0;
        for (at, byte) in chunk.iter().enumerate() {
            let kept = self.after_return.take();
            if let (Some(Kept(kept)), b'\n') = (kept, byte) {
                // The other half of the line's end that ended an event.
                if kept {
                    out.extend_from_slice(chunk.get(done..=at).unwrap_or_default());
                }
                is_changed |= !kept;
                done = at + 1;
                self.was_return = false;
                continue;
            }
            let is_second_half =
                std::mem::replace(&mut self.was_return, *byte == b'\r') && *byte == b'\n';
            if !matches!(byte, b'\r' | b'\n') {
                self.in_line = true;
                continue;
            }
            if is_second_half || std::mem::take(&mut self.in_line) {
                continue;
            }
            // An empty line: the event is over.
            let rest = chunk.get(done..=at).unwrap_or_default();
            done = at + 1;
            let is_passing = std::mem::replace(&mut self.place, Place::Events) == Place::Passing;
            let is_report = !is_passing && is_report(&self.held, rest);
            if is_report {
                is_changed = true;
            } else {
                out.append(&mut self.held);
                out.extend_from_slice(rest);
            }
            self.held.clear();
            if *byte == b'\r' {
                self.after_return = Some(Kept(!is_report));
            }
        }
        let rest = chunk.get(done..).unwrap_or_default();
        if self.place != Place::Passing {
            if self.held.len() + rest.len() > MAX_HELD {
                self.place = Place::Passing;
                out.append(&mut self.held);
            } else if !end {
                is_changed |= !rest.is_empty();
                self.held.extend_from_slice(rest);
                return is_changed.then_some(out);
            }
        }
        out.append(&mut self.held);
        out.extend_from_slice(rest);
        is_changed.then_some(out)
    }
}

/// Whether an event, in two parts, tells usage and nothing else.
fn is_report(held: &[u8], rest: &[u8]) -> bool {
    if held.len() + rest.len() > MAX_HELD {
        return false;
    }
    let joined;
    let event = if held.is_empty() {
        rest
    } else {
        joined = [held, rest].concat();
        &joined
    };
    if !says_no_choices(event) {
        return false;
    }
    let mut data = Vec::new();
    for line in event.split(|b| matches!(b, b'\n' | b'\r')) {
        if let Some(value) = line.strip_prefix(b"data:") {
            data.extend_from_slice(value);
            data.push(b'\n');
        }
    }
    serde_json::from_slice::<Report>(&data).is_ok()
}

/// Whether `"choices"` is followed by an empty array somewhere: a look that costs little and
/// finds few events but the one.
fn says_no_choices(event: &[u8]) -> bool {
    const KEY: &[u8] = b"\"choices\"";
    let mut rest = event;
    while let Some(at) = rest.windows(KEY.len()).position(|window| window == KEY) {
        let after = rest.get(at + KEY.len()..).unwrap_or_default();
        let empty = after
            .trim_ascii_start()
            .strip_prefix(b":")
            .and_then(|value| value.trim_ascii_start().strip_prefix(b"["))
            .is_some_and(|items| items.trim_ascii_start().starts_with(b"]"));
        if empty {
            return true;
        }
        rest = after;
    }
    false
}

#[cfg(test)]
mod tests;
