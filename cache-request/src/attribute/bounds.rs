//! What the attribute asks of arguments and answers.
//!
//! Each of these is what it says below it: there is nothing to implement, and hardly ever a reason to name one. The compiler names
//! them where a type lacks something.
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
    engine::value::{CacheValue, MaybeNone, ResultValue, Value, ValueOf},
    key::KeyPart,
};
