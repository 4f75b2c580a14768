//! Memory into which the proxy writes what it returns.
//!
//! The proxy asks the VM for memory for each call that returns data. It gets the same few pieces
//! again and again, which stay in the processor's nearest cache; taking new memory for each and
//! giving it back costs more than what is done with it.

use std::cell::RefCell;
use std::fmt;
use std::ops::Deref;

/// Smallest piece, bytes: what headers and bodies of most calls take.
const LEAST: usize = 4 * 1024;
/// Largest piece that is kept for later, bytes.
const MOST: usize = 256 * 1024;
/// Most pieces that are kept. More than two are seldom in use at once.
const MOST_SPARE: usize = 4;

std::thread_local! {
    static MEMORY: RefCell<Memory> = const { RefCell::new(Memory::new()) };
}

struct Memory {
    spare: Vec<Vec<u8>>,
    /// What the proxy has asked for last and the running call has not yet taken.
    pending: Option<Vec<u8>>,
}

impl Memory {
    const fn new() -> Self {
        Self {
            spare: Vec::new(),
            pending: None,
        }
    }

    fn piece(&mut self, size: usize) -> *mut u8 {
        let fits = self.spare.iter().rposition(|piece| piece.len() >= size);
        let mut piece = match fits {
            Some(at) => self.spare.swap_remove(at),
            None => vec![0; size.max(LEAST)],
        };
        let start = piece.as_mut_ptr();
        self.pending = Some(piece);
        start
    }

    fn take(&mut self, start: *const u8, size: usize) -> Option<Lent> {
        let bytes = self.pending.take()?;
        let is_it = bytes.as_ptr() == start && size <= bytes.len();
        is_it.then(|| Lent { bytes, size })
    }

    fn give_back(&mut self, piece: Vec<u8>) {
        if (LEAST..=MOST).contains(&piece.len()) && self.spare.len() < MOST_SPARE {
            self.spare.push(piece);
        }
    }
}

/// Memory for the proxy to write so many bytes to.
pub(crate) fn allocate(size: usize) -> *mut u8 {
    MEMORY.with(|memory| memory.borrow_mut().piece(size))
}

/// What the proxy says that it has written. None if it did not ask for that memory.
pub(crate) fn take(start: *const u8, size: usize) -> Option<Lent> {
    MEMORY.with(|memory| memory.borrow_mut().take(start, size))
}

/// Bytes that the proxy has returned. Their memory is used again when this is dropped.
#[derive(Default)]
pub struct Lent {
    bytes: Vec<u8>,
    size: usize,
}

impl Deref for Lent {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.size).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let piece = std::mem::take(&mut self.bytes);
        if !piece.is_empty() {
            MEMORY.with(|memory| memory.borrow_mut().give_back(piece));
        }
    }
}

/// For keeping: as much memory as it takes, of its own.
impl Clone for Lent {
    fn clone(&self) -> Self {
        Self::from(self.to_vec())
    }
}

impl From<Vec<u8>> for Lent {
    fn from(bytes: Vec<u8>) -> Self {
        let size = bytes.len();
        Self { bytes, size }
    }
}

/// Says how much it is only: it may be a secret.
impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lent({} bytes)", self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_once_nobody_reads_it() {
        let first = allocate(10);
        let lent = take(first, 10).unwrap();
        let second = allocate(10);
        assert_ne!(first, second, "the first is still read");
        drop(take(second, 10));
        drop(lent);
        assert_eq!(allocate(LEAST), first);
    }

    #[test]
    fn only_what_was_asked_for_is_taken() {
        let start = allocate(10);
        assert!(take(std::ptr::null(), 10).is_none());
        assert!(take(start, 10).is_none(), "it is gone");
        let start = allocate(10);
        assert!(take(start, LEAST + 1).is_none());
        let start = allocate(10);
        assert_eq!(take(start, 7).unwrap().len(), 7);
    }

    #[test]
    fn neither_many_nor_large_pieces_are_kept() {
        let many: Vec<_> = (0..10).map(|_| take(allocate(1), 1).unwrap()).collect();
        drop(many);
        drop(take(allocate(MOST + 1), 1));
        let kept = MEMORY.with(|memory| memory.borrow().spare.len());
        assert_eq!(kept, MOST_SPARE);
    }

    #[test]
    fn what_it_holds_is_not_shown() {
        let lent = Lent::from(b"secret".to_vec());
        assert_eq!(&*lent, b"secret");
        assert_eq!(format!("{lent:?}"), "Lent(6 bytes)");
    }
}
