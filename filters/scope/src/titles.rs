//! Titles of the policy, by code and by name.

use std::collections::HashMap;

use sekisho_domain::policy::Policy;
use sekisho_domain::{TitleId, User};

/// Directories have titles as people write them.
#[derive(Default)]
pub(crate) struct Titles(HashMap<String, TitleId>);

impl Titles {
    pub(crate) fn new(policy: &Policy) -> Self {
        let mut titles = HashMap::new();
        for title in policy.titles.values() {
            titles.insert(title.name.clone(), title.id.clone());
        }
        // Codes after names: a code always means the title that has it.
        for id in policy.titles.keys() {
            titles.insert(id.0.clone(), id.clone());
        }
        Self(titles)
    }

    /// The person's title, if the policy lists it.
    pub(crate) fn of(&self, user: &User) -> Option<TitleId> {
        self.0.get(user.title.as_ref()?.as_str()).cloned()
    }
}
