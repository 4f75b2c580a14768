//! Where the hashes and entries of a log stand in a folder (C2SP tlog-tiles): 256 to a
//! tile, the roots of full tiles in the tiles of the level above.

use super::tree::{Hash, Tree};

/// Hashes or entries of a full tile.
pub const WIDTH: usize = 256;
/// The levels that a log of up to 2^64 leaves can have.
const LEVELS: usize = 8;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Hashes of this level; level 0 are leaves.
    Hashes(usize),
    /// The entries themselves.
    Entries,
}

/// The path of a tile within the folder; `width` below [`WIDTH`]: a partial one.
#[must_use]
pub fn path(kind: Kind, index: u64, width: usize) -> String {
    let mut path = match kind {
        Kind::Hashes(level) => format!("tile/{level}"),
        Kind::Entries => "tile/entries".to_owned(),
    };
    let mut groups = vec![index % 1000];
    let mut rest = index / 1000;
    while rest > 0 {
        groups.push(rest % 1000);
        rest /= 1000;
    }
    while let Some(group) = groups.pop() {
        let mark = if groups.is_empty() { "" } else { "x" };
        path.push_str(&format!("/{mark}{group:03}"));
    }
    if width < WIDTH {
        path.push_str(&format!(".p/{width}"));
    }
    path
}

/// The index of the last tile of a level, and its width, in a log of `size` leaves; the
/// width may be 0: then there is no such tile.
#[must_use]
pub fn last(level: usize, size: u64) -> (u64, usize) {
    let shift = u32::try_from(level * 8).unwrap_or(u32::MAX);
    let hashes = size.checked_shr(shift).unwrap_or(0);
    let width = usize::try_from(hashes % WIDTH as u64).unwrap_or(0);
    (hashes / WIDTH as u64, width)
}

/// The unfinished tile of each level.
#[derive(Clone, Debug, Default)]
pub struct Edge {
    levels: [Vec<Hash>; LEVELS],
    size: u64,
}

/// A tile that has become full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full {
    /// Its level.
    pub level: usize,
    /// Its index.
    pub index: u64,
    /// Its hashes.
    pub hashes: Vec<Hash>,
}

impl Edge {
    /// The edge of a log of `size` leaves, its tiles read by `read` (level, index, width).
    ///
    /// # Errors
    /// Those of `read`.
    pub fn load<E>(
        size: u64,
        mut read: impl FnMut(usize, u64, usize) -> Result<Vec<Hash>, E>,
    ) -> Result<Self, E> {
        let mut edge = Self {
            size,
            ..Self::default()
        };
        for (level, hashes) in edge.levels.iter_mut().enumerate() {
            let (index, width) = last(level, size);
            if width > 0 {
                *hashes = read(level, index, width)?;
            }
        }
        Ok(edge)
    }

    /// Leaves so far.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root over all leaves. What is unfinished below stands as one more hash at the
    /// end of a level: it is smaller than the subtrees before it, so the tree splits there.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut below: Option<Hash> = None;
        for hashes in &self.levels {
            let all: Vec<Hash> = hashes.iter().copied().chain(below).collect();
            if !all.is_empty() {
                below = Some(subtree(&all));
            }
        }
        below.unwrap_or_else(|| Tree::default().root())
    }

    /// Adds a leaf; returns the tiles that it fills, from the leaves up.
    pub fn push(&mut self, leaf: Hash) -> Vec<Full> {
        self.size += 1;
        let mut full = Vec::new();
        let mut hash = leaf;
        for (level, hashes) in self.levels.iter_mut().enumerate() {
            hashes.push(hash);
            if hashes.len() < WIDTH {
                break;
            }
            let hashes = std::mem::take(hashes);
            hash = subtree(&hashes);
            // The tile before the one that is unfinished now.
            let index = last(level, self.size).0.saturating_sub(1);
            full.push(Full {
                level,
                index,
                hashes,
            });
        }
        full
    }

    /// The unfinished tiles: level, index and hashes.
    pub fn partial(&self) -> impl Iterator<Item = (usize, u64, &[Hash])> {
        let levels = self.levels.iter().enumerate();
        let partial = levels.filter(|(_, hashes)| !hashes.is_empty());
        partial.map(|(level, hashes)| (level, last(level, self.size).0, hashes.as_slice()))
    }
}

/// The root over the hashes of a tile.
fn subtree(hashes: &[Hash]) -> Hash {
    let mut tree = Tree::default();
    for hash in hashes {
        tree.push(*hash);
    }
    tree.root()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::tree::leaf_hash;

    /// The examples of the specification.
    #[test]
    fn paths_are_those_of_the_specification() {
        let level_0 = Kind::Hashes(0);
        assert_eq!(path(level_0, 1_234_067, WIDTH), "tile/0/x001/x234/067");
        assert_eq!(path(level_0, 0, WIDTH), "tile/0/000");
        assert_eq!(path(Kind::Hashes(2), 7, 5), "tile/2/007.p/5");
        assert_eq!(path(Kind::Entries, 1_000, 1), "tile/entries/x001/000.p/1");
        assert_eq!(last(0, 70_000), (273, 112));
        assert_eq!(last(1, 70_000), (1, 17));
        assert_eq!(last(2, 70_000), (0, 1));
        assert_eq!((last(0, 256), last(1, 256)), ((1, 0), (0, 1)));
        assert_eq!(last(7, u64::MAX), (0, 255));
    }

    #[test]
    fn tiles_fill_from_the_leaves_up() {
        let mut edge = Edge::default();
        let (mut full, mut tree) = (Vec::new(), Tree::default());
        for n in 0..70_000u32 {
            let leaf = leaf_hash(&n.to_be_bytes());
            full.extend(edge.push(leaf));
            tree.push(leaf);
        }
        assert_eq!(edge.root(), tree.root());
        let of = |level| full.iter().filter(|tile| tile.level == level).count();
        assert_eq!((of(0), of(1), of(2)), (273, 1, 0));
        let widths: Vec<_> = edge.partial().map(|(l, i, h)| (l, i, h.len())).collect();
        assert_eq!(widths, [(0, 273, 112), (1, 1, 17), (2, 0, 1)]);
        let first = full.iter().find(|tile| tile.level == 1).unwrap();
        assert_eq!((first.index, first.hashes.len()), (0, 256));
        assert_eq!(first.hashes[0], subtree(&full[0].hashes));
    }

    #[test]
    fn the_root_of_an_edge_is_that_of_the_tree() {
        let (mut edge, mut tree) = (Edge::default(), Tree::default());
        assert_eq!(edge.root(), tree.root());
        for n in 0..700u32 {
            let leaf = leaf_hash(&n.to_be_bytes());
            edge.push(leaf);
            tree.push(leaf);
            assert_eq!(edge.root(), tree.root(), "{n}");
        }
    }

    #[test]
    fn an_edge_goes_on_from_its_tiles() {
        let leaf = |n: u32| leaf_hash(&n.to_be_bytes());
        let mut whole = Edge::default();
        for n in 0..600 {
            whole.push(leaf(n));
        }
        let tiles: Vec<_> = whole
            .partial()
            .map(|(l, i, h)| (l, i, h.to_vec()))
            .collect();
        let mut again = Edge::load(600, |level, index, width| {
            let found = tiles
                .iter()
                .find(|t| (t.0, t.1, t.2.len()) == (level, index, width));
            found.map(|tile| tile.2.clone()).ok_or(())
        })
        .unwrap();
        for n in 600..800 {
            assert_eq!(whole.push(leaf(n)), again.push(leaf(n)));
        }
        assert!(whole.partial().eq(again.partial()));
    }
}
