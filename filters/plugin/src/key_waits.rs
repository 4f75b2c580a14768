//! Calls whose token names a signing key that is not known: the issuer may have a new one.
//!
//! The sidecar is asked once for each key, and looks at the issuer at most once in five
//! minutes. How long it will not look again stands in its answer: until then nobody is
//! asked, and such tokens are refused at once, whatever keys they name.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use sekisho_domain::UnixMillis;
use sekisho_scope::MissingKey;

/// Keys that are asked for at a time; tokens that name more are refused at once.
const MOST_ASKED: usize = 256;

/// Most calls that wait at a time; more are refused at once.
const MOST_WAITING: usize = 256;

/// Who waits for which signing key.
pub(crate) struct KeyWaits<T> {
    /// By issuer and key id. Stays until the answer comes, also when nobody waits any longer.
    asked: HashMap<(String, String), Vec<T>>,
    /// Until when an issuer is not looked at again.
    quiet: HashMap<String, UnixMillis>,
}

impl<T> Default for KeyWaits<T> {
    fn default() -> Self {
        Self {
            asked: HashMap::new(),
            quiet: HashMap::new(),
        }
    }
}

/// Whether a call may wait for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Nobody has asked for it: ask.
    Ask,
    /// Somebody has.
    Join,
    /// It would be in vain.
    InVain,
}

impl<T> KeyWaits<T> {
    /// Whether it makes sense to wait for this key.
    pub(crate) fn outlook(&self, key: &MissingKey, now: UnixMillis) -> Wait {
        if self
            .quiet
            .get(&key.issuer)
            .is_some_and(|until| now < *until)
        {
            return Wait::InVain;
        }
        if self.asked.values().map(Vec::len).sum::<usize>() >= MOST_WAITING {
            return Wait::InVain;
        }
        let name = (key.issuer.clone(), key.kid.clone());
        if self.asked.contains_key(&name) {
            Wait::Join
        } else if self.asked.len() < MOST_ASKED {
            Wait::Ask
        } else {
            Wait::InVain
        }
    }

    /// Somebody waits for this key.
    pub(crate) fn wait(&mut self, key: MissingKey, held: T) {
        let waiting = self.asked.entry((key.issuer, key.kid)).or_default();
        waiting.push(held);
    }

    /// The sidecar has looked: whoever waited for this key.
    pub(crate) fn answered(&mut self, issuer: &str, kid: &str, quiet_until: UnixMillis) -> Vec<T> {
        self.quiet.insert(issuer.to_owned(), quiet_until);
        match self.asked.entry((issuer.to_owned(), kid.to_owned())) {
            Entry::Occupied(entry) => entry.remove(),
            Entry::Vacant(_) => Vec::new(),
        }
    }

    /// The stream is gone and no answer will come: whoever waits.
    pub(crate) fn take(&mut self) -> Vec<T> {
        self.asked.drain().flat_map(|(_, held)| held).collect()
    }

    /// Takes out those of whom this is true.
    pub(crate) fn take_if(&mut self, mut gone: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for waiting in self.asked.values_mut() {
            taken.extend(waiting.extract_if(.., |held| gone(held)));
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn key(kid: &str) -> MissingKey {
        MissingKey {
            issuer: "i".into(),
            kid: kid.into(),
        }
    }

    fn outlook(waits: &KeyWaits<u32>, kid: &str, after: u64) -> Wait {
        waits.outlook(&key(kid), NOW.plus_millis(after))
    }

    #[test]
    fn a_key_is_asked_for_once_while_many_wait_for_it() {
        let mut waits = KeyWaits::default();
        assert_eq!(outlook(&waits, "a", 0), Wait::Ask);
        waits.wait(key("a"), 1);
        assert_eq!(outlook(&waits, "a", 0), Wait::Join);
        waits.wait(key("a"), 2);
        assert_eq!(outlook(&waits, "b", 0), Wait::Ask);
        waits.wait(key("b"), 3);
        assert_eq!(waits.answered("i", "a", NOW), [1, 2]);
        assert_eq!(waits.take(), [3]);
    }

    #[test]
    fn while_the_issuer_is_not_looked_at_no_key_of_it_is_asked_for() {
        let mut waits = KeyWaits::default();
        waits.wait(key("a"), 1);
        waits.answered("i", "a", NOW.plus_millis(300_000));
        assert_eq!(outlook(&waits, "a", 299_999), Wait::InVain);
        assert_eq!(outlook(&waits, "b", 299_999), Wait::InVain);
        assert_eq!(outlook(&waits, "b", 300_000), Wait::Ask);
        let other = MissingKey {
            issuer: "j".into(),
            kid: "a".into(),
        };
        assert_eq!(waits.outlook(&other, NOW), Wait::Ask);
    }

    #[test]
    fn who_no_longer_waits_does_not_make_others_ask_again() {
        let mut waits = KeyWaits::default();
        waits.wait(key("a"), 1);
        waits.wait(key("a"), 2);
        assert_eq!(waits.take_if(|held| *held == 1), [1]);
        assert_eq!(waits.take_if(|_| true), [2]);
        assert_eq!(outlook(&waits, "a", 0), Wait::Join);
    }

    #[test]
    fn a_flood_of_different_keys_is_bounded() {
        let mut waits = KeyWaits::default();
        for at in 0..MOST_ASKED {
            waits.wait(key(&at.to_string()), 0);
            waits.take_if(|_| true);
        }
        assert_eq!(outlook(&waits, "one more", 0), Wait::InVain);
        assert_eq!(outlook(&waits, "7", 0), Wait::Join);
    }

    #[test]
    fn a_flood_of_calls_with_the_same_key_is_bounded() {
        let mut waits = KeyWaits::default();
        for _ in 0..MOST_WAITING {
            assert_ne!(outlook(&waits, "a", 0), Wait::InVain);
            waits.wait(key("a"), 0);
        }
        assert_eq!(outlook(&waits, "a", 0), Wait::InVain);
    }
}
