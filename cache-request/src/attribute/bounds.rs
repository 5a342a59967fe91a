//! The traits that the attribute requires of arguments and answers.
//!
//! Each has a blanket implementation for what its documentation names, so there is nothing to implement. Generic
//! functions name them as bounds, and the compiler names them where a type lacks something.
//!
//! ```
//! use cache_request::{bounds::CacheValue, cache_request};
//!
//! #[cache_request]
//! fn latest<T: CacheValue + Default>() -> T {
//!     T::default()
//! }
//! # assert_eq!(latest::<u8>(), 0);
//! ```

pub use crate::{
    attribute::each::{Again, EachAnswer, EachAnswerOf, Element, Keyed},
    engine::value::{CacheValue, MaybeNone, ResultValue, Value, ValueOf},
    key::KeyPart,
};
