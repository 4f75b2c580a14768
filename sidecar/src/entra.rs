//! Entra ID over Microsoft Graph: the company's accounts, their groups and app roles.
//!
//! [`Graph`] speaks the protocol: tokens, batches of 20, throttling, pages. One file of
//! `operations` is one operation of the published API. Nothing that Graph says about values
//! reaches a log or an error but its codes: its sentences may name people.

mod accounts;
mod batch;
mod call;
pub mod config;
mod desk;
mod fault;
mod graph;
mod groups;
mod operations;
mod pace;
mod path;
pub mod sync;

pub use accounts::EntraAccounts;
pub use config::EntraConfig;
pub use fault::GraphError;
pub use graph::Graph;
pub use groups::Membership;
pub use operations::group_list::Group;
pub use sync::EntraSync;
