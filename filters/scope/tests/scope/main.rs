//! Who may call: every case of the table with both implementations of RS256, and what a
//! table cannot say.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may be blunt, what they share as well"
)]

mod agreement;
mod arbitrary;
mod company;
mod directory;
mod keys;
mod remembered;
mod table;
mod world;
mod wycheproof;
