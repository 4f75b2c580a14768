//! Files that are encrypted with age (<https://age-encryption.org/v1>) for this installation.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::str::FromStr as _;

use age::secrecy::ExposeSecret as _;
use age::x25519;
use age::{DecryptError, Decryptor};
use zeroize::Zeroizing;

/// Largest file, encrypted or not, bytes.
pub const MOST_BYTES: usize = 16 * 1024 * 1024;

const BINARY: &[u8] = b"age-encryption.org/v1\n";
const ARMOUR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";

/// The secret key (an X25519 identity) with which files are opened.
#[derive(Clone)]
pub struct Opener(x25519::Identity);

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opener({})", self.recipient())
    }
}

/// Why a file cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// For somebody else, or for a former key.
    #[error(
        "it is encrypted for another recipient: encrypt it for the one that `sekisho keys recipient` prints"
    )]
    OtherRecipient,
    /// Cut short or changed.
    #[error("it is damaged, or is no file of age")]
    Damaged,
    /// See [`MOST_BYTES`].
    #[error("what is in it is larger than 16 MiB")]
    TooLarge,
}

/// The text is no secret key of age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a secret key of age (`AGE-SECRET-KEY-1...`)")]
pub struct NotAnIdentity;

/// Whom something is encrypted for: an X25519 recipient.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient(x25519::Recipient);

/// The text is no recipient of age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a recipient of age (`age1...`)")]
pub struct NotARecipient;

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.0)
    }
}

impl Recipient {
    /// From its text.
    ///
    /// # Errors
    /// [`NotARecipient`].
    pub fn read(text: &str) -> Result<Self, NotARecipient> {
        let recipient = x25519::Recipient::from_str(text.trim());
        recipient.map(Self).map_err(|_| NotARecipient)
    }

    /// The content, encrypted for this recipient.
    ///
    /// # Errors
    /// It cannot be written; memory can always be.
    pub fn seal(&self, content: &[u8]) -> io::Result<Vec<u8>> {
        let recipients = std::iter::once(&self.0 as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
        let mut sealed = Vec::new();
        let mut writer = encryptor.wrap_output(&mut sealed)?;
        writer.write_all(content)?;
        writer.finish()?;
        Ok(sealed)
    }
}

impl Opener {
    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        Self(x25519::Identity::generate())
    }

    /// The key from its text, as `age-keygen` writes it: other lines begin with `#`.
    ///
    /// # Errors
    /// [`NotAnIdentity`].
    pub fn read(text: &str) -> Result<Self, NotAnIdentity> {
        let mut lines = text.lines().map(str::trim);
        let key = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
        let key = x25519::Identity::from_str(key.ok_or(NotAnIdentity)?);
        key.map(Self).map_err(|_| NotAnIdentity)
    }

    /// The key as text, for the file that keeps it.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let secret = self.0.to_string();
        Zeroizing::new(format!(
            "# public key: {}\n{}\n",
            self.recipient(),
            secret.expose_secret()
        ))
    }

    /// Whom files are encrypted for: `age1...`.
    #[must_use]
    pub fn recipient(&self) -> String {
        self.0.to_public().to_string()
    }

    /// What is in an encrypted file, binary or armoured.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn open(&self, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.open_most(file, MOST_BYTES)
    }

    fn open_most(&self, file: &[u8], most: usize) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let fault = |error: DecryptError| match error {
            DecryptError::NoMatchingKeys => SealError::OtherRecipient,
            _ => SealError::Damaged,
        };
        let reader = age::armor::ArmoredReader::new(file);
        let decryptor = Decryptor::new(reader).map_err(fault)?;
        let identities = std::iter::once(&self.0 as &dyn age::Identity);
        let reader = decryptor.decrypt(identities).map_err(fault)?;
        let mut content = Zeroizing::new(Vec::new());
        let limit = u64::try_from(most).unwrap_or(u64::MAX);
        let read = reader
            .take(limit.saturating_add(1))
            .read_to_end(&mut content);
        read.map_err(|_| SealError::Damaged)?;
        if content.len() > most {
            return Err(SealError::TooLarge);
        }
        Ok(content)
    }
}

/// Whether the file says that it is encrypted with age.
#[must_use]
pub fn is_sealed(file: &[u8]) -> bool {
    let text = file.trim_ascii_start();
    file.starts_with(BINARY) || text.starts_with(ARMOUR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use age::armor::{ArmoredWriter, Format};

    fn sealed(text: &[u8], opener: &Opener, format: Format) -> Vec<u8> {
        let recipient = opener.0.to_public();
        let encryptor =
            age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
                .unwrap();
        let mut out = Vec::new();
        let armour = ArmoredWriter::wrap_output(&mut out, format).unwrap();
        let mut writer = encryptor.wrap_output(armour).unwrap();
        writer.write_all(text).unwrap();
        writer.finish().unwrap().finish().unwrap();
        out
    }

    #[test]
    fn both_forms_are_opened_by_the_key_and_by_no_other() {
        let opener = Opener::generate();
        for format in [Format::Binary, Format::AsciiArmor] {
            let file = sealed(b"user_id", &opener, format);
            assert!(is_sealed(&file));
            assert_eq!(opener.open(&file).unwrap().as_slice(), b"user_id");
            assert_eq!(
                Opener::generate().open(&file),
                Err(SealError::OtherRecipient)
            );
        }
        assert!(!is_sealed(b"user_id,name"));
    }

    #[test]
    fn a_file_that_was_cut_or_changed_gives_nothing() {
        let opener = Opener::generate();
        let file = sealed(&[7; 100_000], &opener, Format::Binary);
        for length in [BINARY.len(), 60, 200, 70_000, file.len() - 1] {
            assert_eq!(
                opener.open(&file[..length]),
                Err(SealError::Damaged),
                "{length}"
            );
        }
        let mut changed = file;
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(opener.open(&changed), Err(SealError::Damaged));
    }

    #[test]
    fn what_is_sealed_for_a_recipient_is_opened_by_its_key() {
        let opener = Opener::generate();
        let recipient = Recipient::read(&opener.recipient()).unwrap();
        let sealed = recipient.seal("結果".as_bytes()).unwrap();
        assert_eq!(opener.open(&sealed).unwrap().as_slice(), "結果".as_bytes());
        assert_eq!(Recipient::read("age1x"), Err(NotARecipient));
    }

    #[test]
    fn what_is_too_large_when_opened_is_refused() {
        let opener = Opener::generate();
        let file = sealed(&[0; 1001], &opener, Format::Binary);
        assert_eq!(opener.open_most(&file, 1000), Err(SealError::TooLarge));
        assert!(opener.open_most(&file, 1001).is_ok());
    }

    #[test]
    fn the_key_comes_back_from_its_file_and_is_not_shown() {
        let opener = Opener::generate();
        let again = Opener::read(&opener.text()).unwrap();
        assert_eq!(again.recipient(), opener.recipient());
        assert!(!format!("{opener:?}").contains("SECRET"));
        assert_eq!(Opener::read("# nothing\n").unwrap_err(), NotAnIdentity);
    }
}
