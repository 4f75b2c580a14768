//! Random bytes in stock: fetching a few from the proxy costs as much as fetching many.

use crate::host;

const STOCK: usize = 640;

/// Random bytes; none is given out twice.
#[derive(Debug)]
pub(crate) struct RandomBytes {
    stock: [u8; STOCK],
    used: usize,
}

impl Default for RandomBytes {
    fn default() -> Self {
        Self {
            stock: [0; STOCK],
            used: STOCK,
        }
    }
}

impl RandomBytes {
    /// The next `N` bytes, at most as many as the stock has.
    pub(crate) fn take<const N: usize>(&mut self) -> [u8; N] {
        if self.used + N > STOCK {
            self.stock = host::random();
            self.used = 0;
        }
        let rest = self.stock.get(self.used..).unwrap_or_default();
        self.used += N;
        rest.first_chunk().copied().unwrap_or([0; N])
    }
}
