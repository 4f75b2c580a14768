//! How calls are recorded.

use serde::{Deserialize, Serialize};

use super::present;
use crate::policy::{AuditMode, Contents};

/// How calls are recorded.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawAudit {
    /// Whether calls wait for their records.
    #[serde(default)]
    pub mode: AuditMode,
    /// What is kept of the bodies of requests and answers, of APIs that do not say.
    #[serde(default, skip_serializing_if = "Contents::is_none")]
    pub contents: Contents,
    /// Of each body that is kept (`contents: redacted` or `full`), the most bytes, 1024 to
    /// 1048576; default: 262144. What is beyond is cut off, and the record says so.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub contents_bytes: Option<u64>,
    /// After so many days, 1 to 36500, what was kept can no longer be read: its keys are
    /// destroyed. Default: it is kept.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "u32"))]
    pub contents_days: Option<u32>,
    /// What `contents: redacted` takes out besides tokens, passwords, private keys, mail
    /// addresses, telephone, card and individual numbers: at most 32 patterns such as
    /// `EMP-[0-9]{6}`. A pattern has letters, `[a-z0-9]` (ASCII), `\d`, `\w`, `?`, `{n}` and
    /// `{m,n}`; `\` makes any other character plain. It matches at most 64 bytes, anywhere in a
    /// text, in time that does not depend on the pattern.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redact: Vec<String>,
}
