//! What is asked for: texts of two sizes, by number.

use cache_request_benches::bodies;

/// Bytes of a small value.
pub(crate) const SMALL: usize = 200;

/// Bytes of a large one.
pub(crate) const LARGE: usize = 20_000;

/// The numbers of large values begin here.
pub(crate) const FIRST_LARGE: u64 = 1 << 32;

/// How many values of one size there are; a multiple of every number of callers.
pub(crate) const KEYS: usize = 1024;

/// How long the values are kept: longer than the benchmark takes.
pub(crate) const TIMEOUT: u64 = 3600;

/// The body of all remembered functions.
pub(crate) fn make(number: u64) -> String {
    bodies::ran();
    let bytes = bytes_of(number);
    format!("{number:0>bytes$}")
}

/// How long the value of this number is.
pub(crate) fn bytes_of(number: u64) -> usize {
    if number < FIRST_LARGE { SMALL } else { LARGE }
}

/// The number of concurrent callers, and how often each of them asks for a value of one size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) callers: usize,
    pub(crate) each: usize,
    /// [`SMALL`] or [`LARGE`].
    pub(crate) bytes: usize,
}

impl Load {
    /// How many values are asked for in all.
    pub(crate) fn gets(self) -> usize {
        self.callers * self.each
    }

    /// The keys of one caller, which no other caller uses.
    pub(crate) fn keys(self, caller: usize) -> impl Iterator<Item = u64> + Send {
        let first = if self.bytes == SMALL { 0 } else { FIRST_LARGE };
        (0..self.each).map(move |nth| first + ((nth * self.callers + caller) % KEYS) as u64)
    }

    /// What all callers ask for.
    pub(crate) fn keys_of_all(self) -> impl Iterator<Item = u64> {
        (0..self.callers).flat_map(move |caller| self.keys(caller))
    }

    /// Every value once.
    pub(crate) fn all(bytes: usize) -> Self {
        Self { callers: 64, each: KEYS / 64, bytes }
    }
}
