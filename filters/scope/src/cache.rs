//! Verified tokens, so that the signature of each is computed once.
//!
//! Two generations: what is used moves to the young one; when that is full it becomes
//! the old one and the former old one goes. Every operation takes constant time, and
//! what is in use stays.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use sekisho_domain::{DenialCode, DepartmentId, UnixMillis, User};

use crate::assurance::Assurance;
use crate::facts::Facts;
use crate::principal::Principal;

/// Most memory that verified tokens take, bytes (estimated generously).
pub const MAX_CACHE_BYTES: usize = 8 * 1024 * 1024;
/// Most verified tokens that are kept.
pub const MAX_CACHE_ENTRIES: usize = 8192;

/// What an entry takes besides the token and the texts from it: table, facts, principal.
const ENTRY_BYTES: usize = 960;
/// What a text in a list takes besides its letters.
const LISTED_BYTES: usize = 48;

/// A verified token and who it makes its bearer, as long as the directory's entry stays.
#[derive(Clone, Debug)]
pub(crate) struct Verified {
    pub(crate) facts: Arc<Facts>,
    pub(crate) user: Option<Arc<User>>,
    pub(crate) outcome: Result<Arc<Principal>, DenialCode>,
}

/// The end of a token, which is the end of its signature. Hashing a whole token costs more
/// than all else that a look-up does; nobody without the issuer's key gets tokens with equal
/// ends remembered.
type Tail = [u8; 32];

struct Entry {
    token: Box<[u8]>,
    verified: Verified,
}

impl Entry {
    fn cost(&self) -> usize {
        cost(&self.token, &self.verified.facts)
    }
}

#[derive(Default)]
struct Generation {
    entries: HashMap<Tail, Entry, RandomState>,
    bytes: usize,
}

impl Generation {
    /// Whether an entry more would take it over half of what all may take.
    fn is_full_for(&self, bytes: usize) -> bool {
        self.entries.len() >= MAX_CACHE_ENTRIES / 2 || self.bytes + bytes > MAX_CACHE_BYTES / 2
    }

    fn get(&self, token: &[u8]) -> Option<&Entry> {
        let entry = self.entries.get(&tail(token))?;
        is_same(&entry.token, token).then_some(entry)
    }

    fn insert(&mut self, entry: Entry) {
        self.bytes += entry.cost();
        if let Some(former) = self.entries.insert(tail(&entry.token), entry) {
            self.bytes = self.bytes.saturating_sub(former.cost());
        }
    }

    fn remove(&mut self, token: &[u8]) -> Option<Entry> {
        self.get(token)?;
        let entry = self.entries.remove(&tail(token))?;
        self.bytes = self.bytes.saturating_sub(entry.cost());
        Some(entry)
    }

    fn retain(&mut self, mut keep: impl FnMut(&Facts) -> bool) {
        let bytes = &mut self.bytes;
        self.entries.retain(|_, entry| {
            let stays = keep(&entry.verified.facts);
            if !stays {
                *bytes = bytes.saturating_sub(entry.cost());
            }
            stays
        });
    }
}

/// Many bytes at a time: WebAssembly has no comparison of its own, and its C library goes
/// byte by byte over what every call brings.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let (blocks, rest) = one.as_chunks::<32>();
    let (other_blocks, other_rest) = other.as_chunks::<32>();
    rest == other_rest
        && blocks.len() == other_blocks.len()
        && blocks
            .iter()
            .zip(other_blocks)
            .all(|(block, other)| is_same_block(block, other))
}

fn is_same_block(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let words = |block: &[u8; 32]| {
        let (words, _) = block.as_chunks::<8>();
        <[[u8; 8]; 4]>::try_from(words).map(|words| words.map(u64::from_ne_bytes))
    };
    words(one).is_ok_and(|[a, b, c, d]| {
        words(other).is_ok_and(|[e, f, g, h]| (a ^ e) | (b ^ f) | (c ^ g) | (d ^ h) == 0)
    })
}

/// A shorter token stands at the end of zeros.
fn tail(token: &[u8]) -> Tail {
    token.last_chunk().copied().unwrap_or_else(|| {
        let mut tail = [0; 32];
        for (to, from) in tail.iter_mut().rev().zip(token.iter().rev()) {
            *to = *from;
        }
        tail
    })
}

/// Bytes that an entry takes, the texts twice: in the facts and in the principal.
fn cost(token: &[u8], facts: &Facts) -> usize {
    let option = |text: Option<&str>| text.map_or(0, str::len);
    let texts = facts.tenant.len()
        + facts.object_id.len()
        + option(facts.application.as_deref())
        + option(facts.department.as_ref().map(DepartmentId::as_str));
    let contexts = match &facts.assurance {
        Assurance::None => &[][..],
        Assurance::Person(sign_in) => &sign_in.contexts,
    };
    let listed = facts.roles.iter().chain(contexts);
    let listed: usize = listed.map(|text| text.len() + LISTED_BYTES).sum();
    ENTRY_BYTES + token.len() + 2 * (texts + listed)
}

/// Verified tokens by their exact bytes.
#[derive(Default)]
pub(crate) struct Cache {
    young: Generation,
    old: Generation,
}

impl Cache {
    pub(crate) fn get(&mut self, token: &[u8], now: UnixMillis) -> Option<Verified> {
        if let Some(entry) = self.young.get(token) {
            return Some(entry.verified.clone());
        }
        let Entry { token, verified } = self.old.remove(token)?;
        self.insert(token, verified.clone(), now);
        Some(verified)
    }

    pub(crate) fn insert(&mut self, token: Box<[u8]>, verified: Verified, now: UnixMillis) {
        let bytes = cost(&token, &verified.facts);
        if self.young.is_full_for(bytes) && self.young.get(&token).is_none() {
            self.young.retain(|facts| now < facts.expires);
            // Not worth another look soon if little went.
            if self.young.bytes > MAX_CACHE_BYTES / 4
                || self.young.entries.len() > MAX_CACHE_ENTRIES / 4
            {
                self.old = std::mem::take(&mut self.young);
            }
        }
        self.young.insert(Entry { token, verified });
    }

    pub(crate) fn remove(&mut self, token: &[u8]) {
        self.young.remove(token);
        self.old.remove(token);
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&Facts) -> bool) {
        self.young.retain(&mut keep);
        self.old.retain(&mut keep);
    }

    pub(crate) fn len(&self) -> usize {
        self.young.entries.len() + self.old.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use sekisho_domain::{IssuerKey, ScopeSet};

    use super::*;
    use crate::verify::VerifyingKey;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn facts(expires: UnixMillis, roles: usize) -> Arc<Facts> {
        let key = IssuerKey {
            issuer: "https://login.example/".into(),
            kid: "kid".into(),
            material: sekisho_domain::KeyMaterial::Rsa {
                n: [vec![0xff; 255], vec![0xe3]].concat(),
                e: vec![1, 0, 1],
            },
            algorithm: None,
        };
        Arc::new(Facts {
            key: Arc::new(VerifyingKey::new(key).unwrap()),
            expires,
            begins: UnixMillis(0),
            issued: UnixMillis(0),
            is_application: false,
            tenant: "tenant".into(),
            object_id: "object".into(),
            application: None,
            department: None,
            granted: ScopeSet::NONE,
            roles: vec!["r".into(); roles],
            assurance: Assurance::None,
        })
    }

    fn verified(facts: &Arc<Facts>) -> Verified {
        Verified {
            facts: Arc::clone(facts),
            user: None,
            outcome: Err(DenialCode::UnknownUser),
        }
    }

    fn token(number: usize, size: usize) -> Box<[u8]> {
        format!("{number:size$}").into_bytes().into()
    }

    /// What the entries cost, counted anew.
    fn bytes(cache: &Cache) -> usize {
        let every = cache
            .young
            .entries
            .values()
            .chain(cache.old.entries.values());
        every.map(Entry::cost).sum()
    }

    #[test]
    fn entries_and_bytes_are_bounded_and_counted_right() {
        for (size, roles, count) in [
            (8, 0, 20_000),
            (1500, 3, 9000),
            (8192, 0, 3000),
            (2000, 90, 1500),
        ] {
            let mut cache = Cache::default();
            let facts = facts(NOW.plus_millis(1), roles);
            for number in 0..count {
                cache.insert(token(number, size), verified(&facts), NOW);
                if number % 3 == 0 {
                    cache.get(&token(number / 2, size), NOW);
                }
                if number % 7 == 0 {
                    cache.remove(&token(number, size));
                }
                assert!(cache.len() <= MAX_CACHE_ENTRIES);
                assert!(cache.young.bytes + cache.old.bytes <= MAX_CACHE_BYTES);
            }
            assert_eq!(cache.young.bytes + cache.old.bytes, bytes(&cache));
            assert!(cache.len() > 20);
        }
    }

    #[test]
    fn what_is_in_use_stays() {
        let mut cache = Cache::default();
        let facts = facts(NOW.plus_millis(1), 0);
        cache.insert(token(0, 8), verified(&facts), NOW);
        for number in 1..2 * MAX_CACHE_ENTRIES {
            cache.insert(token(number, 8), verified(&facts), NOW);
            if number % 1000 == 0 {
                assert!(cache.get(&token(0, 8), NOW).is_some());
            }
        }
        assert!(cache.get(&token(1, 8), NOW).is_none());
    }

    #[test]
    fn tokens_with_equal_ends_are_never_taken_for_each_other() {
        let mut cache = Cache::default();
        let facts = facts(NOW.plus_millis(1), 0);
        let [one, other] = [b'a', b'b'].map(|first| {
            let mut token = vec![b'x'; 40];
            token[0] = first;
            token.into_boxed_slice()
        });
        cache.insert(one.clone(), verified(&facts), NOW);
        assert!(cache.get(&other, NOW).is_none());
        cache.remove(&other);
        assert!(cache.get(&one, NOW).is_some());
        cache.insert(other.clone(), verified(&facts), NOW);
        assert!(cache.get(&other, NOW).is_some() && cache.get(&one, NOW).is_none());
        assert_eq!((cache.len(), cache.young.bytes), (1, bytes(&cache)));
    }

    #[test]
    fn the_same_token_again_takes_no_room() {
        let mut cache = Cache::default();
        let facts = facts(NOW.plus_millis(1), 0);
        for _ in 0..MAX_CACHE_ENTRIES {
            cache.insert(token(0, 8), verified(&facts), NOW);
        }
        assert_eq!((cache.len(), cache.young.bytes), (1, bytes(&cache)));
    }

    #[test]
    fn expired_tokens_make_room_before_others_do() {
        let mut cache = Cache::default();
        let short = facts(NOW.plus_millis(1), 0);
        let long = facts(NOW.plus_millis(1000), 0);
        for number in 0..MAX_CACHE_ENTRIES / 2 {
            let facts = if number < 100 { &long } else { &short };
            cache.insert(token(number, 8), verified(facts), NOW);
        }
        cache.insert(token(9999, 8), verified(&long), NOW.plus_millis(1));
        assert_eq!(cache.len(), 101);
        assert_eq!(cache.young.bytes, bytes(&cache));
    }

    #[test]
    fn tokens_are_the_same_only_to_the_last_byte() {
        let token: Vec<u8> = (0..=72).collect();
        for length in 0..token.len() {
            let one = &token[..length];
            assert!(is_same(one, one));
            assert!(!is_same(one, &token[..=length]));
            for at in 0..length {
                let mut other = one.to_vec();
                other[at] ^= 1;
                assert!(!is_same(one, &other), "{length}, {at}");
            }
        }
    }
}
