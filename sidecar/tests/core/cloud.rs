//! Stores for objects as clouds have them.

use std::path::PathBuf;

/// One that a test has started.
pub(crate) trait Cloud {
    /// Of its URLs.
    const SCHEME: &str;
    /// What it says where there is no such container or bucket.
    const MISSING: &str;

    /// Makes a container or bucket: only its owner does that, never a sidecar.
    async fn make(&self, name: &str);

    /// What the sidecar's environment says of it.
    fn environment(&self) -> Vec<(String, String)>;
}

/// Where `scripts/setup` installs what tests need.
pub(crate) fn cache() -> PathBuf {
    let cache = std::env::var_os("SEKISHO_CACHE").map(PathBuf::from);
    let cache =
        cache.or_else(|| Some(PathBuf::from(std::env::var_os("XDG_CACHE_HOME")?).join("sekisho")));
    cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/sekisho"))
}
