//! What a body was, without the body.

use sha2::{Digest as _, Sha256};

/// SHA-256 of a body as it passes (FIPS 180-4).
#[derive(Clone, Debug, Default)]
pub struct Digest {
    hash: Sha256,
    bytes: u64,
}

impl Digest {
    /// Takes the next bytes in.
    pub fn push(&mut self, piece: &[u8]) {
        self.hash.update(piece);
        self.bytes += piece.len() as u64;
    }

    /// In hexadecimal digits; `None`: there was no body.
    #[must_use]
    pub fn finish(self) -> Option<String> {
        const DIGITS: [char; 16] = [
            '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
        ];
        let digit = |half: u8| DIGITS.get(usize::from(half)).copied();
        let hash = self.hash.finalize();
        let halves = hash.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        (self.bytes > 0).then(|| halves.filter_map(digit).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_the_whole_whatever_the_pieces() {
        // FIPS 180-4's example.
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for pieces in [vec!["abc"], vec!["a", "", "bc"]] {
            let mut digest = Digest::default();
            for piece in pieces {
                digest.push(piece.as_bytes());
            }
            assert_eq!(digest.finish().unwrap(), known);
        }
        assert_eq!(Digest::default().finish(), None);
    }
}
