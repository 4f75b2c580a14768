//! A letter, and how it is written on the wire.

use std::time::{Duration, UNIX_EPOCH};

use lettre::Message;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use sekisho_domain::UnixMillis;

use super::address::Address;
use super::config::MailSettings;
use crate::forward::Trouble;

/// Longest subject, bytes: what phones show of one is far shorter.
pub const MOST_SUBJECT: usize = 512;
/// Longest text, and longest HTML, bytes.
pub const MOST_BODY: usize = 256 * 1024;

/// What is written to one person.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// To whom.
    pub to: Address,
    /// Subject: one line.
    pub(super) subject: String,
    /// Text.
    pub(super) text: String,
    /// The same as HTML, if there is one.
    pub(super) html: Option<String>,
}

/// What is wrong with a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLetter {
    /// A line break or another control character would write headers of its own.
    #[error("a subject is one line, without control characters, and not empty")]
    Subject,
    /// See [`MOST_SUBJECT`] and [`MOST_BODY`].
    #[error("a subject has at most {MOST_SUBJECT} bytes, a text {MOST_BODY}")]
    TooLong,
}

impl Letter {
    /// # Errors
    /// [`NoLetter`].
    pub fn new(
        to: Address,
        subject: &str,
        text: String,
        html: Option<String>,
    ) -> Result<Self, NoLetter> {
        let subject = subject.trim();
        if subject.is_empty() || subject.chars().any(char::is_control) {
            return Err(NoLetter::Subject);
        }
        let bodies = [Some(&text), html.as_ref()];
        let is_long = |body: &String| body.len() > MOST_BODY;
        if subject.len() > MOST_SUBJECT || bodies.into_iter().flatten().any(is_long) {
            return Err(NoLetter::TooLong);
        }
        Ok(Self {
            to,
            subject: subject.to_owned(),
            text,
            html,
        })
    }

    /// The same, with this HTML beside its text.
    ///
    /// # Errors
    /// [`NoLetter::TooLong`].
    pub fn with_html(self, html: String) -> Result<Self, NoLetter> {
        if html.len() > MOST_BODY {
            return Err(NoLetter::TooLong);
        }
        Ok(Self {
            html: Some(html),
            ..self
        })
    }

    /// Its subject.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

/// Without what it says.
impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letter")
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

/// A letter as it is sent.
pub(super) struct Written {
    pub(super) message_id: String,
    pub(super) bytes: Vec<u8>,
}

/// What a message is called, before the `@` of its `Message-ID`. Programs take two of one name
/// for the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageName(String);

impl MessageName {
    /// After random bytes that no other letter has, or the id of an entry of the outbox.
    #[must_use]
    pub fn new(id: [u8; 16]) -> Self {
        Self(hex(&id))
    }

    /// After an entry of the outbox, for one of several letters that say something different.
    #[must_use]
    pub fn of_try(id: [u8; 16], at: UnixMillis) -> Self {
        Self(format!("{}.{:x}", hex(&id), at.0))
    }
}

/// Writes the letter, always the same for the same arguments.
pub(super) fn message(
    letter: &Letter,
    settings: &MailSettings,
    MessageName(name): &MessageName,
    now: UnixMillis,
) -> Result<Written, Trouble> {
    let unwritable = |error: lettre::error::Error| Trouble::Message(error.into());
    let message_id = format!("<{name}@{}>", settings.sender.domain());
    let sender_name = (!settings.sender_name.is_empty()).then(|| settings.sender_name.clone());
    let text = SinglePart::plain(letter.text.clone());
    let builder = Message::builder()
        .message_id(Some(message_id.clone()))
        .date(UNIX_EPOCH + Duration::from_millis(now.0))
        .from(Mailbox::new(sender_name, settings.sender.inner().clone()))
        .to(Mailbox::new(None, letter.to.inner().clone()))
        .subject(letter.subject.clone())
        .header(AutoSubmitted);
    let message = match &letter.html {
        None => builder.singlepart(text),
        Some(html) => {
            let boundary = MultiPart::alternative().boundary(format!("={name}"));
            let html = SinglePart::html(html.clone());
            builder.multipart(boundary.singlepart(text).singlepart(html))
        }
    };
    let bytes = message.map_err(unwritable)?.formatted();
    Ok(Written { message_id, bytes })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Nobody who is away answers it (RFC 3834, section 5).
#[derive(Clone, Copy)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::config::tests::settings;

    const ID: [u8; 16] = [0xab; 16];

    fn letter(subject: &str, text: &str) -> Result<Letter, NoLetter> {
        Letter::new(
            "taro@example.com".parse().unwrap(),
            subject,
            text.into(),
            None,
        )
    }

    fn written(letter: &Letter) -> String {
        let written = message(
            letter,
            &settings(),
            &MessageName::new(ID),
            UnixMillis(1_795_424_400_000),
        )
        .unwrap();
        String::from_utf8(written.bytes).unwrap()
    }

    #[test]
    fn no_subject_writes_a_header_of_its_own() {
        for subject in [
            "x\r\nBcc: all@example.com",
            "x\nBcc: all@example.com",
            "x\rBcc: all@example.com",
            "x\0",
            "x\u{85}y",
            "",
            " ",
        ] {
            assert_eq!(letter(subject, ""), Err(NoLetter::Subject), "{subject:?}");
        }
        let long = "x".repeat(MOST_SUBJECT + 1);
        assert_eq!(letter(&long, ""), Err(NoLetter::TooLong));
        assert_eq!(
            letter("x", &"x".repeat(MOST_BODY + 1)),
            Err(NoLetter::TooLong)
        );
    }

    #[test]
    fn a_letter_is_ascii_on_the_wire_and_says_that_a_program_wrote_it() {
        let letter = letter("予算の80%に達しました", "営業部の予算が残りわずかです。\n").unwrap();
        let text = written(&letter);
        assert!(text.is_ascii(), "{text}");
        for line in [
            "Message-ID: <abababababababababababababababab@example.com>",
            "Date: Mon, 23 Nov 2026 09:00:00 +0000",
            "Auto-Submitted: auto-generated",
            "To: taro@example.com",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        assert_eq!(text, written(&letter));
    }

    #[test]
    fn what_is_printed_of_a_letter_does_not_say_what_it_says() {
        let letter = letter("secret", "secret").unwrap();
        assert!(!format!("{letter:?}").contains("secret"));
    }
}
