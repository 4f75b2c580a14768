//! What a run has shown.

use std::path::Path;

use serde::Serialize;

use crate::ChaosError;

/// The run.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) rows: usize,
    pub(super) kills: u64,
    /// Files that were uploaded: the first makes everybody, each further one changes everybody.
    pub(super) uploads: u64,
    pub(super) seed: u64,
    pub(super) seconds: f64,
    /// What Graph was asked.
    pub(super) calls: usize,
    /// What Graph would not have taken.
    pub(super) violations: usize,
    /// Accounts beside a person's first, and accounts of nobody.
    pub(super) duplicates: usize,
    /// People who are not in the directory, or have no account, or one that is not as the file says.
    pub(super) half_users: usize,
    /// Accounts or people whose name is not that of the file, byte for byte.
    pub(super) names_differ: usize,
    /// People who may sign in and whose last mail does not have the password of their account.
    pub(super) without_password: usize,
    /// Tasks that failed.
    pub(super) failed: usize,
    pub(super) log_is_sound: bool,
}

impl Report {
    pub(super) const fn holds(&self) -> bool {
        self.duplicates == 0
            && self.half_users == 0
            && self.names_differ == 0
            && self.without_password == 0
            && self.violations == 0
            && self.failed == 0
            && self.log_is_sound
    }

    pub(super) fn print(&self) {
        println!(
            "  {} rows, {} uploads, {} calls of Graph, {} kills in {:.0} seconds; seed {}",
            self.rows, self.uploads, self.calls, self.kills, self.seconds, self.seed
        );
        println!(
            "  {} duplicates, {} half users, {} names differ, {} without their password, {} failed, {} calls that Graph would refuse; the log is {}",
            self.duplicates,
            self.half_users,
            self.names_differ,
            self.without_password,
            self.failed,
            self.violations,
            if self.log_is_sound {
                "sound"
            } else {
                "NOT sound"
            }
        );
    }

    pub(super) fn write(&self, out: &Path) -> Result<(), ChaosError> {
        if let Some(folder) = out.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(out, serde_json::to_vec_pretty(self)?)?;
        Ok(())
    }
}
