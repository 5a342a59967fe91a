//! The attribute of cache-request, in four steps. `args` reads its arguments. `signature` reads the function. `plan` joins the
//! two and finds contradictions. `expand` writes the code and cannot fail.
//!
//! The expansion names only `core`, `std` and the library's `__private` module. It is thin: code that can be a function of the library
//! is one.

use proc_macro::TokenStream;
use quote::quote;

mod args;
mod errors;
mod expand;
mod names;
mod owned;
mod pattern;
mod plan;
mod renamed;
mod signature;
mod template;
mod types;

/// Caches what a function returns.
///
/// ```text
/// #[cache_request(timeout = 300)]
/// async fn delays(origin: &str, carrier: Option<&str>) -> Result<Vec<Delay>, sqlx::Error> {
///     // …
/// }
/// ```
///
/// Without arguments, every argument of the function is part of the key, a value is fresh for 300 seconds, and of a `Result` only
/// `Ok` values are cached. Beside a function `f` stands its companion `f_cache`, with the same arguments: it returns a handle on that one
/// call.
///
/// The guide pages [attribute], [batches], [keys], [freshness] and [limits] show how it is used, and what to know.
///
/// [attribute]: ../cache_request/docs/attribute/index.html
/// [batches]: ../cache_request/docs/batches/index.html
/// [handlers]: ../cache_request/docs/handlers/index.html
/// [keys]: ../cache_request/docs/keys/index.html
/// [freshness]: ../cache_request/docs/freshness/index.html
/// [limits]: ../cache_request/docs/limits/index.html
///
#[doc = include_str!("../docs/arguments.md")]
///
/// Closures, and the expression of `timeout`, can use items in scope but capture no arguments. In `vary`, the names that a
/// destructuring pattern binds are references. An expression in `vary`, and a function that makes the `key`, run once a call.
#[proc_macro_attribute]
pub fn cache_request(args: TokenStream, item: TokenStream) -> TokenStream {
    let item = proc_macro2::TokenStream::from(item);
    match cached(args.into(), item.clone()) {
        Ok(expansion) => expansion,
        // The function itself stays, or each of its calls would be an error, too.
        Err(errors) => {
            let errors = errors.to_compile_error();
            quote!(#item #errors)
        }
    }
    .into()
}

fn cached(args: proc_macro2::TokenStream, item: proc_macro2::TokenStream) -> syn::Result<proc_macro2::TokenStream> {
    let mentions_self = signature::mentions_self_type(&args);
    let function = signature::function(item)?;
    let mut errors = errors::Errors::default();
    let args = args::read(args, &mut errors);
    if args.krate.is_none()
        && let Some(name) = renamed::dependency()
    {
        errors.at(&function.sig.ident, format!("this crate knows cache-request as `{name}`: write `crate = {name}`"));
    }
    let signature = signature::read(function, mentions_self, &mut errors);
    let plan = plan::join(args, signature, &mut errors);
    errors.finish()?;
    Ok(expand::expand(&plan))
}
