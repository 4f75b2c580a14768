//! Initial passwords.

use std::fmt;

use zeroize::Zeroizing;

/// Characters by class, without those that are mistaken for each other.
const CLASSES: [&[u8]; 4] = [
    b"abcdefghijkmnpqrstuvwxyz",
    b"ABCDEFGHJKLMNPQRSTUVWXYZ",
    b"23456789",
    b"-_.!%+=?",
];
/// 115 bits.
const LENGTH: usize = 20;

/// A password. It is shown nowhere, and its memory is wiped.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// A new one of 20 characters, some of each class: lower and upper case letters, digits and
    /// marks. It follows from `random`, which must be random bytes that serve for nothing else.
    #[must_use]
    pub fn new(random: &Zeroizing<[u8; 64]>) -> Self {
        let mut bytes = random.iter().copied();
        let mut below = |most: usize| below(&mut bytes, most);
        // One of each class, so that none is missing; the rest of all.
        let mut characters = Zeroizing::new([0u8; LENGTH]);
        for (at, character) in characters.iter_mut().enumerate() {
            let of_class = CLASSES.get(at).copied();
            *character = match of_class {
                Some(class) => pick(class, below(class.len())),
                None => pick_of_all(below(CLASSES.iter().map(|class| class.len()).sum())),
            };
        }
        // Fisher and Yates: no class is always at the same place.
        for at in (1..LENGTH).rev() {
            characters.swap(at, below(at + 1));
        }
        Self(Zeroizing::new(
            characters.iter().copied().map(char::from).collect(),
        ))
    }

    /// One that somebody chose.
    #[must_use]
    pub fn given(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The password itself, for whoever has to bring it to the directory or to its owner.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// A number below `most`, which is at most 128, nearly evenly: bytes above the largest multiple of
/// `most` are passed over as long as there are others.
fn below(bytes: &mut impl Iterator<Item = u8>, most: usize) -> usize {
    let limit = 256 - 256 % most;
    let mut last = 0;
    for byte in bytes.by_ref() {
        last = usize::from(byte);
        if last < limit {
            break;
        }
    }
    last % most
}

fn pick(class: &[u8], at: usize) -> u8 {
    class.get(at).copied().unwrap_or_default()
}

fn pick_of_all(at: usize) -> u8 {
    let mut all = CLASSES.iter().copied().flatten().copied();
    all.nth(at).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_password_has_every_class_and_nothing_ambiguous(random in prop::array::uniform32(any::<u8>()), more in prop::array::uniform32(any::<u8>())) {
            let mut bytes = Zeroizing::new([0; 64]);
            bytes[..32].copy_from_slice(&random);
            bytes[32..].copy_from_slice(&more);
            let password = Password::new(&bytes);
            let text = password.reveal();
            prop_assert_eq!(text.len(), LENGTH);
            for class in CLASSES {
                prop_assert!(text.bytes().any(|byte| class.contains(&byte)));
            }
            prop_assert!(text.bytes().all(|byte| CLASSES.iter().any(|class| class.contains(&byte))));
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let password = Password::given("secret".to_owned());
        assert_eq!(format!("{password:?}"), "Password(***)");
    }
}
