//! The buffer a key is built in.

use std::fmt;

use super::{
    pool::Pooled,
    tag::{SHORT_TEXT, Tag},
};

/// Enough for a few numbers and short strings. Not larger, because keys are moved.
const ON_STACK: usize = 7;

/// Words on the stack. If there are too many, all of them move to a pooled buffer.
#[derive(Debug, Clone)]
pub(super) struct Words {
    stack: [u64; ON_STACK],
    /// How many of them there are, at most [`ON_STACK`], which saves a check where it is said. All for good once the words have moved to the heap, so that a push needs one check only.
    on_stack: usize,
    heap: Pooled,
}

impl Words {
    #[inline]
    pub(super) const fn new() -> Self {
        Self { stack: [0; ON_STACK], on_stack: 0, heap: Pooled::none() }
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[u64] {
        if self.heap.is_empty() { &self.stack[..self.on_stack.min(ON_STACK)] } else { &self.heap }
    }

    #[inline]
    pub(super) fn as_mut_slice(&mut self) -> &mut [u64] {
        if self.heap.is_empty() { &mut self.stack[..self.on_stack.min(ON_STACK)] } else { &mut self.heap }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.as_slice().len()
    }

    #[inline]
    pub(super) fn push(&mut self, word: u64) {
        match self.stack.get_mut(self.on_stack) {
            Some(place) => {
                *place = word;
                self.on_stack += 1;
            }
            None => self.heap().push(word),
        }
    }

    /// A text, in one word if it is short.
    #[inline]
    pub(super) fn text(&mut self, text: &str) {
        if text.len() <= SHORT_TEXT {
            self.push(Tag::short_text(text.len(), padded(text.as_bytes(), text.as_bytes())));
        } else {
            self.bytes(Tag::Text, text.as_bytes());
        }
    }

    /// A tagged length and the bytes, eight to a word.
    #[inline]
    pub(super) fn bytes(&mut self, tag: Tag, bytes: &[u8]) {
        let header = tag.with(bytes.len() as u64);
        let end = self.on_stack + 1 + bytes.len().div_ceil(8);
        if let Some([first, words @ ..]) = self.stack.get_mut(self.on_stack..end) {
            *first = header;
            write(words, bytes);
            self.on_stack = end;
        } else {
            self.heap_bytes(header, bytes);
        }
    }

    #[inline(never)]
    fn heap_bytes(&mut self, header: u64, bytes: &[u8]) {
        let heap = self.heap();
        heap.push(header);
        let start = heap.len();
        heap.resize(start + bytes.len().div_ceil(8), 0);
        write(&mut heap[start..], bytes);
    }

    /// The display of `text`, written like [`text`](Self::text) without a `String` in between.
    pub(super) fn display(&mut self, text: &(impl fmt::Display + ?Sized)) -> fmt::Result {
        let start = self.len();
        self.push(Tag::Text.word());
        let mut display = Display { words: self, length: 0 };
        fmt::write(&mut display, format_args!("{text}"))?;

        let length = display.length;
        if length <= SHORT_TEXT {
            let bytes = if length > 0 { self.as_mut_slice()[start + 1] } else { 0 };
            self.truncate(start);
            self.push(Tag::short_text(length, bytes));
        } else {
            self.as_mut_slice()[start] = Tag::Text.with(length as u64);
        }
        Ok(())
    }

    /// Drops the words from `length` on.
    pub(super) fn truncate(&mut self, length: usize) {
        if self.heap.is_empty() {
            self.on_stack = self.on_stack.min(length);
        } else if length > ON_STACK {
            self.heap.truncate(length);
        } else {
            // Back to the stack: an empty heap buffer means that the words are there.
            self.stack[..length].copy_from_slice(&self.heap[..length]);
            self.on_stack = length;
            self.heap.clear();
        }
    }

    /// Moves the words to the heap buffer, where they stay, and returns it.
    #[cold]
    #[inline(never)]
    fn heap(&mut self) -> &mut Vec<u64> {
        if self.heap.is_empty() {
            self.heap = Pooled::take();
            self.heap.extend_from_slice(&self.stack[..self.on_stack]);
            self.on_stack = ON_STACK;
        }
        &mut self.heap
    }
}

/// Writes bytes, eight to a word, into as many words as they need.
#[inline]
fn write(words: &mut [u64], bytes: &[u8]) {
    let (full, rest) = bytes.as_chunks();
    for (word, &eight) in words.iter_mut().zip(full) {
        *word = u64::from_le_bytes(eight);
    }
    if let (false, Some(last)) = (rest.is_empty(), words.last_mut()) {
        *last = padded(bytes, rest);
    }
}

/// The last bytes of `bytes`, `rest`, as a word: fewer than eight, in two or three loads that may overlap instead of a
/// loop.
#[inline]
fn padded(bytes: &[u8], rest: &[u8]) -> u64 {
    let length = rest.len();
    if let Some(last) = bytes.last_chunk() {
        u64::from_le_bytes(*last) >> (64 - 8 * length)
    } else if let (Some(first), Some(last)) = (rest.first_chunk(), rest.last_chunk()) {
        u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (8 * (length - 4))
    } else if length > 0 {
        let byte = |at: usize| u64::from(rest[at]) << (8 * at);
        byte(0) | byte(length / 2) | byte(length - 1)
    } else {
        0
    }
}

struct Display<'a> {
    words: &'a mut Words,
    length: usize,
}

impl fmt::Write for Display<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let within = self.length % 8;
            if within == 0 {
                self.words.push(0);
            }
            if let Some(last) = self.words.as_mut_slice().last_mut() {
                *last |= u64::from(byte) << (8 * within);
            }
            self.length += 1;
        }
        Ok(())
    }
}
