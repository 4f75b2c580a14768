//! What a run has shown.

use std::path::Path;

use serde::Serialize;

use crate::ChaosError;

/// What the sidecar was about when it was killed, as database and files show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interrupted {
    /// There is a file, or a part of one, that is not noted.
    Writing,
    /// Records of a file that is noted are in the database still.
    TakingOut,
    /// Files are there of which is on record that they are deleted.
    Deleting,
    /// Nothing that shows.
    Other,
}

/// The run.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) seed: u64,
    pub(super) days: u64,
    pub(super) seconds: f64,
    /// Records of those days.
    pub(super) filled: usize,
    pub(super) kills: u64,
    pub(super) killed_while_writing: u64,
    pub(super) killed_while_taking_out: u64,
    pub(super) killed_while_deleting: u64,
    /// How often everything was looked at.
    pub(super) looks: u64,
    /// Records that were told of while others were moved.
    pub(super) told: usize,
    /// Files that are there in the end.
    pub(super) files: usize,
    /// Records that were moved, also those that were deleted then.
    pub(super) moved: u64,
    /// Records that were deleted when their time was over.
    pub(super) deleted: u64,
    /// Records that no search finds and whose time is not over.
    pub(super) lost: usize,
    /// Records that a search finds more than once.
    pub(super) twice: usize,
    /// Records that have other bytes than were written.
    pub(super) changed: usize,
    /// Records that are found though their time is over, or deleted though it is not.
    pub(super) untimely: usize,
    /// Records that are noted as moved and are in the database as well.
    pub(super) in_both: u64,
    /// Files that do not begin where the one before ended, or of an earlier day.
    pub(super) out_of_order: usize,
    /// Files, and parts of files, that the database does not know.
    pub(super) files_of_nobody: usize,
    /// Files that the database knows and that are not there.
    pub(super) files_missing: usize,
    pub(super) proved: usize,
    /// Records in files that `sekisho audit prove` cannot prove, or deleted ones that it can.
    pub(super) unproved: usize,
    /// How often `sekisho audit verify` had something to say.
    pub(super) unsound: u64,
}

impl Report {
    pub(super) fn new(seed: u64, days: u64) -> Self {
        Self {
            seed,
            days,
            ..Self::default()
        }
    }

    pub(super) const fn note(&mut self, interrupted: Interrupted) {
        match interrupted {
            Interrupted::Writing => self.killed_while_writing += 1,
            Interrupted::TakingOut => self.killed_while_taking_out += 1,
            Interrupted::Deleting => self.killed_while_deleting += 1,
            Interrupted::Other => {}
        }
    }

    /// Whether the promises were kept, and there was something to keep them for.
    pub(super) const fn holds(&self) -> bool {
        self.lost == 0
            && self.twice == 0
            && self.changed == 0
            && self.untimely == 0
            && self.in_both == 0
            && self.out_of_order == 0
            && self.files_of_nobody == 0
            && self.files_missing == 0
            && self.unproved == 0
            && self.unsound == 0
            && self.proved > 0
            && self.moved > 0
            && self.deleted > 0
    }

    pub(super) fn print(&self) {
        println!(
            "  {} records of {} days, {} of today; {} moved, {} deleted, {} files; seed {}",
            self.filled, self.days, self.told, self.moved, self.deleted, self.files, self.seed
        );
        println!(
            "  {} kills in {:.0} seconds: {} while a file was written, {} while records were taken out, {} while files were deleted",
            self.kills,
            self.seconds,
            self.killed_while_writing,
            self.killed_while_taking_out,
            self.killed_while_deleting
        );
        println!(
            "  {} lost, {} found twice, {} changed, {} untimely, {} in both places, {} files out of order, {} of nobody, {} missing; {} proved, {} not; verified {} times, {} with findings",
            self.lost,
            self.twice,
            self.changed,
            self.untimely,
            self.in_both,
            self.out_of_order,
            self.files_of_nobody,
            self.files_missing,
            self.proved,
            self.unproved,
            self.looks,
            self.unsound
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
