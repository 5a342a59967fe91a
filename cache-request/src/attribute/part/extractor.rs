//! What handlers take: extractors, which are keyed by what they hold.

use crate::key::KeyBuilder;

/// A request's part that a handler takes as an argument.
pub trait Extractor {
    /// What `serde` must be able to serialise for it.
    type Content: ?Sized;
    /// Adds it to the key.
    fn add_to(&self, key: &mut KeyBuilder<'_>)
    where
        Self::Content: crate::key::KeyPart;
}

/// What is no input of a call, as it is the same in all calls of a program.
pub trait LeftOut {}

/// What is one part of the key even if a pattern takes it apart.
pub trait Whole {}

impl<T: Extractor> Extractor for Option<T> {
    type Content = T::Content;

    fn add_to(&self, key: &mut KeyBuilder<'_>)
    where
        T::Content: crate::key::KeyPart,
    {
        key.optional(self.as_ref(), |key, extractor| extractor.add_to(key));
    }
}

/// A rejected request is answered without a cache: what a handler makes of the rejection is not known.
impl<T: Extractor, E> Extractor for Result<T, E> {
    type Content = T::Content;

    fn add_to(&self, key: &mut KeyBuilder<'_>)
    where
        T::Content: crate::key::KeyPart,
    {
        match self {
            Ok(extractor) => extractor.add_to(key),
            Err(_) => key.bypass(),
        }
    }
}
