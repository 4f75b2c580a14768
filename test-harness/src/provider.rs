//! The provider's side: bodies in the providers' wire formats, and a stub that answers on
//! real connections what a scenario says.

pub mod event_stream;
pub mod stub;
