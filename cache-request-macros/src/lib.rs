//! The attribute of cache-request, in four steps: `args` reads what stands in the parentheses, `signature` reads
//! the function, `plan` joins the two and finds what contradicts, and `expand`, which can no longer fail, writes
//! the code.
//!
//! The expansion names nothing but `core`, `std` and the library's `__private` module, and it stays thin: whatever can
//! be a function of the library is one.

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

/// Makes a function remember its answers.
///
/// ```text
/// #[cache_request(timeout = 300)]
/// async fn delays(origin: &str, carrier: Option<&str>) -> Result<Vec<Delay>, sqlx::Error> {
///     // …
/// }
/// ```
///
/// Every argument is part of the key, by its `serde::Serialize`. Of a `Result` only the inside of an `Ok` is kept.
///
/// | argument | meaning |
/// | --- | --- |
/// | `timeout = 300` | Seconds, a text such as `"5m"`, any expression of type `Duration`, or `never`. `0` stores nothing. Without it the cache's default holds, 300 seconds. |
/// | `timeout_with = \|value\| …` | A `Duration` for each value. |
/// | `skip(db, self)` | Arguments left out of the key, by the names their patterns bind. |
/// | `vary(lang = lang(), self.region)` | More parts of the key. A path or field is its own name. |
/// | `key = "article:{id}:{user.lang}"` | The whole key, of arguments and their fields. `{{` and `}}` are braces. |
/// | `key = path::to::function` | The whole key is what this returns. It takes every argument by reference, `self` first; those in `skip(…)` are left out. |
/// | `name = "…"` | Stands for module and function in the key, so that moving the code loses nothing. |
/// | `version = 2` | Changing it drops what was stored before. |
/// | `prefix = "…"` | Stands at the head of the key, in place of the crate, which then begins the path, unless there is a `name`. |
/// | `cache = "sessions"` | A named cache instead of the default one. |
/// | `local` | The value stays in this process's memory and needs no `serde`. |
/// | `when = \|value\| …` | Stores only values for which it is true. |
/// | `weight = \|value\| …` | The bytes a value holds, where serde finds too few in it. |
/// | `cache_err` | Stores an `Err` as well. |
/// | `skip_none` | Does not store a `None`. |
/// | `coalesce = false` | Calls with one key do not wait for one another. |
/// | `handle = false` | No companion function. |
/// | `handle = Self` | The companion is an associated function; see below. |
/// | `crate = path` | Where this library is, if it is re-exported. |
///
/// In `vary`, the names that a destructuring pattern binds are references. What stands in `vary(…)`, and a function that makes
/// the `key`, runs once on a hit and may run twice on a miss: it should do no more than look.
///
/// Bytes (`&[u8]`, `Vec<u8>`) are to serde a list like any other, whose elements take eight bytes each in the key. For more than
/// a few, say `skip(data), vary(data = serde_bytes::Bytes::new(data))`, and in a struct `#[serde(with = "serde_bytes")]`.
///
/// # What to know
///
/// - Arguments are told apart as serde shows them: what `#[serde(skip)]`, `serialize_with` or `untagged` hide makes no difference to
///   the key. If it does to the answer, name it in `vary`.
/// - Two equal `HashSet`s may be serialised in two orders, and then make two keys: take a `BTreeSet`, or say
///   `skip(set), vary(set = sorted(set))` with a function that sorts. (Maps are sorted.)
/// - The type arguments of a generic function belong to its key even where the argument is skipped. Each closure has a type of its
///   own, so that with `skip(f)` of an `f: impl Fn()` no two closures share answers; of an `f: fn()` or an `f: &dyn Fn()` they do.
/// - An `Err` is known by the return type, which has to say `Result`, or the name of an alias of one. A generic `T` that happens to
///   be a `Result` is kept whole, as with `cache_err`.
/// - On every backend that is not memory, values must survive a round trip through serde. One of a type that has changed since is a
///   miss, but a field that is added inside a `#[serde(flatten)]` is not seen: raise `version`.
/// - A function inside another function's body shares its path with others in that body, and so goes by its place as well: on a
///   backend, an edit that moves it drops its values, and so does another build of its crate (another version of it or of the
///   compiler, other flags). `name = "…"` pins them. Types go by their paths: two of one name, in two blocks of one function, are
///   one type argument.
/// - `client_scope` does not follow tasks and threads that are spawned: wrap what you spawn.
/// - A body that spawns a task or a thread and waits for it, while that calls for the same key, waits for the cache's `wait_limit`.
/// - On a shared backend, `invalidate` stops what the bodies of its own process return from being kept. What another process
///   computes from older data may be stored after it, and stays until its timeout.
/// - In memory, a value weighs what serde finds in it; a `local` one that is not `Serialize` weighs its `size_of`, whatever it points
///   to. `weight` says more.
///
/// # The companion
///
/// Beside a function `f` stands `f_cache`, with the same arguments. It calls nothing: it returns a handle on that one
/// call, to look at, refresh, forget or fill what is remembered of it.
///
/// - If there is an `f_cache` already: write `handle = false`.
/// - In an `impl` of a trait there is no room for another function: write `handle = false`. Under `#[async_trait]`
///   that is understood.
/// - In a trait, the companion makes the trait unfit for `dyn`: write `handle = false` there too, if that matters.
/// - An associated function that neither takes `self` nor says `Self` looks to the attribute like a free function. Write
///   `handle = Self`, or `handle = false`. Else the compiler does not find the companion, and names
///   `an_associated_function_needs_handle_Self`.
///
/// # Functions that return a future
///
/// `async fn`, `-> impl Future<Output = T>` and `-> Pin<Box<dyn Future<Output = T>>>` remember the `T`. The whole body
/// of such a function runs inside the future, and only if nothing is remembered: what a plain function does before it
/// returns its future waits for the first poll too.
#[proc_macro_attribute]
pub fn cache_request(args: TokenStream, item: TokenStream) -> TokenStream {
    let item = proc_macro2::TokenStream::from(item);
    match remember(args.into(), item.clone()) {
        Ok(expansion) => expansion,
        // The function itself stays, or every call of it would be an error too.
        Err(errors) => {
            let errors = errors.to_compile_error();
            quote!(#item #errors)
        }
    }
    .into()
}

fn remember(args: proc_macro2::TokenStream, item: proc_macro2::TokenStream) -> syn::Result<proc_macro2::TokenStream> {
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
