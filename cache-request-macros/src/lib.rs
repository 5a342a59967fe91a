//! The attribute of cache-request.

use proc_macro::TokenStream;

/// Makes a function remember.
#[proc_macro_attribute]
pub fn cache_request(_args: TokenStream, item: TokenStream) -> TokenStream {
    item
}
