//! What the proxy says of a call (proxy-wasm ABI 0.2.1, `proxy_status_t`).

/// The call was not done, and why, as the ABI numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(u32);

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
/// Also what every call says where there is no proxy.
#[cfg_attr(
    target_arch = "wasm32",
    expect(dead_code, reason = "the proxy says it there")
)]
pub(crate) const UNIMPLEMENTED: u32 = 12;

impl Status {
    /// What was asked for is not there.
    pub const NOT_FOUND: Self = Self(NOT_FOUND);
}

/// What came of a call.
pub(crate) const fn result(status: u32) -> Result<(), Status> {
    match status {
        OK => Ok(()),
        odd => Err(Status(odd)),
    }
}
