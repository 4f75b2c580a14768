//! Where in a body what stands that may have to be changed, and the changes.

use std::ops::Range;

use super::RequestFacts;
use crate::edit::Edit;
use crate::{Operation, RequestBody};

/// Limits of output tokens that one request can set.
const MOST_LIMITS: usize = 8;

/// Where a member would stand that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Inside {
    /// In an object whose members begin here.
    Object { at: u64, is_empty: bool },
    /// In an object that has to take the place of `null`.
    Null(Range<u64>),
}

/// What may have to be changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    outermost: Option<Inside>,
    /// The watched objects.
    within: [Option<Inside>; 2],
    /// The object that began last: 0 the outermost, from 1 the watched ones.
    last: usize,
    /// Limits of output tokens, and where they stand.
    limits: [Option<(u64, Range<u64>)>; MOST_LIMITS],
    /// Where a limit is `null`.
    no_limit: Option<Range<u64>>,
    pub(super) include_usage: Option<Range<u64>>,
}

impl Places {
    pub(super) fn limit(&mut self, value: u64, span: Range<u64>) {
        if let Some(free) = self.limits.iter_mut().find(|limit| limit.is_none()) {
            *free = Some((value, span));
        }
    }

    pub(super) fn no_limit(&mut self, span: Range<u64>) {
        self.no_limit = Some(span);
    }

    pub(super) fn begin(&mut self, within: Option<u8>, at: u64) {
        let inside = Inside::Object {
            at,
            is_empty: false,
        };
        match within {
            None => {
                self.last = 0;
                self.outermost = Some(inside);
            }
            Some(n) => {
                self.last = usize::from(n) + 1;
                self.put(n, inside);
            }
        }
    }

    pub(super) fn null(&mut self, within: u8, span: Range<u64>) {
        self.put(within, Inside::Null(span));
    }

    fn put(&mut self, within: u8, inside: Inside) {
        if let Some(slot) = self.within.get_mut(usize::from(within)) {
            *slot = Some(inside);
        }
    }

    pub(super) fn is_empty(&mut self) {
        let last = match self.last.checked_sub(1) {
            None => Some(&mut self.outermost),
            Some(n) => self.within.get_mut(n),
        };
        if let Some(Some(Inside::Object { is_empty, .. })) = last {
            *is_empty = true;
        }
    }

    /// Writes a member that is not there: `path` is its name, or the name of the first watched
    /// object and its name in there.
    fn insert(&self, path: &[&str], value: &str) -> Option<Edit> {
        let (inside, member) = match path {
            [name] => (self.outermost.as_ref()?, format!("\"{name}\":{value}")),
            [within, name] => match &self.within {
                [Some(inside), _] => (inside, format!("\"{name}\":{value}")),
                [None, _] => {
                    let member = format!("\"{within}\":{{\"{name}\":{value}}}");
                    (self.outermost.as_ref()?, member)
                }
            },
            _ => return None,
        };
        Some(match inside {
            Inside::Null(span) => Edit::new(span.clone(), format!("{{{member}}}")),
            Inside::Object { at, is_empty } => {
                let comma = if *is_empty { "" } else { "," };
                Edit::new(*at..*at, format!("{member}{comma}"))
            }
        })
    }
}

impl RequestFacts {
    /// Holds the output to `most` tokens: lowers what is over that, sets a limit where there is
    /// none. `None`: this operation has no place for a limit, and the request sets none.
    pub fn limit_output(&mut self, operation: &Operation, most: u64) -> Option<Vec<Edit>> {
        let limits = self.places.limits.iter().flatten();
        let over = limits.filter(|(limit, _)| *limit > most);
        let lowered = |span: &Range<u64>| Edit::new(span.clone(), most.to_string());
        let mut edits: Vec<Edit> = over.map(|(_, span)| lowered(span)).collect();
        if self.max_output_tokens.is_none() {
            let value = most.to_string();
            edits.push(match &self.places.no_limit {
                Some(span) => lowered(span),
                None => self.places.insert(operation.limit?, &value)?,
            });
        }
        self.max_output_tokens = Some(self.max_output_tokens.map_or(most, |asked| asked.min(most)));
        Some(edits)
    }

    /// Asks for usage at the end of a stream whose provider reports it only if asked and whose
    /// client has not asked.
    #[must_use]
    pub fn ask_for_usage(&self, operation: &Operation) -> Option<Edit> {
        let path = operation.usage_option?;
        let is_json = operation.request == RequestBody::Json;
        if !is_json || !self.stream || self.include_usage {
            return None;
        }
        match &self.places.include_usage {
            Some(span) => Some(Edit::new(span.clone(), "true")),
            None => self.places.insert(path, "true"),
        }
    }
}
