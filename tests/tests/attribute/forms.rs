//! Every kind of function can be annotated, and its body sees no difference.
//!
//! Each test calls twice: what the second call answers is what the first one did, remembered or not.
#![deny(warnings, missing_docs, clippy::all)]

mod answers;
mod arguments;
mod arrays;
mod bodies;
mod functions;
mod futures;
mod generated;
mod methods;
mod names;
mod neighbours;
mod patterns;
mod timeouts;
