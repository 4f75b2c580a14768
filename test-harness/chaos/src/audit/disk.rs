//! A disk whose power can be cut: a file system of its own in a file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use crate::ChaosError;

/// Tries to unmount, and the rest between two of them: somebody may be looking at it still.
const TRIES: u32 = 100;
const REST: Duration = Duration::from_millis(50);

/// `EXT4_IOC_SHUTDOWN` without flushing the journal (`linux/ext4.h`): from then on nothing
/// reaches the device, as if its power were gone. Rust needs `unsafe` for this call.
const CUT: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";

/// A mounted disk; it is unmounted when this is dropped.
pub(super) struct Disk {
    image: PathBuf,
    mounted: PathBuf,
}

impl Disk {
    /// Makes a disk of this size in a folder; its file takes no more room than is written. Why there can be none is the error's text.
    pub(super) async fn make(folder: &Path, size: &str) -> Result<Self, String> {
        let disk = Self {
            image: folder.join("disk.img"),
            mounted: folder.join("disk"),
        };
        std::fs::create_dir_all(&disk.mounted).map_err(|error| error.to_string())?;
        run(Command::new("truncate")
            .args(["--size", size])
            .arg(&disk.image))
        .await?;
        run(Command::new("mkfs.ext4")
            .args(["-q", "-F"])
            .arg(&disk.image))
        .await?;
        disk.mount().await?;
        Ok(disk)
    }

    pub(super) fn path(&self) -> &Path {
        &self.mounted
    }

    /// Whatever has not reached the device never will.
    pub(super) async fn cut(&self) -> Result<(), ChaosError> {
        run(Command::new("python3").args(["-c", CUT]).arg(&self.mounted))
            .await
            .map_err(ChaosError::Disk)
    }

    /// The machine starts again. Nobody may use the disk any more.
    pub(super) async fn restore(&self) -> Result<(), ChaosError> {
        let mut outcome = Ok(());
        for _ in 0..TRIES {
            outcome = run(Command::new("umount").arg(&self.mounted)).await;
            if outcome.is_ok() {
                break;
            }
            tokio::time::sleep(REST).await;
        }
        outcome.map_err(ChaosError::Disk)?;
        self.mount().await.map_err(ChaosError::Disk)
    }

    async fn mount(&self) -> Result<(), String> {
        run(Command::new("mount")
            .args(["-o", "loop"])
            .arg(&self.image)
            .arg(&self.mounted))
        .await
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever uses it still ends with this process.
        let _ = std::process::Command::new("umount")
            .arg("--lazy")
            .arg(&self.mounted)
            .status();
    }
}

async fn run(command: &mut Command) -> Result<(), String> {
    let program = command
        .as_std()
        .get_program()
        .to_string_lossy()
        .into_owned();
    let output = command.output().await;
    let output = output.map_err(|error| format!("`{program}`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("`{program}`: {said}"))
}
