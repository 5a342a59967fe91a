//! `file://`: a directory that holds the answers.
//!
//! The files of this folder, each of which imports only those above it:
//!
//! - [`failure`]: the error of a file operation.
//! - [`cancel`]: tells the thread that works for a call that the call was dropped.
//! - [`threads`]: the threads that read and write files.
//! - [`entry`]: the layout of one answer's file.
//! - [`directory`]: where the files lie, and how they are made and removed.
//! - [`lock`]: lets one writer at a time change a sub-directory.
//! - [`sweep`]: keeps the directory within its limits.
//! - [`operations`]: what each operation does to the files, as blocking code.
//! - [`claims`]: what the operations on claims do.
//! - [`backend`]: [`FileBackend`], which runs the operations on the threads.
//! - [`builder`]: makes a backend.

mod backend;
mod builder;
mod cancel;
mod claims;
mod directory;
mod entry;
mod failure;
mod lock;
mod operations;
mod sweep;
mod threads;

pub use self::{backend::FileBackend, builder::FileBackendBuilder};
