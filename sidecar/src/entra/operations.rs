//! The operations of Microsoft Graph v1.0 that are in use, one file each: which call it is, and
//! how its answer is read.

pub(super) mod app_role_assign;
pub(super) mod app_role_assignments;
pub(super) mod app_role_unassign;
pub(super) mod group_list;
pub(super) mod group_member_add;
pub(super) mod group_member_remove;
pub(super) mod group_members;
pub(super) mod service_principal;
pub(super) mod user;
pub(super) mod user_amend;
pub(super) mod user_create;
pub(super) mod user_delete;
pub(super) mod user_enable;
pub(super) mod user_find;
pub(super) mod user_groups;
pub(super) mod user_list;
pub(super) mod user_password;
pub(super) mod user_revoke_sessions;
pub(super) mod user_update;
