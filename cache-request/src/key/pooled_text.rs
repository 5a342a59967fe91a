//! The text of a key during a call to a backend, in memory that its thread uses again.

use std::{cell::RefCell, mem, ops::Deref};

use arrayvec::ArrayVec;

/// The most texts whose memory a thread keeps, and the longest, in bytes.
const KEPT: usize = 16;
const KEPT_BYTES: usize = 1024;

thread_local! {
    static SPARE: RefCell<ArrayVec<String, KEPT>> = const { RefCell::new(ArrayVec::new_const()) };
}

/// A text whose memory goes to the thread that drops it.
#[derive(Debug)]
pub(crate) struct PooledText(String);

impl PooledText {
    /// What `write` makes of an empty text.
    pub(crate) fn of(write: impl FnOnce(String) -> String) -> Self {
        // While a thread ends, its texts are gone.
        let spare = SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten();
        Self(write(spare.unwrap_or_else(|| String::with_capacity(128))))
    }
}

impl Deref for PooledText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for PooledText {
    fn drop(&mut self) {
        let mut text = mem::take(&mut self.0);
        text.clear();
        if text.capacity() <= KEPT_BYTES {
            // One that finds no place is dropped.
            let _ = SPARE.try_with(|spare| _ = spare.borrow_mut().try_push(text));
        }
    }
}
