//! Stored bytes: pinned, round, and refused whatever was done to them.

mod envelope;
mod shape;
