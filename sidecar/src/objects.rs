//! Objects in a folder, in Azure Blob Storage or in S3, by one interface.
//!
//! The place is a URL: `file:///FOLDER`, `az://CONTAINER/PREFIX`, `s3://BUCKET/PREFIX`. Accounts,
//! regions and credentials come from the environment, by the names that the SDKs of Azure and AWS
//! use, or from the managed identity of the machine; a URL holds none of them.

use std::fmt;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions,
    RetryConfig,
};
use prost::bytes::Bytes;
use sekisho_domain::UnixMillis;
use tokio_stream::StreamExt as _;
use url::Url;

/// How long a connection may take, and a request altogether.
const CONNECT: Duration = Duration::from_secs(5);
const REQUEST: Duration = Duration::from_secs(60);
/// A request is tried again for so long.
const RETRY: Duration = Duration::from_secs(20);
const RETRIES: usize = 4;

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
        let refused = |error: object_store::Error| unusable(words(&error));
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
        })
    }

    /// Where they are, without what may be secret.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Writes an object that is not there yet; it is durable when this returns. `false`: there is
    /// one of that name already, which stays as it is.
    ///
    /// # Errors
    /// [`ObjectsError::Object`].
    pub async fn create(&self, name: &str, content: Bytes) -> Result<bool, ObjectsError> {
        let options = PutOptions::from(PutMode::Create);
        let path = self.path(name)?;
        match self.store.put_opts(&path, content.into(), options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(self.refused(name, &error)),
        }
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
    /// [`ObjectsError::Object`].
    pub async fn list(&self, folder: &str) -> Result<Vec<Listed>, ObjectsError> {
        let path = Some(self.path(folder)?).filter(|path| !path.as_ref().is_empty());
        let mut found = self.store.list(path.as_ref());
        let mut all = Vec::new();
        while let Some(object) = found.next().await {
            let object = object.map_err(|error| self.refused(folder, &error))?;
            let modified = u64::try_from(object.last_modified.timestamp_millis());
            all.push(Listed {
                name: object.location.to_string(),
                size: object.size,
                modified: UnixMillis(modified.unwrap_or(0)),
            });
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    fn path(&self, name: &str) -> Result<Path, ObjectsError> {
        Path::parse(name).map_err(|error| self.refused(name, &error.into()))
    }

    fn refused(&self, name: &str, error: &object_store::Error) -> ObjectsError {
        ObjectsError::Object {
            name: name.to_owned(),
            shown: self.shown.clone(),
            why: words(error),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Folder,
    Azure,
    S3,
}

#[derive(Debug)]
struct Place {
    kind: Kind,
    url: Url,
}

impl Place {
    fn parse(text: &str) -> Result<Self, ObjectsError> {
        // What follows a `?` or stands before an `@` may be a secret.
        let shown = text.split('?').next().unwrap_or_default();
        let shown = match (shown.split_once("://"), shown.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://...@{rest}"),
            _ => shown.to_owned(),
        };
        let wrong = |why| ObjectsError::Place {
            shown: shown.clone(),
            why,
        };
        let url = Url::parse(text).map_err(|_| {
            wrong("use `file:///FOLDER`, `az://CONTAINER/PREFIX` or `s3://BUCKET/PREFIX`")
        })?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err(wrong(
                "accounts and credentials come from the environment, not from the URL",
            ));
        }
        if url.fragment().is_some() || url.port().is_some() {
            return Err(wrong("it has a port or a fragment"));
        }
        let has_host = url.host_str().is_some_and(|host| !host.is_empty());
        let kind = match (url.scheme(), has_host) {
            ("file", false) if url.path().len() > 1 => Kind::Folder,
            ("file", _) => return Err(wrong("a folder is `file:///` and its absolute path")),
            ("az", true) => Kind::Azure,
            ("az", false) => return Err(wrong("it names no container")),
            ("s3", true) => Kind::S3,
            ("s3", false) => return Err(wrong("it names no bucket")),
            _ => {
                return Err(wrong(
                    "use `file:///FOLDER`, `az://CONTAINER/PREFIX` or `s3://BUCKET/PREFIX`",
                ));
            }
        };
        Ok(Self { kind, url })
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

/// The words of an error and its causes, without queries: signatures stand there.
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
    let words = text.split(' ').map(|word| match word.split_once('?') {
        Some((before, _)) if before.contains("://") => format!("{before}?..."),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let on_disk = std::fs::read(folder.path().join("a b/c/day=1/x.bin")).unwrap();
        assert_eq!(on_disk, b"one");
        for _ in 0..2 {
            objects.delete("day=1/x.bin").await.unwrap();
        }
        assert_eq!(objects.read("day=1/x.bin").await, Ok(None));
        assert!(objects.read("../etc/passwd").await.is_err());
    }

    #[test]
    fn a_place_is_a_folder_a_container_or_a_bucket_without_secrets() {
        for place in [
            "file:///var/cold",
            "az://cold",
            "az://cold/a/b",
            "s3://cold/a",
        ] {
            assert_eq!(check(place), Ok(()), "{place}");
        }
        for place in [
            "",
            "/var/cold",
            "file:///",
            "file://host/x",
            "az:///x",
            "gs://x",
            "https://account.blob.core.windows.net/x?sig=sEcReT",
            "az://account:sEcReT@cold",
            "az://cold?sig=sEcReT",
            "s3://cold#x",
        ] {
            let refused = check(place).unwrap_err().to_string();
            assert!(!refused.contains("sEcReT"), "{refused}");
        }
    }

    #[test]
    fn an_error_has_no_signature() {
        let text = without_queries("GET https://a.blob/x?sig=abc&se=1 failed: what? yes");
        assert_eq!(text, "GET https://a.blob/x?... failed: what? yes");
    }
}
