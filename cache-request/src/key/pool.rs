//! Pools buffers for long keys, so that they allocate as rarely as short ones.

use std::{
    cell::RefCell,
    mem,
    ops::{Deref, DerefMut},
};

use arrayvec::ArrayVec;

/// A buffer of words that returns to its thread's pool when dropped.
#[derive(Debug, Default, Clone)]
pub(super) struct Pooled(Vec<u64>);

impl Pooled {
    /// No buffer yet. It is taken from the pool with the first word.
    #[inline]
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    /// An empty buffer, from the pool if it has one.
    pub(super) fn take() -> Self {
        // While a thread ends, its pool is gone, and the key allocates.
        Self(POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten().unwrap_or_default())
    }
}

impl Deref for Pooled {
    type Target = Vec<u64>;

    #[inline]
    fn deref(&self) -> &Vec<u64> {
        &self.0
    }
}

impl DerefMut for Pooled {
    #[inline]
    fn deref_mut(&mut self) -> &mut Vec<u64> {
        &mut self.0
    }
}

impl Drop for Pooled {
    #[inline]
    fn drop(&mut self) {
        if self.0.capacity() != 0 {
            give_back(mem::take(&mut self.0));
        }
    }
}

/// The most words that the buffers of one thread's pool hold together: 64 KiB.
const KEPT_WORDS: usize = 8 * 1024;

/// The most buffers in one thread's pool: one for the key, and for each map being sorted two.
const KEPT_BUFFERS: usize = 8;

thread_local! {
    static POOL: RefCell<ArrayVec<Vec<u64>, KEPT_BUFFERS>> = const { RefCell::new(ArrayVec::new_const()) };
}

#[cold]
fn give_back(mut buffer: Vec<u64>) {
    buffer.clear();
    let _ = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        let kept: usize = pool.iter().map(Vec::capacity).sum();
        if !pool.is_full() && kept + buffer.capacity() <= KEPT_WORDS {
            pool.push(buffer);
        }
    });
}
