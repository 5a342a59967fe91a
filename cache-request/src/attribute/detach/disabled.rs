//! `detach` without its feature: an error in words.

use crate::attribute::handle::Handle;

/// Implemented for nothing.
#[diagnostic::on_unimplemented(
    message = "`detach` needs the feature `detach` of cache-request",
    label = "the feature `detach` is not enabled",
    note = "enable it: `cache-request = {{ version = \"…\", features = [\"detach\"] }}`"
)]
pub trait DetachFeature {}

impl<R, V, B> Handle<R, V, B> {
    /// Cannot be called.
    #[doc(hidden)]
    pub async fn answer_detached(self) -> (R, bool)
    where
        Self: DetachFeature,
    {
        std::future::pending().await
    }
}
