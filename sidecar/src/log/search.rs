//! Finding records.
//!
//! A page is found along one index: records of a person, of a department, refusals, events,
//! unknown ends, or all, each in the order of time. What else is asked for is looked up in the
//! records on the way, at most [`MOST_EXAMINED`] of them for a page and for no longer than
//! [`PATIENCE`]: what is rare in a long time takes several pages, and no page takes long.

mod page;
mod statement;
mod text;

use std::time::Duration;

use sekisho_domain::{RecordId, RecordKind, UnixMillis};

pub use page::{Cursor, Found, Page, search};
pub use statement::plan;
pub(crate) use text::says;

/// Most records of one page.
pub const MOST: u32 = 1000;

/// Most records that are looked at for one page.
pub const MOST_EXAMINED: u32 = 100_000;

/// So many are looked at together: a hundredth of a second's work where they are in memory.
const STEP: u32 = 2_000;

/// No more steps are begun for a page after so long. Records that nobody has read for a while
/// come from the disk, a page of it each, which takes many times as long.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// Longest text that is searched for, bytes.
pub const MOST_TEXT: usize = 200;

/// Which records; absent members do not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Not before this moment, by the gateway's clock.
    pub from: Option<UnixMillis>,
    /// Before this moment.
    pub to: Option<UnixMillis>,
    /// Of one call or event.
    pub record_id: Option<RecordId>,
    /// Of one person, by the company's id.
    pub user: Option<String>,
    /// Of one account, by its object id.
    pub object_id: Option<String>,
    /// Of one department, by code.
    pub department: Option<String>,
    /// Of one API.
    pub api: Option<String>,
    /// Of one model.
    pub model: Option<String>,
    /// Only admits, completions, refusals or events.
    pub kind: Option<RecordKind>,
    /// With this denial code.
    pub denial: Option<String>,
    /// Events of this name.
    pub event: Option<String>,
    /// What has ended, or not yet.
    pub end: Option<End>,
    /// With this text in one of its values, upper and lower case of ASCII alike.
    pub text: Option<String>,
}

/// How a call, or what an event tells of, has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It was admitted and has not ended: the admits of these.
    Open,
    /// So, as the record says: `answered`, `aborted`, `unknown`, `success` or `failure`.
    As(&'static str),
}
