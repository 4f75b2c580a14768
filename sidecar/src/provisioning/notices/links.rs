//! Links that show a password once.
//!
//! What is stored is sealed by a key that is in the link alone, in the part that browsers send
//! nobody (the fragment): neither the database, nor a log of addresses, nor a program that
//! follows links in mails has the password. It is given for the key and forgotten in one transaction.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, KeyInit as _, Nonce};
use sekisho_domain::UnixMillis;
use sekisho_domain::record::Caller;
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row as _};
use zeroize::{Zeroize as _, Zeroizing};

use crate::events::Author;
use crate::store::figures::{from_db, to_db};
use crate::store::{Store, StoreError, pending};

/// Wrong codes after which a link is of no use any more.
pub const MOST_WRONG: i64 = 5;

/// `sealed`: ChaCha20-Poly1305 of what the page shows, bound to `id`.
pub(crate) const DDL: &str = "
CREATE TABLE notice_links (
    id TEXT NOT NULL PRIMARY KEY,
    person TEXT NOT NULL,
    sealed {blob} NOT NULL,
    tries_left BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX notice_links_person ON notice_links (person);
CREATE INDEX notice_links_expiry ON notice_links (expires_at);
";

/// What a page shows.
#[derive(Serialize, Deserialize)]
pub struct Shown {
    /// The name to sign in with.
    pub user_name: String,
    /// The password.
    pub password: String,
    /// Where.
    pub sign_in_url: String,
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.password.zeroize();
    }
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shown").finish_non_exhaustive()
    }
}

/// A new link: where it leads, and what opens it.
#[derive(Clone)]
pub struct Link {
    /// The last part of its path.
    pub id: String,
    /// The code: its fragment.
    pub code: Zeroizing<String>,
}

/// Makes a link for this person; former ones are of no use any more. `random`: random bytes that
/// serve for nothing else.
///
/// # Errors
/// [`StoreError`].
pub async fn make(
    store: &Store,
    person: &str,
    shown: &Shown,
    expires_at: UnixMillis,
    random: &Zeroizing<[u8; 48]>,
) -> Result<Link, StoreError> {
    let (id, key) = random.split_at(16);
    let id = URL_SAFE_NO_PAD.encode(id);
    let code = Zeroizing::new(URL_SAFE_NO_PAD.encode(key));
    let plain = serde_json::to_vec(shown).map(Zeroizing::new);
    let plain = plain.map_err(|error| sqlx::Error::Encode(error.into()))?;
    let sealed = seal(&id, key, &plain)?;
    let mut transaction = store.begin_writing().await?;
    sqlx::query("DELETE FROM notice_links WHERE person = $1")
        .bind(person)
        .execute(&mut *transaction)
        .await?;
    let sql = "INSERT INTO notice_links (id, person, sealed, tries_left, expires_at) \
               VALUES ($1, $2, $3, $4, $5)";
    sqlx::query(sql)
        .bind(&id)
        .bind(person)
        .bind(sealed)
        .bind(MOST_WRONG)
        .bind(to_db(expires_at.0))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(Link { id, code })
}

/// What comes of a code.
#[derive(Debug)]
pub enum Revealed {
    /// It is right: this is shown, and never again.
    Shown(Shown),
    /// It is wrong; so many tries are left.
    Wrong(i64),
    /// There is no such link, or none any more.
    Gone,
}

/// Opens a link. `author`: who asks, as far as that is known.
///
/// # Errors
/// [`StoreError`]; then nothing is shown, and the link is as before.
pub async fn reveal(
    store: &Store,
    id: &str,
    code: &str,
    author: &mut Author,
) -> Result<Revealed, StoreError> {
    let mut transaction = store.begin_writing().await?;
    let row = sqlx::query("SELECT * FROM notice_links WHERE id = $1")
        .bind(id)
        .fetch_optional(&mut *transaction)
        .await?;
    let Some(row) = row else {
        return Ok(Revealed::Gone);
    };
    let person: String = row.try_get("person")?;
    let sealed: Vec<u8> = row.try_get("sealed")?;
    let tries_left: i64 = row.try_get("tries_left")?;
    let expires_at = UnixMillis(from_db(row.try_get("expires_at")?));
    if expires_at <= author.at() {
        remove(&mut transaction, id).await?;
        transaction.commit().await?;
        return Ok(Revealed::Gone);
    }
    let revealed = match open(id, code, &sealed) {
        Some(shown) => {
            remove(&mut transaction, id).await?;
            let told = author.tell("notice.reveal", &person);
            pending::leave(&mut transaction, told).await?;
            Revealed::Shown(shown)
        }
        None if tries_left <= 1 => {
            remove(&mut transaction, id).await?;
            let told = author.tell("notice.destroy", &person);
            let told = told.detail("too many wrong codes");
            pending::leave(&mut transaction, told).await?;
            Revealed::Gone
        }
        None => {
            sqlx::query("UPDATE notice_links SET tries_left = $2 WHERE id = $1")
                .bind(id)
                .bind(tries_left - 1)
                .execute(&mut *transaction)
                .await?;
            Revealed::Wrong(tries_left - 1)
        }
    };
    transaction.commit().await?;
    Ok(revealed)
}

/// Forgets links that are of no use any more.
///
/// # Errors
/// [`StoreError`].
pub async fn forget(connection: &mut AnyConnection, now: UnixMillis) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM notice_links WHERE expires_at <= $1")
        .bind(to_db(now.0))
        .execute(connection)
        .await?;
    Ok(())
}

/// Whoever opens links has not signed in: that it is the page's reader, and from where, is all
/// that is known.
#[must_use]
pub fn reader(address: Option<String>, at: UnixMillis, seed: [u8; 32]) -> Author {
    let caller = Caller {
        application: Some("notice page".into()),
        address: address.map(Into::into),
        ..Caller::default()
    };
    Author::new(caller, at, seed)
}

async fn remove(connection: &mut AnyConnection, id: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM notice_links WHERE id = $1")
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// A key serves once, so that the nonce may always be the same.
fn seal(id: &str, key: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
    let payload = Payload {
        msg: plain,
        aad: id.as_bytes(),
    };
    let cipher = ChaCha20Poly1305::new(Key::from_slice(key));
    let sealed = cipher.encrypt(&Nonce::default(), payload);
    sealed.map_err(|_| StoreError::Database(sqlx::Error::Encode("a password is too long".into())))
}

/// `code`: as somebody has copied it, perhaps with the link around it.
fn open(id: &str, code: &str, sealed: &[u8]) -> Option<Shown> {
    let code: Zeroizing<String> =
        Zeroizing::new(code.chars().filter(|c| !c.is_whitespace()).collect());
    let code = code.rsplit('#').next().unwrap_or_default();
    let key = Zeroizing::new(URL_SAFE_NO_PAD.decode(code).ok()?);
    let key: &[u8; 32] = key.as_slice().try_into().ok()?;
    let payload = Payload {
        msg: sealed,
        aad: id.as_bytes(),
    };
    let cipher = ChaCha20Poly1305::new(Key::from_slice(key));
    let plain = cipher.decrypt(&Nonce::default(), payload).ok()?;
    serde_json::from_slice(&Zeroizing::new(plain)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> (Vec<u8>, String) {
        let shown = Shown {
            user_name: "taro@example.com".to_owned(),
            password: "correct horse".to_owned(),
            sign_in_url: "https://a.example".to_owned(),
        };
        let plain = serde_json::to_vec(&shown).unwrap();
        let key = [7; 32];
        (
            seal("id", &key, &plain).unwrap(),
            URL_SAFE_NO_PAD.encode(key),
        )
    }

    #[test]
    fn the_code_opens_what_it_sealed_also_as_people_copy_it() {
        let (sealed, code) = sealed();
        assert!(!String::from_utf8_lossy(&sealed).contains("horse"));
        for copied in [
            code.clone(),
            format!(" {code}\r\n"),
            format!("https://a.example/v1/notices/id#{code}"),
        ] {
            let shown = open("id", &copied, &sealed).unwrap();
            assert_eq!(shown.password, "correct horse");
        }
    }

    #[test]
    fn no_other_code_and_no_other_link_opens_it() {
        let (sealed, code) = sealed();
        let mut other = code.clone().into_bytes();
        other[0] ^= 1;
        for wrong in [
            String::from_utf8(other).unwrap(),
            String::new(),
            "#".to_owned(),
            code.chars().skip(1).collect(),
            format!("{code}A"),
        ] {
            assert!(open("id", &wrong, &sealed).is_none(), "{wrong}");
        }
        assert!(open("another", &code, &sealed).is_none());
    }
}
