//! Files of people that somebody puts into a folder or a container, and what became of each
//! beside it.
//!
//! Each look does what is left to do, and every step can be done again: that a file is taken or refused
//! is one transaction with its job and its event; what became of it is written from the
//! database; the file itself goes last. So a sidecar that is killed anywhere leaves nothing that
//! the next look, its own or another sidecar's, does not bring to its end, and takes no file twice.

pub mod config;
mod standing;
mod tables;

use std::collections::HashMap;
use std::time::Duration;

use sekisho_domain::{RecordId, UnixMillis};

use super::desk::{Desk, Refused};
use super::jobs;
use super::sheet;
use crate::clock::Clock;
use crate::events::{Author, digest};
use crate::forward::backoff;
use crate::objects::{Listed, Objects, ObjectsError};
use crate::people::csv::RowProblem;
use crate::people::sealed::{MOST_BYTES, SealError};
use crate::store::{Store, StoreError};
use config::PickupSettings;
pub use standing::PickupStanding;
pub(crate) use tables::DDL;
use tables::Open;
pub(super) use tables::{Found, keep_errors, note};
pub use tables::{Source, source};

/// The next look while something is under way.
const SOON: Duration = Duration::from_secs(2);
/// A file that has not changed for so long is whole, milliseconds.
const SETTLED: u64 = 1_000;
/// A file that is empty or cut short is given so long to grow, milliseconds.
const PATIENCE: u64 = 10 * 60 * 1000;

const DONE: &str = "done";
const REFUSED: &str = "refused";
const RESULT: &str = "result.csv";
const ERRORS: &str = "errors.csv";

/// Picks files up, for as long as the sidecar is the active one.
#[derive(Debug)]
pub struct Pickup {
    desk: Desk,
    store: Store,
    objects: Objects,
    settings: PickupSettings,
    clock: Clock,
    standing: PickupStanding,
    /// Files that were seen before, by name.
    seen: HashMap<String, Sighting>,
}

/// Since when a file has not changed.
#[derive(Debug)]
struct Sighting {
    version: String,
    since: UnixMillis,
}

/// What keeps files from being picked up.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The place.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Files with such names.
    #[error("no object can have the name {0}: give the file another one")]
    Names(String),
    /// The policy, or the sidecar.
    #[error(transparent)]
    Desk(Refused),
    /// A result cannot be encrypted.
    #[error("a result cannot be encrypted")]
    Seal(#[source] std::io::Error),
    /// The operating system has no randomness.
    #[error("no random bytes for a job's id")]
    Random(#[from] getrandom::Error),
}

/// When the next look is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Soon: something is under way.
    Soon,
    /// When the policy says.
    Usual,
}

/// What became of a file that was found.
enum Taking {
    /// It was taken or refused, or is not there any more.
    Over,
    /// It may still grow.
    NotYet,
}

impl Pickup {
    /// Picks up what is in the place that the settings name, of which these are the objects.
    #[must_use]
    pub fn new(
        desk: Desk,
        store: Store,
        objects: Objects,
        settings: PickupSettings,
        clock: Clock,
    ) -> Self {
        let standing = PickupStanding::new(&settings.place);
        Self {
            desk,
            store,
            objects,
            settings,
            clock,
            standing,
            seen: HashMap::new(),
        }
    }

    /// How it stands, for whoever watches the sidecar.
    #[must_use]
    pub fn standing(&self) -> PickupStanding {
        self.standing.clone()
    }

    /// For ever.
    pub async fn run(mut self) {
        let mut failures = 0;
        loop {
            let pause = match self.look().await {
                Ok(next) => {
                    failures = 0;
                    match next {
                        Next::Soon => SOON.min(self.settings.every),
                        Next::Usual => self.settings.every,
                    }
                }
                Err(_) => {
                    failures += 1;
                    backoff::rest(failures, None, getrandom::u64().unwrap_or(0))
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Looks once: takes what is new and whole, and sets aside what is done.
    ///
    /// # Errors
    /// The first [`Trouble`]; whatever it is not about is done all the same.
    pub async fn look(&mut self) -> Result<Next, Trouble> {
        let mut troubles = Vec::new();
        let waiting = self.look_at_all(&mut troubles).await;
        let waiting = waiting.unwrap_or_else(|trouble| {
            troubles.push(trouble);
            0
        });
        let trouble = troubles.into_iter().next();
        let now = self.clock.now();
        self.standing.looked(now, waiting, trouble.as_ref());
        match trouble {
            Some(trouble) => Err(trouble),
            None if waiting > 0 => Ok(Next::Soon),
            None => Ok(Next::Usual),
        }
    }

    /// How many files are not done with, but for plans that wait for somebody.
    async fn look_at_all(&mut self, troubles: &mut Vec<Trouble>) -> Result<usize, Trouble> {
        let after = tables::newest(&self.store).await?;
        let here = self.objects.list_here().await?;
        if let Some(name) = here.unusable.into_iter().next() {
            troubles.push(Trouble::Names(name));
        }
        let mut files = here.objects;
        files.retain(|file| is_for_us(&file.name));
        self.seen
            .retain(|name, _| files.iter().any(|file| file.name == *name));
        let open = tables::open(&self.store, &self.settings.place).await?;
        files.retain(|file| {
            let mut open = open.iter();
            !open.any(|open| open.name == file.name && open.version == file.version)
        });
        // In the order in which they were put there.
        files.sort_by(|a, b| (a.modified, &a.name).cmp(&(b.modified, &b.name)));
        let mut waiting = 0;
        for file in &files {
            // Its plan would not see what the one before is yet to change.
            if tables::is_under_way(&self.store).await? {
                waiting += 1;
                continue;
            }
            match self.take(file, after).await {
                Ok(Taking::Over) => {}
                Ok(Taking::NotYet) => waiting += 1,
                Err(trouble) => {
                    waiting += 1;
                    troubles.push(trouble);
                }
            }
        }
        for open in tables::open(&self.store, &self.settings.place).await? {
            match self.set_aside(&open).await {
                Ok(true) => {}
                Ok(false) => waiting += usize::from(!self.is_planned(&open).await?),
                Err(trouble) => {
                    waiting += 1;
                    troubles.push(trouble);
                }
            }
        }
        Ok(waiting)
    }

    async fn take(&mut self, file: &Listed, after: i64) -> Result<Taking, Trouble> {
        let now = self.clock.now();
        let sighting = Sighting {
            version: file.version.clone(),
            since: now,
        };
        let seen = self.seen.entry(file.name.clone()).or_insert(sighting);
        if seen.version != file.version {
            seen.version.clone_from(&file.version);
            seen.since = now;
        }
        let quiet = now.0.saturating_sub(seen.since.0);
        if quiet < SETTLED || (file.size == 0 && quiet < PATIENCE) {
            return Ok(Taking::NotYet);
        }
        let mut found = Found {
            place: self.settings.place.clone(),
            name: file.name.clone(),
            version: file.version.clone(),
            sha256: String::new(),
            bytes: file.size,
            after,
        };
        let size = usize::try_from(file.size).unwrap_or(usize::MAX);
        if size == 0 || size > MOST_BYTES {
            let why = match size {
                0 => "it is empty",
                _ => "it is larger than 16 MiB",
            };
            return self.refuse(&found, why, Vec::new()).await;
        }
        let Some((read, content)) = self.objects.read_listed(&file.name).await? else {
            return Ok(Taking::Over);
        };
        if read.version != file.version {
            return Ok(Taking::NotYet);
        }
        found.sha256 = digest(&content);
        let (mut author, id) = self.author()?;
        let taken = self.desk.take(
            &content,
            self.settings.wishes,
            id,
            &mut author,
            Some(&found),
        );
        match taken.await {
            Ok(uploaded) => {
                tracing::info!(file = ?found.name, job = uploaded.job, "a file of people was picked up");
                Ok(Taking::Over)
            }
            Err(Refused::Taken) => Ok(Taking::Over),
            Err(Refused::Sealed(SealError::Damaged)) if quiet < PATIENCE => Ok(Taking::NotYet),
            Err(Refused::Problems { problems, total }) => {
                let why = format!("{} of the values in {total} rows are wrong", problems.len());
                self.refuse(&found, &why, problems).await
            }
            Err(refused @ (Refused::Sealed(_) | Refused::Plain | Refused::Units(_))) => {
                let why = refused.to_string();
                self.refuse(&found, &why, Vec::new()).await
            }
            Err(Refused::Store(error)) => Err(error.into()),
            Err(refused) => Err(Trouble::Desk(refused)),
        }
    }

    /// Notes that a file is not taken, and why.
    async fn refuse(
        &self,
        found: &Found,
        why: &str,
        mut problems: Vec<RowProblem>,
    ) -> Result<Taking, Trouble> {
        if problems.is_empty() {
            problems.push(RowProblem::of_line(0, why));
        }
        let (mut author, id) = self.author()?;
        let mut transaction = self.store.begin_writing().await?;
        if note(&mut transaction, found, (&id, false), why, &mut author).await? {
            keep_errors(&mut transaction, &id, &problems).await?;
            transaction.commit().await.map_err(StoreError::from)?;
            tracing::warn!(file = ?found.name, id, why, "a file of people was refused");
        }
        Ok(Taking::Over)
    }

    /// Sets a file aside with what became of it, if that is known; `false`: it is not yet.
    async fn set_aside(&self, open: &Open) -> Result<bool, Trouble> {
        let mut folder = REFUSED;
        if open.taken {
            let job = jobs::job(&self.store, &open.id).await?;
            folder = match job.as_ref().map(|job| job.state.as_str()) {
                Some("done") => DONE,
                Some("cancelled") => REFUSED,
                _ => return Ok(false),
            };
            let results = sheet::results(&self.store, &open.id).await?;
            self.write(folder, &open.id, RESULT, results).await?;
        }
        if !open.errors.is_empty() {
            let errors = open.errors.clone().into_bytes();
            self.write(folder, &open.id, ERRORS, errors).await?;
        }
        let file = Listed {
            name: open.name.clone(),
            size: open.bytes,
            modified: UnixMillis(0),
            version: open.version.clone(),
        };
        let to = format!("{folder}/{}/{}", open.id, name_aside(&open.name));
        if !self.objects.set_aside(&file, &to).await? {
            tracing::warn!(file = ?open.name, id = open.id, "another file of the same name is in its place: it is taken as a new one");
        }
        tables::end(&self.store, &open.id, self.clock.now()).await?;
        Ok(true)
    }

    async fn write(
        &self,
        folder: &str,
        id: &str,
        name: &str,
        content: Vec<u8>,
    ) -> Result<(), Trouble> {
        let (name, content) = match &self.settings.results_for {
            None => (name.to_owned(), content),
            Some(recipient) => {
                let sealed = recipient.seal(&content).map_err(Trouble::Seal)?;
                (format!("{name}.age"), sealed)
            }
        };
        let name = format!("{folder}/{id}/{name}");
        Ok(self.objects.replace(&name, content.into()).await?)
    }

    async fn is_planned(&self, open: &Open) -> Result<bool, StoreError> {
        let job = jobs::job(&self.store, &open.id).await?;
        Ok(job.is_some_and(|job| job.state == "planned"))
    }

    /// Who picks files up, and the id of what comes of one.
    fn author(&self) -> Result<(Author, String), Trouble> {
        let now = self.clock.now();
        let (mut seed, mut random) = ([0; 32], [0; 10]);
        getrandom::fill(&mut seed)?;
        getrandom::fill(&mut random)?;
        let author = Author::program("sekisho serve", now, seed);
        Ok((author, RecordId::v7(now, random).to_string()))
    }
}

/// Whether a file is meant for us; others are still being written, or their writers' own.
fn is_for_us(name: &str) -> bool {
    let is_own = name.starts_with('.') || name.starts_with('~');
    !is_own
        && ![".part", ".filepart", ".tmp"]
            .iter()
            .any(|end| name.ends_with(end))
}

/// The name of a file beside what became of it.
fn name_aside(name: &str) -> String {
    let plain = name.strip_suffix(".age").unwrap_or(name);
    if [RESULT, ERRORS].contains(&plain) {
        format!("file-{name}")
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_being_written_are_left_alone() {
        for name in ["people.csv", "people.csv.age", "名簿 4月", "a.partial"] {
            assert!(is_for_us(name), "{name}");
        }
        for name in [
            ".people.csv",
            "~$people.csv",
            "people.csv.part",
            "x.filepart",
            "x.tmp",
        ] {
            assert!(!is_for_us(name), "{name}");
        }
    }

    #[test]
    fn no_file_has_the_name_of_what_became_of_it() {
        assert_eq!(name_aside("people.csv.age"), "people.csv.age");
        assert_eq!(name_aside("result.csv"), "file-result.csv");
        assert_eq!(name_aside("errors.csv.age"), "file-errors.csv.age");
    }
}
