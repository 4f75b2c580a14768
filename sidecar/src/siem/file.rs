//! A file of events, one a line.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Entry;
use super::ocsf::{self, Context};
use crate::forward::Trouble;
use crate::forward::courier::Recipient;

/// Bytes that are read at a time to find where the last whole line ends.
const BACK: u64 = 64 * 1024;

/// Appends events to a file, which is opened anew each time: it may have been renamed.
pub(super) struct Lines {
    path: PathBuf,
    context: Arc<Context>,
}

impl Lines {
    pub(super) const fn new(path: PathBuf, context: Arc<Context>) -> Self {
        Self { path, context }
    }
}

impl Recipient for Lines {
    type Item = Entry;

    async fn bring(&mut self, items: &[Entry]) -> Result<usize, Trouble> {
        let mut lines = Vec::new();
        for entry in items {
            lines.extend(ocsf::line(entry, &self.context));
            lines.push(b'\n');
        }
        let path = self.path.clone();
        let appended = tokio::task::spawn_blocking(move || append(&path, &lines)).await;
        appended
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(Trouble::at(&self.path))?;
        Ok(items.len())
    }
}

/// On disk when this returns. What a crash left half written is cut off: it comes again.
fn append(path: &Path, lines: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    // The agent that reads it is of the same group.
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .open(path)?;
    let whole = end_of_last_line(&mut file)?;
    file.set_len(whole)?;
    file.seek(SeekFrom::Start(whole))?;
    file.write_all(lines)?;
    file.sync_data()?;
    if whole == 0
        && let Some(folder) = path.parent()
    {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// The length up to and with the last line break.
fn end_of_last_line(file: &mut File) -> io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut buffer = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BACK);
        file.seek(SeekFrom::Start(start))?;
        buffer.resize(usize::try_from(end - start).unwrap_or(0), 0);
        file.read_exact(&mut buffer)?;
        if let Some(at) = buffer.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + u64::try_from(at).unwrap_or(0) + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_cut_off_and_whole_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ocsf.jsonl");
        append(&path, b"one\ntwo\n").unwrap();
        let torn = vec![b'x'; 200_000];
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&torn).unwrap();
        append(&path, b"three\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\nthree\n");
        std::fs::write(&path, &torn).unwrap();
        append(&path, b"four\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"four\n");
    }
}
