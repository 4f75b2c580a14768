//! The disk alone.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use super::LinkError;
use crate::clock;

/// What a commit of one record writes at least: a page of the database's log.
const PAGE: [u8; 4096] = [0x5e; 4096];

/// Milliseconds that it takes to append a page to a file and sync its data, so many times a second.
pub(super) fn sync_times(
    folder: &Path,
    rate: u32,
    length: Duration,
) -> Result<Vec<f64>, LinkError> {
    let path = folder.join("sync-probe");
    let measured = File::create(&path).and_then(|mut file| {
        let begun = clock::now();
        let each = Duration::from_secs(1) / rate;
        let mut times = Vec::new();
        while begun.elapsed() < length {
            let due = begun + each * u32::try_from(times.len()).unwrap_or(u32::MAX);
            clock::sleep_until(due);
            let since = clock::now();
            file.write_all(&PAGE)?;
            file.sync_data()?;
            times.push(since.elapsed().as_secs_f64() * 1_000.0);
        }
        Ok(times)
    });
    let _ = std::fs::remove_file(&path);
    measured.map_err(|source| LinkError::File { path, source })
}
