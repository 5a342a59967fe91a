//! Stored bytes: pinned, round, and refused whatever was done to them.

mod authentication;
mod compression;
mod depth;
mod digest;
mod envelope;
mod message_pack;
mod round_trip;
mod spelling;
