//! Objects in a folder, in Azure Blob Storage or in S3, by one interface.
//!
//! The place is a URL: `file:///FOLDER`, `az://CONTAINER/PREFIX`, `s3://BUCKET/PREFIX`. Accounts,
//! regions and credentials come from the environment, by the names that the SDKs of Azure and AWS
//! use, or from the managed identity of the machine; a URL holds none of them.

mod folder;
mod place;

use std::fmt;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    BackoffConfig, ClientOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode,
    PutOptions, RetryConfig,
};
use prost::bytes::Bytes;
use sekisho_domain::UnixMillis;
use tokio_stream::StreamExt as _;

use place::{Kind, Place};

/// How long a connection may take, and a request altogether.
const CONNECT: Duration = Duration::from_secs(5);
const REQUEST: Duration = Duration::from_secs(60);
/// A request is tried again for so long.
const RETRY: Duration = Duration::from_secs(20);
const RETRIES: usize = 4;
/// How often others may get in first when a file is written.
const MOST_OTHERS: u32 = 100;

/// Why objects cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectsError {
    /// Not a place for objects.
    #[error("`{shown}` is no place for objects: {why}")]
    Place {
        /// The URL without what may be secret.
        shown: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The place cannot be used.
    #[error("`{shown}` cannot be used: {why}")]
    Unusable {
        /// The URL.
        shown: String,
        /// What the store says.
        why: String,
    },
    /// One object cannot be read, written or deleted.
    #[error("object `{name}` in `{shown}`: {why}")]
    Object {
        /// Which.
        name: String,
        /// The URL.
        shown: String,
        /// What the store says.
        why: String,
    },
}

/// Objects below one place; cheap to clone.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    shown: String,
    /// Where they are, if they are files.
    folder: Option<PathBuf>,
}

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name, without the place's prefix.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// When it was written last, by the clock of the store.
    pub modified: UnixMillis,
    /// Differs from that of whatever else has had this name or is going to.
    pub version: String,
}

impl Listed {
    fn new(object: &ObjectMeta) -> Self {
        let modified = u64::try_from(object.last_modified.timestamp_millis()).unwrap_or(0);
        let tag = object.e_tag.as_deref().unwrap_or_default();
        // Lists and answers about one object differ in quotes and in fractions of seconds.
        let (tag, seconds) = (tag.trim_start_matches("W/"), modified / 1000);
        let version = format!("{seconds}-{}-{}", object.size, tag.trim_matches('"'));
        Self {
            name: object.location.to_string(),
            size: object.size,
            modified: UnixMillis(modified),
            version,
        }
    }
}

/// What is in a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Here {
    /// In the order of their names.
    pub objects: Vec<Listed>,
    /// Files whose names no object can have, quoted: control characters, or no UTF-8.
    pub unusable: Vec<String>,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Objects").field(&self.shown).finish()
    }
}

/// Checks that a URL names a place for objects, without going there.
///
/// # Errors
/// [`ObjectsError::Place`].
pub fn check(url: &str) -> Result<(), ObjectsError> {
    Place::parse(url).map(|_| ())
}

/// The environment of this process, as far as it is text.
#[must_use]
pub fn environment() -> Vec<(String, String)> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

impl Objects {
    /// The objects at `url`. `environment`: what says which account, region and credentials;
    /// [`environment`] gives that of the process. A folder is made if it is missing; whether
    /// other places are there shows at the first object.
    ///
    /// # Errors
    /// [`ObjectsError`].
    pub fn open(url: &str, environment: Vec<(String, String)>) -> Result<Self, ObjectsError> {
        // The client of the store has no cryptography of its own.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let place = Place::parse(url)?;
        let shown = place.url.to_string();
        let unusable = |why: String| ObjectsError::Unusable {
            shown: shown.clone(),
            why,
        };
        let refused = |error: object_store::Error| unusable(words(&error) + advice(&shown));
        let prefix = Path::from_url_path(place.url.path());
        let prefix = prefix.map_err(|error| unusable(error.to_string()))?;
        let store: Arc<dyn ObjectStore> = match place.kind {
            Kind::Folder => {
                let folder = place.url.to_file_path();
                let folder = folder.map_err(|()| unusable("not a path".to_owned()))?;
                let mut builder = DirBuilder::new();
                builder.recursive(true).mode(0o700);
                builder
                    .create(&folder)
                    .map_err(|error| unusable(error.to_string()))?;
                let local = LocalFileSystem::new_with_prefix(&folder).map_err(refused)?;
                return Ok(Self {
                    store: Arc::new(local.with_fsync(true)),
                    shown,
                    folder: Some(folder),
                });
            }
            Kind::Azure => {
                let mut builder = MicrosoftAzureBuilder::new()
                    .with_url(shown.clone())
                    .with_client_options(client())
                    .with_retry(retry());
                for (key, value) in known::<AzureConfigKey>(environment) {
                    builder = builder.with_config(key, value);
                }
                Arc::new(builder.build().map_err(refused)?)
            }
            Kind::S3 => {
                let mut builder = AmazonS3Builder::new()
                    .with_url(shown.clone())
                    .with_client_options(client())
                    .with_retry(retry());
                for (key, value) in known::<AmazonS3ConfigKey>(environment) {
                    builder = builder.with_config(key, value);
                }
                Arc::new(builder.build().map_err(refused)?)
            }
        };
        Ok(Self {
            store: Arc::new(PrefixStore::new(store, prefix)),
            shown,
            folder: None,
        })
    }

    /// The objects of a store that somebody has made. `shown`: where that is; `folder`: as a folder
    /// of files.
    #[must_use]
    pub fn over(store: Arc<dyn ObjectStore>, shown: String, folder: Option<PathBuf>) -> Self {
        Self {
            store,
            shown,
            folder,
        }
    }

    /// Where they are, without what may be secret.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Writes an object that is not there yet; it is durable when this returns. `false`: there is
    /// one of that name already, which stays as it is. Nothing is left of attempts that were
    /// killed.
    ///
    /// # Errors
    /// [`ObjectsError::Object`].
    pub async fn create(&self, name: &str, content: Bytes) -> Result<bool, ObjectsError> {
        let is_new = self.put(name, content, PutMode::Create).await?;
        self.clear_unfinished(name).await?;
        Ok(is_new)
    }

    /// Writes an object, in the place of one of that name; it is durable when this returns.
    ///
    /// # Errors
    /// [`ObjectsError::Object`].
    pub async fn replace(&self, name: &str, content: Bytes) -> Result<(), ObjectsError> {
        self.put(name, content, PutMode::Overwrite).await?;
        self.clear_unfinished(name).await
    }

    /// Writes an object; `false`: there is one already that must stay. In a folder, whoever has just
    /// given the same object its name has deleted what others had begun to write of it: they begin
    /// again.
    async fn put(&self, name: &str, content: Bytes, mode: PutMode) -> Result<bool, ObjectsError> {
        let path = self.path(name)?;
        let mut others = 0;
        loop {
            let options = PutOptions::from(mode.clone());
            let put = self.store.put_opts(&path, content.clone().into(), options);
            let error = match put.await {
                Ok(_) => return Ok(true),
                Err(object_store::Error::AlreadyExists { .. }) => return Ok(false),
                Err(error) => error,
            };
            if self.folder.is_none() || others == MOST_OTHERS || !is_gone(&error) {
                return Err(self.refused(name, &error));
            }
            others += 1;
        }
    }

    /// Reads an object whole, with what a list would say of it now; `None`: there is none of that
    /// name.
    ///
    /// # Errors
    /// [`ObjectsError::Object`].
    pub async fn read_listed(&self, name: &str) -> Result<Option<(Listed, Bytes)>, ObjectsError> {
        let path = self.path(name)?;
        let read = async {
            let found = self.store.get(&path).await?;
            let listed = Listed::new(&found.meta);
            Ok((listed, found.bytes().await?))
        };
        match read.await {
            Ok(found) => Ok(Some(found)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.refused(name, &error)),
        }
    }

    /// What a list would say of one object now; `None`: there is none of that name.
    ///
    /// # Errors
    /// [`ObjectsError::Object`].
    pub async fn find(&self, name: &str) -> Result<Option<Listed>, ObjectsError> {
        let path = self.path(name)?;
        match self.store.head(&path).await {
            Ok(object) => Ok(Some(Listed::new(&object))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.refused(name, &error)),
        }
    }

    /// Gives an object another name, in the place of one that has it; one that is not there has it
    /// already. `false`: something else has the former name by now, which keeps it. Files keep all that
    /// they have but the name; elsewhere the object is copied, and deleted last.
    ///
    /// # Errors
    /// [`ObjectsError::Object`].
    pub async fn set_aside(&self, object: &Listed, to: &str) -> Result<bool, ObjectsError> {
        let name = object.name.as_str();
        let refused = |error: object_store::Error| self.refused(name, &error);
        let is_there = || async {
            let found = self.find(name).await?;
            Ok(found.map(|found| found.version == object.version))
        };
        match is_there().await? {
            None => return Ok(true),
            Some(false) => return Ok(false),
            Some(true) => {}
        }
        let (from, target) = (self.path(name)?, self.path(to)?);
        if self.folder.is_some() {
            self.store.rename(&from, &target).await.map_err(refused)?;
            return Ok(true);
        }
        self.store.copy(&from, &target).await.map_err(refused)?;
        // Nothing can be deleted on a condition; whoever writes meanwhile has a moment of it.
        if is_there().await? != Some(true) {
            return Ok(false);
        }
        if self.find(to).await?.map(|copy| copy.size) != Some(object.size) {
            return Err(ObjectsError::Object {
                name: name.to_owned(),
                shown: self.shown.clone(),
                why: format!("its copy `{to}` is not whole yet"),
            });
        }
        self.delete(name).await?;
        Ok(true)
    }

    /// Reads an object whole; `None`: there is none of that name.
    ///
    /// # Errors
    /// [`ObjectsError::Object`].
    pub async fn read(&self, name: &str) -> Result<Option<Bytes>, ObjectsError> {
        let path = self.path(name)?;
        let read = async { self.store.get(&path).await?.bytes().await };
        match read.await {
            Ok(content) => Ok(Some(content)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.refused(name, &error)),
        }
    }

    /// Deletes an object; one that is not there is deleted already.
    ///
    /// # Errors
    /// [`ObjectsError::Object`].
    pub async fn delete(&self, name: &str) -> Result<(), ObjectsError> {
        let path = self.path(name)?;
        match self.store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.refused(name, &error)),
        }
    }

    /// The objects below a folder of the place, in the order of their names; `""`: all.
    ///
    /// # Errors
    /// [`ObjectsError`].
    pub async fn list(&self, folder: &str) -> Result<Vec<Listed>, ObjectsError> {
        let path = Some(self.path(folder)?).filter(|path| !path.as_ref().is_empty());
        let mut found = self.store.list(path.as_ref());
        let mut all = Vec::new();
        while let Some(object) = found.next().await {
            let object = object.map_err(|error| self.unusable(&error))?;
            all.push(Listed::new(&object));
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// The objects in the place itself, not in its folders, in the order of their names. Of a folder
    /// of files only files: what a link leads to belongs to somebody else.
    ///
    /// # Errors
    /// [`ObjectsError`].
    pub async fn list_here(&self) -> Result<Here, ObjectsError> {
        if let Some(folder) = &self.folder {
            return self.list_folder(folder).await;
        }
        let found = self.store.list_with_delimiter(None).await;
        let found = found.map_err(|error| self.unusable(&error))?;
        let mut objects: Vec<Listed> = found.objects.iter().map(Listed::new).collect();
        objects.sort_by(|a, b| a.name.cmp(&b.name));
        let unusable = Vec::new();
        Ok(Here { objects, unusable })
    }

    fn path(&self, name: &str) -> Result<Path, ObjectsError> {
        Path::parse(name).map_err(|error| self.refused(name, &error.into()))
    }

    fn unusable(&self, error: &object_store::Error) -> ObjectsError {
        ObjectsError::Unusable {
            shown: self.shown.clone(),
            why: words(error) + advice(&self.shown),
        }
    }

    fn refused(&self, name: &str, error: &object_store::Error) -> ObjectsError {
        ObjectsError::Object {
            name: name.to_owned(),
            shown: self.shown.clone(),
            why: words(error),
        }
    }
}

/// Whether a file was not where it was a moment ago.
fn is_gone(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let file = error.downcast_ref::<std::io::Error>();
        if file.is_some_and(|file| file.kind() == std::io::ErrorKind::NotFound) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What whoever sets up a place in a cloud forgets first.
fn advice(shown: &str) -> &'static str {
    if shown.starts_with("az:") {
        ". Account and credentials come from the environment (`AZURE_STORAGE_ACCOUNT_NAME`, \
         `AZURE_STORAGE_ACCOUNT_KEY`, ...) or from the machine's managed identity"
    } else if shown.starts_with("s3:") {
        ". Region and credentials come from the environment (`AWS_REGION`, `AWS_ACCESS_KEY_ID`, \
         `AWS_SECRET_ACCESS_KEY`, ...) or from the machine's role"
    } else {
        ""
    }
}

fn known<K: std::str::FromStr>(
    environment: Vec<(String, String)>,
) -> impl Iterator<Item = (K, String)> {
    let of_store = |(name, value): (String, String)| {
        let is_meant = name.starts_with("AZURE_") || name.starts_with("AWS_");
        let name = is_meant.then(|| name.to_ascii_lowercase())?;
        Some((name.parse().ok()?, value))
    };
    environment.into_iter().filter_map(of_store)
}

fn client() -> ClientOptions {
    ClientOptions::new()
        .with_connect_timeout(CONNECT)
        .with_timeout(REQUEST)
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: RETRIES,
        retry_timeout: RETRY,
    }
}

/// The words of an error and its causes on one line, without queries: signatures stand there.
fn words(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = next.source();
    }
    without_queries(&text)
}

fn without_queries(text: &str) -> String {
    let words = text
        .split_whitespace()
        .map(|word| match word.split_once('?') {
            Some((before, _)) if before.contains("://") => format!("{before}?..."),
            _ => word.to_owned(),
        });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use url::Url;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn several_write_the_same_object_at_once_and_each_has_its_answer() {
        let folder = tempfile::tempdir().unwrap();
        let url = Url::from_directory_path(folder.path()).unwrap();
        let objects = Objects::open(url.as_str(), Vec::new()).unwrap();
        let writers = (0..4u8).map(|writer| {
            let objects = objects.clone();
            tokio::spawn(async move {
                let mut first = 0;
                for round in 0..50 {
                    let content = || Bytes::from(vec![writer; 10_000]);
                    objects.replace("report.csv", content()).await.unwrap();
                    let once = format!("day/{round}.bin");
                    first += u32::from(objects.create(&once, content()).await.unwrap());
                }
                first
            })
        });
        let mut first = 0;
        for writer in writers.collect::<Vec<_>>() {
            first += writer.await.unwrap();
        }
        assert_eq!(first, 50, "each is new for one of them");
        let whole = objects.read("report.csv").await.unwrap().unwrap();
        assert!(whole.len() == 10_000 && whole.iter().all(|byte| Some(byte) == whole.first()));
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 2, "a file and a folder");
    }

    #[tokio::test]
    async fn an_object_is_written_once_read_listed_and_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let url = Url::from_directory_path(folder.path().join("a b/c")).unwrap();
        let objects = Objects::open(url.as_str(), Vec::new()).unwrap();
        assert_eq!(objects.list("").await, Ok(vec![]));
        let write = |content: &'static [u8]| objects.create("day=1/x.bin", content.into());
        assert_eq!(write(b"one").await, Ok(true));
        assert_eq!(write(b"two").await, Ok(false));
        let read = objects.read("day=1/x.bin").await.unwrap();
        assert_eq!(read.as_deref(), Some(b"one".as_slice()));
        let listed = objects.list("day=1").await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(
            (listed[0].name.as_str(), listed[0].size),
            ("day=1/x.bin", 3)
        );
        let day = folder.path().join("a b/c/day=1");
        assert_eq!(std::fs::read(day.join("x.bin")).unwrap(), b"one");
        // What a process that was killed left is gone, and nothing else.
        let names = ["x.bin#1", "x.bin#27", "x.bin#", "x.bin#1a", "x.bin2#1"];
        for name in names {
            std::fs::write(day.join(name), "half").unwrap();
        }
        assert_eq!(write(b"two").await, Ok(false));
        let left = names.map(|name| day.join(name).exists());
        assert_eq!(left, [false, false, true, true, true]);
        for _ in 0..2 {
            objects.delete("day=1/x.bin").await.unwrap();
        }
        assert_eq!(objects.read("day=1/x.bin").await, Ok(None));
        assert!(objects.read("../etc/passwd").await.is_err());
    }

    #[tokio::test]
    async fn what_is_in_the_place_itself_is_listed_by_any_name_and_without_links() {
        let folder = tempfile::tempdir().unwrap();
        let url = Url::from_directory_path(folder.path()).unwrap();
        let objects = Objects::open(url.as_str(), Vec::new()).unwrap();
        let names = [
            " a",
            "%41",
            "a\\b",
            "it's \"x\"",
            "~$x*?[1]&",
            "名簿 #1.csv",
        ];
        for name in names {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        std::fs::create_dir(folder.path().join("done")).unwrap();
        std::fs::write(folder.path().join("done/x"), "x").unwrap();
        let secret = folder.path().join("done/x");
        std::os::unix::fs::symlink(secret, folder.path().join("link")).unwrap();
        std::fs::write(folder.path().join("c\nd"), "x").unwrap();
        std::fs::write(folder.path().join("x#1"), "x").unwrap();
        let here = objects.list_here().await.unwrap();
        assert_eq!(here.objects.len(), names.len(), "{here:?}");
        assert_eq!(here.unusable, [r#""c\nd""#, r#""x#1""#]);
        for object in here.objects {
            let (read, content) = objects.read_listed(&object.name).await.unwrap().unwrap();
            assert_eq!(read, object);
            let name = String::from_utf8(content.to_vec()).unwrap();
            assert!(names.contains(&name.as_str()), "{name}");
            assert_eq!(objects.find(&object.name).await, Ok(Some(object.clone())));
            let to = format!("done/{}", object.name);
            let other = Listed {
                version: String::new(),
                ..object.clone()
            };
            assert_eq!(objects.set_aside(&other, &to).await, Ok(false));
            for _ in 0..2 {
                assert_eq!(objects.set_aside(&object, &to).await, Ok(true));
            }
            assert_eq!(objects.find(&object.name).await, Ok(None));
            assert_eq!(
                std::fs::read(folder.path().join("done").join(&name)).unwrap(),
                content
            );
        }
    }

    #[tokio::test]
    async fn what_is_written_anew_has_another_version() {
        let folder = tempfile::tempdir().unwrap();
        let url = Url::from_directory_path(folder.path()).unwrap();
        let objects = Objects::open(url.as_str(), Vec::new()).unwrap();
        let mut versions = std::collections::HashSet::new();
        for content in ["one", "two", "three"] {
            objects.replace("x", content.into()).await.unwrap();
            versions.insert(objects.find("x").await.unwrap().unwrap().version);
        }
        assert_eq!(versions.len(), 3);
    }

    #[test]
    fn an_error_has_no_signature() {
        let text = without_queries("GET https://a.blob/x?sig=abc&se=1\n failed: what? yes");
        assert_eq!(text, "GET https://a.blob/x?... failed: what? yes");
    }
}
