//! What allocates: a process of its own, whose allocator counts.

mod hits;
mod keys;
mod pages;
