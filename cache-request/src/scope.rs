//! What follows a task: its client, the cache that a test put in the place of the installed one, and the bodies it is in
//! the midst of.
//!
//! All of it lives in the thread while the task runs there: entered on every poll, left after it, so that it is right on any
//! executor and on none. Tasks that a body spawns start with none of it.

use std::{
    cell::{Cell, RefCell},
    fmt,
    mem::{self, ManuallyDrop},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use crate::{
    cache::Cache,
    flight::Lineage,
    shim::{thread_lives, thread_local},
};

/// What is in force for the running task.
#[derive(Clone, Default)]
pub(crate) struct Scope {
    client: Option<Arc<str>>,
    cache: Option<Cache>,
    lineage: Option<Arc<Lineage>>,
}

thread_local! {
    /// Whether [`SCOPE`] holds anything: what a look-up can afford to ask.
    static SCOPED: Cell<bool> = const { Cell::new(false) };
    /// Whether a look-up may go straight to where its call is settled.
    static STRAIGHT: Cell<bool> = const { Cell::new(false) };
    /// Empty again whenever nothing is in force, so there is nothing to drop, and without a destructor it can be used until
    /// the thread's very end, by the destructors of others.
    static SCOPE: RefCell<ManuallyDrop<Scope>> =
        const { RefCell::new(ManuallyDrop::new(Scope { client: None, cache: None, lineage: None })) };
}

impl Scope {
    /// What is in force here, with something changed.
    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut scope = if is_scoped() { SCOPE.with(|scope| Self::clone(&scope.borrow())) } else { Self::default() };
        change(&mut scope);
        scope
    }

    fn enter(self) -> Entered {
        SCOPED.with(|scoped| scoped.set(true));
        settle_straight(self.cache.is_none());
        Entered { outer: put(self) }
    }
}

/// Puts a scope in force, and returns the one that was.
fn put(scope: Scope) -> Scope {
    ManuallyDrop::into_inner(SCOPE.with(|cell| cell.replace(ManuallyDrop::new(scope))))
}

/// Puts back what was in force before, also when the task panics.
struct Entered {
    outer: Scope,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let outer = mem::take(&mut self.outer);
        let scoped = outer.client.is_some() || outer.cache.is_some() || outer.lineage.is_some();
        SCOPED.with(|cell| cell.set(scoped));
        settle_straight(outer.cache.is_none());
        // What is dropped here may be the last of a cache: not while the cell is borrowed.
        drop(put(outer));
    }
}

/// Whether the running task is in any scope.
#[inline]
pub(crate) fn is_scoped() -> bool {
    SCOPED.with(Cell::get)
}

/// The client of the running task.
pub(crate) fn client() -> Option<Arc<str>> {
    SCOPE.with(|scope| scope.borrow().client.clone())
}

/// Whether the installed caches are in force, on a thread that is known to live.
#[inline]
pub(crate) fn is_straight() -> bool {
    STRAIGHT.with(Cell::get)
}

/// Whether the running thread may use a cache: not in the destructors of its thread-locals, once those are gone that a cache
/// needs.
pub(crate) fn may_use_caches() -> bool {
    settle_straight(cache().is_none())
}

/// Settles whether look-ups may go straight from now on, and says whether the thread lives.
fn settle_straight(installed_in_force: bool) -> bool {
    let lives = thread_lives();
    STRAIGHT.with(|straight| straight.set(lives && installed_in_force));
    lives
}

/// The cache that stands in for the installed ones.
pub(crate) fn cache() -> Option<Cache> {
    SCOPE.with(|scope| scope.borrow().cache.clone())
}

/// The bodies that the running task is in the midst of.
pub(crate) fn lineage() -> Option<Arc<Lineage>> {
    if is_scoped() { SCOPE.with(|scope| scope.borrow().lineage.clone()) } else { None }
}

/// The thread is ending.
#[cfg(not(shuttle))]
pub(crate) fn end() {
    STRAIGHT.with(|straight| straight.set(false));
}

pin_project! {
    /// A future with a scope of its own: what [`client_scope`] and [`scoped`] return.
    #[must_use = "futures do nothing unless polled"]
    pub struct Scoped<F> {
        change: Change,
        // `None` once it is over.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Scoped<F> {
        // What a cancelled future drops is in its scope as well.
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                let _entered = this.change.enter();
                this.future.set(None);
            }
        }
    }
}

/// What a [`Scoped`] future changes of the scope it is polled in.
#[derive(Clone)]
enum Change {
    Client(Arc<str>),
    Cache(Cache),
    Lineage(Arc<Lineage>),
}

impl Change {
    fn enter(&self) -> Entered {
        Scope::with(|scope| match self.clone() {
            Self::Client(client) => scope.client = Some(client),
            Self::Cache(cache) => scope.cache = Some(cache),
            Self::Lineage(lineage) => scope.lineage = Some(lineage),
        })
        .enter()
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let _entered = this.change.enter();
        let polled = this.future.as_mut().as_pin_mut().expect("polled after it has returned").poll(context);
        if polled.is_ready() {
            this.future.set(None);
        }
        polled
    }
}

impl<F> fmt::Debug for Scoped<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").finish_non_exhaustive()
    }
}

/// Runs `future` for one client: what it remembers is never seen by another client, nor outside any.
///
/// The scope follows the future from thread to thread. It does not reach the tasks that the future spawns: give each its own.
/// A client whose name is empty is a client like any other, and not the same as none.
///
/// ```
/// # use cache_request::client_scope;
/// # async fn page() {}
/// # async fn handler() {
/// client_scope("acme", page()).await;
/// # }
/// ```
pub fn client_scope<F: Future>(client: impl Into<Arc<str>>, future: F) -> Scoped<F> {
    Scoped { change: Change::Client(client.into()), future: Some(future) }
}

/// Calls `function` for one client, like [`client_scope`].
pub fn client_scope_sync<T>(client: impl Into<Arc<str>>, function: impl FnOnce() -> T) -> T {
    let _entered = Change::Client(client.into()).enter();
    function()
}

/// Runs `future` with `cache` in the place of every installed one: for tests, which then share nothing.
///
/// ```
/// # use cache_request::{Cache, scoped};
/// # async fn page() {}
/// # async fn test() {
/// let cache = Cache::memory();
/// scoped(&cache, page()).await;
/// assert_eq!(cache.stats().hits(), 0);
/// # }
/// ```
pub fn scoped<F: Future>(cache: &Cache, future: F) -> Scoped<F> {
    Scoped { change: Change::Cache(cache.clone()), future: Some(future) }
}

/// Calls `function` with `cache` in the place of every installed one, like [`scoped`].
pub fn scoped_sync<T>(cache: &Cache, function: impl FnOnce() -> T) -> T {
    let _entered = Change::Cache(cache.clone()).enter();
    function()
}

/// Runs `future` as a part of the innermost body of `lineage`.
pub(crate) fn within<F: Future>(lineage: Arc<Lineage>, future: F) -> Scoped<F> {
    Scoped { change: Change::Lineage(lineage), future: Some(future) }
}
