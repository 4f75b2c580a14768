//! Speaks SMTP (RFC 5321) to the server of the policy.
//!
//! What goes wrong before a letter's own commands (connection, TLS, password, sender) is the
//! server's or the policy's trouble and says nothing about the letter; so a password that has
//! run out fails no mail of the outbox.

use std::time::Duration;

use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;

use super::address::Address;
use super::config::{MailSettings, Protection};
use super::letter::Written;
use super::undelivered::{HandedOver, Undelivered};
use crate::forward::{Trouble, secret, tls};

/// For a connection, with its handshake.
const CONNECT: Duration = Duration::from_secs(20);
/// For the server's answer to everything that one letter needs. A server may scan a letter
/// before it answers.
const ANSWER: Duration = Duration::from_secs(120);

/// The way to one server.
pub(super) struct Carrier {
    settings: MailSettings,
    hello: ClientId,
    tls: Option<TlsParameters>,
}

impl std::fmt::Debug for Carrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Carrier")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A connection that letters can be handed over on.
pub(super) struct Session {
    connection: AsyncSmtpConnection,
    sender: Address,
    is_broken: bool,
}

impl Carrier {
    pub(super) fn new(settings: &MailSettings) -> Result<Self, Trouble> {
        if let Some((_, source)) = &settings.account {
            secret::read(source)?;
        }
        Ok(Self {
            settings: settings.clone(),
            hello: hello(settings.hello.clone()),
            tls: trust(settings)?,
        })
    }

    /// Connects, begins TLS and signs in.
    pub(super) async fn connect(&self) -> Result<Session, Trouble> {
        let opening = tokio::time::timeout(CONNECT, self.open());
        let connection = opening.await.unwrap_or(Err(Trouble::Slow))?;
        Ok(Session {
            connection,
            sender: self.settings.bounces_to.clone(),
            is_broken: false,
        })
    }

    async fn open(&self) -> Result<AsyncSmtpConnection, Trouble> {
        let settings = &self.settings;
        let server = (settings.host.as_str(), settings.port);
        let implicit = match settings.protection {
            Protection::Implicit => self.tls.clone(),
            Protection::Starttls | Protection::None => None,
        };
        let connecting =
            AsyncSmtpConnection::connect_tokio1(server, Some(CONNECT), &self.hello, implicit, None);
        let mut connection = connecting.await.map_err(trouble)?;
        if let (Protection::Starttls, Some(tls)) = (settings.protection, &self.tls) {
            // Refuses a server that does not offer it.
            let begun = connection.starttls(tls.clone(), &self.hello).await;
            begun.map_err(trouble)?;
        }
        if let Some((user, source)) = &settings.account {
            let credentials = Credentials::new(user.clone(), secret::read(source)?);
            let signed_in = connection.auth(DEFAULT_MECHANISMS, &credentials).await;
            signed_in.map_err(trouble)?;
        }
        Ok(connection)
    }
}

impl Session {
    /// Hands one letter over.
    pub(super) async fn hand_over(
        &mut self,
        to: &Address,
        letter: &Written,
    ) -> Result<HandedOver, Undelivered> {
        let handing = tokio::time::timeout(ANSWER, self.say(to, letter));
        // Whether it has the letter by then, nobody knows.
        let handed = handing
            .await
            .unwrap_or(Err(Undelivered::InDoubt(Trouble::Slow)));
        self.is_broken = match &handed {
            Ok(_) => false,
            Err(Undelivered::Server(_) | Undelivered::InDoubt(_)) => true,
            // The next letter begins anew.
            Err(_) => !self.reset().await,
        };
        handed
    }

    /// Whether nothing more can be handed over on this connection.
    pub(super) const fn is_broken(&self) -> bool {
        self.is_broken
    }

    async fn reset(&mut self) -> bool {
        let resetting = tokio::time::timeout(CONNECT, self.connection.command(Rset));
        matches!(resetting.await, Ok(Ok(_)))
    }

    async fn say(&mut self, to: &Address, letter: &Written) -> Result<HandedOver, Undelivered> {
        let connection = &mut self.connection;
        let sender = Mail::new(Some(self.sender.inner().clone()), Vec::new());
        connection.command(sender).await.map_err(trouble)?;
        let recipient = Rcpt::new(to.inner().clone(), Vec::new());
        connection.command(recipient).await.map_err(of_letter)?;
        connection.command(Data).await.map_err(of_letter)?;
        let answered = connection.message(&letter.bytes).await;
        answered.map_err(|error| match error.status() {
            Some(_) => of_letter(error),
            None => Undelivered::InDoubt(trouble(error)),
        })?;
        Ok(HandedOver {
            message_id: letter.message_id.clone(),
        })
    }

    /// Ends the connection; what the server says to that is of no interest.
    pub(super) async fn end(mut self) {
        let _ = tokio::time::timeout(Duration::from_secs(2), self.connection.abort()).await;
    }
}

fn trust(settings: &MailSettings) -> Result<Option<TlsParameters>, Trouble> {
    let unusable = |error: SmtpError| Trouble::Tls(error.into());
    if settings.protection == Protection::None {
        return Ok(None);
    }
    let mut builder = TlsParameters::builder(settings.host.clone());
    if let Some(file) = &settings.authorities {
        builder = builder.certificate_store(CertificateStore::None);
        for certificate in tls::certificates(file)? {
            let certificate = Certificate::from_der(certificate.to_vec()).map_err(unusable)?;
            builder = builder.add_root_certificate(certificate);
        }
    }
    Ok(Some(builder.build().map_err(unusable)?))
}

fn hello(name: Option<String>) -> ClientId {
    let name = name.or_else(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
        let name = name.trim();
        let is_of_host = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
        (!name.is_empty() && name.bytes().all(is_of_host)).then(|| name.to_owned())
    });
    name.map_or_else(ClientId::default, ClientId::Domain)
}

/// What the server says of a letter.
fn of_letter(error: SmtpError) -> Undelivered {
    let Some(code) = error.status() else {
        return Undelivered::Server(trouble(error));
    };
    let (code, status) = (u16::from(code), enhanced(&error));
    match code {
        500.. => Undelivered::Refused { code, status },
        _ => Undelivered::Temporary {
            code,
            status,
            after: None,
        },
    }
}

fn trouble(error: SmtpError) -> Trouble {
    if let Some(code) = error.status() {
        return Trouble::Refused {
            status: u16::from(code),
            code: enhanced(&error),
            after: None,
        };
    }
    if error.is_tls() {
        return Trouble::Tls(error.into());
    }
    if error.is_timeout() {
        return Trouble::Slow;
    }
    Trouble::Unreachable(error.into())
}

/// The enhanced status code (RFC 3463) that an answer begins with. The rest of the answer may
/// name people.
fn enhanced(error: &SmtpError) -> Option<String> {
    let source = std::error::Error::source(error)?.to_string();
    let word = source.split_whitespace().next()?;
    let parts: Vec<&str> = word.split('.').collect();
    let is_number =
        |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let is_status = parts.len() == 3 && parts.iter().all(is_number);
    is_status.then(|| word.to_owned())
}
