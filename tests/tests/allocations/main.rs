//! What allocates: a process of its own, whose allocator counts.

mod handlers;
mod hits;
mod keys;
mod misses;
mod pages;
mod redis;
