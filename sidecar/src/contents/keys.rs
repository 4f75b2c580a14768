//! The keys with which one transaction encrypts.

use std::collections::HashMap;

use sekisho_domain::UnixMillis;
use sqlx::AnyConnection;

use super::MasterKey;
use super::seal::{DataKey, NONCE};
use super::tables::{self, NewKey};

/// A key that is ready.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) id: u64,
    /// SHA-256 of what is stored of it, hexadecimal.
    pub(crate) sha256: String,
    pub(crate) key: DataKey,
    /// Still to be stored.
    new: Option<NewKey>,
}

/// Ready keys, by department and day. They are looked up anew for each transaction: one that was
/// destroyed in the meantime is used no more, and none stays in memory.
#[derive(Debug, Default)]
pub(crate) struct Ring(HashMap<(String, String), Ready>);

impl Ring {
    pub(crate) fn get(&self, department: &str, day: &str) -> Option<&Ready> {
        self.0.get(&(department.to_owned(), day.to_owned()))
    }

    /// Makes the key of a department's day ready. `next`: the number that a new one gets.
    ///
    /// # Errors
    /// The database; or its key was not made under this master key, which nobody can use.
    pub(crate) async fn prepare(
        &mut self,
        connection: &mut AnyConnection,
        master: &MasterKey,
        (department, day): (&str, &str),
        next: &mut u64,
        now: UnixMillis,
    ) -> Result<(), sqlx::Error> {
        let place = (department.to_owned(), day.to_owned());
        if self.0.contains_key(&place) {
            return Ok(());
        }
        let stored = tables::key_in_use(connection, department, day).await?;
        let wrapped = stored.as_ref().and_then(|key| key.wrapped.as_deref());
        let opened = wrapped.and_then(|wrapped| {
            let key = master.unwrap(wrapped, department, day);
            key.inspect_err(|_| tracing::error!(department, day, "a key of contents was changed"))
                .ok()
        });
        let ready = match (stored, opened) {
            (Some(stored), Some(key)) => Ready {
                id: stored.id,
                sha256: tables::sha256(&stored.wrapped.unwrap_or_default()),
                key,
                new: None,
            },
            // One that was changed is of no use: the call's contents get a new one.
            _ => {
                let key = DataKey::new(random()?);
                let wrapped = master.wrap(&key, random::<NONCE>()?, department, day);
                let id = *next;
                *next += 1;
                Ready {
                    id,
                    sha256: tables::sha256(&wrapped),
                    key,
                    new: Some(NewKey {
                        id,
                        department: department.to_owned(),
                        day: day.to_owned(),
                        made_at: now.0,
                        wrapped,
                    }),
                }
            }
        };
        self.0.insert(place, ready);
        Ok(())
    }

    /// What is to be stored.
    pub(crate) fn into_new(self) -> Vec<NewKey> {
        self.0.into_values().filter_map(|ready| ready.new).collect()
    }
}

/// Bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], sqlx::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| sqlx::Error::Io(std::io::ErrorKind::Other.into()))?;
    Ok(bytes)
}
