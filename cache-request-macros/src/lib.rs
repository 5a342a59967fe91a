//! The attribute of cache-request, in four steps. `args` reads its arguments. `signature` reads the function. `plan` joins the
//! two and finds contradictions. `expand` writes the code and cannot fail.
//!
//! The expansion names only `core`, `std` and the library's `__private` module. It stays thin: what can be a function of the
//! library is one.

use proc_macro::TokenStream;
use quote::quote;

mod args;
mod errors;
mod expand;
mod names;
mod pattern;
mod plan;
mod renamed;
mod signature;
mod template;
mod types;

/// Caches the answers of a function.
///
/// ```text
/// #[cache_request(timeout = 300)]
/// async fn delays(origin: &str, carrier: Option<&str>) -> Result<Vec<Delay>, sqlx::Error> {
///     // …
/// }
/// ```
///
/// Every argument is part of the key, by its `serde::Serialize`. Of a `Result`, only `Ok` values are cached.
///
/// | argument | meaning |
/// | --- | --- |
/// | `timeout = 300` | Seconds (an integer expression), a text such as `"5m"`, a `Duration` expression, or `never`. `0` caches nothing. Default: 300 seconds. |
/// | `timeout_with = \|value\| …` | The timeout of each value, a `Duration`. |
/// | `skip(db, self)` | Arguments left out of the key, by the names that their patterns bind. |
/// | `vary(lang = lang(), self.region)` | Further parts of the key. A path or field needs no name. |
/// | `key = "article:{id}:{user.lang}"` | The whole key, made of arguments and their fields. `{{` and `}}` are braces. |
/// | `key = path::to::function` | The whole key is what this function returns. It takes every argument by reference, `self` first, without those in `skip(…)`. |
/// | `name = "…"` | Replaces module and function in the key, so that values survive when the code moves. |
/// | `version = 2` | A new version drops the values of older ones. |
/// | `prefix = "…"` | The first part of the key, in place of the crate. Without a `name`, the crate then begins the path. |
/// | `cache = "sessions"` | Uses a named cache instead of the default one. |
/// | `local` | Values stay in this process's memory and need no `serde`. |
/// | `when = \|value\| …` | Caches only values for which this is true. |
/// | `weight = \|value\| …` | The bytes that a value holds, where serde does not show all of them. |
/// | `max_entries = 1000` | At most so many values of the function are in memory, also in the near cache. One that was not read lately is evicted. |
/// | `cache_err` | Caches `Err` as well. |
/// | `skip_none` | Does not cache `None`. |
/// | `coalesce = false` | Concurrent calls with one key each run the body. |
/// | `detach` | If the caller is cancelled, the body goes on in a task of tokio's, and its value is cached. Async functions that own their arguments; feature `detach`. |
/// | `handle = false` | Makes no companion function. |
/// | `handle = Self` | The companion is an associated function, see below. |
/// | `crate = path` | The path of this library, if it is renamed or re-exported. |
///
/// In `vary`, the names that a destructuring pattern binds are references. Expressions in `vary(…)`, and a function that makes the `key`,
/// run once a call.
///
/// Bytes (`&[u8]`, `Vec<u8>`) are a list to serde, and each element takes eight bytes in the key. For more than a few, write
/// `skip(data), vary(data = serde_bytes::Bytes::new(data))`, and in a struct `#[serde(with = "serde_bytes")]`. Arrays of any length can
/// be keyed, also inside references, tuples and `Option`.
///
/// A function that returns nothing can be cached, too: then its body runs once per timeout and key.
///
/// # What to know
///
/// - Arguments are compared as serde shows them. What `#[serde(skip)]`, `serialize_with` or `untagged` hides makes no difference to the key.
///   If the answer depends on it, name it in `vary`.
/// - Two equal `HashSet`s may be serialised in two orders, and then have two keys. Take a `BTreeSet`, or write
///   `skip(set), vary(set = sorted(set))` with a function that sorts. Maps are sorted.
/// - The type arguments of a generic function are part of its key, even where the argument is skipped. Each closure has a type of its own, so
///   with `skip(f)` of an `f: impl Fn()` no two closures share values. With `f: fn()` or `f: &dyn Fn()` they do.
/// - A `Result` is recognised by the return type, which must be `Result` or an alias of it. A generic `T` that happens to be a `Result` is
///   cached whole, as with `cache_err`.
/// - On every backend except memory, values must survive a round trip through serde. A value of a type that has changed since is a miss. A
///   field added inside a `#[serde(flatten)]` is not noticed: raise `version`.
/// - A function inside another function's body shares its path with others there, so its place in the source is part of its identity: on a
///   backend, an edit that moves it drops its values, and so does another build of its crate (another version, compiler or flags).
///   `name = "…"` pins them. Types go by their paths: two types of one name, in two blocks of one function, are one type argument.
/// - `client_scope` does not follow spawned tasks and threads: wrap what you spawn.
/// - A body that spawns a task or a thread and waits for it, while that calls for the same key, waits for the cache's `wait_limit`.
/// - On a shared backend, `invalidate` keeps only the bodies of its own process from storing older values. A value that another process has
///   computed from older data may be stored after it, and stays until its timeout.
/// - In memory, a value weighs what serde finds in it. A `local` value that is not `Serialize` weighs its `size_of`, whatever it points to.
///   `weight` corrects both.
///
/// # The companion
///
/// Beside a function `f` stands `f_cache`, with the same arguments. It calls nothing. It returns a handle on that one call, which looks at,
/// refreshes, invalidates or fills its cached value. An underscore at the end of `f` is left out: the companion of `type_` is `type_cache`.
///
/// - If there is an `f_cache` already, write `handle = false`.
/// - An `impl` of a trait has no room for another function: write `handle = false`. Under `#[async_trait]` the attribute knows.
/// - In a trait, the companion keeps the trait from being used as `dyn`: write `handle = false` there if that matters.
/// - An associated function that neither takes `self` nor says `Self` looks like a free function to the attribute. Write `handle = Self`, or
///   `handle = false`. Otherwise the compiler does not find the companion, and its error names
///   `an_associated_function_needs_handle_Self`.
///
/// # Functions that return a future
///
/// `async fn`, `-> impl Future<Output = T>` and `-> Pin<Box<dyn Future<Output = T>>>` cache the `T`. The whole body of such a function runs
/// inside the future, and only on a miss: also what a plain function does before it returns its future.
#[proc_macro_attribute]
pub fn cache_request(args: TokenStream, item: TokenStream) -> TokenStream {
    let item = proc_macro2::TokenStream::from(item);
    match cached(args.into(), item.clone()) {
        Ok(expansion) => expansion,
        // The function itself stays, or every call of it would be an error too.
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
