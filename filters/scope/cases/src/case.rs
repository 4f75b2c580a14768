//! One row of the table.

use std::net::IpAddr;

use sekisho_domain::{SigningAlgorithm, UnixMillis};
use sekisho_scope::new_key;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::damage::Then;
use crate::token::token;
use crate::world::World;

/// A credential, a call, and what must come of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Case {
    /// A sentence that says it.
    pub name: String,
    /// The policy's `directory`: `required` (default) or `none`.
    pub directory: Option<String>,
    /// Which of the world's claims it begins with; default: `v2`.
    pub claims: Option<String>,
    /// Claims that are added or replaced.
    pub set: Map<String, Value>,
    /// Claims that are left out.
    pub drop: Vec<String>,
    /// Members of the header that are added or replaced.
    pub header: Map<String, Value>,
    /// Members of the header that are left out.
    pub drop_header: Vec<String>,
    /// The header as it stands.
    pub header_text: Option<String>,
    /// The payload as it stands.
    pub payload_text: Option<String>,
    /// The key that signs; default: `tenant-a`.
    pub sign: Option<String>,
    /// The algorithm that signs; default: what the header says, or what fits the key.
    pub with: Option<SigningAlgorithm>,
    /// What happens to the token afterwards.
    pub then: Then,
    /// Bytes that the token shall have.
    pub grow_to: Option<usize>,
    /// How many groups are put into the token.
    pub groups: usize,
    /// The token itself.
    pub raw: Option<String>,
    /// Subscription key of 32 of these bytes.
    pub key: Option<u8>,
    /// The subscription key itself.
    pub raw_key: Option<String>,
    /// The header in which the credential is sent; default: `authorization`.
    pub sent_in: Option<String>,
    /// The API that is called; default: `open`.
    pub api: Option<String>,
    /// The scope of the model that is called; default: `text_apis`.
    pub requires: Option<String>,
    /// Where the call comes from.
    pub address: Option<String>,
    /// The outcome hangs on the second.
    pub exact: bool,
    /// A denial code; default: the call passes.
    pub expect: Option<String>,
    /// Words that the refusal's message has in it.
    pub says: Option<String>,
    /// The claims request of the challenge.
    pub challenge: Option<Value>,
    /// What is known of a caller who passes.
    pub who: Map<String, Value>,
}

/// A credential as a client sends it.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown {
    /// The header's name.
    pub header: String,
    /// The header's value.
    pub value: Vec<u8>,
    /// The credential in it.
    pub credential: Vec<u8>,
}

impl Case {
    /// The code that must come of it, or `ok`.
    #[must_use]
    pub fn expected(&self) -> &str {
        self.expect.as_deref().unwrap_or("ok")
    }

    /// The name of the API that is called.
    #[must_use]
    pub fn api(&self) -> &str {
        self.api.as_deref().unwrap_or("open")
    }

    /// The name of the scope, and of the model, that is called.
    #[must_use]
    pub fn requires(&self) -> &str {
        self.requires.as_deref().unwrap_or("text_apis")
    }

    /// Where the call comes from.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        let text = self.address.as_deref()?;
        Some(text.parse().expect("an address"))
    }

    /// The credential, made for this moment.
    #[must_use]
    pub fn shown(&self, world: &World, now: UnixMillis) -> Shown {
        let credential = match (self.key, &self.raw_key, &self.raw) {
            (Some(byte), ..) => new_key([byte; 32]).into_bytes(),
            (_, Some(text), _) | (.., Some(text)) => text.clone().into_bytes(),
            _ => token(world, self, now),
        };
        let header = self.sent_in.as_deref().unwrap_or("authorization");
        let value = match header {
            "authorization" => [b"Bearer ", credential.as_slice()].concat(),
            _ => credential.clone(),
        };
        Shown {
            header: header.to_owned(),
            value,
            credential,
        }
    }
}
