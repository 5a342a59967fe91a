//! Annotated handlers: what extractors are in a key, and what of a response is cached.
//!
//! Nothing here is called by name. The expansion finds the traits of [`attribute`](crate::attribute) by an argument's or an answer's
//! type, and this module implements them for the types of `http` and axum.

/// Extractors that are keyed by the value in them.
#[cfg(feature = "axum")]
macro_rules! by_content {
    ($($extractor:ident)*) => {$(
        impl<T> crate::attribute::part::extractor::Extractor for $extractor<T> {
            type Content = T;

            fn add_to(&self, key: &mut crate::key::KeyBuilder<'_>)
            where
                T: crate::key::KeyPart,
            {
                key.part(&self.0);
            }
        }
    )*};
}

#[cfg(feature = "axum")]
mod answers;
#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "axum-extra")]
mod axum_extra;
mod request;
#[cfg(feature = "axum")]
mod response;

#[cfg(feature = "axum")]
pub use self::response::StoredResponse;
