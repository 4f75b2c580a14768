//! `DELETE /groups/{id}/members/{id}/$ref`. Without `$ref` it would delete the member itself.
//!
//! Source: `learn.microsoft.com/graph/api/group-delete-members`. Least permission:
//! `GroupMember.ReadWrite.All`.

use crate::entra::call::Call;
use crate::entra::path::escaped;

pub(in crate::entra) fn call(group: &str, member: &str) -> Call {
    let (group, member) = (escaped(group), escaped(member));
    Call::delete(format!("/groups/{group}/members/{member}/$ref"))
}
