//! What the sidecar keeps outside the database: whoever copies or changes the database
//! has neither the key of the log nor the secret of the subscription keys.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
};
use ed25519_dalek::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::people::sealed::Opener;
use crate::push::VapidKey;

/// The log's signing key, PKCS #8 PEM.
pub(super) const LOG_KEY: &str = "log-key.pem";
/// Its public half, for auditors.
pub(in crate::cli) const PUBLIC_KEY: &str = "log-key.pub.pem";
/// The secret under which subscription keys are hashed, 32 bytes.
pub(super) const PEPPER: &str = "key-pepper";
/// The key under which the keys of kept bodies are encrypted, 32 bytes.
pub(super) const CONTENTS_KEY: &str = "contents-key";
/// By which push services of browsers know the sidecar, 32 bytes.
pub(super) const PUSH_KEY: &str = "push-key";
/// The key with which encrypted files of people are opened, as `age-keygen` writes it.
const CSV_KEY: &str = "csv-key.txt";
/// The second place of checkpoints.
pub(in crate::cli) const CHECKPOINTS: &str = "checkpoints";

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum StateError {
    /// A file cannot be read or written.
    #[error("`{}` cannot be used: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A secret that others can read.
    #[error("`{}` can be read by others than its owner: `chmod 600` it, and think about who has read it", .0.display())]
    Exposed(PathBuf),
    /// A file that is not what it should be.
    #[error("`{}` does not hold a key", .0.display())]
    NotAKey(PathBuf),
    /// A new key would contradict the checkpoints that are there.
    #[error("`{}` is gone, but there are checkpoints that it signed: restore it from a backup", .0.display())]
    KeyLost(PathBuf),
    /// The operating system has no randomness.
    #[error("no random bytes for a new key")]
    Random,
}

/// Keys and places.
pub(super) struct State {
    /// Signs the log's checkpoints.
    pub(super) log_key: SigningKey,
    /// Subscription keys are hashed under it.
    pub(super) pepper: Vec<u8>,
    /// The keys of kept bodies are encrypted under it.
    pub(super) contents_key: Zeroizing<[u8; 32]>,
    /// Opens encrypted files of people.
    pub(super) opener: Opener,
    /// Where checkpoints are exported to.
    pub(super) checkpoints: PathBuf,
}

impl State {
    /// Reads the state; makes on first start what is not there.
    pub(super) fn open(dir: &Path) -> Result<Self, StateError> {
        make(dir)?;
        let checkpoints = dir.join(CHECKPOINTS);
        let log_key = log_key(dir, &checkpoints)?;
        let public = dir.join(PUBLIC_KEY);
        if !public.exists() {
            let pem = log_key.verifying_key().to_public_key_pem(LineEnding::LF);
            let pem = pem.map_err(|_| StateError::NotAKey(public.clone()))?;
            create(&public, pem.as_bytes(), 0o644)?;
        }
        let path = dir.join(PEPPER);
        let pepper = match read_secret(&path)? {
            Some(pepper) if pepper.len() == 32 => pepper,
            Some(_) => return Err(StateError::NotAKey(path)),
            None => {
                let pepper = random()?;
                create(&path, &pepper, 0o600)?;
                pepper.to_vec()
            }
        };
        let path = dir.join(CONTENTS_KEY);
        let contents_key = Zeroizing::new(match read_secret(&path)? {
            Some(key) => {
                let key = Zeroizing::new(key);
                key.as_slice()
                    .try_into()
                    .map_err(|_| StateError::NotAKey(path))?
            }
            None => {
                let key = random()?;
                create(&path, &key, 0o600)?;
                key
            }
        });
        Ok(Self {
            log_key,
            pepper,
            contents_key,
            opener: opener(dir)?,
            checkpoints,
        })
    }
}

/// The key by which push services know the sidecar, made if it is not there; only for who pushes.
/// With another one every browser would have to be registered anew.
pub(super) fn push_key(dir: &Path) -> Result<(VapidKey, Zeroizing<[u8; 32]>), StateError> {
    let path = dir.join(PUSH_KEY);
    let bytes = Zeroizing::new(match read_secret(&path)? {
        Some(key) => {
            let key = Zeroizing::new(key);
            key.as_slice()
                .try_into()
                .map_err(|_| StateError::NotAKey(path.clone()))?
        }
        None => {
            let key = random()?;
            create(&path, &key, 0o600)?;
            key
        }
    });
    let key = VapidKey::read(&bytes).map_err(|_| StateError::NotAKey(path))?;
    Ok((key, bytes))
}

/// Whether a sidecar keeps its keys there.
pub(in crate::cli) fn holds_state(dir: &Path) -> bool {
    [LOG_KEY, CSV_KEY].iter().any(|key| dir.join(key).is_file())
}

fn make(dir: &Path) -> Result<(), StateError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(dir).map_err(at(dir))
}

/// The key for encrypted files of people, made if it is not there. It can be another one later:
/// nothing that is stored depends on it.
pub(in crate::cli) fn opener(dir: &Path) -> Result<Opener, StateError> {
    make(dir)?;
    let path = dir.join(CSV_KEY);
    if let Some(text) = read_secret(&path)? {
        let text = Zeroizing::new(text);
        let text = std::str::from_utf8(&text).ok();
        let key = text.and_then(|text| Opener::read(text).ok());
        return key.ok_or(StateError::NotAKey(path));
    }
    let key = Opener::generate();
    create(&path, key.text().as_bytes(), 0o600)?;
    Ok(key)
}

fn log_key(dir: &Path, checkpoints: &Path) -> Result<SigningKey, StateError> {
    let path = dir.join(LOG_KEY);
    if let Some(pem) = read_secret(&path)? {
        let pem = String::from_utf8(pem).map_err(|_| StateError::NotAKey(path.clone()))?;
        return SigningKey::from_pkcs8_pem(&pem).map_err(|_| StateError::NotAKey(path));
    }
    let signed_before = fs::read_dir(checkpoints).is_ok_and(|mut files| files.next().is_some());
    if signed_before {
        return Err(StateError::KeyLost(path));
    }
    let key = SigningKey::from_bytes(&random()?);
    let pem = key.to_pkcs8_pem(LineEnding::LF);
    let pem = pem.map_err(|_| StateError::NotAKey(path.clone()))?;
    create(&path, pem.as_bytes(), 0o600)?;
    Ok(key)
}

/// The log's public key from a PEM file.
pub(in crate::cli) fn read_public_key(path: &Path) -> Result<VerifyingKey, StateError> {
    let pem = fs::read_to_string(path).map_err(at(path))?;
    VerifyingKey::from_public_key_pem(&pem).map_err(|_| StateError::NotAKey(path.to_owned()))
}

fn read_secret(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(path)(error)),
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            return Err(StateError::Exposed(path.to_owned()));
        }
        Ok(_) => {}
    }
    fs::read(path).map(Some).map_err(at(path))
}

/// Whole or not at all, also after a power cut: a half-written key would be a lost one.
fn create(path: &Path, content: &[u8], mode: u32) -> Result<(), StateError> {
    let new = path.with_extension("new");
    let write = || {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        path.parent()
            .map_or(Ok(()), |dir| fs::File::open(dir)?.sync_all())
    };
    write().map_err(at(path))
}

pub(in crate::cli) fn random() -> Result<[u8; 32], StateError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| StateError::Random)?;
    Ok(bytes)
}

fn at(path: &Path) -> impl Fn(io::Error) -> StateError {
    let path = path.to_owned();
    move |source| StateError::File {
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_for_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("state");
        let first = State::open(&dir).unwrap();
        let second = State::open(&dir).unwrap();
        assert_eq!(first.log_key, second.log_key);
        assert_eq!(first.pepper, second.pepper);
        assert_eq!(first.pepper.len(), 32);
        assert_eq!(first.opener.recipient(), second.opener.recipient());
        assert_eq!(first.contents_key, second.contents_key);
        for secret in [LOG_KEY, PEPPER, CONTENTS_KEY, CSV_KEY] {
            let mode = fs::metadata(dir.join(secret)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{secret}");
        }
        let public = read_public_key(&dir.join(PUBLIC_KEY)).unwrap();
        assert_eq!(public, first.log_key.verifying_key());
    }

    #[test]
    fn who_pushes_has_one_key_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let (first, _) = push_key(dir.path()).unwrap();
        let (second, _) = push_key(dir.path()).unwrap();
        assert_eq!(first.public_key(), second.public_key());
        let key = dir.path().join(PUSH_KEY);
        let mode = fs::metadata(&key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(&key, [0; 32]).unwrap();
        assert!(matches!(push_key(dir.path()), Err(StateError::NotAKey(_))));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        State::open(dir.path()).unwrap();
        let key = dir.path().join(PEPPER);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            State::open(dir.path()),
            Err(StateError::Exposed(_))
        ));
    }

    #[test]
    fn a_lost_key_is_not_silently_replaced() {
        let dir = tempfile::tempdir().unwrap();
        State::open(dir.path()).unwrap();
        fs::create_dir(dir.path().join(CHECKPOINTS)).unwrap();
        fs::write(
            dir.path()
                .join(CHECKPOINTS)
                .join("checkpoints-2024-10-01.txt"),
            "x",
        )
        .unwrap();
        fs::remove_file(dir.path().join(LOG_KEY)).unwrap();
        assert!(matches!(
            State::open(dir.path()),
            Err(StateError::KeyLost(_))
        ));
    }
}
