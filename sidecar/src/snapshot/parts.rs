//! Cutting people, keys and budgets into messages of a size that streams carry without a stall.

use std::sync::Arc;

use prost::Message as _;
use sekisho_link::v1;

/// About the size of a part, bytes: a worker takes one in within a few milliseconds, and
/// serves calls between two.
const PART_BYTES: usize = 256 * 1024;

/// A whole snapshot; only the first says `full`, all but the last say `more`.
pub(super) type Parts = Arc<[Arc<v1::Snapshot>]>;

/// People first, then keys, then budgets, in as many parts as it takes; none if there are none.
pub(super) fn in_parts(
    users: Vec<v1::User>,
    keys: Vec<v1::ApiKey>,
    budgets: Vec<v1::Budget>,
) -> Vec<v1::Snapshot> {
    let mut parts = Vec::new();
    let mut part = v1::Snapshot::default();
    let mut bytes = 0;
    let mut filled = |part: &mut v1::Snapshot, more: usize| {
        bytes += more;
        if bytes >= PART_BYTES {
            bytes = 0;
            parts.push(std::mem::take(part));
        }
    };
    for user in users {
        let size = user.encoded_len();
        part.users.push(user);
        filled(&mut part, size);
    }
    for key in keys {
        let size = key.encoded_len();
        part.keys.push(key);
        filled(&mut part, size);
    }
    for budget in budgets {
        let size = budget.encoded_len();
        part.budgets.push(budget);
        filled(&mut part, size);
    }
    if !(part.users.is_empty() && part.keys.is_empty() && part.budgets.is_empty()) {
        parts.push(part);
    }
    parts
}
