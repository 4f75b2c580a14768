//! The member `pickup` of the section `people`: where files are picked up.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::objects;
use crate::people::sealed::Recipient;
use crate::provisioning::desk::{self, Wishes};

/// `people.pickup` as it stands in the file.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawPickup {
    /// Where files of people are put: `file:///FOLDER`, `az://CONTAINER/PREFIX` or
    /// `s3://BUCKET/PREFIX`. Accounts and credentials come from the environment.
    pub place: String,
    /// How often is looked, 5 to 86400 seconds; default: 60.
    pub every_seconds: Option<u32>,
    /// Whether a file is carried out at once; default: no, it is planned and waits for an
    /// administrator to confirm it.
    #[serde(default)]
    pub apply: bool,
    /// Whether rows with nothing wrong are taken though others are wrong; default: no.
    #[serde(default)]
    pub partial: bool,
    /// What becomes of people who are not in the file; default: nothing.
    #[serde(default)]
    pub missing: RawMissing,
    /// Whom results are encrypted for, a recipient of age (`age1...`); default: they are not
    /// encrypted.
    pub results_for: Option<String>,
}

/// What becomes of people who are not in a file.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawMissing {
    /// They stay as they are.
    #[default]
    Keep,
    /// They become inactive.
    Disable,
    /// They and their accounts are deleted.
    Delete,
}

/// Where files are picked up, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PickupSettings {
    /// The URL of the place.
    pub place: String,
    /// How often is looked.
    pub every: Duration,
    /// What is to become of every file.
    pub wishes: Wishes,
    /// Whom results are encrypted for.
    pub results_for: Option<Recipient>,
}

/// Reads the member; `problem` is told what is wrong with it.
pub(in crate::provisioning) fn read(
    raw: RawPickup,
    mut problem: impl FnMut(&str, &str),
) -> PickupSettings {
    if let Err(error) = objects::check(&raw.place) {
        problem("pickup.place", &error.to_string());
    }
    let every = raw.every_seconds.unwrap_or(60);
    if !(5..=86_400).contains(&every) {
        problem("pickup.every_seconds", "must be 5 to 86400");
    }
    let results_for = raw.results_for.and_then(|text| {
        let recipient = Recipient::read(&text);
        recipient
            .map_err(|error| problem("pickup.results_for", &error.to_string()))
            .ok()
    });
    PickupSettings {
        place: raw.place,
        every: Duration::from_secs(every.into()),
        wishes: Wishes {
            apply: raw.apply,
            partial: raw.partial,
            missing: match raw.missing {
                RawMissing::Keep => desk::Missing::Keep,
                RawMissing::Disable => desk::Missing::Disable,
                RawMissing::Delete => desk::Missing::Delete,
            },
        },
        results_for,
    }
}
