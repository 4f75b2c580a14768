//! The second place of checkpoints: a folder, best on another disk or machine, with one
//! file per day that only grows. Whoever rolls the database back contradicts it.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sekisho_domain::UnixMillis;

/// Appends checkpoints to a folder.
#[derive(Clone, Debug)]
pub struct Export {
    folder: PathBuf,
}

impl Export {
    /// Makes the folder ready; cuts off what a crash left half written.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        for file in files(&folder)? {
            let content = std::fs::read_to_string(&file)?;
            let whole: usize = notes(&content).map(|note| note.len() + 1).sum();
            if whole < content.len() {
                let file = std::fs::OpenOptions::new().write(true).open(&file)?;
                file.set_len(u64::try_from(whole).unwrap_or(0))?;
                file.sync_all()?;
            }
        }
        Ok(Self { folder })
    }

    /// Appends a checkpoint; it is on disk when this returns.
    ///
    /// # Errors
    /// It could not be written; what was there is whole.
    pub fn append(&self, note: &str, at: UnixMillis) -> io::Result<()> {
        let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
        let day = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
        let day = day.strftime("%Y-%m-%d");
        let path = self.folder.join(format!("checkpoints-{day}.txt"));
        let new = !path.exists();
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.append(true).create(true).open(path)?;
        let before = file.metadata()?.len();
        if let Err(error) = file.write_all(format!("{note}\n").as_bytes()) {
            // Half a note would make the next one unreadable; at a start it is cut off as well.
            let _ = file.set_len(before);
            return Err(error);
        }
        // Whatever a sync says: nobody knows then what is on disk, and room does not help.
        file.sync_data().map_err(io::Error::other)?;
        if new {
            std::fs::File::open(&self.folder)?.sync_all()?;
        }
        Ok(())
    }
}

/// All checkpoints of a folder, each with the file it is in, oldest file first.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn read(folder: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut all = Vec::new();
    for file in files(folder)? {
        let content = std::fs::read_to_string(&file)?;
        all.extend(notes(&content).map(|note| (file.clone(), note.to_owned())));
    }
    Ok(all)
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|n| n.starts_with("checkpoints-") && n.ends_with(".txt")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The whole notes of a file. A note has a blank line inside; another one follows it.
fn notes(content: &str) -> impl Iterator<Item = &str> {
    let mut rest = content;
    std::iter::from_fn(move || {
        let text = rest.find("\n\n")? + 2;
        let signatures = rest.get(text..)?.find("\n\n")? + 2;
        let (note, after) = rest.split_at_checked(text + signatures - 1)?;
        rest = after.get(1..)?;
        Some(note)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_read_back_and_a_torn_one_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let export = Export::open(folder.path().join("a/b")).unwrap();
        let (one, two) = ("x\n1\nAA\n\n\u{2014} x b\n", "x\n2\nBB\n\n\u{2014} x c\n");
        export.append(one, UnixMillis(0)).unwrap();
        export.append(two, UnixMillis(86_400_000)).unwrap();
        let torn = folder.path().join("a/b/checkpoints-1970-01-02.txt");
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(&torn)
            .unwrap();
        file.write_all(b"x\n3\nCC\n\n\xe2\x80\x94 x").unwrap();
        let export = Export::open(folder.path().join("a/b")).unwrap();
        export.append(one, UnixMillis(86_400_001)).unwrap();
        let notes = read(&folder.path().join("a/b")).unwrap();
        let notes: Vec<&str> = notes.iter().map(|(_, note)| note.as_str()).collect();
        assert_eq!(notes, [one, two, one]);
    }
}
