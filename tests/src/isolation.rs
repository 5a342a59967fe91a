//! Applications and clients that share a server, and never one another's values.

use std::cell::Cell;

use cache_request::{Cache, cache_request, client_scope_sync, scoped_sync};
use cache_request_edition_2021 as other;

thread_local! {
    /// The caller whose answer a body returns.
    static OWNER: Cell<usize> = const { Cell::new(0) };
}

/// In two crates and, within one, in two modules, functions have this name.
#[cache_request(timeout = 60)]
fn plain(text: &str, slice: &[u8], option: Option<&str>) -> String {
    format!("of {}: {text}{slice:?}{option:?}", OWNER.get())
}

mod inner {
    use super::{OWNER, cache_request};

    #[cache_request(timeout = 60)]
    pub(super) fn plain(text: &str, slice: &[u8], option: Option<&str>) -> String {
        format!("inner, of {}: {text}{slice:?}{option:?}", OWNER.get())
    }
}

/// What is said of a server: the options that make an application of its own.
const APPLICATIONS: [&str; 6] =
    ["", "prefix=one", "prefix=two", "prefix=one.ann", "namespace=other", "prefix=one&namespace=other"];

/// The clients of the calls. `None` is no client, and names may look like parts of keys.
const CLIENTS: [Option<&str>; 6] =
    [None, Some("ann"), Some("bob"), Some("ANN"), Some("one.ann"), Some("ann..plain?text=a")];

/// Calls of each client of an application.
fn calls(application: usize, check: impl Fn()) {
    for (place, client) in CLIENTS.into_iter().enumerate() {
        OWNER.set(application * CLIENTS.len() + place);
        match client {
            Some(client) => client_scope_sync(client, &check),
            None => check(),
        }
    }
}

fn answers_are_its_own() {
    let owner = OWNER.get();
    for text in ["a", ""] {
        assert_eq!(plain(text, &[], None), format!("of {owner}: {text}[]None"));
        assert_eq!(inner::plain(text, &[], None), format!("inner, of {owner}: {text}[]None"));
        assert_eq!(other::plain(text, &[], None), format!("{text}[]None"));
    }
}

/// Applications of one server, which differ in their prefix or in their namespace, and their clients.
///
/// The address has an option already.
///
/// # Panics
///
/// If one of them is given another one's value, or forgets its own for another one's sake.
pub fn applications_and_clients_are_apart(url: &str) {
    let cache =
        |options: &str| Cache::from_url(&format!("{url}&{options}")).unwrap_or_else(|error| panic!("{error:#}"));
    let bodies = |what: &str, cache: &Cache, expected: usize| {
        let stats = cache.stats();
        assert_eq!((stats.bodies(), stats.faults()), (expected as u64, 0), "{what}: {stats}");
    };
    // Three functions, two arguments.
    let each = 6 * CLIENTS.len();
    let caches = APPLICATIONS.map(cache);
    for (application, cache) in caches.iter().enumerate() {
        scoped_sync(cache, || calls(application, answers_are_its_own));
        scoped_sync(cache, || calls(application, answers_are_its_own));
        bodies("the first to ask", cache, each);
    }

    // Each as a process that begins finds it, and in another order.
    for (application, options) in APPLICATIONS.iter().enumerate().rev() {
        let cache = cache(options);
        scoped_sync(&cache, || calls(application, answers_are_its_own));
        bodies("a later process", &cache, 0);
    }

    // What one forgets is known to the others: one client's answer, and then all of a namespace.
    let forgets = |cache: &Cache| {
        scoped_sync(cache, || client_scope_sync("ann", || plain_cache("a", &[], None).invalidate().expect("a server")))
    };
    assert!(forgets(&caches[1]));
    assert!(!forgets(&caches[1]));
    futures_lite::future::block_on(caches[4].clear()).expect("a server");
    for (application, (options, forgotten)) in APPLICATIONS.iter().zip([0, 1, 0, 0, each, each]).enumerate() {
        let cache = cache(options);
        scoped_sync(&cache, || calls(application, answers_are_its_own));
        bodies("after some was forgotten", &cache, forgotten);
    }
}
