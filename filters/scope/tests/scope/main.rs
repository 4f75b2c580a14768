//! Who may call: every case of `cases.yaml` with both implementations of RS256, and what a
//! table cannot say.

mod agreement;
mod directory;
mod keys;
mod remembered;
mod table;
mod tokens;
mod world;
